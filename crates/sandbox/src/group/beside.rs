//! The unit of systemd's in which the computers of a service run, beside that of the service itself. Its name is the service's with
//! `-computers` behind it, and systemd has left it to the same user. With computers in its own group, a service of the unified kind
//! of groups could not be started again while one runs (before systemd 254): no process may be put into a group whose limits are
//! handed on. Where there is no such unit, they stay below the service's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{manager, place};

/// The client of the system's bus. Only the manager may put a process into the group of another unit.
const ASKED: &str = "/usr/bin/busctl";
/// How long a manager that does not answer is waited for, as that program has it.
const PATIENCE: &str = "--timeout=5";

/// Has this process put there, with all that it starts from now on.
pub(super) fn enter() {
    let Some(Beside { unit, folder }) = find() else { return };
    // Of this user's own making: what the manager makes is its own, and nothing could be moved out of it again.
    let _ = fs::create_dir(folder.join(place::ENGINE));
    ask(&unit);
}

/// A unit beside one's own.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Beside {
    unit: String,
    pub(super) folder: PathBuf,
}

/// That of this process, if there is one and it may be used.
pub(super) fn find() -> Option<Beside> {
    let beside = beside(&place::own_unified()?)?;
    (place::may_write(&beside.folder) && manager::has_marked(&beside.folder)).then_some(beside)
}

fn beside(own: &Path) -> Option<Beside> {
    let service = if own.file_name()? == place::ENGINE { own.parent()? } else { own };
    let name = service.file_name()?.to_str()?.strip_suffix(".service")?;
    let unit = format!("{name}-computers.service");
    Some(Beside { folder: service.with_file_name(&unit), unit })
}

/// What came of it is seen in the group of this process.
#[expect(clippy::disallowed_methods, reason = "the manager's own client: it runs nothing and is none of a task's")]
fn ask(unit: &str) {
    let mut call = Command::new(ASKED);
    call.args([PATIENCE, "--quiet", "call", "org.freedesktop.systemd1", "/org/freedesktop/systemd1"]);
    call.args(["org.freedesktop.systemd1.Manager", "AttachProcessesToUnit", "ssau", unit]);
    call.args([&format!("/{}", place::ENGINE), "1", &std::process::id().to_string()]);
    let _ = call.env_clear().current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
}

#[cfg(test)]
mod tests {
    //! Whose unit is beside whose. That a process gets there is tried on a live systemd, by `make test-vm`.

    use super::{Beside, beside};
    use std::path::Path;

    #[track_caller]
    fn check(own: &str, expected: Option<(&str, &str)>) {
        let expected = expected.map(|(unit, folder)| Beside { unit: unit.to_owned(), folder: folder.into() });
        assert_eq!(beside(Path::new(own)), expected, "{own}");
    }

    #[test]
    fn the_unit_beside_a_service_is_named_after_it() {
        let slice = "/sys/fs/cgroup/system.slice";
        let found = format!("{slice}/thenar-computers.service");
        check(&format!("{slice}/thenar.service"), Some(("thenar-computers.service", &found)));
        check(&format!("{slice}/thenar.service/thenar-engine"), Some(("thenar-computers.service", &found)));
        let other = format!("{slice}/thenar@second-computers.service");
        check(&format!("{slice}/thenar@second.service"), Some(("thenar@second-computers.service", &other)));
        check("/sys/fs/cgroup/user.slice/user-1000.slice/session-2.scope", None);
        check("/sys/fs/cgroup", None);
    }
}
