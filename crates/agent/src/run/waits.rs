//! What the loop waits for beside its effects: a sender who holds it still, and a look at a folder that was lent. It decides
//! nothing.

use std::time::Duration;

use event::Event;

use super::Run;
use crate::control::{Answer, Incoming};
use crate::handover::Look;
use crate::limits::HOLD_LOOK_MS;

/// The loop's side of a hold: it waits here, until the sender lets go or somebody wants something.
pub(crate) async fn stand_still(incoming: Incoming, is_wanted: impl Fn() -> bool) {
    let Some(mut held) = incoming.held else { return };
    let say = |accepted, text: &str| {
        drop(incoming.answer.try_send(Answer { accepted, text: text.to_owned(), because: None }))
    };
    say(true, "it stands still");
    let mut looking = tokio::time::interval(Duration::from_millis(HOLD_LOOK_MS));
    let stood = loop {
        tokio::select! {
            biased;
            // Also what came a moment before the end.
            _ = &mut held => break !is_wanted(),
            _ = looking.tick() => if is_wanted() { break false },
        }
    };
    say(stood, if stood { "it stood still" } else { "somebody wanted something of it" });
}

impl Run<'_> {
    /// The event that ends a task, after what has to be said before it.
    pub(super) async fn with_autorun(&self, event: Event) -> Vec<Event> {
        let mut events = vec![event];
        if matches!(events[0], Event::TaskEnded { .. })
            && let Some(look) = Look::of(&self.record.state, &self.place.task_dir)
            // A large folder takes its time, and other tasks share this thread.
            && let Ok(Some(changed)) = tokio::task::spawn_blocking(move || look.changed()).await
        {
            events.insert(0, changed);
        }
        events
    }
}
