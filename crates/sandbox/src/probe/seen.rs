//! What was seen, by a code: the same that a finding says in English.

use crate::Confinement;

/// What was seen of a computer on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    ComputerRan,
    ComputerNotWell,
    ComputerFailed {
        error: String,
    },
    /// A lock of the box holds.
    Locked {
        lock: Lock,
    },
    /// It does not; this was seen instead.
    Unlocked {
        lock: Lock,
        seen: String,
    },
    /// Who sees to the limits, and which of them was not kept.
    Limits {
        confinement: Confinement,
        memory_unmet: bool,
        processes_unmet: bool,
        no_groups: NoGroups,
    },
    WayOutWorks,
    /// The driver makes none.
    WayOutNone {
        driver: String,
    },
    WayOutWrong {
        error: String,
    },
    LandlockWhole {
        abi: u32,
    },
    /// Signals and hidden sockets are not covered.
    LandlockPartial {
        abi: u32,
    },
    LandlockOff,
    LandlockNone,
    LandlockWrong {
        abi: u32,
        error: String,
    },
    SecondWorks,
    SecondNotWell,
    SecondFailed {
        error: String,
    },
}

/// Why the kernel does not see to all limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoGroups {
    /// It does.
    There,
    /// This account may not make control groups.
    Refused,
    /// They can be read here and not be made.
    ReadOnly,
    /// In the kernel's words.
    Other(String),
}

impl NoGroups {
    /// From what was met: each folder of the kernel's has its own complaint, and most say the same.
    pub(super) fn of(reason: &str) -> Self {
        let refused = ["Permission denied", "cannot be written", "is not delegated"];
        if reason.is_empty() {
            Self::There
        } else if reason.split("; ").all(|one| refused.iter().any(|refusal| one.contains(refusal))) {
            Self::Refused
        } else if reason.split("; ").all(|one| one.contains("Read-only file system")) {
            Self::ReadOnly
        } else {
            Self::Other(reason.to_owned())
        }
    }

    pub(super) fn in_words(&self) -> &str {
        match self {
            Self::There => "",
            Self::Refused => "this account may not make control groups",
            Self::ReadOnly => "control groups can be read here and not be made, as in most containers",
            Self::Other(reason) => reason,
        }
    }
}

/// The locks of the box that are looked at from inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    User,
    Namespaces,
    Rights,
    Seccomp,
    Network,
    System,
    Workspace,
}

impl Lock {
    /// As a finding is headed.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Namespaces => "namespaces",
            Self::Rights => "rights",
            Self::Seccomp => "seccomp",
            Self::Network => "network",
            Self::System => "system",
            Self::Workspace => "workspace",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_there_are_no_groups_is_said_once() {
        let in_short = |reason: &str| NoGroups::of(reason).in_words().to_owned();
        let many = "/sys/fs/cgroup/cpu: Permission denied (os error 13); /sys/fs/cgroup/unified cannot be written";
        assert_eq!(in_short(many), "this account may not make control groups");
        assert_eq!(in_short(""), "");
        assert!(in_short("/a: Read-only file system (os error 30)").contains("containers"));
        let other = "/a: Permission denied (os error 13); join /b: No space left on device";
        assert_eq!(in_short(other), other);
    }
}
