//! What a computer leaves on disk: the ledger of its calls and a spool for each. Readable with no keeper alive; nothing
//! here talks to one.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::ledger::{self, Entry};
use crate::request::{CALL_ID_BYTES_MAX, CallResult, Exit, Recorded};
use crate::{Error, Result, sys};

const OUTPUT: &str = "output";
const LOCK: &str = "keeper.lock";
/// What the folder tells about a call at this moment, from the ledger and the keeper's lock alone.
pub(crate) fn on_disk(dir: &Path, call: &str) -> Result<Recorded> {
    check_id(call)?;
    // Liveness is looked at before the result: a keeper writes the result before it leaves, so the other order could miss both.
    let alive = keeper_lives(dir)?;
    let (ordered, result) = look_up(dir, call)?;
    Ok(match result {
        Some(result) if result.exit == Exit::Died => Recorded::Lost,
        Some(result) => Recorded::Ended(result),
        None if !ordered => Recorded::NeverSeen,
        None if alive => Recorded::Running,
        None => Recorded::Lost,
    })
}

/// Output of a call from `offset`, at most `max` bytes, whether or not its computer lives. Empty past the end.
///
/// # Errors
/// If there is no such spool, or it cannot be read.
pub fn read_output(dir: &Path, call: &str, offset: u64, max: usize) -> Result<Vec<u8>> {
    check_id(call)?;
    let read = || -> io::Result<Vec<u8>> {
        let mut spool = File::open(spool_path(dir, call))?;
        spool.seek(SeekFrom::Start(offset))?;
        let mut out = Vec::new();
        spool.take(max as u64).read_to_end(&mut out)?;
        Ok(out)
    };
    read().map_err(Error::io(format!("read the output of call {call}")))
}

/// How much output of a call is kept so far, whether or not its computer lives.
///
/// # Errors
/// If there is no such spool.
pub fn output_bytes(dir: &Path, call: &str) -> Result<u64> {
    check_id(call)?;
    let about = fs::metadata(spool_path(dir, call));
    Ok(about.map_err(Error::io(format!("look at the output of call {call}")))?.len())
}

/// Gives the folder of another computer the outputs of those calls that are over and `wanted`, as far as they went when each was. They
/// are further names of the same files where nobody has written to them since, and will not. The other computer knows nothing of the
/// calls themselves.
///
/// # Errors
/// If the calls of the first cannot be read, or a name cannot be made in the second.
pub fn give_outputs(from: &Path, to: &Path, wanted: impl Fn(&str) -> bool) -> Result<()> {
    let (mut over, mut terminals) = (Vec::new(), HashSet::new());
    let read = ledger::each_entry(from, |_, entry| match entry {
        Entry::Ended { call, result } if wanted(&call) && check_id(&call).is_ok() => {
            over.push((call, result.output_bytes));
        }
        // What a terminal put out is of many calls, later ones among them.
        Entry::Named { call, .. } => drop(terminals.insert(call)),
        Entry::Ended { .. } | Entry::Ordered { .. } | Entry::Typed { .. } => {}
    });
    let failed = || Error::io(format!("give outputs of {} to {}", from.display(), to.display()));
    read.and_then(|()| prepare(to)).map_err(failed())?;
    let lives = keeper_lives(from)?;
    for (call, bytes) in over.into_iter().filter(|(call, _)| !terminals.contains(call)) {
        let (one, other) = (spool_path(from, &call), spool_path(to, &call));
        // What a call left behind may write on.
        let settled = !lives && fs::metadata(&one).is_ok_and(|about| about.len() == bytes);
        let linked = if settled { fs::hard_link(&one, &other) } else { Err(io::ErrorKind::Other.into()) };
        // On some file systems a file has one name.
        match linked.or_else(|_| copy_start(&one, &other, bytes)) {
            Ok(()) => {}
            // Not every call has one.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed()(error)),
        }
    }
    Ok(())
}

/// Copies the first bytes of a file.
fn copy_start(from: &Path, to: &Path, bytes: u64) -> io::Result<()> {
    let from = File::open(from)?;
    let mut to = OpenOptions::new().write(true).create_new(true).open(to)?;
    to.set_permissions(from.metadata()?.permissions())?;
    io::copy(&mut from.take(bytes), &mut to).map(drop)
}

/// Ids become names of files, here and inside the box.
pub(crate) fn check_id(call: &str) -> Result<()> {
    let letters = call.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if letters && !call.is_empty() && !call.starts_with('.') && call.len() <= CALL_ID_BYTES_MAX {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "the call id {call:?} is not made of at most {CALL_ID_BYTES_MAX} letters, digits, dashes, underscores and dots"
    )))
}

/// Makes the folders of a computer.
pub(crate) fn prepare(dir: &Path) -> io::Result<()> {
    make_folder(dir, 0o700)?;
    // Seen read-only from inside by a foreign user; the folder above is closed to everybody else.
    make_folder(&dir.join(OUTPUT), 0o755)
}

/// Makes a folder with these rights, whatever the caller's mask. One that has them already is not written to.
fn make_folder(path: &Path, mode: u32) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(mode).create(path)?;
    if fs::metadata(path)?.mode() & 0o7777 == mode {
        return Ok(());
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

/// The lock that the living keeper holds, or nothing if another one does.
pub(crate) fn lock(dir: &Path) -> io::Result<Option<File>> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(dir.join(LOCK))?;
    Ok(sys::try_lock(file.as_fd())?.then_some(file))
}

/// Whether somebody keeps this computer.
pub(crate) fn keeper_lives(dir: &Path) -> Result<bool> {
    let asked = match OpenOptions::new().write(true).open(dir.join(LOCK)) {
        Ok(file) => sys::is_locked(file.as_fd()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    };
    asked.map_err(Error::io(format!("look for the keeper of {}", dir.display())))
}

/// Output that calls have left so far, of this keeper and of those before it, but for answers.
pub(crate) fn outputs_bytes(dir: &Path, is_answer: impl Fn(&str) -> bool) -> u64 {
    let spools = fs::read_dir(dir.join(OUTPUT)).into_iter().flatten().flatten();
    let is_output = |spool: &fs::DirEntry| {
        spool.file_name().to_str().and_then(|name| name.strip_suffix(".log")).is_none_or(|call| !is_answer(call))
    };
    spools.filter(is_output).filter_map(|spool| Some(spool.metadata().ok()?.len())).sum()
}

pub(crate) fn output_folder(dir: &Path) -> PathBuf {
    dir.join(OUTPUT)
}

pub(crate) fn spool_path(dir: &Path, call: &str) -> PathBuf {
    dir.join(OUTPUT).join(format!("{call}.log"))
}

/// Whether a call was ever accepted, and its result.
fn look_up(dir: &Path, call: &str) -> Result<(bool, Option<CallResult>)> {
    let (mut ordered, mut found) = (false, None);
    let read = ledger::each_entry(dir, |_, entry| match entry {
        Entry::Ordered { call: id, .. } => ordered |= id == call,
        Entry::Ended { call: id, result } if id == call => found = Some(result),
        Entry::Ended { .. } | Entry::Typed { .. } | Entry::Named { .. } => {}
    });
    read.map_err(Error::io(format!("read the record of call {call}")))?;
    Ok((ordered, found))
}
