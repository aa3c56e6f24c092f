//! A copy of a task as it is at one moment: record, computer's records and workspace belong together, so that a resume from
//! the copy loses nothing and repeats nothing. Whoever has the task in hand stands still meanwhile; nobody else takes it up.
//! It copies no folder that a person lent.

use std::fs;
use std::path::Path;

use event::TaskId;
use sandbox::Copied;
use sandbox::checkpoint::Store;

use crate::control::Hold;
use crate::limits::COPIES_MAX;
use crate::record::held;
use crate::{Error, Instance, TaskFolder};

/// What stays behind: sockets, and what SQLite makes anew.
const NOT_COPIED: [&str; 2] = ["control", "journal.db-shm"];

/// What is copied first, and finished last.
const COMPUTER: &str = "computer";

/// What is written to beside the record, also while the task stands still.
const CHECKPOINTS: &str = "checkpoints";

/// What a copy of a task came to.
#[derive(Clone, Debug)]
pub struct CopiedTask {
    pub copied: Copied,
    /// It was at work, and stood still meanwhile.
    pub was_at_work: bool,
}

/// What keeps a task still.
enum Still {
    AtWork(Hold),
    AtRest(journal::AtRest),
}

impl Instance {
    /// Copies a task into the new folder `to`. Its record is copied byte for byte; verifying it is the caller's business.
    pub fn copy_task(&self, id: &TaskId, to: &Path) -> Result<CopiedTask, Error> {
        let folder = self.folder(id)?;
        for attempt in 1.. {
            let still = match Hold::take(&folder.control()) {
                Ok(Some(hold)) => Still::AtWork(hold),
                // It is just ending, say.
                Err(Error::Invalid(_)) if attempt < COPIES_MAX => continue,
                Err(error) => return Err(error),
                Ok(None) => match journal::at_rest(folder.root()) {
                    Ok(rest) => Still::AtRest(rest),
                    // Somebody took it up just now: the next look finds them at the door.
                    Err(journal::Error::Locked { .. }) if attempt < COPIES_MAX => continue,
                    Err(error) => return Err(held(id, error)),
                },
            };
            let copied = copy(&folder, to);
            let (stood, was_at_work) = match still {
                Still::AtWork(hold) => (hold.let_go(), true),
                Still::AtRest(rest) => {
                    drop(rest);
                    (true, false)
                }
            };
            match copied {
                Ok(copied) if stood => return Ok(CopiedTask { copied, was_at_work }),
                Err(error) if stood => return Err(error),
                Ok(_) | Err(_) => fs::remove_dir_all(to).map_err(failed("remove the copy", to))?,
            }
            if attempt == COPIES_MAX {
                break;
            }
        }
        Err(Error::Invalid(format!("task {id} did not stay still for a copy: try again, or stop it first")))
    }
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { doing, path, source }
}

fn copy(folder: &TaskFolder, to: &Path) -> Result<Copied, Error> {
    let reading = || failed("copy", folder.root());
    let mut copied = Copied::default();
    fs::create_dir(to).map_err(failed("make the copy", to))?;
    let computer = folder.computer();
    // Before the workspace: what has ended by now has left all its traces there.
    let records = match computer.is_dir() {
        true => Some(sandbox::copy_records(&computer, &to.join(COMPUTER)).map_err(reading())?),
        false => None,
    };
    for entry in fs::read_dir(folder.root()).map_err(reading())? {
        let entry = entry.map_err(reading())?;
        let name = entry.file_name();
        if name == COMPUTER || NOT_COPIED.iter().any(|left| name == *left) {
            continue;
        }
        let (from, to) = (entry.path(), to.join(&name));
        let kind = entry.file_type().map_err(reading())?;
        if kind.is_dir() && name == CHECKPOINTS {
            copied
                .add(Store::at(&from).copy(&to).map_err(|error| failed("copy", &from)(std::io::Error::other(error)))?);
        } else if kind.is_dir() {
            let mut below = sandbox::copy_tree(&from, &to).map_err(failed("copy", &from))?;
            let inside = |path: std::path::PathBuf| Path::new(&name).join(path);
            below.left_out_names = below.left_out_names.into_iter().map(inside).collect();
            copied.add(below);
        } else if kind.is_file() {
            copied.add(sandbox::copy_file(&from, &to).map_err(failed("copy", &from))?);
        }
    }
    if let Some(records) = records {
        copied.add(records.finish().map_err(reading())?);
    }
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    fs::set_permissions(to, mode).map_err(failed("close the copy", to))?;
    Ok(copied)
}
