//! The limits of a computer, as they stand on the record of the command that met them: in parts, for whoever tells them in a language
//! of his own. In words they stand beside.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A limit of its computer that a command, or the browser, met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum ComputerLimit {
    /// Memory of everything in the computer together.
    Memory { max_bytes: u64 },
    /// Processes and threads at one time.
    Processes { max: u64 },
    /// The processor's time of everything in the computer together, in hundredths of one processor: it took longer for that.
    Processor { percent: u64 },
    /// Files that one process has open.
    OpenFiles {
        max: u64,
        /// Occasions.
        times: u64,
    },
    /// One file.
    FileSize { max_bytes: u64 },
    /// The workspace.
    Workspace { bytes: u64, files: u64, max_bytes: u64, max_files: u64 },
    /// A folder in memory has no room left.
    ScratchBytes {
        /// The folder, as commands see it.
        place: String,
        max_bytes: u64,
        /// Occasions.
        times: u64,
    },
    /// A folder in memory takes no more files.
    ScratchFiles {
        /// The folder, as commands see it.
        place: String,
        max: u64,
        /// Occasions.
        times: u64,
    },
    /// Memory of the browser and all its pages together.
    BrowserMemory { max_bytes: u64 },
    /// Processes and threads of the browser at one time.
    BrowserProcesses { max: u64 },
    /// Files that one process of the browser has open.
    BrowserOpenFiles {
        max: u64,
        /// Occasions.
        times: u64,
    },
    /// A folder in memory of the browser's own has no room left.
    BrowserScratchBytes {
        /// The folder, as the browser sees it.
        place: String,
        max_bytes: u64,
        /// Occasions.
        times: u64,
    },
    /// A folder in memory of the browser's own takes no more files.
    BrowserScratchFiles {
        /// The folder, as the browser sees it.
        place: String,
        max: u64,
        /// Occasions.
        times: u64,
    },
    /// What the browser keeps on the disk: it was ended for it, and what it kept was removed.
    BrowserRoom { bytes: u64, files: u64, max_bytes: u64, max_files: u64 },
    /// Output of one command.
    Output { max_bytes: u64 },
    /// Output of all commands together.
    Outputs { max_bytes: u64 },
    /// The machine's own disk took no more output.
    Disk,
    /// The task's time is over.
    Time,
    /// Something else.
    Other { words: String },
}
