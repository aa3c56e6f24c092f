//! What runs in a box, as the host sees it: which processes, the memory they hold, the room of files they have deleted and still hold open. It looks from outside and trusts nothing that is told inside.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::fd::{AsFd, OwnedFd};

use rustix::process::{Pid, PidfdFlags, Signal};

/// Processes looked at; a box has far fewer.
const PROCESSES_MAX: usize = 8192;

/// All processes below PID 1 of a box, itself not among them.
pub(crate) fn processes(init: i32) -> Vec<i32> {
    let (mut found, mut open) = (Vec::new(), vec![init]);
    while let Some(parent) = open.pop() {
        let threads = fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
        for thread in threads {
            let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            let children = children.split_whitespace().filter_map(|pid| pid.parse::<i32>().ok());
            for child in children {
                if found.len() >= PROCESSES_MAX {
                    return found;
                }
                found.push(child);
                open.push(child);
            }
        }
    }
    found
}

/// Memory held in a box.
#[derive(Debug, Default)]
pub(crate) struct Held {
    pub(crate) bytes: u64,
    /// The process that holds most of it.
    pub(crate) largest: Option<i32>,
}

/// The memory of all processes of a box, and what it holds that no process has in view: data in connections that nobody has read, and
/// files in memory without a name. Exact only where it may be more than `limit`: what processes share counts once then.
pub(crate) fn memory(init: i32, limit: u64) -> Held {
    let processes = processes(init);
    let unseen = unread(init) + memory_device().map_or(0, |device| nameless(init, &HashSet::from([device])));
    let limit = limit.saturating_sub(unseen);
    let with_unseen = |held: Held| Held { bytes: held.bytes + unseen, ..held };
    let held = sum(&processes, |pid| kib(&format!("/proc/{pid}/status"), &["RssAnon:", "RssShmem:"]));
    if held.bytes < limit {
        return with_unseen(held);
    }
    with_unseen(sum(&processes, |pid| kib(&format!("/proc/{pid}/smaps_rollup"), &["Pss:"])))
}

/// What waits in the connections of a box, sent and not read. It takes more memory than it has bytes.
fn unread(init: i32) -> u64 {
    let of_line = |line: &str| {
        let (sent, received) = line.split_whitespace().nth(4)?.split_once(':')?;
        Some(u64::from_str_radix(sent, 16).ok()? + u64::from_str_radix(received, 16).ok()?)
    };
    let of = |table: &str| {
        // Line by line: there may be as many as there are connections.
        let file = File::open(format!("/proc/{init}/net/{table}")).ok()?;
        let lines = BufReader::new(file).lines().map_while(Result::ok);
        Some(lines.skip(1).filter_map(|line| of_line(&line)).sum::<u64>())
    };
    ["tcp", "tcp6", "udp", "udp6"].into_iter().filter_map(of).sum()
}

/// The device on which files in memory lie, as the kernel numbers it.
fn memory_device() -> Option<u64> {
    let file = rustix::fs::memfd_create("device", rustix::fs::MemfdFlags::CLOEXEC).ok()?;
    Some(rustix::fs::fstat(&file).ok()?.st_dev)
}

/// What the machine could still give.
pub(crate) fn available() -> u64 {
    kib("/proc/meminfo", &["MemAvailable:"]) * 1024
}

fn sum(processes: &[i32], kib_of: impl Fn(i32) -> u64) -> Held {
    let mut held = Held::default();
    let mut most = 0;
    for pid in processes {
        let bytes = kib_of(*pid) * 1024;
        held.bytes += bytes;
        if bytes > most {
            (most, held.largest) = (bytes, Some(*pid));
        }
    }
    held
}

/// The sum of some named lines of a file, in KiB.
fn kib(file: &str, names: &[&str]) -> u64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    let of = |line: &str| {
        let rest = names.iter().find_map(|name| line.strip_prefix(name))?;
        rest.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()
    };
    text.lines().filter_map(of).sum()
}

/// Looks how many files the processes of a box have open.
pub(crate) struct OpenFiles {
    most: u64,
    /// The kernel tells it as the size of `/proc/PID/fd`; Linux 6.2 and newer do.
    told: bool,
}

