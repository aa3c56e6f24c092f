//! The kernel's control groups of one computer: what all its processes together may take of memory, processes and processor.
//! Made before anything runs in it and gone with it. Where no group can be made it says why, and others hold the limits.

mod beside;
mod manager;
mod place;
mod sweep;

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::process::Pid;

use crate::confinement::{Confinement, Hold};
use crate::spec::Limits;
use place::{Controller, Place};

pub(crate) use sweep::{left, sweep};

/// The group that holds the groups of all computers; it goes with the last of them.
const ABOVE: &str = "thenar";
/// Processor share of all computers together, where 100 is what one thread of the engine has. With less, whatever else the
/// machine does would keep commands that often wait, for the disk say, waiting much longer.
const SHARE_OF_ALL: u64 = 100;
/// Part of the machine's memory that all computers together may hold.
const MEMORY_OF_ALL_PERCENT: u64 = 85;
/// What the connections of one computer may hold of data that nobody has read: the kernel of the earlier kind of groups does not
/// count it with the rest, and has one store of it for the whole machine.
const UNREAD_BYTES: u64 = 128 << 20;
/// How long the last processes of a group are waited for before its folder is left to the next sweep.
const EMPTY_WAIT: Duration = Duration::from_millis(250);
const EMPTY_PAUSE: Duration = Duration::from_millis(1);
/// Others may remove the group above between our two steps; more than some times is no chance.
const TRIES: usize = 5;
/// What one counter file may hold.
const COUNTER_BYTES: usize = 1024;

/// The groups of one computer.
pub(crate) struct Group {
    folders: Vec<Folder>,
    pub(crate) holds: Confinement,
    oom_kills: Option<File>,
    refused_forks: Option<File>,
    processes_peak: Option<File>,
    /// Where a cap is set.
    processor: Option<File>,
}

struct Folder {
    path: PathBuf,
    unified: bool,
    /// To be born in it, or for a process to enter it by itself, until its first one is in.
    way_in: Option<OwnedFd>,
}

/// Which groups a process is in before it is put into the others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct In {
    /// That of the unified kind, from its birth.
    pub(crate) born: bool,
    /// Those of the earlier kind, by [`Group::enter`].
    pub(crate) entered: bool,
}

/// What the kernel has counted so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Processes ended because the memory was used up.
    pub(crate) oom_kills: u64,
    /// New processes that were refused.
    pub(crate) refused_forks: u64,
    /// Most processes at one time.
    pub(crate) processes_peak: u64,
    /// Tenths of a second in which somebody had to wait for the next, for more of the processor was wanted than the cap.
    pub(crate) held_back: u64,
}

/// Goes where the groups of this process's computer are to be made, before it makes one or starts anything.
pub(crate) fn settle() {
    beside::enter();
}

impl Group {
    /// Makes what can be made on this machine. That nothing can be is no failure; it stands in `holds`.
    pub(crate) fn make(limits: &Limits) -> Self {
        Self::make_for("", limits)
    }

    /// The same for the computer's browser: of its own, so that pages and commands do not use up each other's share.
    pub(crate) fn make_for_browser(limits: &Limits) -> Self {
        // That a page takes longer than it might is nothing to be told each time.
        let mut group = Self::make_for(sweep::OF_BROWSER, limits);
        group.processor = None;
        group
    }

    fn make_for(what: &str, limits: &Limits) -> Self {
        let mut group = Self {
            folders: Vec::new(),
            holds: Confinement::default(),
            oom_kills: None,
            refused_forks: None,
            processes_peak: None,
            processor: None,
        };
        let name = sweep::own_name().map(|name| format!("{name}{what}"));
        let mut reasons = Vec::new();
        match (place::find(), name) {
            (Ok(places), Ok(name)) => {
                for place in &places.found {
                    if let Err(error) = group.make_in(place, &name, limits) {
                        reasons.push(format!("{}: {error}", place.folder.display()));
                    }
                }
                reasons.extend(places.reasons);
            }
            (Err(error), _) | (_, Err(error)) => reasons.push(format!("look for control groups: {error}")),
        }
        if !group.holds.is_whole() {
            reasons.dedup();
            group.holds.reason = reasons.join("; ");
        }
        group
    }

