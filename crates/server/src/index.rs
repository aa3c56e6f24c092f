//! The tasks at a glance, kept while their journals do not change. A cache: it is never written down, and asks the
//! journals whenever in doubt.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agent::{Error, Instance, Listing, Stamp, Summary};
use event::TaskId;

use crate::{Place, Runner};

/// Tasks at a glance; a cheap handle. All calls block.
#[derive(Clone)]
pub struct Index {
    instance: Arc<Instance>,
    runner: Runner,
    known: Arc<Mutex<HashMap<TaskId, (Stamp, Summary)>>>,
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index").field("known", &self.known().len()).finish_non_exhaustive()
    }
}

impl Index {
    /// Nothing is read yet.
    pub fn new(instance: Arc<Instance>, runner: Runner) -> Self {
        Self { instance, runner, known: Arc::default() }
    }

    /// One task as it stands now.
    pub fn summary(&self, id: &TaskId) -> Result<Summary, Error> {
        let stamp = self.instance.stamp(id)?;
        let known = self.known().get(id).filter(|(then, _)| *then == stamp).map(|(_, summary)| summary.clone());
        let mut summary = match known {
            Some(summary) => summary,
            None => {
                // The stamp is older than what is read: at worst it is read once more.
                let summary = self.instance.summary(id)?;
                self.known().insert(id.clone(), (stamp, summary.clone()));
                summary
            }
        };
        match self.runner.place(id) {
            Some(place) => summary.stands(place == Place::Running, place == Place::Queued),
            None => summary.stands(self.instance.is_held(id)?, false),
        }
        Ok(summary)
    }

    /// All tasks, newest first.
    pub fn list(&self) -> Listing {
        let ids = self.instance.ids().unwrap_or_else(|error| {
            tracing::error!(%error, "list the tasks");
            Vec::new()
        });
        let mut listing = Listing::default();
        for id in &ids {
            match self.summary(id) {
                Ok(summary) => listing.tasks.push(summary),
                // Deleted meanwhile.
                Err(Error::NoSuchTask(_)) => {}
                Err(error) => listing.broken.push((id.clone(), error)),
            }
        }
        self.known().retain(|id, _| ids.contains(id));
        listing.tasks.sort_by(|a, b| (b.created_ms, &b.id).cmp(&(a.created_ms, &a.id)));
        listing
    }

    fn known(&self) -> MutexGuard<'_, HashMap<TaskId, (Stamp, Summary)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
