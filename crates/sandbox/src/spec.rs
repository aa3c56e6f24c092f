//! What a computer is made from: folders, limits, environment. It holds no policy: the caller has already decided.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::driver::Build;

const MIB: u64 = 1024 * 1024;

/// Everything that [`crate::Computer::open`] needs to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComputerSpec {
    /// The computer's own folder on the host (socket, records of calls, spools); made if missing.
    pub dir: PathBuf,
    /// What the commands see as `/workspace`.
    pub workspace: Workspace,
    /// A folder of tools, seen read-only as `/opt/thenar/toolset`.
    pub toolset: Option<PathBuf>,
    /// Ceilings of everything that runs inside.
    pub limits: Limits,
    /// When everything inside is ended, with or without a caller.
    pub deadline_unix_ms: Option<u64>,
    /// Variables for every command, over the built-in ones.
    pub env: BTreeMap<String, String>,
    /// The `thenar-keeper` program; see [`crate::find_keeper`].
    pub keeper: PathBuf,
    /// Folders that a person's workspace may neither contain nor lie in (data, configuration, policies).
    #[serde(default)]
    pub forbidden: Vec<PathBuf>,
    /// Who makes it. One that lives already stays as it was made.
    #[serde(default)]
    pub build: Build,
    /// Listeners inside that [`crate::Computer::egress`] serves. Without them there is no way out at all.
    #[serde(default)]
    pub egress: bool,
}

/// The only lasting folder that commands can write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Workspace {
    /// A folder of ours: made if missing, and given to the computer's user.
    Own(PathBuf),
    /// A person's folder: its owner and the computer's user are made one, and nothing in it changes hands.
    Folder(PathBuf),
}

/// Ceilings, each with a working default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Memory of everything inside together, and data that a single process may hold.
    pub memory_bytes: u64,
    /// Processes and threads at one time.
    pub processes: u64,
    /// Share of the processor beside other computers, from 1 to 10,000; all have the same unless somebody says otherwise.
    pub cpu_weight: u64,
    /// Most of the processor, in hundredths of one core; none means what others leave.
    pub cpu_percent: Option<u64>,
    /// Room in the workspace; in a person's folder, what is added to it.
    pub workspace_bytes: u64,
    /// Files and folders in the workspace; in a person's folder, those that are added.
    pub workspace_files: u64,
    /// Room on the disk for what the browser keeps: its profile, downloads on their way, files given to pages.
    pub browser_bytes: u64,
    /// Files and folders of it.
    pub browser_files: u64,
    /// Open descriptors of one process.
    pub open_files: u64,
    /// The largest file that can be written.
    pub file_bytes: u64,
    /// Room in `/tmp`.
    pub tmp_bytes: u64,
    /// Room in the home folder.
    pub home_bytes: u64,
    /// Room in `/dev/shm`.
    pub shm_bytes: u64,
    /// Files in each of the three.
    pub tmp_files: u64,
    /// Output kept of one call; what comes after is counted as dropped.
    pub output_bytes: u64,
    /// Output kept of all calls together.
    pub outputs_bytes: u64,
    /// Memory of the browser and all its pages together, and data that a single process of them may hold.
    pub browser_memory_bytes: u64,
    /// How long an unused computer is kept.
    pub idle_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 4096 * MIB,
            processes: 512,
            cpu_weight: 100,
            cpu_percent: None,
            workspace_bytes: 16 * 1024 * MIB,
            workspace_files: 1_000_000,
            browser_bytes: 8 * 1024 * MIB,
            browser_files: 200_000,
            open_files: 4096,
            file_bytes: 4096 * MIB,
            tmp_bytes: 1024 * MIB,
            home_bytes: 512 * MIB,
            shm_bytes: 256 * MIB,
            tmp_files: 100_000,
            output_bytes: 256 * MIB,
            outputs_bytes: 8 * 1024 * MIB,
            browser_memory_bytes: 2048 * MIB,
            idle_ms: 60 * 60 * 1000,
        }
    }
}
