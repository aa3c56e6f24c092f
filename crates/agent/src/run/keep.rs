//! Checkpoints while a task runs: one after each turn that changed the workspace, beside the next call of the model. A tool call begins
//! only when the workspace was read, so that none is of half a turn; when it is on the disk, an event says so. Nothing waits for that
//! but the end.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use event::{Digest, Event};
use tokio::task::JoinHandle;

use super::Run;
use crate::Error;
use crate::faults::Place;
use crate::keeping::{Keeper, Look, not_restored};
use crate::limits::{CHECKPOINTS_BYTES_AT_END_MAX, CHECKPOINTS_BYTES_MAX, KEEP_WAIT_MS, KEPT_AGAIN_TURNS};
use crate::retention::let_go;
use crate::state::{LEFT_UNFINISHED, Moment};

/// How often a tool call that waits for the workspace to be read looks whether it is still wanted.
const CANCEL_LOOK: Duration = Duration::from_millis(50);

/// What the loop has to do with checkpoints, as long as it holds the task.
pub(crate) struct Keeping {
    keeper: Keeper,
    /// Up to which event the workspace was looked at.
    looked: u64,
    /// A workspace that is too large is not looked at again before this turn.
    not_before: u64,
    /// Bytes of the store, as of the last checkpoint.
    store_bytes: u64,
    /// Whether what was let go last has also gone: where it has not, letting more go gives no room either.
    gone: Arc<AtomicBool>,
    /// In order; at most two, since a tool call lies between any two of them.
    line: VecDeque<Taking>,
    /// Held while one is taken or some are cleared away.
    shelf: Arc<Mutex<Shelf>>,
    /// Never held for long.
    named: Arc<Mutex<Named>>,
    stop: Arc<AtomicBool>,
}

/// What was taken lately, recorded or not.
#[derive(Default)]
struct Shelf {
    last: Option<Digest>,
    taken: Vec<Digest>,
}

/// What the record has by now.
#[derive(Default)]
struct Named {
    kept: Vec<Digest>,
    /// Those recorded since the last look: they still lie on the shelf.
    recorded: Vec<Digest>,
}

impl Named {
    /// What a tidying must leave: what is kept and what is still to be recorded. Of the moment when it begins, not of the one when it
    /// was asked for: of two, either may come first.
    fn needed(&mut self, shelf: &mut Shelf) -> Vec<Digest> {
        for digest in self.recorded.drain(..) {
            if let Some(at) = shelf.taken.iter().position(|taken| *taken == digest) {
                shelf.taken.remove(at);
            }
        }
        self.kept.iter().chain(&shelf.taken).copied().collect()
    }
}

struct Taking {
    at_seq: u64,
    unread: Unread,
    look: JoinHandle<Look>,
}

impl Keeping {
    pub(super) fn new(keeper: Keeper, last: Option<Digest>) -> Self {
        Self {
            keeper,
            looked: 0,
            not_before: 0,
            store_bytes: 0,
            gone: Arc::new(AtomicBool::new(true)),
            line: VecDeque::new(),
            shelf: Arc::new(Mutex::new(Shelf { last, taken: Vec::new() })),
            named: Arc::default(),
            stop: Arc::default(),
        }
    }

    /// What a tool call has to wait for before it begins.
    pub(super) fn unread(&self) -> Option<Unread> {
        self.line.back().map(|taking| taking.unread.clone())
    }

    /// Whether one is being taken.
    pub(super) fn is_at_work(&self) -> bool {
        !self.line.is_empty()
    }

