//! What a computer leaves on disk: per call an order, a result and a spool. Readable with no keeper alive; nothing here talks to one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::request::{CALL_ID_BYTES_MAX, CallResult, Exit, Recorded, Request};
use crate::{Error, Result, sys};

const CALLS: &str = "calls";
const OUTPUT: &str = "output";
const LOCK: &str = "keeper.lock";
/// What a call's files are called behind its id. Files side by side and no folder each: the fewer are made, the sooner it starts.
const ORDER: &str = ".order.json";
const RESULT: &str = ".result.json";
const WRITES: &str = ".writes";

/// What became of a call, from the computer's folder alone.
///
/// # Errors
/// If the folder cannot be read or the id is not one.
pub fn recorded(dir: &Path, call: &str) -> Result<Recorded> {
    check_id(call)?;
    // Liveness is looked at before the result: a keeper writes the result before it leaves, so the other order could miss both.
    let alive = keeper_lives(dir)?;
    match fs::symlink_metadata(sheet(dir, call, ORDER)) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Recorded::NeverSeen),
        Err(error) => return Err(Error::io(format!("read the record of call {call}"))(error)),
    }
    Ok(match read_result(dir, call)? {
        Some(result) if result.exit == Exit::Died => Recorded::Lost,
        Some(result) => Recorded::Ended(result),
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
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir.join(CALLS))?;
    // Seen read-only from inside by a foreign user; the folder above is closed to everybody else.
    fs::DirBuilder::new().recursive(true).create(dir.join(OUTPUT))?;
    fs::set_permissions(dir, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    fs::set_permissions(dir.join(OUTPUT), std::os::unix::fs::PermissionsExt::from_mode(0o755))
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

pub(crate) fn output_folder(dir: &Path) -> PathBuf {
    dir.join(OUTPUT)
}

pub(crate) fn spool_path(dir: &Path, call: &str) -> PathBuf {
    dir.join(OUTPUT).join(format!("{call}.log"))
}

/// One of the files of a call.
fn sheet(dir: &Path, call: &str, kind: &str) -> PathBuf {
    dir.join(CALLS).join(format!("{call}{kind}"))
}

/// Whether this call was ever accepted.
pub(crate) fn was_ordered(dir: &Path, call: &str) -> bool {
    sheet(dir, call, ORDER).exists()
}

/// Records that a call is accepted and opens its spool; from here on it is never "never seen".
pub(crate) fn write_order(dir: &Path, call: &str, request: &Request) -> io::Result<File> {
    let spool = OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(spool_path(dir, call))?;
    spool.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    put(&sheet(dir, call, ORDER), &serde_json::to_vec(request)?)?;
    Ok(spool)
}

/// Records that something is about to be typed into a call: asked again, even after the call's end, it is not typed again.
pub(crate) fn note_write(dir: &Path, call: &str, write_id: &str) -> io::Result<()> {
    let mut line = serde_json::to_vec(write_id)?;
    line.push(b'\n');
    let path = sheet(dir, call, WRITES);
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)?.write_all(&line)
}

/// Whether this was ever typed into the call.
pub(crate) fn was_written(dir: &Path, call: &str, write_id: &str) -> bool {
    let Ok(line) = serde_json::to_string(write_id) else { return false };
    let noted = fs::read_to_string(sheet(dir, call, WRITES)).unwrap_or_default();
    noted.lines().any(|noted| noted == line)
}

/// Records the result: whole or not at all. [`sync_result`] makes it outlast a loss of power.
pub(crate) fn write_result(dir: &Path, call: &str, result: &CallResult) -> io::Result<()> {
    put(&sheet(dir, call, RESULT), &serde_json::to_vec(result)?)
}

/// Writes off what an earlier keeper had accepted and not finished: a new one is alive, but not for those calls.
pub(crate) fn write_off(dir: &Path, now_ms: u64) -> io::Result<()> {
    for entry in fs::read_dir(dir.join(CALLS))? {
        let Ok(name) = entry?.file_name().into_string() else { continue };
        let Some(call) = name.strip_suffix(ORDER) else { continue };
        if !matches!(read_result(dir, call), Ok(Some(_))) {
            let output_bytes = fs::metadata(spool_path(dir, call)).map_or(0, |about| about.len());
            let result = CallResult {
                exit: Exit::Died,
                output_bytes,
                output_truncated: false,
                limit: None,
                started_ms: now_ms,
                ended_ms: now_ms,
            };
            write_result(dir, call, &result)?;
        }
    }
    Ok(())
}

/// Waits until spool and result of a call are on the disk.
pub(crate) fn sync_result(dir: &Path, call: &str) -> io::Result<()> {
    File::open(spool_path(dir, call))?.sync_data()?;
    File::open(sheet(dir, call, RESULT))?.sync_all()?;
    File::open(dir.join(CALLS))?.sync_all()
}

pub(crate) fn read_result(dir: &Path, call: &str) -> Result<Option<CallResult>> {
    match fs::read(sheet(dir, call, RESULT)) {
        // A result torn by a loss of power is no result: what the call did is then unknown, which is what the absence says.
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io(format!("read the result of call {call}"))(error)),
    }
}

/// Whole or not at all.
fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = path.with_added_extension("tmp");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(bytes)?;
    fs::rename(draft, path)
}
