//! What is kept of a task's workspace, as its events say: which checkpoints there are, and whether the workspace may be another
//! by now. Where they lie and how they are taken is not known here.

use event::{Checkpoint, Digest, Event, TaskCreated, ToolStatus};

/// Tools that leave the workspace as it is. After any other, and whenever in doubt, it is looked at.
const LEAVE_IT_ALONE: [&str; 7] = [
    "plan_update",
    "message_notify_user",
    "message_ask_user",
    "idle",
    "file_read",
    "file_find_in_content",
    "file_find_by_name",
];

/// What the problem of a going back begins with that an engine before had begun, and that is not finished: nothing more was done.
pub(crate) const LEFT_UNFINISHED: &str = "it was begun and left, and is not finished: ";

/// The first of them have nothing to do with the computer.
const WITHOUT_COMPUTER: usize = 4;

/// Whether a tool may have a computer made.
pub(super) fn uses_computer(tool: &str) -> bool {
    !LEAVE_IT_ALONE[..WITHOUT_COMPUTER].contains(&tool)
}

/// What is kept of the workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Oldest first.
    pub checkpoints: Vec<KeptCheckpoint>,
    /// How many numbers were given.
    pub numbered: u64,
    /// The checkpoint that the workspace came from last: the newest, or the one it was set back to.
    pub last: Option<Digest>,
    /// The last event of the latest turn whose calls are all done so far, and the model's replies until then.
    pub at_seq: u64,
    pub turn: u64,
    /// Whether the workspace may be another than `last` has it.
    pub changed: bool,
    /// Why the latest state could not be kept, where that was so.
    pub missed: Option<String>,
    /// The workspace is being set back to this checkpoint, or was when its process died.
    pub restoring: Option<u64>,
}

/// A checkpoint, and when it was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptCheckpoint {
    pub checkpoint: Checkpoint,
    /// Milliseconds since 1970 (UTC).
    pub time_ms: u64,
}

/// A moment of the task, as its record has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) at_seq: u64,
    pub(crate) turn: u64,
}

impl Kept {
    /// The moment that a checkpoint taken now is of.
    pub(crate) fn moment(&self) -> Moment {
        Moment { at_seq: self.at_seq, turn: self.turn }
    }

    /// The checkpoint of this number, if it is still kept.
    pub fn numbered(&self, number: u64) -> Option<&Checkpoint> {
        self.checkpoints.iter().map(|kept| &kept.checkpoint).find(|checkpoint| checkpoint.number == number)
    }

    /// There may be files already: those that the person gave, or all of the folder that they lent.
    pub(super) fn begun(&mut self, created: &TaskCreated, seq: u64) {
        self.at_seq = seq;
        self.changed = !created.inputs.is_empty() || created.options.workspace.is_some();
    }

    /// One of the model's calls is over.
    pub(super) fn finished(&mut self, tool: &str, status: ToolStatus, seq: u64, turn: u64) {
        (self.at_seq, self.turn) = (seq, turn);
        self.changed |= match status {
            ToolStatus::Refused | ToolStatus::Invalid => false,
            ToolStatus::Ok | ToolStatus::Failed | ToolStatus::Interrupted | ToolStatus::Unknown => {
                !LEAVE_IT_ALONE.contains(&tool)
            }
        };
    }

    /// Of the other task's checkpoints this one has that it began with.
    pub(super) fn forked(&mut self, checkpoint: &Checkpoint, time_ms: u64) {
        self.checkpoints = vec![KeptCheckpoint { checkpoint: *checkpoint, time_ms }];
        self.numbered = checkpoint.number;
        self.last = Some(checkpoint.digest);
        (self.changed, self.missed, self.restoring) = (false, None, None);
    }

    /// Folds in an event that is about checkpoints. Others change nothing here.
    pub(super) fn apply(&mut self, event: &Event, time_ms: u64) {
        if let Event::CheckpointTaken { checkpoint } = event {
            self.checkpoints.push(KeptCheckpoint { checkpoint: *checkpoint, time_ms });
            self.numbered = self.numbered.max(checkpoint.number);
            self.last = Some(checkpoint.digest);
            self.changed &= checkpoint.at_seq < self.at_seq;
            self.missed = None;
        } else if let Event::CheckpointMissed { reason, .. } = event {
            self.missed = Some(reason.clone());
        } else if let Event::CheckpointsLetGo { numbers } = event {
            self.checkpoints.retain(|kept| !numbers.contains(&kept.checkpoint.number));
        } else if let Event::RestoreBegun { number, .. } = event {
            self.restoring = Some(*number);
        } else if let Event::WorkspaceRestored { number, differing, problem, .. } = event {
            self.restoring = None;
            if !problem.as_deref().is_some_and(|problem| problem.starts_with(LEFT_UNFINISHED)) {
                self.last = self.numbered(*number).map(|checkpoint| checkpoint.digest).or(self.last);
            }
            self.changed = *differing > 0 || problem.is_some();
        }
    }
}
