//! Which host user a computer is, and how it is mapped to the user that commands see. Never root, never a user that the host knows.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::process::{Pid, WaitOptions};

use super::workspace::Opened;
use super::{Failure, INSIDE_ID};
use crate::spec::{ComputerSpec, Workspace};
use crate::sys::{self, Forked};

/// First host user that a computer of root may become, far above what hosts hand out.
const SESSION_ID_FIRST: u32 = 2_000_000_000;
/// How many there are.
const SESSION_IDS: u32 = 100_000_000;

/// The host user and group of one computer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owner {
    /// The keeper is root, so that a user of the session's own is taken.
    pub(super) is_root: bool,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl Owner {
    pub(super) fn of(spec: &ComputerSpec, workspace: &Opened) -> Result<Self, Failure> {
        let uid = rustix::process::geteuid().as_raw();
        if uid != 0 {
            return Ok(Self { is_root: false, uid, gid: rustix::process::getegid().as_raw() });
        }
        // A workspace of ours that already belongs to a session keeps its user, wherever its folder was moved to.
        let range = SESSION_ID_FIRST..SESSION_ID_FIRST + SESSION_IDS;
        let id = match &spec.workspace {
            Workspace::Own(_) if range.contains(&workspace.uid) => workspace.uid,
            Workspace::Own(_) | Workspace::Folder(_) => session_id(&spec.dir),
        };
        for map in ["/proc/self/uid_map", "/proc/self/gid_map"] {
            // What cannot be read says nothing; the next step then does.
            if fs::read_to_string(map).is_ok_and(|map| !knows(&map, id)) {
                return Err(Failure::Launch {
                    reason: "root here is root of a few users only, and has none to spare that a computer could be"
                        .to_owned(),
                    hint:
                        "run thenar as an ordinary user here, not as root    # as packaging/container/Dockerfile does"
                            .to_owned(),
                });
            }
        }
        Ok(Self { is_root: true, uid: id, gid: id })
    }

    /// Writes the maps of a process in a new user namespace.
    pub(super) fn write_maps(&self, process: Pid) -> io::Result<()> {
        let process = process.as_raw_nonzero();
        if !self.is_root {
            fs::write(format!("/proc/{process}/setgroups"), "deny")?;
        }
        fs::write(format!("/proc/{process}/uid_map"), format!("{INSIDE_ID} {} 1\n", self.uid))?;
        fs::write(format!("/proc/{process}/gid_map"), format!("{INSIDE_ID} {} 1\n", self.gid))
    }

    /// A user namespace in which the owner of a folder on disk is this computer's user, and everybody else stays who he is.
    pub(super) fn as_folder_owner(&self, uid: u32, gid: u32) -> io::Result<OwnedFd> {
        let (hold_inside, hold) = io::pipe()?;
        let (forked, _pidfd) = sys::clone_into(libc::CLONE_NEWUSER, None)?;
        let Forked::Parent(process) = forked else {
            drop(hold);
            let _ = io::Read::read(&mut &hold_inside, &mut [0]);
            sys::exit_now(0)
        };
        let made = || -> io::Result<OwnedFd> {
            let number = process.as_raw_nonzero();
            fs::write(format!("/proc/{number}/uid_map"), with_one_moved(uid, self.uid))?;
            fs::write(format!("/proc/{number}/gid_map"), with_one_moved(gid, self.gid))?;
            Ok(fs::File::open(format!("/proc/{number}/ns/user"))?.into())
        };
        let namespace = made();
        drop(hold);
        rustix::process::waitpid(Some(process), WaitOptions::empty())?;
        namespace
    }
}

/// Whether a user namespace with this map has such a user.
fn knows(map: &str, id: u32) -> bool {
    map.lines().any(|line| {
        let mut numbers = line.split_whitespace().map(str::parse::<u64>);
        let (Some(Ok(first)), Some(Ok(_)), Some(Ok(count))) = (numbers.next(), numbers.next(), numbers.next()) else {
            return false;
        };
        (first..first.saturating_add(count)).contains(&u64::from(id))
    })
}

/// A map of all ids below the sessions' range to themselves, but `from` to `to`.
fn with_one_moved(from: u32, to: u32) -> String {
    let mut map = String::new();
    if from > 0 {
        map.push_str(&format!("0 0 {}\n", from.min(SESSION_ID_FIRST)));
    }
    map.push_str(&format!("{from} {to} 1\n"));
    if from + 1 < SESSION_ID_FIRST {
        map.push_str(&format!("{} {} {}\n", from + 1, from + 1, SESSION_ID_FIRST - from - 1));
    }
    map
}

/// The same folder always gives the same user (FNV-1a of its path).
fn session_id(dir: &Path) -> u32 {
    let path = fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
    let hash = path
        .as_os_str()
        .as_encoded_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    SESSION_ID_FIRST + u32::try_from(hash % u64::from(SESSION_IDS)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{SESSION_ID_FIRST, SESSION_IDS, knows};

    #[test]
    fn root_of_a_few_users_is_told_from_root_of_all() {
        let whole = "         0          0 4294967295\n";
        let container = "0 100000 65536\n";
        let alone = "0 1000 1\n";
        for id in [SESSION_ID_FIRST, SESSION_ID_FIRST + SESSION_IDS - 1] {
            assert!(knows(whole, id) && !knows(container, id) && !knows(alone, id));
        }
        assert!(knows(&format!("0 0 1\n{SESSION_ID_FIRST} {SESSION_ID_FIRST} {SESSION_IDS}\n"), SESSION_ID_FIRST + 7));
        assert!(!knows("", SESSION_ID_FIRST));
    }
}
