//! File operations, done inside as the computer's user: the box is the only guard needed, and it is the same as for commands. They never follow a name to a pipe or a device.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::search;
use crate::request::{FileAnswer, FileOp};

/// The most that one reading gives back.
const READ_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// The largest file whose text can be replaced.
const REPLACE_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// How much of a file's beginning tells whether it is text.
const SNIFF_BYTES: usize = 8192;
/// Where relative names start.
const WORKSPACE: &str = "/workspace";

/// The code of a call that could not do it, and of one whose file would have grown beyond what it may: as a shell has it of a
/// program that ends of that, so that the limit is told with it.
const FAILED: i32 = 1;
const TOO_LARGE: i32 = 128 + libc::SIGXFSZ;

/// Why something was not written.
struct Unwritten {
    reason: String,
    code: i32,
}

impl From<String> for Unwritten {
    fn from(reason: String) -> Self {
        Self { reason, code: FAILED }
    }
}

impl Unwritten {
    fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |error| {
            let code = if error.raw_os_error() == Some(libc::EFBIG) { TOO_LARGE } else { FAILED };
            Self { reason: says("write", path)(error), code }
        }
    }

    fn told(self) -> (FileAnswer, i32) {
        (FileAnswer::Failed { reason: self.reason, occurrences: None }, self.code)
    }
}

/// Does an operation; the answer and the code of the call.
pub(super) fn perform(op: &FileOp) -> (FileAnswer, i32) {
    let answer = match op {
        FileOp::Read { path, offset, max } => read(&place(path), *offset, *max),
        FileOp::ReadLines { path, first, count, max_bytes } => read_lines(&place(path), *first, *count, *max_bytes),
        FileOp::Write { path, content, append } => {
            let path = &place(path);
            let written = if *append { append_to(path, content) } else { write(path, content) };
            return written.map_or_else(Unwritten::told, |answer| (answer, 0));
        }
        FileOp::Replace { path, old, new } => return replace(&place(path), old, new),
        FileOp::FindInContent { path, pattern, max } => search::in_content(&place(path), pattern, *max),
        FileOp::FindByName { path, glob, max } => search::by_name(&place(path), glob, *max),
    };
    match answer {
        Ok(answer) => (answer, 0),
        Err(reason) => Unwritten::from(reason).told(),
    }
}

/// A path from the one who asks, seen from the workspace.
fn place(path: &str) -> PathBuf {
    Path::new(WORKSPACE).join(path)
}

pub(super) fn says(attempt: &str, path: &Path) -> impl FnOnce(io::Error) -> String {
    let attempt = format!("{attempt} {}", path.display());
    move |error| {
        let reason = match error.raw_os_error() {
            Some(libc::ENOENT) => "there is no such file or folder".to_owned(),
            Some(libc::EACCES | libc::EPERM) => "permission denied".to_owned(),
            Some(libc::EROFS) => "it is read-only; only /workspace, /tmp and /home/agent can be written".to_owned(),
            Some(libc::ENOSPC) => "there is no room left".to_owned(),
            Some(libc::EFBIG) => "it may not grow so far".to_owned(),
            _ => error.to_string(),
        };
        format!("{attempt}: {reason}")
    }
}

/// Opens an ordinary file for reading, without waiting for the other end of a pipe.
pub(super) fn open(path: &Path) -> Result<(File, u64), String> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
        .map_err(says("open", path))?;
    let about = file.metadata().map_err(says("open", path))?;
    ordinary(path, &about)?;
    Ok((file, about.len()))
}

fn ordinary(path: &Path, about: &fs::Metadata) -> Result<(), String> {
    let kind = about.file_type();
    if kind.is_file() {
        return Ok(());
    }
    let what = match () {
        () if kind.is_dir() => "a folder",
        () if kind.is_fifo() => "a pipe",
        () if kind.is_socket() => "a socket",
        () => "a device",
    };
    Err(format!("{} is {what}, not a file", path.display()))
}

/// Whether these bytes are not text.
pub(super) fn is_binary(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(SNIFF_BYTES)];
    // A letter cut in two at the end is still a letter.
    start.contains(&0) || std::str::from_utf8(start).is_err_and(|error| error.error_len().is_some())
}

fn read(path: &Path, offset: u64, max: u64) -> Result<FileAnswer, String> {
    let (mut file, size_bytes) = open(path)?;
    file.seek(SeekFrom::Start(offset)).map_err(says("read", path))?;
    let mut content = Vec::new();
    file.take(max.min(READ_BYTES_MAX)).read_to_end(&mut content).map_err(says("read", path))?;
    let more = offset.saturating_add(content.len() as u64) < size_bytes;
    let binary = is_binary(&content);
    Ok(FileAnswer::Content { content, size_bytes, offset, lines: None, more, binary })
}