    fn make_in(&mut self, place: &Place, name: &str, limits: &Limits) -> io::Result<()> {
        place.enable()?;
        let path = make_folder(place, name)?;
        let way_in = if place.unified {
            rustix::fs::open(&path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?
        } else {
            rustix::fs::open(path.join("tasks"), OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?
        };
        self.folders.push(Folder { path: path.clone(), unified: place.unified, way_in: Some(way_in) });
        let hold = if place.unified { Hold::GroupV2 } else { Hold::GroupV1 };
        for controller in &place.controllers {
            match controller {
                Controller::Memory => {
                    limit_memory(&path, place.unified, limits.memory_bytes)?;
                    if !place.unified {
                        limit_unread(&path, UNREAD_BYTES.min(limits.memory_bytes / 2));
                    }
                    let events = if place.unified { "memory.events" } else { "memory.oom_control" };
                    self.oom_kills = File::open(path.join(events)).ok();
                    self.holds.memory = hold;
                }
                Controller::Pids => {
                    let most = limits.processes + crate::launch::INIT_PROCESSES;
                    put(&path, "pids.max", most)?;
                    holds(&path, "pids.max", most)?;
                    self.refused_forks = File::open(path.join("pids.events")).ok();
                    self.processes_peak = File::open(path.join("pids.peak")).ok();
                    self.holds.processes = hold;
                }
                Controller::Cpu => {
                    share_cpu(&path, place.unified, limits.cpu_weight)?;
                    if let Some(percent) = limits.cpu_percent {
                        cap_cpu(&path, place.unified, percent)?;
                        self.processor = File::open(path.join("cpu.stat")).ok();
                    }
                    self.holds.processor = hold;
                }
            }
        }
        Ok(())
    }

    /// The group that a process can be born in, where the kernel knows that.
    pub(crate) fn birth(&self) -> Option<BorrowedFd<'_>> {
        self.folders.iter().find(|folder| folder.unified).and_then(|folder| folder.way_in.as_ref()).map(AsFd::as_fd)
    }

    /// Puts this process, which has one thread, into all groups in which none can be born. To put another one there makes the
    /// kernel hold up every fork on the machine until all processors have passed a quiet moment, which takes milliseconds;
    /// for one that enters by itself it need not. False if one did not take it.
    pub(crate) fn enter(&self) -> bool {
        let mut ways = self.folders.iter().filter(|folder| !folder.unified).map(|folder| folder.way_in.as_ref());
        ways.all(|way_in| way_in.is_some_and(|way_in| rustix::io::write(way_in, b"0").is_ok()))
    }

    /// Puts a process into all groups but those that it is `in_already`. What does not take it holds nothing.
    pub(crate) fn join(&mut self, process: Pid, in_already: In) {
        for folder in &mut self.folders {
            folder.way_in = None;
            let is_in = if folder.unified { in_already.born } else { in_already.entered };
            if is_in {
                continue;
            }
            let joined = put(&folder.path, "cgroup.procs", process.as_raw_nonzero());
            if let Err(error) = joined {
                let lost = if folder.unified { Hold::GroupV2 } else { Hold::GroupV1 };
                let holds = &mut self.holds;
                for hold in [&mut holds.memory, &mut holds.processes, &mut holds.processor] {
                    if *hold == lost {
                        *hold = Hold::Own;
                    }
                }
                self.holds.reason = format!("join {}: {error}", folder.path.display());
            }
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts {
            oom_kills: self.oom_kills.as_ref().map_or(0, |file| named_count(file, "oom_kill")),
            refused_forks: self.refused_forks.as_ref().map_or(0, |file| named_count(file, "max")),
            processes_peak: self.processes_peak.as_ref().map_or(0, first_count),
            held_back: self.processor.as_ref().map_or(0, |file| named_count(file, "nr_throttled")),
        }
    }

    /// Ends whatever is in it and removes it. What cannot be removed now is met by the next sweep.
    pub(crate) fn remove(&mut self) {
        for folder in self.folders.iter().filter(|folder| folder.unified) {
            let _ = put(&folder.path, "cgroup.kill", 1);
        }
        let until = Instant::now() + EMPTY_WAIT;
        for folder in self.folders.drain(..) {
            while let Err(error) = fs::remove_dir(&folder.path)
                && error.raw_os_error() == Some(libc::EBUSY)
                && Instant::now() < until
            {
                pause();
            }
            if let Some(above) = folder.path.parent() {
                // Only the last one out can.
                let _ = fs::remove_dir(above);
            }
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.remove();
    }
}

/// The group above all computers, if it is missing, and below it the one of this name.
fn make_folder(place: &Place, name: &str) -> io::Result<PathBuf> {
    let above = place.folder.join(ABOVE);
    let path = above.join(name);
    for _ in 0..TRIES {
        match fs::create_dir(&above) {
            Ok(()) => prepare_above(&above, place),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        match fs::create_dir(&path) {
            // The last other computer went just now, and the group above with it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(path),
            Err(error) => return Err(error),
            Ok(()) => return Ok(path),
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

/// What all computers together get. Each step is a courtesy to the rest of the machine: the limits of each hold without.
fn prepare_above(above: &Path, place: &Place) {
    for controller in &place.controllers {
        if place.unified {
            let _ = put(above, "cgroup.subtree_control", format!("+{}", controller.name()));
        }
        let _ = match controller {
            Controller::Memory => {
                if let Some(most) = machine_unread().filter(|_| !place.unified) {
                    limit_unread(above, most);
                }
                machine_memory()
                    .and_then(|bytes| limit_memory(above, place.unified, bytes / 100 * MEMORY_OF_ALL_PERCENT))
            }
            Controller::Cpu => share_cpu(above, place.unified, SHARE_OF_ALL),
            Controller::Pids => Ok(()),
        };
    }
}

fn machine_memory() -> io::Result<u64> {
    let info = rustix::system::sysinfo();
    Ok(info.totalram.saturating_mul(u64::from(info.mem_unit)))
}

fn limit_memory(path: &Path, unified: bool, bytes: u64) -> io::Result<()> {
    let (most, with_swap) = if unified {
        ("memory.max", ("memory.swap.max", 0))
    } else {
        ("memory.limit_in_bytes", ("memory.memsw.limit_in_bytes", bytes))
    };
    put(path, most, bytes)?;
    // A kernel without swap accounting lacks the file; then there is mostly no swap either.
    let _ = put(path, with_swap.0, with_swap.1);
    holds(path, most, bytes)
}

/// A kernel that does not count it has no file for it.
fn limit_unread(path: &Path, bytes: u64) {
    let _ = put(path, "memory.kmem.tcp.limit_in_bytes", bytes);
}

/// Half of what the machine may hold of it before its own connections feel it.
fn machine_unread() -> Option<u64> {
    let pages = fs::read_to_string("/proc/sys/net/ipv4/tcp_mem").ok()?;
    let pressure: u64 = pages.split_whitespace().nth(1)?.parse().ok()?;
    Some(pressure * u64::try_from(rustix::param::page_size()).ok()? / 2)
}

fn share_cpu(path: &Path, unified: bool, weight: u64) -> io::Result<()> {
    if unified { put(path, "cpu.weight", weight) } else { put(path, "cpu.shares", weight * 1024 / 100) }
}

/// A ceiling in hundredths of one processor, over a tenth of a second.
fn cap_cpu(path: &Path, unified: bool, percent: u64) -> io::Result<()> {
    const PERIOD_US: u64 = 100_000;
    let quota = percent.max(1) * PERIOD_US / 100;
    if unified {
        return put(path, "cpu.max", format!("{quota} {PERIOD_US}"));
    }
    put(path, "cpu.cfs_period_us", PERIOD_US)?;
    put(path, "cpu.cfs_quota_us", quota)
}

fn put(folder: &Path, file: &str, value: impl std::fmt::Display) -> io::Result<()> {
    fs::write(folder.join(file), value.to_string())
}

/// Proves that a limit was taken: it reads as it was written, but for the size of a page.
fn holds(folder: &Path, file: &str, value: u64) -> io::Result<()> {
    const PAGE: u64 = 65_536;
    let text = fs::read_to_string(folder.join(file))?;
    match text.trim().parse::<u64>() {
        Ok(seen) if seen.abs_diff(value) < PAGE && (seen > 0) == (value > 0) => Ok(()),
        _ => Err(io::Error::other(format!("{file} is {}, not {value}", text.trim()))),
    }
}

/// The number behind a name, from a file of lines of both.
fn named_count(file: &File, name: &str) -> u64 {
    let text = counter(file);
    let found = text.lines().filter_map(|line| line.split_once(' ')).find(|(found, _)| *found == name);
    found.and_then(|(_, count)| count.trim().parse().ok()).unwrap_or(0)
}

fn first_count(file: &File) -> u64 {
    counter(file).trim().parse().unwrap_or(0)
}

fn counter(file: &File) -> String {
    let mut bytes = [0; COUNTER_BYTES];
    let length = file.read_at(&mut bytes, 0).unwrap_or(0);
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a group's last processes are leaving; the kernel offers nothing to wait on"
)]
fn pause() {
    std::thread::sleep(EMPTY_PAUSE);
}

#[cfg(test)]
mod tests {
    //! How a process comes into its groups, on a machine where there are such that it enters by itself; and what is told to each
    //! kind of them, in folders that are none of the kernel's, since no machine has both kinds with all controllers.

    use super::place::{Controller, Place};
    use super::{Confinement, Counts, Group, Hold, fs};
    use crate::Limits;

    #[test]
    fn whoever_enters_is_in_all_groups_of_the_earlier_kind() {
        let group = Group::make_for_browser(&Limits::default());
        // These groups take threads, and the one that writes is taken: the others stay where they are.
        let (entered, seen) = std::thread::scope(|scope| {
            let inside = scope.spawn(|| (group.enter(), fs::read_to_string("/proc/thread-self/cgroup").unwrap()));
            inside.join().unwrap()
        });
        assert!(entered);
        let earlier: Vec<_> = group.folders.iter().filter(|folder| !folder.unified).collect();
        for folder in &earlier {
            let name = folder.path.file_name().unwrap().to_str().unwrap();
            assert_eq!(seen.lines().filter(|line| line.ends_with(name)).count(), earlier.len(), "{seen}");
        }
    }

    /// What stands in a file of a group.
    fn written(group: &std::path::Path, file: &str) -> String {
        fs::read_to_string(group.join(file)).unwrap_or_else(|error| format!("{file}: {error}"))
    }

    /// A group in a folder that is none of the kernel's, with the kernel's counters in it.
    fn made(unified: bool, prepare: impl FnOnce(&std::path::Path)) -> (tempfile::TempDir, Group, std::io::Result<()>) {
        let tree = tempfile::tempdir().unwrap();
        let own = tree.path().join("thenar/one");
        fs::create_dir_all(&own).unwrap();
        fs::write(tree.path().join("cgroup.subtree_control"), "").unwrap();
        for (file, text) in [
            ("memory.events", "low 0\noom 0\noom_kill 1\n"),
            ("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n"),
            ("pids.events", "max 2\n"),
            ("cpu.stat", "nr_periods 9\nnr_throttled 4\n"),
            ("pids.peak", "3\n"),
            ("tasks", ""),
        ] {
            fs::write(own.join(file), text).unwrap();
        }
        prepare(&own);
        let limits = Limits {
            memory_bytes: 128 << 20,
            processes: 40,
            cpu_weight: 50,
            cpu_percent: Some(20),
            ..Limits::default()
        };
        let controllers = vec![Controller::Memory, Controller::Pids, Controller::Cpu];
        let place = Place { folder: tree.path().to_owned(), controllers, unified };
        let mut group = Group {
            folders: Vec::new(),
            holds: Confinement::default(),
            oom_kills: None,
            refused_forks: None,
            processes_peak: None,
            processor: None,
        };
        let done = group.make_in(&place, "one", &limits);
        (tree, group, done)
    }

    #[test]
    fn each_kind_of_group_is_told_the_same_limits_in_its_own_words() {
        let unified: &[(&str, &str)] = &[
            ("memory.max", "134217728"),
            ("memory.swap.max", "0"),
            ("pids.max", "56"),
            ("cpu.weight", "50"),
            ("cpu.max", "20000 100000"),
        ];
        let earlier: &[(&str, &str)] = &[
            ("memory.limit_in_bytes", "134217728"),
            ("memory.memsw.limit_in_bytes", "134217728"),
            ("memory.kmem.tcp.limit_in_bytes", "67108864"),
            ("pids.max", "56"),
            ("cpu.shares", "512"),
            ("cpu.cfs_period_us", "100000"),
            ("cpu.cfs_quota_us", "20000"),
        ];
        for (is_unified, hold, expected) in [(true, Hold::GroupV2, unified), (false, Hold::GroupV1, earlier)] {
            let (tree, group, done) = made(is_unified, |_| {});
            done.unwrap();
            let own = tree.path().join("thenar/one");
            for (file, value) in expected {
                assert_eq!(written(&own, file), *value, "{file}");
            }
            let holds = &group.holds;
            assert_eq!((holds.memory, holds.processes, holds.processor), (hold, hold, hold));
            let seen = Counts { oom_kills: 1, refused_forks: 2, processes_peak: 3, held_back: 4 };
            assert_eq!(group.counts(), seen);
            for (file, text) in [("memory.events", "oom_kill 7\n"), ("memory.oom_control", "oom_kill 7\n")] {
                fs::write(own.join(file), text).unwrap();
            }
            assert_eq!(group.counts(), Counts { oom_kills: 7, ..seen });
            drop(group);
            assert_eq!(written(&own, "cgroup.kill") == "1", is_unified, "only the unified kind ends all at once");
        }
    }

    #[test]
    fn a_limit_that_was_not_taken_is_not_said_to_hold() {
        for (unified, file) in [(true, "pids.max"), (false, "pids.max"), (true, "memory.max")] {
            let (_tree, group, done) = made(unified, |own| fs::create_dir(own.join(file)).unwrap());
            assert!(done.is_err() && !group.holds.is_whole(), "{file}: {:?}", group.holds);
            let lost = if file == "pids.max" { group.holds.processes } else { group.holds.memory };
            assert_eq!(lost, Hold::Own, "{file}");
        }
    }
}
