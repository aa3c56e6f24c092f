//! Who makes a computer's box, and with which locks. Both makers put the same PID 1 into it. None is ever taken in place of
//! another: what was asked for cannot be made, or is made.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The program that makes the namespaces and the file tree.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Driver {
    /// Our own launcher.
    #[default]
    Native,
    /// `bwrap` of bubblewrap: a second opinion, and the way where only a packaged program may make user namespaces.
    Bwrap,
}

impl Driver {
    /// Whether its computers can be given a way out to hosts that somebody allows.
    pub fn has_way_out(self) -> bool {
        self == Self::Native
    }

    /// Whether it makes a box for a browser beside the computer's.
    pub fn has_browser(self) -> bool {
        self == Self::Native
    }
}

/// Whether the second lock on files (Landlock) is put on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecondLock {
    /// Wherever the kernel has it.
    #[default]
    WhereKnown,
    /// Left away, to show that the first lock holds alone. No setting of a person's leads here.
    Off,
}

/// How a computer is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Build {
    /// Who makes it.
    pub driver: Driver,
    /// The lock behind the mounts.
    pub second_lock: SecondLock,
}

impl From<Driver> for Build {
    fn from(driver: Driver) -> Self {
        Self { driver, ..Self::default() }
    }
}

impl FromStr for Driver {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "native" => Ok(Self::Native),
            "bwrap" => Ok(Self::Bwrap),
            other => Err(format!("{other:?} makes no computers: write native or bwrap")),
        }
    }
}

impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Native => "native",
            Self::Bwrap => "bwrap",
        })
    }
}
