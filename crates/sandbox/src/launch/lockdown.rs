//! Limits and rights of everything inside. The call filter comes last, in PID 1 itself; this file opens nothing.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::BorrowedFd;
use std::path::Path;

use landlock::{ABI, Access, AccessFs, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Resource, Rlimit};

use super::INSIDE_ID;
use crate::spec::Limits;
use crate::sys;

/// More processes for PID 1 than for its commands, so that it can act when they have used theirs up.
pub(crate) const INIT_PROCESSES: u64 = 16;
/// How much sooner than others commands go when the memory is used up; 1000 would be at once.
const OOM_SCORE: &str = "500";
/// With nought the kernel still runs a handler of the machine's, where it has one (`core_pattern` with a pipe), as root and on what
/// the program held; with one byte it makes no core at all. The call filter keeps commands from lowering it.
const CORE_BYTES: u64 = 1;
/// Memory that may be locked.
const LOCKED_BYTES: u64 = 8 * 1024 * 1024;

/// Signals that may wait for somebody to take them.
const SIGNALS: u64 = 16_384;

/// What the kernel counts per user, over all computers and the person's own programs: each computer gets a part.
const USER_COUNTS: &[(&str, u32)] = &[
    ("max_inotify_instances", 64),
    ("max_inotify_watches", 32_768),
    ("max_fanotify_groups", 8),
    ("max_fanotify_marks", 4_096),
];

/// The call filter: first what exists, then what of it is refused. The later one is asked first.
const KNOWN: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/known.bpf"));
const REFUSED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/refused.bpf"));
/// And what is answered with success and not made.
const PRETENDED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/pretended.bpf"));
/// The refusals for a browser, which builds a box of its own around each page.
const REFUSED_TO_BROWSERS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/refused_to_browsers.bpf"));

/// Lowers the ceilings of this process and its children. Counted within the new user namespace, so that computers do not
/// use up each other's.
pub(super) fn lower_limits(limits: &Limits) -> io::Result<()> {
    lower(Resource::Nproc, limits.processes + INIT_PROCESSES)?;
    lower(Resource::Nofile, limits.open_files)?;
    lower(Resource::Core, CORE_BYTES)?;
    lower(Resource::Fsize, limits.file_bytes)?;
    lower(Resource::Memlock, LOCKED_BYTES)?;
    lower(Resource::Msgqueue, 819_200)?;
    lower(Resource::Sigpending, SIGNALS)?;
    // Some people's desktops lend them the right to go before everybody (groups like `audio`); it is not for what they let run here.
    lower(Resource::Rtprio, 0)?;
    lower(Resource::Nice, 0)?;
    Ok(())
}

/// Lowers what this process and its children may hold of data, each for itself. Not the address space: runtimes reserve far more
/// of that than they ever use.
pub(super) fn lower_data(bytes: u64) -> io::Result<()> {
    lower(Resource::Data, bytes)
}

/// The same for another process, which has come by its limit from this one.
pub(super) fn lower_data_of(process: Pid, bytes: u64) -> io::Result<()> {
    let bytes = rustix::process::getrlimit(Resource::Data).maximum.map_or(bytes, |maximum| maximum.min(bytes));
    let limit = Rlimit { current: Some(bytes), maximum: Some(bytes) };
    Ok(rustix::process::prlimit(Some(process), Resource::Data, limit).map(drop)?)
}

