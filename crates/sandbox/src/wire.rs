//! How a caller talks to the keeper: one connection per question, one frame each way. It keeps no state and opens no network socket.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
};
use serde::{Deserialize, Serialize};

use crate::browser::Browser;
use crate::met::Met;
use crate::request::{Request, Status};
use crate::terminal::{Depict, Look, Size, Terminal, Until};

/// A keeper that speaks another version is left to finish; see [`Answer::Version`].
pub(crate) const VERSION: u32 = 1;
/// The largest question or answer: a file to be written fits, a runaway one does not.
pub(crate) const FRAME_BYTES_MAX: usize = 48 * 1024 * 1024;
/// Name of the socket in the computer's folder.
pub(crate) const SOCKET: &str = "keeper.sock";

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Question {
    pub(crate) version: u32,
    pub(crate) ask: Ask,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ask {
    Hello,
    Start {
        call: String,
        request: Request,
        /// Answer only at its end, or after so long; a keeper that does not know this answers at once.
        #[serde(default)]
        wait_ms: u64,
    },
    Wait {
        call: String,
        timeout_ms: u64,
    },
    Input {
        write_id: String,
        call: String,
        #[serde(with = "crate::request::bytes")]
        bytes: Vec<u8>,
        /// Only at a terminal's prompt, with Enter after it.
        #[serde(default)]
        as_command: bool,
    },
    /// The open terminals.
    Terminals,
    /// A terminal, once it is as wanted or the time is over.
    Look {
        call: String,
        until: Until,
        depict: Depict,
        timeout_ms: u64,
    },
    Resize {
        call: String,
        size: Size,
    },
    Kill {
        call: String,
    },
    /// The connection becomes a line to the computer's browser.
    Browser {
        which: Browser,
        /// Only if one lives; a keeper that does not know this starts one.
        #[serde(default)]
        living: bool,
    },
    /// What the browser's box met since this was asked last; a keeper that does not know this refuses.
    BrowserLimits,
    EndBrowser,
    /// Lends the listeners of the computer's network for as long as the connection lives.
    Egress,
    /// The moment from now on at which everything in it ends; a keeper that does not know this refuses.
    Deadline {
        unix_ms: Option<u64>,
    },
    /// Puts an id on the record without a call.
    Mark {
        id: String,
    },
    Shutdown,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    Done,
    Status(Status),
    Terminals(Vec<Terminal>),
    Look(Box<Look>),
    /// What follows is the browser's.
    Browser {
        generation: u32,
        fresh: bool,
        /// What the browser before it complained about when it ended.
        last_words: String,
        /// What still holds of what the browser said to callers before; a keeper that does not know this tells nothing.
        #[serde(default)]
        standing: Vec<String>,
    },
    Limits(Vec<Met>),
    /// The listeners follow, beside one byte.
    Egress,
    /// Whether the id was new.
    Marked {
        new: bool,
    },
    Refused {
        reason: String,
    },
    Version {
        mine: u32,
    },
}

/// What a starting keeper tells the one that started it, on its standard output.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Started {
    Ready,
    /// Another keeper has this folder.
    Busy,
    Launch {
        reason: String,
        hint: String,
    },
    Workspace {
        path: std::path::PathBuf,
        reason: String,
    },
}

/// Writes one frame: four bytes of length, then JSON.
pub(crate) fn send<T: Serialize>(mut to: impl Write, message: &T) -> io::Result<()> {
    let body = serde_json::to_vec(message)?;
    if body.len() > FRAME_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the request is too large"));
    }
    let length = u32::try_from(body.len()).map_err(io::Error::other)?;
    let mut frame = Vec::with_capacity(4 + body.len());
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(&body);
    to.write_all(&frame)
}

/// Reads one frame.
pub(crate) fn receive<T: for<'de> Deserialize<'de>>(mut from: impl Read) -> io::Result<T> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = frame_length(length)?;
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    Ok(serde_json::from_slice(&body)?)
}

/// The length that a frame's head states, if it is a legal one.
pub(crate) fn frame_length(head: [u8; 4]) -> io::Result<usize> {
    let length = usize::try_from(u32::from_le_bytes(head)).map_err(io::Error::other)?;
    if length > FRAME_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the frame is too large"));
    }
    Ok(length)
}

/// Opens a folder as a place to name things from. Socket names are limited to 107 bytes, paths of tasks are not: a name
/// through the descriptor is always short.
fn through(dir: &Path) -> io::Result<(OwnedFd, String)> {
    let folder = rustix::fs::open(dir, OFlags::DIRECTORY | OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let name = format!("/proc/self/fd/{}/{SOCKET}", folder.as_raw_fd());
    Ok((folder, name))
}

pub(crate) fn connect(dir: &Path) -> io::Result<UnixStream> {
    let (_folder, name) = through(dir)?;
    UnixStream::connect(name)
}

pub(crate) fn listen(dir: &Path) -> io::Result<UnixListener> {
    let (_folder, name) = through(dir)?;
    match std::fs::remove_file(dir.join(SOCKET)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    UnixListener::bind(name)
}

/// The most descriptors that travel together.
const DESCRIPTORS_MAX: usize = 8;

/// Sends descriptors beside one byte.
pub(crate) fn send_descriptors(to: &UnixStream, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    if !beside.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    rustix::net::sendmsg(to, &[IoSlice::new(b"d")], &mut beside, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Takes descriptors that came beside one byte.
pub(crate) fn receive_descriptors(from: &UnixStream) -> io::Result<Vec<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC;
    rustix::net::recvmsg(from, &mut [IoSliceMut::new(&mut [0])], &mut beside, flags)?;
    let rights = beside.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(sent) => Some(sent),
        _ => None,
    });
    Ok(rights.flatten().collect())
}
