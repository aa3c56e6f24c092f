//! What the loop waits for beside its effects: a time, a sender who holds it still, and a look at a folder that was lent. It
//! decides nothing.

use std::time::Duration;

use event::Event;
use tokio::time::Instant;

use super::Run;
use crate::control::{Answer, Incoming};
use crate::handover::Look;
use crate::limits::HOLD_LOOK_MS;

/// When the loop asks again, by the record's time and by a clock that nobody sets: the record's time stands still while the
/// machine's clock is behind it.
#[derive(Debug, Default)]
pub(super) struct Alarms(Vec<(u64, Instant)>);

impl Alarms {
    /// Sets them to these times of the record, and gives the one that rings first. One that was set before rings no later than
    /// it was to.
    pub(super) fn set(&mut self, times_ms: &[u64], now_ms: u64) -> Option<(u64, Instant)> {
        let now = Instant::now();
        let set = |at_ms: u64| {
            let by_record = now + Duration::from_millis(at_ms.saturating_sub(now_ms));
            let before = self.0.iter().find(|(known, _)| *known == at_ms).map(|(_, rings)| *rings);
            (at_ms, before.map_or(by_record, |before| before.min(by_record)))
        };
        self.0 = times_ms.iter().map(|at_ms| set(*at_ms)).collect();
        self.0.iter().copied().min_by_key(|(_, rings)| *rings)
    }
}

/// Waits for an alarm, and gives the time of the record that has come with it.
pub(super) async fn rings(alarm: Option<(u64, Instant)>) -> u64 {
    let Some((at_ms, rings)) = alarm else { return std::future::pending().await };
    tokio::time::sleep_until(rings).await;
    at_ms
}

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