/// Lowers what of the user's own counts this computer may take, through the new `/proc` and before it is closed. The limits
/// hold in the new user namespace only. A kernel that does not count one of them has no file for it.
pub(super) fn lower_user_counts(root: BorrowedFd<'_>) -> io::Result<()> {
    for (name, most) in USER_COUNTS {
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        match rustix::fs::openat(root, format!("proc/sys/user/{name}"), flags, Mode::empty()) {
            Ok(file) => File::from(file).write_all(most.to_string().as_bytes())?,
            Err(rustix::io::Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// The ceiling of a command, below that of PID 1.
pub(crate) fn lower_for_command() -> io::Result<()> {
    let own = rustix::process::getrlimit(Resource::Nproc).current.unwrap_or(u64::MAX);
    lower(Resource::Nproc, own.saturating_sub(INIT_PROCESSES))
}

/// From here on no file may grow: what is there can be read, moved and removed.
pub(crate) fn write_nothing() -> io::Result<()> {
    lower(Resource::Fsize, 0)
}

/// Says that this process is to go before PID 1 when memory runs out. It has no secrets and no way to the keeper by now, for
/// to say so it must be open to its own user for a moment, as every command is.
pub(crate) fn go_first() -> io::Result<()> {
    sys::dumpable(true)?;
    let said = std::fs::write("/proc/self/oom_score_adj", OOM_SCORE);
    sys::dumpable(false)?;
    said
}

fn lower(what: Resource, ceiling: u64) -> io::Result<()> {
    let now = rustix::process::getrlimit(what);
    let ceiling = now.maximum.map_or(ceiling, |maximum| maximum.min(ceiling));
    Ok(rustix::process::setrlimit(what, Rlimit { current: Some(ceiling), maximum: Some(ceiling) })?)
}

/// Gives up every capability for good, and every way to gain one.
pub(super) fn give_up_rights() -> io::Result<()> {
    for capability in 0..64 {
        if !sys::drop_bounding(capability) {
            break;
        }
    }
    sys::drop_capabilities()?;
    Ok(rustix::thread::set_no_new_privs(true)?)
}

/// Which of a computer's two boxes a lock is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Box {
    /// Commands and files.
    Shell,
    /// Web pages.
    Browser,
}

impl Box {
    /// What may be written, if the mounts should ever be got around; everything else can at most be read, and nothing
    /// outside the new root at all.
    fn writable(self) -> &'static [&'static str] {
        match self {
            Self::Shell => &["/workspace", "/tmp", "/home/agent", "/dev", "/proc"],
            Self::Browser => &["/profile", "/downloads", "/tmp", "/home/agent", "/dev", "/proc"],
        }
    }
}

/// The second lock: rules on files that hold whatever is mounted, and no signals or hidden sockets to the outside. A kernel
/// without it still has the first; true if it took them.
pub(crate) fn lock_files(of: Box) -> Result<bool, RulesetError> {
    lock_files_but(of.writable())
}

/// The same for other folders that stay writable. It holds for this thread and what comes from it.
pub(crate) fn lock_files_but(writable: &[impl AsRef<Path>]) -> Result<bool, RulesetError> {
    let known = ABI::V6;
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(known))?
        .scope(Scope::from_all(known))?
        .create()?
        .add_rules(landlock::path_beneath_rules(["/"], AccessFs::from_read(known)))?
        .add_rules(landlock::path_beneath_rules(writable, AccessFs::from_all(known)))?
        .restrict_self()?;
    Ok(status.ruleset != RulesetStatus::NotEnforced)
}

/// Installs the call filter in this process, for itself and all that come from it.
pub(crate) fn filter_calls(of: Box) -> io::Result<()> {
    sys::install_filter(KNOWN)?;
    sys::install_filter(PRETENDED)?;
    sys::install_filter(match of {
        Box::Shell => REFUSED,
        Box::Browser => REFUSED_TO_BROWSERS,
    })
}

/// Looks at what this process still could, as the kernel tells it. A box that is not closed is none.
pub(crate) fn prove() -> io::Result<()> {
    let told = std::fs::read_to_string("/proc/self/status")?;
    let line = |name: &str| told.lines().find_map(|line| line.strip_prefix(name)).map(str::trim).unwrap_or_default();
    let proofs = [
        ("capabilities", ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"].iter().all(|set| is_zero(line(set)))),
        ("new rights", line("NoNewPrivs:") == "1"),
        ("calls", line("Seccomp:") == "2"),
        ("the user", line("Uid:").split_whitespace().all(|id| id == INSIDE_ID.to_string())),
        ("the group", line("Gid:").split_whitespace().all(|id| id == INSIDE_ID.to_string())),
    ];
    match proofs.iter().find(|(_, holds)| !holds) {
        Some((what, _)) => Err(io::Error::other(format!("{what} are not what they have to be in a computer"))),
        None => Ok(()),
    }
}

fn is_zero(set: &str) -> bool {
    !set.is_empty() && set.bytes().all(|digit| digit == b'0')
}

#[cfg(test)]
mod tests {
    //! That a call is not looked for one by one: the kernel goes through a filter for every call there is when a box is made.

    use super::{KNOWN, PRETENDED, REFUSED, REFUSED_TO_BROWSERS};

    #[test]
    fn the_filters_search_for_a_call_by_halves() {
        const ASK_AT_LEAST: u16 = 0x35;
        const ASK_EQUAL: u16 = 0x15;
        const RETURN: u16 = 0x06;
        for filter in [KNOWN, PRETENDED, REFUSED, REFUSED_TO_BROWSERS] {
            let code = |step: &[u8]| u16::from_ne_bytes([step[0], step[1]]);
            let tree: Vec<_> = filter.chunks_exact(8).map(code).collect();
            assert!(tree.contains(&ASK_AT_LEAST), "a list of {} steps", tree.len());
        }
        // Where no argument matters, nothing is asked but where the number lies; one of the two is the check of the machine.
        let known: Vec<_> = KNOWN.chunks_exact(8).map(|step| u16::from_ne_bytes([step[0], step[1]])).collect();
        assert_eq!(known.iter().filter(|code| **code == ASK_EQUAL).count(), 1);
        assert!(known.iter().filter(|code| **code == RETURN).count() < 100, "neighbours share an answer");
    }
}
