//! The words between the keeper and PID 1: small messages over one socket, descriptors beside them. Requests travel as a file in memory, so no size limit of the socket applies.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
};
use serde::{Deserialize, Serialize};

use crate::request::{Exit, Request};
use crate::terminal::Size;

/// The largest message; ids are short and everything long travels as a descriptor.
const MESSAGE_BYTES_MAX: usize = 4096;
/// The longest request that travels in a message; quotes and lines grow a little on the way.
pub(crate) const INLINE_BYTES_MAX: usize = 2048;
/// Descriptors beside one message.
const DESCRIPTORS_MAX: usize = crate::launch::SCRATCH.len();

/// What a call's input and output are.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ends {
    /// Output goes through a pipe; there is no input.
    Pipe,
    /// Output goes through a pipe, input comes from a terminal.
    PipeAndTerminal,
    /// Both are a terminal of this size.
    Terminal(Size),
}

/// What the keeper orders. `Run` comes with the request: a short one in the message, a long one as a file beside it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    Run {
        call: String,
        ends: Ends,
        /// Nothing may be written: the workspace is over its limit.
        full: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request: Option<Request>,
    },
    /// Asks everything that the call started to end.
    Ask { call: String },
    /// Ends it.
    Insist { call: String },
}

/// What is reported. `Ready` comes with the folders in memory, to be looked at. `Started` comes with the reading end of the output, the terminal, or both in this order.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Report {
    /// PID 1 has looked at itself and is as it has to be.
    Ready {
        /// The kernel took the second lock on files.
        second_lock: bool,
    },
    Started {
        call: String,
    },
    Failed {
        call: String,
        reason: String,
        /// No further process was to be had.
        crowded: bool,
    },
    /// The command itself is over; what it left behind may go on.
    Exited {
        call: String,
        exit: Exit,
        /// And it has left nothing behind: no [`Report::Gone`] follows.
        alone: bool,
    },
    /// Nothing of the call is left.
    Gone {
        call: String,
    },
}

pub(crate) fn send<T: Serialize>(to: impl AsFd, message: &T, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let body = serde_json::to_vec(message)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !beside.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    rustix::net::sendmsg(to, &[IoSlice::new(&body)], &mut beside, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// The next message with its descriptors; nothing if the other side is gone.
pub(crate) fn receive<T: for<'de> Deserialize<'de>>(from: impl AsFd) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    let mut body = [0; MESSAGE_BYTES_MAX];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC;
    let bytes = rustix::net::recvmsg(from, &mut [IoSliceMut::new(&mut body)], &mut beside, flags)?.bytes;
    if bytes == 0 {
        return Ok(None);
    }
    let mut descriptors = Vec::new();
    for message in beside.drain() {
        if let RecvAncillaryMessage::ScmRights(sent) = message {
            descriptors.extend(sent);
        }
    }
    Ok(Some((serde_json::from_slice(&body[..bytes])?, descriptors)))
}
