//! The limits of a computer that a call met: which one, how much it is, what helps. In words for a person and a model, in parts for
//! whoever says it in another language. Nothing in it was chosen by a program inside.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A limit that was met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "limit", rename_all = "snake_case")]
pub enum Met {
    /// Memory of everything in the computer together.
    Memory {
        /// What it may hold.
        max_bytes: u64,
    },
    /// Processes and threads at one time.
    Processes {
        /// How many there may be.
        max: u64,
    },
    /// The processor's time of everything in the computer together.
    Processor {
        /// How much it may have, in hundredths of one processor.
        percent: u64,
    },
    /// Files that one process has open.
    OpenFiles {
        /// How many it may have.
        max: u64,
        /// Occasions.
        times: u64,
    },
    /// One file.
    FileSize {
        /// How large it may be.
        max_bytes: u64,
    },
    /// The workspace.
    Workspace {
        /// What it holds.
        bytes: u64,
        /// Files and folders in it.
        files: u64,
        /// What it may hold.
        max_bytes: u64,
        /// Files and folders that it may have.
        max_files: u64,
    },
    /// A folder in memory has no room left.
    ScratchBytes {
        /// The folder, as commands see it.
        place: String,
        /// What it can hold.
        max_bytes: u64,
        /// Occasions.
        times: u64,
    },
    /// A folder in memory takes no more files.
    ScratchFiles {
        /// The folder, as commands see it.
        place: String,
        /// Files and folders that it can have.
        max: u64,
        /// Occasions.
        times: u64,
    },
    /// Memory of the browser and all its pages together.
    BrowserMemory {
        /// What they may hold.
        max_bytes: u64,
    },
    /// Processes and threads of the browser at one time.
    BrowserProcesses {
        /// How many there may be.
        max: u64,
    },
    /// Files that one process of the browser has open.
    BrowserOpenFiles {
        /// How many it may have.
        max: u64,
        /// Occasions.
        times: u64,
    },
    /// A folder in memory of the browser's own has no room left.
    BrowserScratchBytes {
        /// The folder, as the browser sees it.
        place: String,
        /// What it can hold.
        max_bytes: u64,
        /// Occasions.
        times: u64,
    },
    /// A folder in memory of the browser's own takes no more files.
    BrowserScratchFiles {
        /// The folder, as the browser sees it.
        place: String,
        /// Files and folders that it can have.
        max: u64,
        /// Occasions.
        times: u64,
    },
    /// What the browser keeps on the disk. It was ended for it, and what it kept was removed.
    BrowserRoom {
        /// What it kept.
        bytes: u64,
        /// Files and folders of it.
        files: u64,
        /// What it may keep.
        max_bytes: u64,
        /// Files and folders that it may keep.
        max_files: u64,
    },
    /// Output of one command.
    Output {
        /// What is kept of it.
        max_bytes: u64,
    },
    /// Output of all commands together.
    Outputs {
        /// What is kept of it.
        max_bytes: u64,
    },
    /// The machine's own disk took no more output.
    Disk,
    /// The task's time is over.
    Time,
    /// Something else.
    Other {
        /// What it was.
        words: String,
    },
}

