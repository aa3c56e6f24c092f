//! Looks after the limits of one computer: tells which one a call met, in words, and holds those that no kernel limit holds. It ends nothing itself; the table does what it says.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use super::brim::{Brim, Occasions};
use super::room::Room;
use crate::confinement::Hold;
use crate::group::{Counts, Group};
use crate::met::Met;
use crate::request::Exit;
use crate::spec::Limits;
use crate::{ComputerSpec, inside};

/// How often a computer without groups is looked at, while something runs in it.
const LOOK: Duration = Duration::from_millis(500);

pub(super) struct Warden {
    limits: Limits,
    group: Group,
    /// PID 1 of the box, as the host numbers it.
    init: i32,
    room: Option<Room>,
    brim: Brim,
    looked: Option<Instant>,
    /// Processes ended here because the memory was used up.
    ended: u64,
    /// Looks at which all processes were there that may be.
    crowded: u64,
}

/// Where all counters stand.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Standing {
    counts: Counts,
    occasions: Occasions,
}

/// What the table must do now.
pub(super) enum Verdict {
    /// End everything that runs, for this reason.
    EndAll(Met),
}

impl Warden {
    pub(super) fn new(spec: &ComputerSpec, group: Group, (init, scratch): (i32, Vec<OwnedFd>)) -> Self {
        let room = Room::of(spec, init);
        let brim = Brim::new(&spec.limits, scratch, init);
        Self { limits: spec.limits.clone(), group, init, room, brim, looked: None, ended: 0, crowded: 0 }
    }

    /// That of a browser's box, which has no workspace.
    pub(super) fn of_browser(limits: &Limits, group: Group, (init, scratch): (i32, Vec<OwnedFd>)) -> Self {
        let brim = Brim::new(limits, scratch, init);
        Self { limits: limits.clone(), group, init, room: None, brim, looked: None, ended: 0, crowded: 0 }
    }

    /// The limits that were met since a moment, whether or not somebody has looked meanwhile.
    pub(super) fn met_now(&mut self, before: Standing) -> Vec<Met> {
        self.brim.look_at_all();
        self.met(before, Exit::Code(0))
    }

    /// Where the counters stand when a call begins.
    pub(super) fn standing(&self) -> Standing {
        Standing { counts: self.counts(), occasions: self.brim.occasions() }
    }

    fn counts(&self) -> Counts {
        let counts = self.group.counts();
        let (oom_kills, refused_forks) = (counts.oom_kills + self.ended, counts.refused_forks + self.crowded);
        Counts { oom_kills, refused_forks, ..counts }
    }

    /// The limit of open files, met once.
    pub(super) fn out_of_files(&self) -> Met {
        self.brim.out_of_files()
    }

    /// The limits that a call met from a moment to its end.
    pub(super) fn met(&mut self, before: Standing, exit: Exit) -> Vec<Met> {
        self.brim.look_at_places();
        let Standing { counts: before, occasions } = before;
        let (now, limits) = (self.counts(), &self.limits);
        let mut met = Vec::new();
        if now.oom_kills > before.oom_kills {
            met.push(Met::Memory { max_bytes: limits.memory_bytes });
        }
        // Where no group counts, a crowd that is still there tells.
        let crowd = self.group.holds.processes == Hold::Own && exit != Exit::Code(0) && self.is_crowded();
        let peaked = now.processes_peak > before.processes_peak && now.processes_peak >= limits.processes;
        if now.refused_forks > before.refused_forks || peaked || crowd {
            met.push(self.crowd());
        }
        if matches!(exit, Exit::Signal(libc::SIGXFSZ)) || exit == Exit::Code(128 + libc::SIGXFSZ) {
            let full = self.room.as_ref().and_then(Room::full);
            met.push(full.unwrap_or(Met::FileSize { max_bytes: limits.file_bytes }));
        }
        met.extend(self.brim.met(occasions, exit));
        met
    }

    /// As many processes as may be are there.
    pub(super) fn crowd(&self) -> Met {
        Met::Processes { max: self.limits.processes }
    }

    /// Whether nothing can be written to the workspace.
    pub(super) fn is_full(&self) -> bool {
        self.room.as_ref().and_then(Room::full).is_some()
    }

    /// Becomes readable when a count of the workspace is done.
    pub(super) fn source(&self) -> Option<BorrowedFd<'_>> {
        self.room.as_ref().and_then(Room::source)
    }

    /// The next moment at which something is to be looked at; `active` says whether anything runs.
    pub(super) fn due(&self, active: bool) -> Option<Instant> {
        let groupless = self.looked.filter(|_| active).map(|looked| looked + LOOK);
        let room = self.room.as_ref().and_then(|room| room.due(active));
        groupless.into_iter().chain(room).chain(self.brim.due(active)).min()
    }

    /// A call begins.
    pub(super) fn begins(&mut self) {
        let holds = &self.group.holds;
        if self.looked.is_none() && (holds.memory == Hold::Own || holds.processes == Hold::Own) {
            self.looked = Some(Instant::now());
        }
        if let Some(room) = &mut self.room {
            room.begins();
        }
        self.brim.begins();
    }

    /// A call has ended: what it did to the workspace is looked at without waiting.
    pub(super) fn ends(&mut self) {
        if let Some(room) = &mut self.room {
            room.ends();
        }
    }

    /// Looks at what is due.
    pub(super) fn look(&mut self, active: bool) -> Option<Verdict> {
        if self.looked.is_some_and(|looked| looked.elapsed() >= LOOK) {
            self.looked = active.then(Instant::now);
            if self.group.holds.memory == Hold::Own {
                self.look_at_memory();
            }
            if self.group.holds.processes == Hold::Own {
                self.crowded += u64::from(self.is_crowded());
            }
        }
        self.brim.look(active);
        self.room.as_mut().and_then(|room| room.look(active)).map(Verdict::EndAll)
    }

    /// Whether as many processes are there as may be. Some are no longer when they are counted: the one that was refused
    /// another, and who watched over it.
    fn is_crowded(&self) -> bool {
        const GONE: u64 = 4;
        let there = u64::try_from(inside::processes(self.init).len()).unwrap_or(u64::MAX);
        there.saturating_add(GONE) >= self.limits.processes
    }

    /// What the kernel would do, a little later: the largest goes.
    fn look_at_memory(&mut self) {
        let held = inside::memory(self.init, self.limits.memory_bytes);
        if let Some(largest) = held.largest.filter(|_| held.bytes > self.limits.memory_bytes)
            && inside::end(largest)
        {
            self.ended += 1;
        }
    }

    /// Ends whatever is left and lets the groups go.
    pub(super) fn leave(&mut self) {
        self.group.remove();
    }
}