    fn start(&mut self, moment: Moment) {
        let unread = Unread::default();
        let (keeper, shelf, stop) = (self.keeper.clone(), Arc::clone(&self.shelf), Arc::clone(&self.stop));
        let opens = Opens(unread.clone());
        let look = tokio::task::spawn_blocking(move || {
            let mut shelf = shelf.lock().unwrap_or_else(PoisonError::into_inner);
            let look = keeper.take(shelf.last, moment, &stop, &mut || opens.0.open());
            if let Look::Taken { checkpoint, .. } = &look {
                shelf.last = Some(checkpoint.digest);
                shelf.taken.push(checkpoint.digest);
            }
            look
        });
        self.looked = moment.at_seq;
        self.line.push_back(Taking { at_seq: moment.at_seq, unread, look });
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        // Whoever takes the task up next looks again.
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Waits for the oldest one that is being taken.
pub(super) async fn kept(keeping: &mut Keeping) -> (u64, Look) {
    let Some(taking) = keeping.line.front_mut() else { return std::future::pending().await };
    let look = (&mut taking.look).await.unwrap_or_else(|error| Look::Failed(format!("keep the workspace: {error}")));
    let at_seq = taking.at_seq;
    keeping.line.pop_front();
    (at_seq, look)
}

impl Run<'_> {
    /// Begins to keep the workspace, if a turn is over that may have changed it.
    pub(super) fn keep_turn(&mut self) {
        let (state, keeping) = (&self.record.state, &mut self.keeping);
        let kept = &state.kept;
        let due = kept.changed && kept.at_seq > keeping.looked && kept.turn >= keeping.not_before;
        if due && state.between_turns() && state.ended.is_none() {
            keeping.start(kept.moment());
        }
    }

    /// Records what came of one.
    pub(super) fn kept(&mut self, at_seq: u64, look: Look) -> Result<(), Error> {
        let kept = &self.record.state.kept;
        let missed = |reason: String| {
            (kept.missed.as_ref() != Some(&reason)).then_some(Event::CheckpointMissed { at_seq, reason })
        };
        let event = match look {
            Look::Taken { mut checkpoint, store_bytes } => {
                checkpoint.number = kept.numbered + 1;
                self.keeping.store_bytes = store_bytes;
                Some(Event::CheckpointTaken { checkpoint })
            }
            Look::TooLarge(reason) => {
                self.keeping.not_before = kept.turn + KEPT_AGAIN_TURNS;
                missed(reason)
            }
            Look::Failed(reason) => missed(reason),
            Look::Same | Look::Stopped => None,
        };
        let Some(event) = event else { return Ok(()) };
        let recorded = if let Event::CheckpointTaken { checkpoint } = &event { Some(checkpoint.digest) } else { None };
        self.append(vec![event])?;
        self.name(recorded);
        self.crash_at(Place::Kept)?;
        self.let_go(CHECKPOINTS_BYTES_MAX)
    }

    /// Lets older ones go where there are too many or they take too much room, one step of it.
    fn let_go(&mut self, bytes_max: u64) -> Result<(), Error> {
        let gone = self.keeping.gone.load(Ordering::Relaxed);
        let room = self.keeping.store_bytes <= bytes_max || !gone;
        let numbers = let_go(&self.record.state.kept.checkpoints, room);
        if numbers.is_empty() {
            if !gone {
                drop(self.tidy());
            }
            return Ok(());
        }
        // On record first: what is let go and still there is debris, and never the other way round.
        self.append(vec![Event::CheckpointsLetGo { numbers }])?;
        // Until it has gone, which may wait for one that is being taken.
        self.keeping.gone.store(false, Ordering::Relaxed);
        drop(self.tidy());
        Ok(())
    }

    /// Takes away what the record does not name. Bytes of the store afterwards, if it came to that.
    fn tidy(&mut self) -> JoinHandle<Option<u64>> {
        let (keeper, shelf) = (self.keeping.keeper.clone(), Arc::clone(&self.keeping.shelf));
        let (named, gone) = (Arc::clone(&self.keeping.named), Arc::clone(&self.keeping.gone));
        self.name(None);
        tokio::task::spawn_blocking(move || {
            let mut shelf = shelf.lock().unwrap_or_else(PoisonError::into_inner);
            let keep = named.lock().unwrap_or_else(PoisonError::into_inner).needed(&mut shelf);
            let tidied = keeper.tidy(&keep, !gone.load(Ordering::Relaxed));
            gone.store(tidied, Ordering::Relaxed);
            tidied.then(|| keeper.store.bytes().unwrap_or(0))
        })
    }

    /// Says what the record has by now, to whoever tidies.
    fn name(&mut self, recorded: Option<Digest>) {
        let kept = self.kept_digests();
        let mut named = self.keeping.named.lock().unwrap_or_else(PoisonError::into_inner);
        named.kept = kept;
        named.recorded.extend(recorded);
    }

    fn kept_digests(&self) -> Vec<Digest> {
        self.record.state.kept.checkpoints.iter().map(|kept| kept.checkpoint.digest).collect()
    }

    /// Waits for those that are being taken, before the loop leaves the task or ends it.
    pub(super) async fn keep_all(&mut self) -> Result<(), Error> {
        let patience = tokio::time::sleep(Duration::from_millis(KEEP_WAIT_MS));
        tokio::pin!(patience);
        while self.keeping.is_at_work() {
            tokio::select! {
                (at_seq, look) = kept(&mut self.keeping) => self.kept(at_seq, look)?,
                () = &mut patience, if !patience.is_elapsed() => self.keeping.stop.store(true, Ordering::Relaxed),
            }
        }
        Ok(())
    }

    /// What has to be done before the event that ends the task.
    pub(super) async fn keep_at_end(&mut self) -> Result<(), Error> {
        self.keep_all().await?;
        loop {
            let Some(bytes) = self.tidy().await.unwrap_or(None) else { return Ok(()) };
            self.keeping.store_bytes = bytes;
            let room = self.keeping.store_bytes <= CHECKPOINTS_BYTES_AT_END_MAX;
            if room || self.record.state.kept.checkpoints.len() <= 1 {
                return Ok(());
            }
            self.let_go(CHECKPOINTS_BYTES_AT_END_MAX)?;
        }
    }

    /// Finishes what an engine before this one had begun and left: a workspace in between, and what its death left in the store.
    pub(super) async fn keep_from_before(&mut self) -> Result<(), Error> {
        let kept = self.record.state.kept.clone();
        let (keeper, keep) = (self.keeping.keeper.clone(), self.kept_digests());
        let before = tokio::task::spawn_blocking(move || {
            keeper.tidy(&keep, false);
            let number = kept.restoring?;
            // Somebody may have worked there since: it is kept like what was there when it began.
            let moment = kept.moment();
            Some((number, keeper.keep_before(&kept, moment, number)))
        });
        let Ok(Some((number, before))) = before.await else { return Ok(()) };
        let restored = match before {
            Ok(taken) => {
                self.append(taken.into_iter().collect())?;
                self.record.sync_handle().sync().map_err(Error::Journal)?;
                let (keeper, kept) = (self.keeping.keeper.clone(), self.record.state.kept.clone());
                let restored = tokio::task::spawn_blocking(move || keeper.restore(&kept, number));
                let Ok(restored) = restored.await else { return Ok(()) };
                restored
            }
            Err(reason) => not_restored(number, format!("{LEFT_UNFINISHED}{reason}")),
        };
        self.append(vec![restored])?;
        self.keeping.shelf.lock().unwrap_or_else(PoisonError::into_inner).last = self.record.state.kept.last;
        Ok(())
    }
}

/// A workspace that is being read: nothing may change it until that is over.
#[derive(Clone, Default)]
pub(super) struct Unread(Arc<(Mutex<bool>, Condvar)>);

impl Unread {
    fn open(&self) {
        let (read, told) = &*self.0;
        *read.lock().unwrap_or_else(PoisonError::into_inner) = true;
        told.notify_all();
    }

