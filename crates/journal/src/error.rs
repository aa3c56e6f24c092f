//! What can go wrong with a journal: one variant per thing a caller can do about it. It prints no advice; that is
//! [`Error::hint`].

use std::{io, path::PathBuf};

/// The result of everything here that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// A place in a journal or in a bundle of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// What names the task: the first line of a bundle, the `meta` row of a journal.
    Header,
    /// A record, by its sequence number.
    Record(u64),
    /// A blob, by its digest in hex, or by `#` and its position where the digest itself cannot be read.
    Blob(String),
    /// The last line of a bundle, which says how much there is and what it ends with.
    Head,
    /// The database file itself.
    File,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Header => f.write_str("header"),
            Self::Record(seq) => write!(f, "record {seq}"),
            Self::Blob(name) => write!(f, "blob {name}"),
            Self::Head => f.write_str("head"),
            Self::File => f.write_str("file"),
        }
    }
}

/// Why a journal could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process is the writer.
    #[error("lock journal {}: held by {}", .folder.display(), match .pid { Some(pid) => format!("process {pid}"), None => "another process".to_owned() })]
    Locked { folder: PathBuf, pid: Option<u32> },
    /// There is no journal in this folder.
    #[error("open journal {}: there is none", .folder.display())]
    NotFound { folder: PathBuf },
    /// There is a journal in this folder already.
    #[error("create journal {}: there is one already", .folder.display())]
    Exists { folder: PathBuf },
    /// The journal or a blob is not what was once written.
    #[error("{place}: {what}")]
    Corrupt { place: Place, what: String },
    /// A later version of Thenar made it, in a format that this one does not read.
    #[error("open journal {}: it is of format {format}, and this version reads up to {known}", .folder.display())]
    Newer { folder: PathBuf, format: u64, known: u64 },
    /// The disk is full; nothing of this append or blob was kept, and everything before it was.
    #[error("{attempt}: no space left on the disk")]
    NoSpace { attempt: String },
    /// A record or blob is over its limit.
    #[error("{what} of {bytes} bytes is over the limit of {bytes_max}")]
    TooLarge { what: &'static str, bytes: u64, bytes_max: u64 },
    /// A kind or a task id with other characters than letters, digits, `_`, `-`, `.`, `:` and `/`, or of no or too great length.
    #[error("{name:?} cannot be a {what}")]
    BadName { what: &'static str, name: String },
    /// No blob of this digest is here.
    #[error("read blob {digest}: there is none")]
    BlobMissing { digest: String },
    /// A record was appended elsewhere than at the end.
    #[error("append record {seq}: the next one is {next}")]
    OutOfOrder { seq: u64, next: u64 },
    /// The operating system said no.
    #[error("{attempt}")]
    Io { attempt: String, source: io::Error },
    /// The database said no.
    #[error("{attempt}")]
    Database { attempt: String, source: rusqlite::Error },
}

impl Error {
    /// What a person can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Locked { pid: Some(pid), .. } => Some(format!("wait for process {pid} to end, or stop it")),
            Self::Locked { pid: None, .. } => Some("wait for the process that holds it to end".to_owned()),
            Self::Corrupt { .. } => Some(
                "the journal was left as it was; compare it with an exported bundle or a backup, and start the task anew"
                    .to_owned(),
            ),
            Self::Newer { .. } => Some("a newer thenar made it: update thenar; nothing was changed".to_owned()),
            Self::NoSpace { .. } => Some("free some space and try again: nothing that was recorded is lost".to_owned()),
            Self::TooLarge { what: "payload", .. } => Some("keep it as a blob and name its digest".to_owned()),
            Self::NotFound { .. }
            | Self::Exists { .. }
            | Self::TooLarge { .. }
            | Self::BadName { .. }
            | Self::BlobMissing { .. }
            | Self::OutOfOrder { .. }
            | Self::Io { .. }
            | Self::Database { .. } => None,
        }
    }

    pub(crate) fn io(attempt: impl Into<String>, source: io::Error) -> Self {
        let attempt = attempt.into();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace { attempt },
            _ => Self::Io { attempt, source },
        }
    }

    pub(crate) fn corrupt(place: Place, what: impl Into<String>) -> Self {
        Self::Corrupt { place, what: what.into() }
    }
}
