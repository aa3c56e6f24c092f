//! Looks after the limits of one computer: tells which one a call met, in words, and holds those that no kernel limit holds. It ends nothing itself; the table does what it says.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Instant;

use super::brim::{Brim, Occasions};
use super::groupless::Groupless;
use super::room::Room;
use crate::ComputerSpec;
use crate::group::{Counts, Group};
use crate::met::Met;
use crate::request::Exit;
use crate::spec::Limits;

/// Tenths of a second in which a call was held back before it is told of the cap: less is no reason for anything.
const HELD_BACK_MIN: u64 = 20;

pub(super) struct Warden {
    limits: Limits,
    group: Group,
    groupless: Option<Groupless>,
    room: Option<Room>,
    brim: Brim,
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
    pub(super) fn new(spec: &ComputerSpec, group: Group, inside: (i32, Vec<OwnedFd>)) -> Self {
        let room = Room::of(spec, inside.0);
        Self { room, ..Self::of_browser(&spec.limits, group, inside) }
    }

    /// That of a browser's box, which has no workspace.
    pub(super) fn of_browser(limits: &Limits, group: Group, (init, scratch): (i32, Vec<OwnedFd>)) -> Self {
        let brim = Brim::new(limits, scratch, init);
        let groupless = Groupless::of(limits, (group.holds.memory, group.holds.processes), init);
        Self { limits: limits.clone(), group, groupless, room: None, brim }
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
        let Some(Groupless { ended, crowded, .. }) = &self.groupless else { return counts };
        Counts { oom_kills: counts.oom_kills + ended, refused_forks: counts.refused_forks + crowded, ..counts }
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
        let crowd = exit != Exit::Code(0) && self.groupless.as_ref().is_some_and(Groupless::is_crowded);
        let peaked = now.processes_peak > before.processes_peak && now.processes_peak >= limits.processes;
        if now.refused_forks > before.refused_forks || peaked || crowd {
            met.push(self.crowd());
        }
        if let Some(percent) = limits.cpu_percent.filter(|_| now.held_back >= before.held_back + HELD_BACK_MIN) {
            met.push(Met::Processor { percent });
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

    /// They become readable when a look beside the keeper is done.
    pub(super) fn sources(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let room = self.room.as_ref().and_then(Room::source);
        room.into_iter().chain(self.groupless.as_ref().and_then(Groupless::source))
    }

    /// The next moment at which something is to be looked at; `active` says whether anything runs.
    pub(super) fn due(&self, active: bool) -> Option<Instant> {
        let groupless = self.groupless.as_ref().and_then(|groupless| groupless.due(active));
        let room = self.room.as_ref().and_then(|room| room.due(active));
        groupless.into_iter().chain(room).chain(self.brim.due(active)).min()
    }

    /// A call begins.
    pub(super) fn begins(&mut self) {
        if let Some(groupless) = &mut self.groupless {
            groupless.begins();
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
        if let Some(groupless) = &mut self.groupless {
            groupless.look(active);
        }
        self.brim.look(active);
        self.room.as_mut().and_then(|room| room.look(active)).map(Verdict::EndAll)
    }

    /// Ends whatever is left and lets the groups go.
    pub(super) fn leave(&mut self) {
        self.group.remove();
    }
}