impl OpenFiles {
    /// Folders that are counted at one look, where the kernel does not tell what is in them.
    const COUNTED_MAX: usize = 16;

    /// `most` is what one process may have.
    pub(crate) fn new(most: u64) -> Self {
        // This process has some open.
        Self { most, told: told("self") > Some(0) }
    }

    pub(crate) fn most(&self) -> u64 {
        self.most
    }

    /// The most that one process of a box has, looked for until one has as many as it may.
    pub(crate) fn look(&self, init: i32) -> u64 {
        let (mut highest, mut counted) = (0, 0);
        for pid in processes(init).into_iter().map(|pid| pid.to_string()) {
            let open = if self.told {
                told(&pid).unwrap_or(0)
            } else if counted < Self::COUNTED_MAX && self.may_have_many(&pid) {
                counted += 1;
                count(&pid, self.most)
            } else {
                0
            };
            highest = highest.max(open);
            if highest >= self.most {
                break;
            }
        }
        highest
    }

    /// Whether the table of its open files, which doubles when it is too small, is as large as it is with more than half of all.
    fn may_have_many(&self, pid: &str) -> bool {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let table = status.lines().find_map(|line| line.strip_prefix("FDSize:")?.trim().parse::<u64>().ok());
        table.is_some_and(|size| size >= self.most)
    }
}

fn told(pid: &str) -> Option<u64> {
    let about = rustix::fs::stat(format!("/proc/{pid}/fd")).ok()?;
    u64::try_from(about.st_size).ok()
}

/// Counts them one by one, but no more than there may be.
fn count(pid: &str, most: u64) -> u64 {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten();
    entries.take(usize::try_from(most).unwrap_or(usize::MAX)).map(|_| 1).sum()
}

/// Ends one process of a box by a descriptor, so that a number used anew is never hit.
pub(crate) fn end(init: i32, pid: i32) -> bool {
    let Some(number) = Pid::from_raw(pid) else { return false };
    let Ok(process) = rustix::process::pidfd_open(number, PidfdFlags::empty()) else { return false };
    // It may have been somebody else's by the time that it was opened.
    processes(init).contains(&pid) && rustix::process::pidfd_send_signal(&process, Signal::KILL).is_ok()
}

/// Room on file systems that is held by files without a name: deleted and still open in a box.
pub(crate) fn nameless(init: i32, devices: &HashSet<u64>) -> u64 {
    let mut seen = HashSet::new();
    let mut bytes = 0;
    for pid in processes(init) {
        let Ok(folder) = rustix::fs::open(
            format!("/proc/{pid}/fd"),
            rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC,
            rustix::fs::Mode::empty(),
        ) else {
            continue;
        };
        bytes += nameless_of(&folder, devices, &mut seen);
    }
    bytes
}

fn nameless_of(folder: &OwnedFd, devices: &HashSet<u64>, seen: &mut HashSet<(u64, u64)>) -> u64 {
    let mut bytes = 0;
    for entry in rustix::fs::Dir::read_from(folder).into_iter().flatten().flatten() {
        // Follows the link that stands for the open file, and opens nothing.
        let Ok(stat) = rustix::fs::statat(folder.as_fd(), entry.file_name(), rustix::fs::AtFlags::empty()) else {
            continue;
        };
        if stat.st_nlink == 0 && devices.contains(&stat.st_dev) && seen.insert((stat.st_dev, stat.st_ino)) {
            bytes += u64::try_from(stat.st_blocks).unwrap_or(0) * 512;
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_files_are_counted_whether_the_kernel_tells_them_or_not() {
        let held: Vec<_> = (0..200).map(|_| fs::File::open("/dev/null").unwrap()).collect();
        let parent = rustix::process::getppid().unwrap().as_raw_nonzero().get();
        for told in [false, true].into_iter().filter(|told| !told || super::told("self") > Some(0)) {
            assert!(OpenFiles { most: 150, told }.look(parent) >= 150, "{told}");
        }
        // Whoever cannot have as many is not counted.
        assert!(!OpenFiles { most: 1 << 20, told: false }.may_have_many("self"));
        assert_eq!(count("self", 20), 20);
        drop(held);
    }
}
