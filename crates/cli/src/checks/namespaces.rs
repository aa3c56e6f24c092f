//! Which rule of this machine forbids the computer's namespaces, and the fix to paste: as narrow as there is one. It reads
//! what the kernel says and changes nothing.

use std::path::Path;

use sandbox::Driver;

/// The rules that are known to stand in the way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    /// Ubuntu since 23.10: only programs with a profile of AppArmor's may make user namespaces.
    apparmor: bool,
    /// Debian's switch, on some kernels.
    switched_off: bool,
    /// Kinds of namespaces of which none may be made.
    none_allowed: Vec<&'static str>,
    /// We are in a container, whose runtime has rules of its own.
    container: bool,
}

impl Rules {
    pub(crate) fn read() -> Self {
        let is = |file: &str, value: &str| std::fs::read_to_string(file).is_ok_and(|said| said.trim() == value);
        Self {
            apparmor: is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1"),
            switched_off: is("/proc/sys/kernel/unprivileged_userns_clone", "0"),
            none_allowed: KINDS
                .into_iter()
                .filter(|kind| is(&format!("/proc/sys/user/max_{kind}_namespaces"), "0"))
                .collect(),
            container: ["/.dockerenv", "/run/.containerenv"].iter().any(|mark| Path::new(mark).exists()),
        }
    }

    /// What the rule is, in a person's words: the kernel's own are those of a full disk or of a wrong argument.
    pub(crate) fn why(&self) -> Option<String> {
        let kinds = self.none_allowed.join(", ");
        match () {
            () if !self.none_allowed.is_empty() => {
                Some(format!("this machine allows no namespaces of the kind {kinds}"))
            }
            () if self.switched_off => Some("this machine lets only root make user namespaces".to_owned()),
            () if self.apparmor => {
                Some("AppArmor lets only programs that it has a profile for make user namespaces".to_owned())
            }
            () => None,
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
        if !self.none_allowed.is_empty() {
            return Some(switched(self.none_allowed.iter().map(|kind| format!("user.max_{kind}_namespaces = 15000"))));
        }
        if self.switched_off {
            return Some(switched(std::iter::once("kernel.unprivileged_userns_clone = 1".to_owned())));
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

/// All that a computer is made of, as the kernel calls their limits.
const KINDS: [&str; 7] = ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup"];

/// Settings of the kernel, now and after the next start.
fn switched(lines: impl Iterator<Item = String>) -> String {
    const FILE: &str = "/etc/sysctl.d/60-thenar.conf";
    let lines = lines.map(|line| format!("'{line}'")).collect::<Vec<_>>().join(" ");
    format!("printf '%s\\n' {lines} | sudo tee {FILE} && sudo sysctl -p {FILE}")
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
        check(none.clone(), "");
        check(Rules { apparmor: true, ..none.clone() }, "'  userns,'");
        check(Rules { apparmor: true, ..none.clone() }, r"/home/it'\''s/thenar-keeper");
        check(
            Rules { apparmor: true, ..none.clone() },
            "| sudo tee /etc/apparmor.d/thenar-keeper >/dev/null && sudo apparmor_parser -r",
        );
        check(Rules { switched_off: true, apparmor: true, ..none.clone() }, "kernel.unprivileged_userns_clone = 1");
        check(
            Rules { none_allowed: vec!["user"], switched_off: true, ..none.clone() },
            "user.max_user_namespaces = 15000",
        );
        let two = Rules { none_allowed: vec!["net", "mnt"], ..none.clone() };
        check(two.clone(), "'user.max_net_namespaces = 15000' 'user.max_mnt_namespaces = 15000' | sudo tee");
        assert_eq!(two.why().as_deref(), Some("this machine allows no namespaces of the kind net, mnt"));
        assert_eq!(none.why(), None);
        check(Rules { container: true, none_allowed: vec!["user"], ..none.clone() }, "packaging/compose.yaml");
    }
}
