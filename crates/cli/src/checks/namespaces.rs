//! Which rule of this machine forbids the computer's namespaces, and the fix to paste: as narrow as there is one. It reads
//! what the kernel says and changes nothing.

use std::path::Path;

use sandbox::Driver;

/// The rules that are known to stand in the way.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rules {
    /// Ubuntu since 23.10: only programs with a profile of AppArmor's may make user namespaces.
    apparmor: bool,
    /// Debian's switch, on some kernels.
    switched_off: bool,
    /// The count of user namespaces is nought.
    none_allowed: bool,
    /// We are in a container, whose runtime has rules of its own.
    container: bool,
}

impl Rules {
    pub(crate) fn read() -> Self {
        let is = |file: &str, value: &str| std::fs::read_to_string(file).is_ok_and(|said| said.trim() == value);
        Self {
            apparmor: is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1"),
            switched_off: is("/proc/sys/kernel/unprivileged_userns_clone", "0"),
            none_allowed: is("/proc/sys/user/max_user_namespaces", "0"),
            container: ["/.dockerenv", "/run/.containerenv"].iter().any(|mark| Path::new(mark).exists()),
        }
    }

    /// What to paste, for the first rule that stands in the way of a driver.
    pub(crate) fn fix(&self, driver: Driver, keeper: &Path) -> Option<String> {
        if self.container {
            return Some(
                "start the container as packaging/compose.yaml does (its security_opt lines), not with --privileged"
                    .to_owned(),
            );
        }
        if self.none_allowed {
            return Some("echo 'user.max_user_namespaces = 15000' | sudo tee /etc/sysctl.d/60-thenar.conf && sudo sysctl -p /etc/sysctl.d/60-thenar.conf".to_owned());
        }
        if self.switched_off {
            return Some("echo 'kernel.unprivileged_userns_clone = 1' | sudo tee /etc/sysctl.d/60-thenar.conf && sudo sysctl -p /etc/sysctl.d/60-thenar.conf".to_owned());
        }
        self.apparmor.then(|| match driver {
            Driver::Native => {
                let file = "/etc/apparmor.d/thenar-keeper";
                format!(
                    "printf '%s\\n' {} | sudo tee {file} >/dev/null && sudo apparmor_parser -r {file}",
                    quoted(keeper)
                )
            }
            Driver::Bwrap => BWRAP_PROFILE.to_owned(),
        })
    }
}

/// The lines of the profile, each in quotes for a shell.
fn quoted(keeper: &Path) -> String {
    let lines = PROFILE.lines().filter(|line| !line.starts_with('#'));
    let own = lines.map(|line| line.replace(PROFILE_PATH, &keeper.display().to_string()));
    own.map(|line| format!("'{}'", line.replace('\'', "'\\''"))).collect::<Vec<_>>().join(" ")
}

/// Ubuntu's own profile for it, which is packaged and not switched on.
const BWRAP_PROFILE: &str = "sudo apt-get install --yes apparmor-profiles && sudo cp /usr/share/apparmor/extra-profiles/bwrap-userns-restrict \
    /etc/apparmor.d/ && sudo apparmor_parser -r /etc/apparmor.d/bwrap-userns-restrict";

const PROFILE: &str = include_str!("../../../../packaging/apparmor/thenar-keeper");
/// Where the profile says that the program is.
const PROFILE_PATH: &str = "/usr/local/bin/thenar-keeper";

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rules: Rules, says: &str) {
        let fix = rules.fix(Driver::Native, Path::new("/home/it's/thenar-keeper")).unwrap_or_default();
        assert!(if says.is_empty() { fix.is_empty() } else { fix.contains(says) }, "{rules:?}: {fix}");
        // Nothing that opens more than this program needs.
        assert!(!fix.contains("apparmor_restrict") && !fix.contains("run it privileged"), "{fix}");
    }

    #[test]
    fn each_rule_has_a_fix_as_narrow_as_there_is() {
        let none = Rules::default();
        check(none, "");
        check(Rules { apparmor: true, ..none }, "'  userns,'");
        check(Rules { apparmor: true, ..none }, r"/home/it'\''s/thenar-keeper");
        check(
            Rules { apparmor: true, ..none },
            "| sudo tee /etc/apparmor.d/thenar-keeper >/dev/null && sudo apparmor_parser -r",
        );
        check(Rules { switched_off: true, apparmor: true, ..none }, "kernel.unprivileged_userns_clone = 1");
        check(Rules { none_allowed: true, switched_off: true, ..none }, "user.max_user_namespaces = 15000");
        check(Rules { container: true, none_allowed: true, ..none }, "packaging/compose.yaml");
    }
}
