//! What engines and keepers that were killed left behind: found, counted and taken away. No task, record or file of one is touched.

use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use event::TaskId;

use crate::delete::GONE;
use crate::instance::UNMADE;
use crate::{Error, Instance};

/// A folder that was being made or removed is left to whoever was at it for this long.
const HALF_DONE: Duration = Duration::from_hours(24);

/// What engines and keepers that were killed have left behind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Left {
    /// Computers of tasks that are over.
    pub computers: usize,
    /// Sockets at which nobody answers.
    pub sockets: usize,
    /// Tasks that were being made or removed.
    pub half_done: usize,
    /// Control groups in the kernel.
    pub groups: usize,
    /// Tasks with halves of checkpoints.
    pub checkpoints: usize,
}

impl Instance {
    /// What is left behind now. Changes nothing.
    pub fn left(&self, now_ms: u64) -> Left {
        let ids = self.ids().unwrap_or_default();
        let dead = |id: &&TaskId| sandbox::has_dead_socket(&self.setup.home.task(id).computer());
        Left {
            computers: ids.iter().filter(|id| self.has_left_computer(id)).count(),
            sockets: ids.iter().filter(dead).count(),
            half_done: self.half_done(now_ms).len(),
            groups: sandbox::left_groups(),
            checkpoints: ids.iter().filter(|id| self.has_half_a_checkpoint(id)).count(),
        }
    }

    fn has_half_a_checkpoint(&self, id: &TaskId) -> bool {
        let store = sandbox::checkpoint::Store::at(self.setup.home.task(id).checkpoints());
        store.has_drafts() && !self.is_held(id).unwrap_or(true)
    }

    /// Clears the store of checkpoints of every task that nobody has in hand of what its record does not name. How many had such, and
    /// where it could not be done. Reads every record: [`Instance::clear_left`] only does it where a look tells.
    pub fn tidy_all_checkpoints(&self) -> (usize, Vec<(TaskId, Error)>) {
        let (mut tidied, mut failed) = (0, Vec::new());
        for id in self.ids().unwrap_or_default() {
            match self.tidy_checkpoints(&id) {
                Ok(had) => tidied += usize::from(had),
                // Whoever has it in hand tidies it.
                Err(Error::Held { .. }) => {}
                Err(error) => failed.push((id, error)),
            }
        }
        (tidied, failed)
    }

    /// Takes away what is left behind. Tasks go on as they would have: whether a command came to its end is not in a socket.
    pub fn clear_left(&self, now_ms: u64) -> Left {
        let before = sandbox::left_groups();
        let computers = self.end_left_computers();
        let ids = self.ids().unwrap_or_default();
        let dead = |id: &&TaskId| sandbox::clear_dead_socket(&self.setup.home.task(id).computer());
        let sockets = ids.iter().filter(dead).count();
        let half_done = self.clear_half_done(now_ms);
        let half_kept = ids.iter().filter(|id| self.has_half_a_checkpoint(id));
        let tidied = |id: &&TaskId| {
            self.tidy_checkpoints(id).unwrap_or_else(|error| {
                tracing::warn!(task = %id, %error, "checkpoints that are not needed stay where they are");
                false
            })
        };
        let checkpoints = half_kept.filter(tidied).count();
        Left { computers, sockets, half_done, groups: before.saturating_sub(sandbox::left_groups()), checkpoints }
    }

    /// Ends computers that engines left behind which died between the end of their task and that of its computer, and takes away
    /// what killed keepers left in the kernel. How many computers there were. Cheap: only what lives is looked at.
    pub fn end_left_computers(&self) -> usize {
        sandbox::clear_left_groups();
        let ids = self.ids().unwrap_or_default();
        let left = ids.iter().filter(|id| self.has_left_computer(id));
        left.filter(|id| self.end_left_computer(id).unwrap_or(false)).count()
    }

    fn has_left_computer(&self, id: &TaskId) -> bool {
        let lives = matches!(sandbox::Computer::attach(&self.setup.home.task(id).computer()), Ok(Some(_)));
        lives && !self.is_held(id).unwrap_or(true) && self.summary(id).is_ok_and(|task| task.is_over())
    }

    /// Removes what crashes left half made or half removed. It was never a task, or is none any more.
    pub fn clear_half_done(&self, now_ms: u64) -> usize {
        self.half_done(now_ms).iter().filter(|folder| sandbox::remove_tree(folder).is_ok()).count()
    }

    fn half_done(&self, now_ms: u64) -> Vec<PathBuf> {
        let before = UNIX_EPOCH + Duration::from_millis(now_ms).saturating_sub(HALF_DONE);
        let entries = std::fs::read_dir(self.setup.home.tasks()).into_iter().flatten().flatten();
        let half_done = entries.filter(|entry| {
            let name = entry.file_name();
            let ours = name.to_str().is_some_and(|name| name.starts_with(UNMADE) || name.starts_with(GONE));
            ours && entry.metadata().and_then(|data| data.modified()).is_ok_and(|changed| changed < before)
        });
        half_done.map(|entry| entry.path()).collect()
    }
}
