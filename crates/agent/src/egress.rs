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

    /// Gives the answer; whether somebody takes it.
    pub(crate) fn give(self, answer: Result<Admitted, Refusal>) -> bool {
        // Held on to until it is given: whoever gives up meanwhile sees that, and takes it.
        let Some(_waits) = self.waits.upgrade() else { return false };
        self.to.send(answer).is_ok()
    }

    /// Lets the program wait for a word with the others. Those who gave up are forgotten: there would be no end of them.
    pub(crate) fn wait_among(self, others: &mut Vec<(Attempt, Self)>, attempt: Attempt) {
        others.retain(|(_, other)| other.is_awaited());
        others.push((attempt, self));
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
        let given = match Arc::into_inner(waits) {
            Some(()) => answered.try_recv().ok(),
            // Somebody is just giving it.
            None => answered.recv().ok(),
        };
        given.unwrap_or_else(|| {
            self.refused(attempt, &refusal);
            Err(refusal)
        })
    }

    fn refused(&self, attempt: &Attempt, refusal: &Refusal) {
        let _ = self.to_loop.blocking_send(Heard::Refused(attempt.clone(), refusal.clone()));
    }

    fn closed(&self, closed: Closed) {
        let _ = self.to_loop.blocking_send(Heard::Closed(closed));
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use sandbox::egress::{Grant, Host, Way};

    use super::*;
    use crate::limits::GRANT;

    fn attempt() -> Attempt {
        Attempt { way: Way::Http, host: Host::Name("shop.test".to_owned()), port: 80 }
    }

    #[test]
    fn an_answer_that_was_given_is_taken_though_the_program_gives_up_just_then() {
        for allowed in [true, false] {
            let (to_loop, heard) = mpsc::channel(4);
            let heard = RefCell::new(heard);
            let gives_up = || {
                let Ok(Heard::Wanted(_, answer)) = heard.borrow_mut().try_recv() else { panic!("nobody asked") };
                let admitted = Admitted { number: 7, grant: Arc::new(Grant::new(1, None, GRANT)) };
                assert!(answer.give(if allowed {
                    Ok(admitted)
                } else {
                    Err(Refusal::new("no", "the person said no"))
                }));
                true
            };
            let said = Gate::new(to_loop).admit(&attempt(), &gives_up);
            assert_eq!(
                said.map(|admitted| admitted.number).map_err(|no| no.rule),
                if allowed { Ok(7) } else { Err("no".to_owned()) }
            );
            assert!(heard.borrow_mut().try_recv().is_err(), "it is told once how it went");
        }
    }

    #[test]
    fn programs_that_gave_up_do_not_wait_on() {
        let mut others = Vec::new();
        let still = Arc::new(());
        for number in 0..100 {
            let gone = Arc::new(());
            let waits = Arc::downgrade(if number == 50 { &still } else { &gone });
            Answer { to: sync_channel(1).0, waits }.wait_among(&mut others, attempt());
        }
        assert_eq!(others.len(), 2, "the one who waits, and the last");
    }
}
