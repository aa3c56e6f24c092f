//! Patience with the frames of a page: one for all of them, so that many that say nothing take no longer than one. A process
//! that said nothing once is asked nothing more, whatever other frames it has.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{Browser, Error, Result};

/// What is left of it.
#[derive(Debug)]
pub(crate) struct Patience {
    until: Instant,
    silent: HashSet<String>,
}

impl Patience {
    /// So long for all that is asked.
    pub(crate) fn of(within: Duration) -> Self {
        Self { until: Instant::now() + within, silent: HashSet::new() }
    }

    /// How long a process may still take; nothing if it is not asked any more.
    fn left(&self, session: &str) -> Option<Duration> {
        let left = self.until.saturating_duration_since(Instant::now());
        (!left.is_zero() && !self.silent.contains(session)).then_some(left)
    }
}

impl Browser {
    /// Runs one of our functions in a frame, at most so long, while there is patience for it.
    pub(crate) fn run_patiently(
        &self,
        patience: &mut Patience,
        (target, frame): (&str, &str),
        call: &str,
        args: &[Value],
        within: Duration,
    ) -> Result<Value> {
        self.patiently(patience, (target, frame), |left| self.run(target, frame, call, args, left.min(within)))
    }

    /// Does something that a frame has to answer, while there is patience for it.
    pub(crate) fn patiently<T>(
        &self,
        patience: &mut Patience,
        (target, frame): (&str, &str),
        ask: impl FnOnce(Duration) -> Result<T>,
    ) -> Result<T> {
        let session = self.line.state(|state| state.tab(target)?.frames.get(frame).map(|frame| frame.session.clone()));
        let session = session.unwrap_or_default();
        let Some(left) = patience.left(&session) else {
            return Err(Error::Silent { what: "say what is in it".to_owned(), seconds: 0 });
        };
        let answer = ask(left);
        if let Err(Error::Silent { .. }) = answer {
            patience.silent.insert(session);
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_said_nothing_once_is_asked_no_more_and_nobody_once_the_time_is_over() {
        let mut patience = Patience::of(Duration::from_secs(60));
        assert!(patience.left("a").is_some());
        patience.silent.insert("a".to_owned());
        assert!(patience.left("a").is_none() && patience.left("b").is_some());
        assert!(Patience::of(Duration::ZERO).left("b").is_none());
    }
}
