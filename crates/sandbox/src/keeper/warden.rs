//! Looks after the limits of one computer: tells which one a call met, in words, and holds those that no kernel limit holds. It ends nothing itself; the table does what it says.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use super::room::Room;
use crate::confinement::Hold;
use crate::group::{Counts, Group};
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
    looked: Option<Instant>,
    /// Processes ended here because the memory was used up.
    ended: u64,
    /// Looks at which all processes were there that may be.
    crowded: u64,
}

/// What the table must do now.
pub(super) enum Verdict {
    /// End everything that runs, for this reason.
    EndAll(String),
}

impl Warden {
    pub(super) fn new(spec: &ComputerSpec, group: Group, init: i32) -> Self {
        let room = Room::of(spec, init);
        Self { limits: spec.limits.clone(), group, init, room, looked: None, ended: 0, crowded: 0 }
    }

    /// Where the counters stand when a call begins.
    pub(super) fn counts(&self) -> Counts {
        let counts = self.group.counts();
        let (oom_kills, refused_forks) = (counts.oom_kills + self.ended, counts.refused_forks + self.crowded);
        Counts { oom_kills, refused_forks, ..counts }
    }

    /// The limits that a call met between two moments, in words.
    pub(super) fn met(&self, before: Counts, exit: Exit) -> Vec<String> {
        let (now, limits) = (self.counts(), &self.limits);
        let mut met = Vec::new();
        if now.oom_kills > before.oom_kills {
            met.push(format!(
                "memory: everything in the computer together may hold {}; a program that wanted more was ended",
                size(limits.memory_bytes)
            ));
        }
        // Where no group counts, a crowd that is still there tells.
        let crowd = self.group.holds.processes == Hold::Own && exit != Exit::Code(0) && self.is_crowded();
        let peaked = now.processes_peak > before.processes_peak && now.processes_peak >= limits.processes;
        if now.refused_forks > before.refused_forks || peaked || crowd {
            met.push(format!("processes: {} may run at one time; more were refused", limits.processes));
        }
        if matches!(exit, Exit::Signal(libc::SIGXFSZ)) || exit == Exit::Code(128 + libc::SIGXFSZ) {
            met.push(match self.room.as_ref().and_then(Room::full) {
                Some(full) => full,
                None => format!("file size: no file may be larger than {}", size(limits.file_bytes)),
            });
        }
        met
    }

    /// Why nothing can be written to the workspace, if nothing can.
    pub(super) fn full(&self) -> Option<String> {
        self.room.as_ref().and_then(Room::full)
    }

    /// Becomes readable when a count of the workspace is done.
    pub(super) fn source(&self) -> Option<BorrowedFd<'_>> {
        self.room.as_ref().and_then(Room::source)
    }

    /// The next moment at which something is to be looked at; `active` says whether anything runs.
    pub(super) fn due(&self, active: bool) -> Option<Instant> {
        let groupless = self.looked.filter(|_| active).map(|looked| looked + LOOK);
        let room = self.room.as_ref().and_then(|room| room.due(active));
        groupless.into_iter().chain(room).min()
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

    /// Waits until nothing is counted beside this thread.
    pub(super) fn be_alone(&mut self) {
        if let Some(room) = &mut self.room {
            room.be_alone();
        }
    }

    /// Ends whatever is left and lets the groups go.
    pub(super) fn leave(&mut self) {
        self.group.remove();
    }
}

/// A size for a person.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    for (name, unit) in UNITS {
        if bytes >= unit {
            let tenths = bytes.saturating_mul(10) / unit;
            return if tenths.is_multiple_of(10) {
                format!("{} {name}", tenths / 10)
            } else {
                format!("{}.{} {name}", tenths / 10, tenths % 10)
            };
        }
    }
    format!("{bytes} bytes")
}
