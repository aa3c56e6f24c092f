//! The limits of the computer that a command met, from the computer's words into those of the record.

use event::ComputerLimit;
use sandbox::Met;

/// All of them in words, as they follow on what is told of a command; nothing if there are none.
pub(crate) fn behind(limit: Option<&str>) -> String {
    limit.map(|limit| format!(" (limit reached: {limit})")).unwrap_or_default()
}

/// All of them, one by one.
pub(crate) fn on_record(met: &[Met]) -> Vec<ComputerLimit> {
    met.iter().cloned().map(one).collect()
}

fn one(met: Met) -> ComputerLimit {
    match met {
        Met::Memory { max_bytes } => ComputerLimit::Memory { max_bytes },
        Met::Processes { max } => ComputerLimit::Processes { max },
        Met::Processor { percent } => ComputerLimit::Processor { percent },
        Met::OpenFiles { max, times } => ComputerLimit::OpenFiles { max, times },
        Met::FileSize { max_bytes } => ComputerLimit::FileSize { max_bytes },
        Met::Workspace { bytes, files, max_bytes, max_files } => {
            ComputerLimit::Workspace { bytes, files, max_bytes, max_files }
        }
        Met::ScratchBytes { place, max_bytes, times } => ComputerLimit::ScratchBytes { place, max_bytes, times },
        Met::ScratchFiles { place, max, times } => ComputerLimit::ScratchFiles { place, max, times },
        Met::BrowserMemory { max_bytes } => ComputerLimit::BrowserMemory { max_bytes },
        Met::BrowserProcesses { max } => ComputerLimit::BrowserProcesses { max },
        Met::BrowserOpenFiles { max, times } => ComputerLimit::BrowserOpenFiles { max, times },
        Met::BrowserScratchBytes { place, max_bytes, times } => {
            ComputerLimit::BrowserScratchBytes { place, max_bytes, times }
        }
        Met::BrowserScratchFiles { place, max, times } => ComputerLimit::BrowserScratchFiles { place, max, times },
        Met::BrowserRoom { bytes, files, max_bytes, max_files } => {
            ComputerLimit::BrowserRoom { bytes, files, max_bytes, max_files }
        }
        Met::Output { max_bytes } => ComputerLimit::Output { max_bytes },
        Met::Outputs { max_bytes } => ComputerLimit::Outputs { max_bytes },
        Met::Disk => ComputerLimit::Disk,
        Met::Time => ComputerLimit::Time,
        Met::Other { words } => ComputerLimit::Other { words },
    }
}