    /// Waits until it was read; false where the caller is not wanted any more.
    pub(super) fn wait(&self, cancel: &AtomicBool) -> bool {
        let (read, told) = &*self.0;
        let mut is_read = read.lock().unwrap_or_else(PoisonError::into_inner);
        while !*is_read {
            if cancel.load(Ordering::Relaxed) {
                return false;
            }
            is_read = told.wait_timeout(is_read, CANCEL_LOOK).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

/// Opens when the taking is over, however it ended.
struct Opens(Unread);

impl Drop for Opens {
    fn drop(&mut self) {
        self.0.open();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_tidyings_either_comes_first_and_both_leave_what_is_on_record() {
        let [first, second, third] = [1_u8, 2, 3].map(|number| Digest([number; 32]));
        let mut shelf = Shelf { last: Some(first), taken: vec![first] };
        let mut named = Named { kept: vec![first], recorded: vec![first] };
        // One tidying was asked for. Before it begins, another checkpoint comes on record, and a third is taken.
        shelf.taken.extend([second, third]);
        (named.kept, named.recorded) = (vec![first, second], vec![first, second]);
        for _ in 0..2 {
            assert_eq!(named.needed(&mut shelf), [first, second, third]);
        }
        assert_eq!(shelf.taken, [third]);
        // Let go, it is not needed any more; taken once more and not yet recorded, it is.
        named.kept = vec![second];
        assert_eq!(named.needed(&mut shelf), [second, third]);
        shelf.taken = vec![first, first];
        named.recorded = vec![first];
        assert_eq!(named.needed(&mut shelf), [second, first]);
    }
}
