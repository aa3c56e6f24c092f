//! What systemd leaves to others. Its manager of the system puts a mark on a group; that of a user does not, so it is asked.

use std::path::Path;
use std::process::{Command, Stdio};

const ASKED: &str = "/usr/bin/systemctl";
/// Seconds that a manager which does not answer is waited for.
const PATIENCE: &str = "5";

/// Whether a group bears the mark.
pub(super) fn has_marked(folder: &Path) -> bool {
    let mut value = [0; 8];
    let mut says_one =
        |name| rustix::fs::getxattr(folder, name, &mut value[..]).is_ok_and(|bytes| value[..bytes] == *b"1");
    says_one("user.delegate") || says_one("trusted.delegate")
}

/// Whether a group is a unit of this user's manager, and that one says that it has left it to whoever runs there.
pub(super) fn has_left(folder: &Path) -> bool {
    let user = rustix::process::geteuid().as_raw();
    unit(folder, user).is_some_and(|unit| says_yes(Path::new(ASKED), unit, user))
}

/// The unit whose own group this is, below the manager of a user.
fn unit(folder: &Path, user: u32) -> Option<&str> {
    let manager = format!("user@{user}.service");
    let is_below = folder.parent()?.components().any(|part| part.as_os_str() == manager.as_str());
    let name = folder.file_name()?.to_str()?;
    (is_below && (name.ends_with(".scope") || name.ends_with(".service"))).then_some(name)
}

#[expect(clippy::disallowed_methods, reason = "the manager's own client: it runs nothing and is none of a task's")]
fn says_yes(program: &Path, unit: &str, user: u32) -> bool {
    let said = Command::new(program)
        .args(["--user", "show", "--property=Delegate", "--value", "--", unit])
        .env_clear()
        .env("XDG_RUNTIME_DIR", format!("/run/user/{user}"))
        .env("SYSTEMD_BUS_TIMEOUT", PATIENCE)
        .current_dir("/")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    said.is_ok_and(|said| said.status.success() && said.stdout == b"yes\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_unit_of_the_users_own_manager_is_asked_about() {
        let check = |path: &str, expected: Option<&str>| {
            assert_eq!(unit(Path::new(path), 1000), expected, "{path}");
        };
        let manager = "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service";
        check(&format!("{manager}/app.slice/run-7.scope"), Some("run-7.scope"));
        check(&format!("{manager}/app.slice/thenar.service"), Some("thenar.service"));
        check(&format!("{manager}/app.slice"), None);
        check(&format!("{manager}/app.slice/thenar.service/below"), None);
        check(manager, None);
        check("/sys/fs/cgroup/user.slice/user-1000.slice/session-2.scope", None);
        check("/sys/fs/cgroup/user.slice/user-1001.slice/user@1001.service/app.slice/run-7.scope", None);
    }

    #[test]
    fn what_the_manager_answers_counts_and_silence_is_no() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let answers = |name: &str, script: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
            says_yes(&path, "run-7.scope", 1000)
        };
        assert!(answers("yes", r#"[ "$XDG_RUNTIME_DIR $6" = "/run/user/1000 run-7.scope" ] && echo yes"#));
        assert!(!answers("no", "echo no"));
        assert!(!answers("failed", "echo yes; exit 1"));
        assert!(!says_yes(Path::new("/nowhere/systemctl"), "run-7.scope", 1000));
    }
}