fn read_lines(path: &Path, first: u64, count: u64, max_bytes: u64) -> Result<FileAnswer, String> {
    let (file, size_bytes) = open(path)?;
    let room = usize::try_from(max_bytes.min(READ_BYTES_MAX)).unwrap_or(usize::MAX);
    let mut reader = BufReader::with_capacity(64 * 1024, file);
    let (mut content, mut offset, mut line, mut position) = (Vec::new(), None, 0_u64, 0_u64);
    let (mut more, mut in_line) = (false, false);
    loop {
        let chunk = reader.fill_buf().map_err(says("read", path))?;
        if chunk.is_empty() {
            break;
        }
        // One piece of a line at a time: a line may be larger than memory.
        let (piece, ends) = match chunk.iter().position(|byte| *byte == b'\n') {
            Some(at) => (&chunk[..=at], true),
            None => (chunk, false),
        };
        if line >= first && line - first < count {
            offset.get_or_insert(position);
            let kept = piece.len().min(room - content.len());
            content.extend_from_slice(&piece[..kept]);
            more |= kept < piece.len();
        } else if line >= first {
            more = true;
        }
        let length = piece.len();
        reader.consume(length);
        position += length as u64;
        in_line = !ends;
        line += u64::from(ends);
    }
    let binary = is_binary(&content);
    let lines = Some(line + u64::from(in_line));
    Ok(FileAnswer::Content { content, size_bytes, offset: offset.unwrap_or(position), lines, more, binary })
}

fn write(path: &Path, content: &[u8]) -> Result<FileAnswer, Unwritten> {
    let before = existing(path)?;
    let created = before.is_none();
    // A name that is a link keeps being one: what it points to is replaced.
    let path = &if created { path.to_owned() } else { fs::canonicalize(path).map_err(says("write", path))? };
    let folder = path.parent().unwrap_or(Path::new(WORKSPACE));
    fs::create_dir_all(folder).map_err(says("make the folder", folder))?;
    let name = path.file_name().ok_or_else(|| format!("{} has no file name", path.display()))?;
    let draft = folder.join(format!(".{}.thenar-{}", short(&name.to_string_lossy()), std::process::id()));
    let put = || -> io::Result<()> {
        // Whoever left one under our number has ended.
        let _ = fs::remove_file(&draft);
        let mut file = OpenOptions::new().write(true).create_new(true).open(&draft)?;
        file.write_all(content)?;
        if let Some(about) = &before {
            file.set_permissions(fs::Permissions::from_mode(about.permissions().mode() & 0o777))?;
        }
        fs::rename(&draft, path)
    };
    put().map_err(|error| {
        let _ = fs::remove_file(&draft);
        Unwritten::at(path)(error)
    })?;
    Ok(FileAnswer::Written { size_bytes: content.len() as u64, created })
}

/// Enough of a name to recognise it, and short enough to get something added.
fn short(name: &str) -> String {
    name.chars().take(40).collect()
}

fn append_to(path: &Path, content: &[u8]) -> Result<FileAnswer, Unwritten> {
    let created = existing(path)?.is_none();
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(says("make the folder", folder))?;
    }
    let put = || -> io::Result<u64> {
        let mut file = OpenOptions::new().append(true).create(true).custom_flags(libc::O_NONBLOCK).open(path)?;
        file.write_all(content)?;
        Ok(file.metadata()?.len())
    };
    let size_bytes = put().map_err(Unwritten::at(path))?;
    Ok(FileAnswer::Written { size_bytes, created })
}

/// What is at a path, if it is something that can be written over.
fn existing(path: &Path) -> Result<Option<fs::Metadata>, String> {
    match fs::metadata(path) {
        Ok(about) => ordinary(path, &about).map(|()| Some(about)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(says("write", path)(error)),
    }
}

fn replace(path: &Path, old: &str, new: &str) -> (FileAnswer, i32) {
    let failed = |reason: String, occurrences| (FileAnswer::Failed { reason, occurrences }, FAILED);
    if old.is_empty() {
        return failed("the text to replace is empty".to_owned(), None);
    }
    let text = open(path).and_then(|(file, size)| {
        if size > REPLACE_BYTES_MAX {
            return Err(format!("{} is larger than {REPLACE_BYTES_MAX} bytes: use a command", path.display()));
        }
        let mut bytes = Vec::new();
        file.take(REPLACE_BYTES_MAX).read_to_end(&mut bytes).map_err(says("read", path))?;
        String::from_utf8(bytes).map_err(|_| format!("{} is not text", path.display()))
    });
    let text = match text {
        Ok(text) => text,
        Err(reason) => return failed(reason, None),
    };
    match text.matches(old).count() as u64 {
        1 => match write(path, text.replacen(old, new, 1).as_bytes()) {
            Ok(answer) => (answer, 0),
            Err(unwritten) => unwritten.told(),
        },
        0 => failed(format!("the text does not occur in {}", path.display()), Some(0)),
        count => failed(
            format!("the text occurs {count} times in {}: give more of what is around it", path.display()),
            Some(count),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::{fs, short, write};

    #[test]
    fn what_a_killed_writer_left_is_in_nobodys_way() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("name");
        let left = format!(".{}.thenar-{}", short("name"), std::process::id());
        fs::write(folder.path().join(left), "half").unwrap();
        assert!(write(&path, b"whole").is_ok());
        assert_eq!(fs::read_to_string(&path).unwrap(), "whole");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
