//! What this account may have at once: descriptors and processes are really taken, up to what a busy server needs, and given
//! back. It raises nothing for anybody else.

use std::fs::File;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use server::Seen;

use super::Finding;

/// Sixty-four tasks at a dozen each, and listeners.
const FILES_WANTED: usize = 2_048;

/// Sixty-four computers with two processes of ours and a few of theirs.
const PROCESSES_WANTED: usize = 512;

/// A thread that only waits.
const STACK_BYTES: usize = 64 * 1024;

pub(crate) fn findings() -> Vec<Finding> {
    vec![files(), processes()]
}

fn files() -> Finding {
    let bounds = getrlimit(Resource::Nofile);
    // As the server does.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: bounds.maximum, ..bounds });
    let mut open = Vec::new();
    let stopped = loop {
        if open.len() == FILES_WANTED {
            break None;
        }
        match File::open("/dev/null") {
            Ok(file) => open.push(file),
            Err(error) => break Some(error),
        }
    };
    let opened = open.len();
    drop(open);
    let _ = setrlimit(Resource::Nofile, bounds);
    told_files(opened, stopped.map(|error| error.to_string()))
}

fn told_files(opened: usize, stopped: Option<String>) -> Finding {
    let Some(error) = stopped else {
        let seen = Seen::OpenFiles { files: opened as u64 };
        return Finding::good("open files", seen, format!("{opened} were open at once"));
    };
    let what = format!("only {opened} can be open at once ({error}): enough for about {} tasks", opened / 16);
    let seen = Seen::OpenFilesFew { files: opened as u64, error, tasks: opened as u64 / 16 };
    let fix =
        "printf '* hard nofile 65536\\n' | sudo tee /etc/security/limits.d/60-thenar.conf    # then sign in again";
    Finding::poor("open files", seen, what, fix)
}

/// Threads stand for processes: every limit on processes counts them alike.
fn processes() -> Finding {
    let (release, wait) = channel::<()>();
    let wait = Arc::new(Mutex::new(wait));
    let mut threads = Vec::new();
    let stopped = loop {
        if threads.len() == PROCESSES_WANTED {
            break None;
        }
        let wait = Arc::clone(&wait);
        let waiting = move || drop(wait.lock().map(|wait| wait.recv()));
        match std::thread::Builder::new().stack_size(STACK_BYTES).spawn(waiting) {
            Ok(thread) => threads.push(thread),
            Err(error) => break Some(error.to_string()),
        }
    };
    let started = threads.len();
    drop(release);
    for thread in threads {
        let _ = thread.join();
    }
    let pids = std::fs::read_to_string("/proc/sys/kernel/pid_max").unwrap_or_default();
    told_processes(started, stopped, pids.trim())
}

fn told_processes(started: usize, stopped: Option<String>, pid_max: &str) -> Finding {
    let Some(error) = stopped else {
        let what = format!("{started} ran at once; the machine numbers up to {pid_max}");
        let seen = Seen::Processes { processes: started as u64, pid_max: pid_max.to_owned() };
        return Finding::good("processes", seen, what);
    };
    let what = format!("only {started} more can run at once ({error}): enough for about {} tasks", started / 8);
    let seen = Seen::ProcessesFew { processes: started as u64, error, tasks: started as u64 / 8 };
    let fix = "ulimit -u $(ulimit -H -u); cat /sys/fs/cgroup/$(sed -n 's/^0:://p' /proc/self/cgroup)/pids.max    # a service has TasksMax=, a container pids_limit";
    Finding::poor("processes", seen, what, fix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_few_are_told_with_what_they_are_enough_for() {
        let found = told_files(160, Some("Too many open files".to_owned()));
        assert!(!found.works && found.what.contains("about 10 tasks") && found.fix.contains("limits.d"), "{found:?}");
        let found = told_processes(80, Some("Resource temporarily unavailable".to_owned()), "32768");
        assert!(!found.works && found.what.contains("about 10 tasks") && found.fix.contains("ulimit -u"), "{found:?}");
    }

    #[test]
    fn what_was_taken_is_given_back() {
        let open = || std::fs::read_dir("/proc/self/fd").unwrap().count();
        let (before, bounds) = (open(), getrlimit(Resource::Nofile));
        let all = findings();
        assert_eq!(all.len(), 2);
        assert_eq!(getrlimit(Resource::Nofile), bounds);
        // Other tests of this program may hold some by now; two thousand they are not.
        assert!(open() < before + FILES_WANTED / 2);
    }
}