impl fmt::Display for Met {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory { max_bytes } => write!(
                out,
                "memory: everything in the computer together may hold {}; a program that wanted more was ended",
                size(*max_bytes)
            ),
            Self::Processes { max } => {
                write!(
                    out,
                    "processes: {max} may run at one time, threads among them; more were refused: start fewer at once"
                )
            }
            Self::Processor { percent } => write!(
                out,
                "processor: everything in the computer together may use {}.{:02} processors, and wanted more: it was not ended, it \
                 took longer",
                percent / 100,
                percent % 100
            ),
            Self::OpenFiles { max, times } => write!(
                out,
                "open files: a program had {max} open{}, and none may have more: close files and connections when they are done \
                 with, or work on fewer at once",
                Times(*times)
            ),
            Self::FileSize { max_bytes } => {
                write!(out, "file size: no file may be larger than {}: write several smaller ones", size(*max_bytes))
            }
            Self::Workspace { bytes, files, max_bytes, max_files } => write!(
                out,
                "disk: the workspace holds {} in {files} files, and may hold {} in {max_files}; remove files before writing more",
                size(*bytes),
                size(*max_bytes)
            ),
            Self::ScratchBytes { place, max_bytes, times } => write!(
                out,
                "scratch room: {place} was full{}, it holds {} and no more: remove files there, or write to /workspace",
                Times(*times),
                size(*max_bytes)
            ),
            Self::ScratchFiles { place, max, times } => write!(
                out,
                "scratch files: {place} was full{}, it takes {max} files and folders and no more: remove some there, or write to \
                 /workspace",
                Times(*times)
            ),
            Self::BrowserMemory { max_bytes } => write!(
                out,
                "memory: the browser and all its pages together may hold {}; the page or part of it that wanted more was ended: close \
                 other tabs, and open a smaller page or less of this one",
                size(*max_bytes)
            ),
            Self::BrowserProcesses { max } => write!(
                out,
                "processes: the browser and all its pages together may have {max} at one time, threads among them; more were \
                 refused: close tabs"
            ),
            Self::BrowserOpenFiles { max, times } => write!(
                out,
                "open files: a process of the browser had {max} open{}, and none may have more: close tabs, or restart the browser",
                Times(*times)
            ),
            Self::BrowserScratchBytes { place, max_bytes, times } => write!(
                out,
                "scratch room: the browser's own {place} was full{}, it holds {} and no more: close tabs, or restart the browser, \
                 which empties it",
                Times(*times),
                size(*max_bytes)
            ),
            Self::BrowserScratchFiles { place, max, times } => write!(
                out,
                "scratch files: the browser's own {place} was full{}, it takes {max} files and folders and no more: close tabs, or \
                 restart the browser, which empties it",
                Times(*times)
            ),
            Self::BrowserRoom { bytes, files, max_bytes, max_files } => write!(
                out,
                "disk: pages had the browser keep {} in {files} files, and it may keep {} in {max_files}; it was ended, and what it kept \
                 was removed (sign-ins and the like, downloads that were not brought in, copies of files given to pages)",
                size(*bytes),
                size(*max_bytes)
            ),
            Self::Output { max_bytes } => write!(
                out,
                "output: of one command {} are kept; the rest is lost: write long output to a file in /workspace",
                size(*max_bytes)
            ),
            Self::Outputs { max_bytes } => write!(
                out,
                "output: all that is kept of all commands together is used up, {}; write output to files in /workspace",
                size(*max_bytes)
            ),
            Self::Disk => {
                out.write_str("disk: the machine's own disk took no more output; its owner has to make room on it")
            }
            Self::Time => out.write_str("time: the task's time is over; everything that ran was ended"),
            Self::Other { words } => out.write_str(words),
        }
    }
}

/// How often, where it was more than once.
struct Times(u64);

impl fmt::Display for Times {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 > 1 { write!(out, " {} times", self.0) } else { Ok(()) }
    }
}

impl Met {
    /// The same limit where the browser's box met it.
    pub(crate) fn in_browser(self) -> Self {
        match self {
            Self::Memory { max_bytes } => Self::BrowserMemory { max_bytes },
            Self::Processes { max } => Self::BrowserProcesses { max },
            Self::OpenFiles { max, times } => Self::BrowserOpenFiles { max, times },
            Self::ScratchBytes { place, max_bytes, times } => Self::BrowserScratchBytes { place, max_bytes, times },
            Self::ScratchFiles { place, max, times } => Self::BrowserScratchFiles { place, max, times },
            Self::Workspace { bytes, files, max_bytes, max_files } => {
                Self::BrowserRoom { bytes, files, max_bytes, max_files }
            }
            other => other,
        }
    }

    /// All of them as one line; nothing if there are none.
    pub fn in_words(all: &[Self]) -> Option<String> {
        let words: Vec<String> = all.iter().map(ToString::to_string).collect();
        (!words.is_empty()).then(|| words.join("; "))
    }
}

/// A size for a person.
fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    for (name, unit) in UNITS {
        if bytes >= unit {
            let tenths = bytes.saturating_mul(10) / unit;
            return if tenths.is_multiple_of(10) {
                format!("{} {name}", tenths / 10)
            } else {
                format!("{}.{} {name}", tenths / 10, tenths % 10)
            };
        }
    }
    format!("{bytes} bytes")
}
