//! Watches a box that no control group holds, as far as that can be done from outside: its memory, and how many processes it has. It looks beside the keeper, because what there is to look at is up to whoever is looked at.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use super::aside::Aside;
use crate::confinement::Hold;
use crate::inside;
use crate::spec::Limits;

/// How often it is looked at while something runs in it.
const LOOK: Duration = Duration::from_millis(500);
/// Looking may take one part in this of the time,
const DUTY: u32 = 20;
/// and in this where all the memory may be taken soon: whoever makes looking slow must not gain by it.
const DUTY_WHEN_NEAR: u32 = 2;
/// Processes that may be gone when they are counted: the one that was refused another, and who watched over it.
const GONE: u64 = 4;

pub(super) struct Groupless {
    /// PID 1 of the box, as the host numbers it.
    init: i32,
    /// What no group holds.
    memory_bytes: Option<u64>,
    processes: Option<u64>,
    looking: Option<Aside<3>>,
    /// When the last look began, how long it took, how much was held, and what the machine had left then.
    began: Instant,
    took: Duration,
    held: u64,
    available: u64,
    /// When it is seen whether one is due.
    next: Option<Instant>,
    /// Processes ended because the memory was used up.
    pub(super) ended: u64,
    /// Looks at which all processes were there that may be.
    pub(super) crowded: u64,
}

impl Groupless {
    /// Nothing where the groups hold all.
    pub(super) fn of(limits: &Limits, (memory, processes): (Hold, Hold), init: i32) -> Option<Self> {
        let memory_bytes = (memory == Hold::Own).then_some(limits.memory_bytes);
        let processes = (processes == Hold::Own).then_some(limits.processes);
        (memory_bytes.is_some() || processes.is_some()).then(|| Self {
            init,
            memory_bytes,
            processes,
            looking: None,
            began: Instant::now(),
            took: Duration::ZERO,
            held: 0,
            available: inside::available(),
            next: None,
            ended: 0,
            crowded: 0,
        })
    }

    /// A call begins.
    pub(super) fn begins(&mut self) {
        self.next.get_or_insert_with(|| Instant::now() + LOOK);
    }

    /// Becomes readable when a look is done.
    pub(super) fn source(&self) -> Option<BorrowedFd<'_>> {
        self.looking.as_ref().map(Aside::source)
    }

    /// Also while one is at work: not everybody waits for its source.
    pub(super) fn due(&self, active: bool) -> Option<Instant> {
        self.next.filter(|_| active)
    }

    /// Takes what a look found, or begins one if it is time.
    pub(super) fn look(&mut self, active: bool) {
        if let Some(told) = self.looking.as_mut().and_then(Aside::told) {
            self.looking = None;
            self.took = self.began.elapsed();
            if let Some([held, ended, crowded]) = told {
                self.held = held;
                self.ended += ended;
                self.crowded += crowded;
            }
        }
        if !active {
            self.next = None;
        }
        let now = Instant::now();
        if self.next.is_none_or(|next| next > now) {
            return;
        }
        self.next = Some(now + LOOK);
        if self.looking.is_some() {
            return;
        }
        let available = inside::available();
        if self.began.elapsed() < self.pause(available) {
            return;
        }
        (self.began, self.available) = (now, available);
        let (init, memory_bytes, processes) = (self.init, self.memory_bytes, self.processes);
        self.looking = Aside::begin(None, || Ok(look(init, memory_bytes, processes))).ok();
    }

    /// From the beginning of one look to that of the next.
    fn pause(&self, available: u64) -> Duration {
        let near = self.memory_bytes.is_some_and(|most| {
            let left = most.saturating_sub(self.held);
            self.held > left || self.available.saturating_sub(available) > left / 2
        });
        self.took * if near { DUTY_WHEN_NEAR } else { DUTY }
    }

    pub(super) fn is_crowded(&self) -> bool {
        self.processes.is_some_and(|most| is_crowded(self.init, most))
    }
}

/// Whether as many processes are there as may be.
fn is_crowded(init: i32, most: u64) -> bool {
    let there = u64::try_from(inside::processes(init).len()).unwrap_or(u64::MAX);
    there.saturating_add(GONE) >= most
}

/// How much memory is held; whether one was ended for it, as the kernel would do, a little later: the largest goes; and whether
/// all processes are there that may be.
fn look(init: i32, memory_bytes: Option<u64>, processes: Option<u64>) -> [u64; 3] {
    let (mut bytes, mut ended) = (0, false);
    if let Some(most) = memory_bytes {
        let held = inside::memory(init, most);
        ended = held.bytes > most && held.largest.is_some_and(|largest| inside::end(init, largest));
        bytes = held.bytes;
    }
    let crowded = processes.is_some_and(|most| is_crowded(init, most));
    [bytes, u64::from(ended), u64::from(crowded)]
}

#[cfg(test)]
mod tests {
    //! How often is looked, whatever a look takes.

    use super::{Duration, Groupless, Hold, Limits};

    #[test]
    fn a_look_that_takes_long_is_a_twentieth_of_the_time_or_half_where_the_memory_may_be_gone() {
        let limits = Limits { memory_bytes: 1 << 30, ..Limits::default() };
        let mut groupless = Groupless::of(&limits, (Hold::Own, Hold::GroupV1), 1).unwrap();
        groupless.available = 4 << 30;
        (groupless.took, groupless.held) = (Duration::from_secs(1), 100 << 20);
        assert_eq!(groupless.pause(4 << 30), Duration::from_secs(20));
        // Somebody on this machine has taken so much meanwhile.
        assert_eq!(groupless.pause(3 << 30), Duration::from_secs(2));
        groupless.held = 600 << 20;
        assert_eq!(groupless.pause(4 << 30), Duration::from_secs(2));
    }
}
