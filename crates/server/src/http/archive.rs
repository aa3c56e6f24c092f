//! All that a task handed over, as one zip file, written while it is sent. The files are stored as they are; each is read once
//! for its checksum and once for its bytes, and one that changes in between breaks the download off.

use std::collections::BTreeSet;
use std::fs::{File, Metadata};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::MetadataExt as _;

use agent::{Because, Summary};
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::IntoResponse as _;
use event::TaskId;

use super::extract::task_id;
use super::files::{Content, no_file, open_delivered};
use super::pour::{Asker, Spout, pour};
use super::problem::{Answer, Kind, OfPage, Problem};
use super::tasks::summary;
use super::{Shared, blocking};

/// Bytes of all files and their heads, and files: what the plain format can say.
const BYTES_MAX: u64 = u32::MAX as u64;
const FILES_MAX: usize = u16::MAX as usize;

const READ_BYTES: usize = 64 * 1024;

const HEAD_BYTES: usize = 30;
const ENTRY_BYTES: usize = 46;
const END_BYTES: usize = 22;

/// Names are UTF-8.
const FLAGS: u16 = 1 << 11;
const VERSION: u16 = 20;
const MADE_ON_UNIX: u16 = 3 << 8 | VERSION;
/// A regular file that its owner may change and all may read.
const MODE: u32 = 0o100_644 << 16;

/// All that a task has handed over, as one zip file
#[utoipa::path(get, path = "/v1/tasks/{id}/archive", operation_id = "getArchive", tag = "files",
    params(("id" = TaskId, Path)),
    responses(
        (status = 200, description = "The files.", body = inline(Content), content_type = "application/zip",
            headers(("Content-Disposition" = String))),
        OfPage,
    ))]
pub(super) async fn all(State(shared): State<Shared>, Path(name): Path<String>) -> Answer {
    send(summary(&shared, &task_id(&name)?).await?, Asker::Owner).await
}

/// A file on its way into the archive.
struct Member {
    name: String,
    file: File,
    data: Metadata,
}

/// What a task has handed over.
pub(super) async fn send(task: Summary, asker: Asker) -> Answer {
    // A task's name holds nothing that a quoted name would mind.
    let disposition = format!("attachment; filename=\"{}.zip\"", task.id);
    let members = blocking(move || members(&task)).await?;
    let bytes = length(&members);
    if members.len() > FILES_MAX || bytes > BYTES_MAX {
        let hint = "fetch the files one by one";
        let large = Problem::new(Kind::TooLarge, "the files are too large for one archive", hint);
        return Err(large.because(Because::ArchiveTooLarge));
    }
    let headers = [
        (header::CONTENT_TYPE, "application/zip".to_owned()),
        (header::CONTENT_LENGTH, bytes.to_string()),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    Ok((headers, pour(asker, move |out| write(members, out))?).into_response())
}

fn members(task: &Summary) -> Answer<Vec<Member>> {
    let mut names = BTreeSet::new();
    let mut members = Vec::new();
    for delivered in &task.deliverables {
        let (file, data) = open_delivered(task, &delivered.name).ok_or_else(no_file)?;
        let mut name = safe(&delivered.name);
        while !names.insert(name.to_lowercase()) {
            name.insert(0, '_');
        }
        members.push(Member { name, file, data });
    }
    if members.is_empty() {
        let none = Problem::new(Kind::NoSuchFile, "nothing has been handed over yet", "wait for the task");
        return Err(none.because(Because::NothingDelivered));
    }
    Ok(members)
}

/// A path that no system unpacks anywhere but below the folder of its choice.
fn safe(name: &str) -> String {
    let plain =
        |c: char| if c.is_control() || matches!(c, '\\' | ':' | '<' | '>' | '"' | '|' | '?' | '*') { '_' } else { c };
    let part = |part: &str| {
        if part.is_empty() || part.chars().all(|c| c == '.') {
            "_".to_owned()
        } else {
            part.chars().map(plain).collect()
        }
    };
    name.split('/').map(part).collect::<Vec<_>>().join("/")
}

fn length(members: &[Member]) -> u64 {
    let of = |member: &Member| member.data.len() + (HEAD_BYTES + ENTRY_BYTES + 2 * member.name.len()) as u64;
    members.iter().map(of).sum::<u64>() + END_BYTES as u64
}

fn write(members: Vec<Member>, out: &mut Spout) -> io::Result<()> {
    let (mut directory, mut at, count) = (Vec::new(), 0u32, members.len());
    for Member { name, mut file, data } in members {
        let (sum, bytes) = (checksum(&mut file)?, fits(data.len())?);
        let mut about = Vec::with_capacity(HEAD_BYTES);
        for field in [VERSION, FLAGS, 0] {
            about.extend(field.to_le_bytes());
        }
        about.extend(stamp(data.mtime()).to_le_bytes());
        for field in [sum, bytes, bytes] {
            about.extend(field.to_le_bytes());
        }
        about.extend(fits_short(name.len())?.to_le_bytes());
        about.extend(0u16.to_le_bytes());
        out.write_all(b"PK\x03\x04")?;
        out.write_all(&about)?;
        out.write_all(name.as_bytes())?;
        file.seek(SeekFrom::Start(0))?;
        let mut again = Checked { sum: !0, bytes: 0, out };
        io::copy(&mut file.take(u64::from(bytes) + 1), &mut again)?;
        if (!again.sum, again.bytes) != (sum, u64::from(bytes)) {
            return Err(io::Error::other("a file changed while it was read"));
        }
        directory.extend(b"PK\x01\x02");
        directory.extend(MADE_ON_UNIX.to_le_bytes());
        directory.extend(about);
        // No comment, the first disk, no attributes but the mode.
        directory.extend([0; 6]);
        directory.extend(MODE.to_le_bytes());
        directory.extend(at.to_le_bytes());
        directory.extend(name.as_bytes());
        at += fits((HEAD_BYTES + name.len()) as u64)? + bytes;
    }
    let count = fits_short(count)?.to_le_bytes();
    out.write_all(&directory)?;
    out.write_all(b"PK\x05\x06\0\0\0\0")?;
    out.write_all(&count)?;
    out.write_all(&count)?;
    out.write_all(&fits(directory.len() as u64)?.to_le_bytes())?;
    out.write_all(&at.to_le_bytes())?;
    out.write_all(&[0; 2])
}

fn fits(bytes: u64) -> io::Result<u32> {
    u32::try_from(bytes).map_err(io::Error::other)
}

fn fits_short(count: usize) -> io::Result<u16> {
    u16::try_from(count).map_err(io::Error::other)
}

/// Passes on what is written, and what that comes to.
struct Checked<'a> {
    sum: u32,
    bytes: u64,
    out: &'a mut Spout,
}

