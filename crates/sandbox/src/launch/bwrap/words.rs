//! What bubblewrap is told, and what its complaints mean. It starts nothing.

use std::ffi::CStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::{ARGUMENTS_FD, FILES_FD, INFO_FD, PROGRAM_FD};
use crate::launch::inside::{ETC_FILES, HOST_NAME, PROC_HIDDEN_FILES, PROC_HIDDEN_FOLDERS};
use crate::launch::mounts::Plan;
use crate::launch::{Failure, INSIDE_ID, NO_MORE_NAMESPACES};
use crate::spec::ComputerSpec;

/// Its command line says nothing: it can be read in `/proc` by everybody.
pub(super) const COMMAND: &[&CStr] = &[c"bwrap", c"--args", c"6", c"--", c"/proc/self/fd/4", c"thenar-boxed"];
const _: () = assert!(ARGUMENTS_FD == 6 && PROGRAM_FD == 4);

/// All options, each with a zero byte behind it. `stage` is where the sources are shown in place of their own paths.
pub(super) fn words(plan: &Plan, spec: &ComputerSpec, workspace: &Path, stage: Option<&Path>) -> Vec<u8> {
    let mut words = Words(Vec::new());
    words.say("--unshare-user --unshare-ipc --unshare-pid --unshare-net --unshare-uts --unshare-cgroup");
    // Users cannot be made anew inside, whatever a later filter says.
    words.say(&format!("--disable-userns --uid {INSIDE_ID} --gid {INSIDE_ID} --cap-drop ALL --hostname {HOST_NAME}"));
    words.say(&format!("--as-pid-1 --die-with-parent --clearenv --info-fd {INFO_FD}"));
    words.say("--proc /proc --dev /dev");
    let limits = &spec.limits;
    words.say(&format!("--perms 1777 --size {} --tmpfs /dev/shm --remount-ro /dev", limits.shm_bytes));
    for (from, to, writable) in plan.seen() {
        let shown = stage.map(|stage| stage.join(to));
        let inside = Path::new("/").join(to);
        words.paths(if writable { "--bind" } else { "--ro-bind" }, &[shown.as_deref().unwrap_or(from), &inside]);
    }
    for (place, target) in plan.links() {
        words.paths("--symlink", &[target, &Path::new("/").join(place)]);
    }
    words.say("--symlink /proc/self/mounts /etc/mtab --symlink /tmp /var/tmp");
    for ((name, _), number) in ETC_FILES.iter().zip(FILES_FD..) {
        words.say(&format!("--perms 0644 --file {number} /{name}"));
    }
    words.say(&format!("--perms 1777 --size {} --tmpfs /tmp", limits.tmp_bytes));
    words.say(&format!("--perms 0755 --size {} --tmpfs /home/agent --dir /mnt --dir /opt", limits.home_bytes));
    // Settings of its own network and queues would be its user's to change: in the namespace of users that bubblewrap makes first,
    // he is root. The kernel answers by who asks, so the host's folder shows the same.
    words.say("--ro-bind /proc/sys /proc/sys");
    // Its own `/proc` has what this kernel has, and is no larger than the host's.
    let exists = |name: &&&str| Path::new("/proc").join(name).exists();
    for name in PROC_HIDDEN_FILES.iter().filter(exists) {
        words.say(&format!("--dev-bind /dev/null /proc/{name}"));
    }
    for name in PROC_HIDDEN_FOLDERS.iter().filter(exists) {
        words.say(&format!("--perms 0555 --size 4096 --tmpfs /proc/{name} --remount-ro /proc/{name}"));
    }
    // The last of all, and nothing below it: what is in there is the agent's.
    let shown = stage.map(|stage| stage.join("workspace"));
    words.paths("--bind", &[shown.as_deref().unwrap_or(workspace), Path::new("/workspace")]);
    words.say("--remount-ro / --chdir /workspace");
    words.0
}

struct Words(Vec<u8>);

impl Words {
    /// Words without a space of their own.
    fn say(&mut self, text: &str) {
        text.split(' ').for_each(|word| self.word(word.as_bytes()));
    }

    fn paths(&mut self, option: &str, paths: &[&Path]) {
        self.word(option.as_bytes());
        paths.iter().for_each(|path| self.word(path.as_os_str().as_bytes()));
    }

    fn word(&mut self, word: &[u8]) {
        self.0.extend_from_slice(word);
        self.0.push(0);
    }
}

/// What its complaint means for a person.
pub(super) fn failure(said: &str) -> Failure {
    let hint = if said.contains("Unknown option") || said.contains("unrecognized option") {
        "this bubblewrap is too old: 0.8.0 or newer is needed (sudo apt-get install bubblewrap), or take the driver native"
    } else if said.starts_with("run bubblewrap") {
        super::REINSTALL
    } else if said.contains("No space left") {
        NO_MORE_NAMESPACES
    } else if said.contains("amespace") || said.contains("uid map") || said.contains("not permitted") {
        "this machine does not let bubblewrap make user namespaces: `thenar doctor` names the rule that forbids it and a fix to paste"
    } else {
        ""
    };
    Failure::Launch { reason: format!("bubblewrap: {}", said.trim_start_matches("bwrap: ")), hint: hint.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_has_a_way_out() {
        let hint = |said: &str| match failure(said) {
            Failure::Launch { reason, hint } => {
                assert!(reason.starts_with("bubblewrap: ") && !reason.contains("bwrap: bwrap"), "{reason}");
                hint
            }
            Failure::Workspace { .. } => String::new(),
        };
        assert!(hint("bwrap: Unknown option --disable-userns").contains("too old"));
        assert!(hint("run bubblewrap: No such file or directory").contains("--reinstall bubblewrap"));
        assert!(hint("bwrap: Creating new namespace failed: Operation not permitted").contains("thenar doctor"));
        assert!(hint("bwrap: setting up uid map: Permission denied").contains("thenar doctor"));
        assert!(hint("bwrap: Creating new namespace failed: No space left on device").contains("user.max_"));
        assert_eq!(COMMAND.last().map(|role| role.to_str().unwrap()), Some(super::super::ROLE));
        assert_eq!(hint("bwrap: Can't mkdir /x: Read-only file system"), "");
    }
}
