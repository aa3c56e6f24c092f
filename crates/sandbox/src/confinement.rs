//! What a computer proved to be when it was made: who made it, which locks are on, what holds its limits. It holds nothing itself.

use std::fmt;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::driver::Driver;
use crate::{Error, Result};

const FILE: &str = "confinement.json";

/// Who sees to one limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// The kernel, over all processes together (control groups of the unified kind).
    GroupV2,
    /// The kernel, over all processes together (control groups of the earlier kind).
    GroupV1,
    /// Limits per process, and the keeper, which looks after them.
    #[default]
    Own,
}

/// What was proved of one computer when it was made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    /// Memory of the whole computer.
    pub memory: Hold,
    /// Processes and threads at one time.
    pub processes: Hold,
    /// The share of the processor.
    pub processor: Hold,
    /// Why the kernel does not see to all of them; empty where it does.
    #[serde(default)]
    pub reason: String,
    /// Who made it.
    #[serde(default)]
    pub driver: Driver,
    /// Whether the kernel took the second lock on files (Landlock).
    #[serde(default)]
    pub second_lock: bool,
}

impl Confinement {
    /// The kernel sees to all of them.
    pub fn is_whole(&self) -> bool {
        [self.memory, self.processes, self.processor].iter().all(|hold| *hold != Hold::Own)
    }

    /// What the keeper of this folder's computer found, the last time that it made one.
    ///
    /// # Errors
    /// If there is none, or it cannot be read.
    pub fn of(dir: &Path) -> Result<Self> {
        let read = || -> io::Result<Self> { Ok(serde_json::from_slice(&std::fs::read(dir.join(FILE))?)?) };
        read().map_err(Error::io(format!("read {}", dir.join(FILE).display())))
    }

    pub(crate) fn write(&self, dir: &Path) -> io::Result<()> {
        std::fs::write(dir.join(FILE), serde_json::to_vec(self)?)
    }
}

impl fmt::Display for Confinement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let means = |wanted: Hold| {
            let all = [("memory", self.memory), ("processes", self.processes), ("processor", self.processor)];
            all.iter().filter(|(_, hold)| *hold == wanted).map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
        };
        let mut parts = Vec::new();
        for (hold, by) in [(Hold::GroupV2, "control groups (v2)"), (Hold::GroupV1, "control groups (v1)")] {
            let names = means(hold);
            if !names.is_empty() {
                parts.push(format!("{names} by {by}"));
            }
        }
        if self.memory == Hold::Own {
            parts.push("memory by a watcher that looks twice a second".to_owned());
        }
        if self.processes == Hold::Own {
            parts.push("processes by a limit per user namespace".to_owned());
        }
        if self.processor == Hold::Own {
            parts.push("processor by priority only".to_owned());
        }
        f.write_str(&parts.join("; "))
    }
}