impl io::Write for Checked<'_> {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let written = self.out.write(piece)?;
        self.sum = sum(self.sum, &piece[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn checksum(file: &mut File) -> io::Result<u32> {
    let (mut so_far, mut piece) = (!0, vec![0; READ_BYTES]);
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(!so_far),
            read => so_far = sum(so_far, &piece[..read]),
        }
    }
}

/// The CRC-32 of ISO 3309, of these bytes after others.
fn sum(before: u32, bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = table();
    bytes.iter().fold(before, |sum, byte| TABLE[usize::from((sum as u8) ^ byte)] ^ (sum >> 8))
}

const fn table() -> [u32; 256] {
    let (mut table, mut at) = ([0; 256], 0);
    while at < 256 {
        let (mut value, mut bit) = (at as u32, 0);
        while bit < 8 {
            value = if value & 1 == 1 { 0xEDB8_8320 ^ (value >> 1) } else { value >> 1 };
            bit += 1;
        }
        table[at] = value;
        at += 1;
    }
    table
}

/// Time and date as the format has them: seconds halved, years from 1980 (UTC).
fn stamp(seconds: i64) -> u32 {
    let seconds = seconds.clamp(315_532_800, 4_354_819_199);
    let (days, second) = (seconds / 86_400 + 719_468, seconds % 86_400);
    // The calendar in eras of 400 years that begin in March.
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, year) = (if month < 10 { month + 3 } else { month - 9 }, era * 400 + year + i64::from(month >= 10));
    let date = (year - 1_980) << 9 | month << 5 | day;
    let time = (second / 3_600) << 11 | (second / 60 % 60) << 5 | (second % 60 / 2);
    u32::try_from(date << 16 | time).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_one_that_the_format_means() {
        assert_eq!(!sum(!0, b"123456789"), 0xCBF4_3926);
        assert_eq!(!sum(sum(!0, b"1234"), b"56789"), 0xCBF4_3926);
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        let date = |year: u32, month: u32, day: u32| (year - 1_980) << 25 | month << 21 | day << 16;
        for (seconds, expected) in [
            (0, date(1980, 1, 1)),
            (951_782_399, date(2000, 2, 28) | 23 << 11 | 59 << 5 | 29),
            (951_782_400, date(2000, 2, 29)),
            (1_795_651_200, date(2026, 11, 26)),
            (4_107_542_400, date(2100, 3, 1)),
            (i64::MAX, date(2107, 12, 31) | 23 << 11 | 59 << 5 | 29),
        ] {
            assert_eq!(stamp(seconds), expected, "{seconds}");
        }
    }

    #[test]
    fn names_lead_nowhere_else() {
        for (name, expected) in [
            ("report.pdf", "report.pdf"),
            ("a/b c/ü.txt", "a/b c/ü.txt"),
            ("../../etc/passwd", "_/_/etc/passwd"),
            ("/etc/passwd", "_/etc/passwd"),
            ("a/.../b", "a/_/b"),
            ("..\\..\\x", ".._.._x"),
            ("C:\\x\n", "C__x_"),
        ] {
            assert_eq!(safe(name), expected);
        }
    }
}
