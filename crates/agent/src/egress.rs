//! The gate of a task's computer: carries what the proxy's threads ask and tell to the loop, which alone decides and records, and
//! the loop's answers back. It decides nothing itself.

use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use sandbox::egress::{Admitted, Attempt, Closed, EgressGate, Refusal};
use tokio::sync::mpsc;

use crate::limits::{GONE_LOOK_MS, REACH_WAIT_MS};

/// What a thread of the proxy says to the loop.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A program wants to connect; the thread waits for the answer.
    Wanted(Attempt, Answer),
    /// The proxy itself refused.
    Refused(Attempt, Refusal),
    /// A connection is over.
    Closed(Closed),
}

/// Where the loop's answer to a program goes.
#[derive(Debug)]
pub(crate) struct Answer {
    to: SyncSender<Result<Admitted, Refusal>>,
    waits: Weak<()>,
}

impl Answer {
    /// Whether the program still waits.
    pub(crate) fn is_awaited(&self) -> bool {
        self.waits.strong_count() > 0
    }

    /// Gives the answer; whether somebody took it.
    pub(crate) fn give(self, answer: Result<Admitted, Refusal>) -> bool {
        self.is_awaited() && self.to.send(answer).is_ok()
    }
}

/// The proxy's side.
#[derive(Debug)]
pub(crate) struct Gate {
    to_loop: mpsc::Sender<Heard>,
}

impl Gate {
    pub(crate) fn new(to_loop: mpsc::Sender<Heard>) -> Self {
        Self { to_loop }
    }
}

impl EgressGate for Gate {
    fn admit(&self, attempt: &Attempt, gone: &dyn Fn() -> bool) -> Result<Admitted, Refusal> {
        let over = || Refusal::new("egress.over", "nobody works on the task any more");
        let (to, answered) = sync_channel(1);
        let waits = Arc::new(());
        let answer = Answer { to, waits: Arc::downgrade(&waits) };
        self.to_loop.blocking_send(Heard::Wanted(attempt.clone(), answer)).map_err(|_| over())?;
        let until = Instant::now() + Duration::from_millis(REACH_WAIT_MS);
        let refusal = loop {
            match answered.recv_timeout(Duration::from_millis(GONE_LOOK_MS)) {
                Ok(answer) => return answer,
                Err(RecvTimeoutError::Disconnected) => return Err(over()),
                Err(RecvTimeoutError::Timeout) if gone() => {
                    break Refusal::new("egress.gone", "the program did not wait for the answer");
                }
                Err(RecvTimeoutError::Timeout) if Instant::now() >= until => {
                    break Refusal::new("egress.unanswered", "nobody has said yet whether this may be reached");
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        };
        drop(waits);
        self.refused(attempt, &refusal);
        Err(refusal)
    }

    fn refused(&self, attempt: &Attempt, refusal: &Refusal) {
        let _ = self.to_loop.blocking_send(Heard::Refused(attempt.clone(), refusal.clone()));
    }

    fn closed(&self, closed: Closed) {
        let _ = self.to_loop.blocking_send(Heard::Closed(closed));
    }
}
