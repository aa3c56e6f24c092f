//! What the journal says of a checkpoint: what it is called, which moment it is of, what it comes to. What it holds lies in a
//! store beside the journal, and its digest is the name there.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Digest, TaskId};

/// A kept state of the workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Checkpoint {
    /// Counted from 1 in each task; a number is never given again.
    pub number: u64,
    /// It is the workspace as it was after this event: the last of a turn.
    pub at_seq: u64,
    /// Model replies until then.
    pub turn: u64,
    /// The SHA-256 of its manifest, and through it of everything it holds.
    pub digest: Digest,
    /// Regular files.
    pub files: u64,
    /// Bytes of the files.
    pub bytes: u64,
    /// What differs from the checkpoint before, in files, folders and links.
    pub changes: Changes,
    /// Bytes that the store has grown by.
    pub stored_bytes: u64,
    /// Things that are there and not kept: sockets, pipes, devices, what could not be read.
    pub left_out: u64,
    /// Places that were written to while they were read, so that what is kept of them may be no moment's state.
    pub disturbed: u64,
}

/// Where a task comes from that began as a copy of another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ForkOrigin {
    /// The other task.
    pub task: TaskId,
    /// The last of its events that stands in this record as well, under the same number.
    pub at_seq: u64,
    /// The hash of that event in the other record, and through it of all before.
    pub head: Digest,
    /// The state of its workspace that this task began with.
    pub checkpoint: Checkpoint,
}

/// What differs between two states of a workspace, in files, folders and links.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Changes {
    pub added: u64,
    pub changed: u64,
    pub removed: u64,
}
