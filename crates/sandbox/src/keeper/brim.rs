//! Watches for two limits that the kernel holds and counts nowhere: the room of the folders in memory, and the files that one
//! process has open. It looks now and then, and so does not see what was full for a moment between two looks.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::process::Resource;

use crate::inside::OpenFiles;
use crate::launch::SCRATCH;
use crate::met::Met;
use crate::request::Exit;
use crate::spec::Limits;

/// The pause to the first look after a call began, and wherever things are on the move; each one after it is twice as long,
const SOON: Duration = Duration::from_millis(20);
/// up to this.
const LOOK: Duration = Duration::from_secs(1);
/// A look that is not urgent waits this much longer for somebody else who wakes the keeper anyway.
const COMPANY: Duration = Duration::from_millis(200);
/// Looking at processes may take one part in this of the time.
const DUTY: u32 = 20;
/// A folder is full with one part in this left, and not full any more with one part in that.
const BRIM: u64 = 1024;
const EBB: u64 = 32;
/// What falls by one part in this of what was left, from one look to the next, is looked at again soon.
const FAST: u64 = 8;
/// One more is needed by many things that need two.
const SPARE_FILES: u64 = 1;

/// Counts occasions: a limit that is met, let go and met again is two.
#[derive(Debug, Default)]
struct Edge {
    met: bool,
    times: u64,
}

impl Edge {
    fn see(&mut self, met: bool, far_off: bool) {
        if met && !self.met {
            self.times += 1;
        }
        self.met = met || self.met && !far_off;
    }

    /// Occasions after a moment. Whoever failed is told of the one that was there already, too.
    fn since(&self, before: u64, failed: bool) -> u64 {
        (self.times - before).max(u64::from(self.met && failed))
    }
}

/// How much a folder can hold of something and what is left of that.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Left {
    most: u64,
    left: u64,
}

impl Left {
    fn is_full(self) -> bool {
        self.left <= self.most / BRIM
    }

    fn is_far_off(self) -> bool {
        self.left > self.most / EBB
    }

    fn fell_fast(self, before: Self) -> bool {
        before.left.saturating_sub(self.left) > before.left / FAST
    }
}

/// A folder in memory.
struct Place {
    name: &'static str,
    folder: OwnedFd,
    bytes: (Left, Edge),
    files: (Left, Edge),
}

impl Place {
    /// True if it fills fast.
    fn look(&mut self) -> bool {
        let Ok(about) = rustix::fs::fstatvfs(&self.folder) else { return false };
        let bytes = Left {
            most: about.f_blocks.saturating_mul(about.f_frsize),
            left: about.f_bfree.saturating_mul(about.f_frsize),
        };
        let files = Left { most: about.f_files, left: about.f_ffree };
        let mut fast = false;
        for (now, (before, edge)) in [(bytes, &mut self.bytes), (files, &mut self.files)] {
            // Nought of nought is no limit.
            edge.see(now.most > 0 && now.is_full(), now.is_far_off());
            fast |= now.fell_fast(*before);
            *before = now;
        }
        fast
    }
}

/// Where the counts of occasions stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Occasions {
    scratch: [(u64, u64); SCRATCH.len()],
    open_files: u64,
}

pub(super) struct Brim {
    places: Vec<Place>,
    init: i32,
    open_files: OpenFiles,
    out_of_files: Edge,
    pause: Duration,
    next: Option<Instant>,
}

impl Brim {
    /// `scratch` are the folders of [`SCRATCH`], in that order.
    pub(super) fn new(limits: &Limits, scratch: Vec<OwnedFd>, init: i32) -> Self {
        // What is inherited may be less than what was asked for.
        let own = rustix::process::getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
        let place = |(name, folder)| Place { name, folder, bytes: <_>::default(), files: <_>::default() };
        let mut brim = Self {
            places: SCRATCH.into_iter().zip(scratch).map(place).collect(),
            init,
            open_files: OpenFiles::new(limits.open_files.min(own)),
            out_of_files: Edge::default(),
            pause: LOOK,
            next: None,
        };
        brim.look_at_places();
        brim
    }

    pub(super) fn occasions(&self) -> Occasions {
        let mut occasions = Occasions { open_files: self.out_of_files.times, ..Occasions::default() };
        for (place, times) in self.places.iter().zip(&mut occasions.scratch) {
            *times = (place.bytes.1.times, place.files.1.times);
        }
        occasions
    }

    /// The limit of open files, met once.
    pub(super) fn out_of_files(&self) -> Met {
        Met::OpenFiles { max: self.open_files.most(), times: 1 }
    }

    /// What was met since a moment.
    pub(super) fn met(&self, before: Occasions, exit: Exit) -> Vec<Met> {
        let failed = exit != Exit::Code(0);
        let mut met = Vec::new();
        let times = self.out_of_files.since(before.open_files, failed);
        if times > 0 {
            met.push(Met::OpenFiles { max: self.open_files.most(), times });
        }
        for (Place { name, bytes, files, .. }, before) in self.places.iter().zip(before.scratch) {
            let place = (*name).to_owned();
            let times = bytes.1.since(before.0, failed);
            if times > 0 {
                met.push(Met::ScratchBytes { place: place.clone(), max_bytes: bytes.0.most, times });
            }
            let times = files.1.since(before.1, failed);
            if times > 0 {
                met.push(Met::ScratchFiles { place, max: files.0.most, times });
            }
        }
        met
    }

    /// A call begins.
    pub(super) fn begins(&mut self) {
        let soon = Instant::now() + SOON;
        if self.next.is_none_or(|next| next > soon) {
            (self.pause, self.next) = (SOON, Some(soon));
        }
    }

    /// The next moment at which something is to be looked at; `active` says whether anything runs.
    pub(super) fn due(&self, active: bool) -> Option<Instant> {
        let company = if self.pause < LOOK { Duration::ZERO } else { COMPANY };
        self.next.filter(|_| active).map(|next| next + company)
    }

    pub(super) fn look(&mut self, active: bool) {
        let began = Instant::now();
        match self.next {
            Some(next) if active && began >= next => {}
            Some(_) if active => return,
            _ => {
                self.next = active.then(|| began + LOOK);
                return;
            }
        }
        let fast = self.look_at_all();
        self.pause = if fast { SOON } else { (2 * self.pause).min(LOOK) };
        self.next = Some(Instant::now() + self.pause.max(began.elapsed() * DUTY));
    }

    /// True if something fills fast.
    pub(super) fn look_at_all(&mut self) -> bool {
        let fast = self.look_at_places();
        let most = self.open_files.look(self.init);
        let limit = self.open_files.most();
        self.out_of_files.see(most + SPARE_FILES >= limit, most < limit - limit / FAST);
        fast || most > limit / 2 && !self.out_of_files.met
    }

    /// True if one of them fills fast.
    pub(super) fn look_at_places(&mut self) -> bool {
        self.places.iter_mut().fold(false, |fast, place| place.look() | fast)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(edge: &mut Edge, most: u64, left: &[u64]) -> u64 {
        for left in left.iter().map(|left| Left { most, left: *left }) {
            edge.see(left.is_full(), left.is_far_off());
        }
        edge.times
    }

    #[test]
    fn to_stay_full_is_one_occasion_and_so_is_to_tremble_at_the_brim() {
        let mut edge = Edge::default();
        assert_eq!(seen(&mut edge, 1 << 20, &[1 << 20, 1 << 19, 2048]), 0);
        assert_eq!(seen(&mut edge, 1 << 20, &[1024, 0, 0, 4096, 0, 32_768, 0, 1024, 20_000, 0]), 1);
        assert_eq!(seen(&mut edge, 1 << 20, &[32_769]), 1);
        assert_eq!(seen(&mut edge, 1 << 20, &[0, 0, 1 << 20, 0]), 3);
    }

    #[test]
    fn a_small_folder_is_full_when_nothing_is_left_and_free_when_something_is() {
        let mut edge = Edge::default();
        assert_eq!(seen(&mut edge, 20, &[20, 1]), 0);
        assert_eq!(seen(&mut edge, 20, &[0, 1, 0]), 2);
    }

    #[test]
    fn who_began_when_it_was_full_is_told_if_it_failed() {
        let mut edge = Edge::default();
        edge.see(true, false);
        let before = edge.times;
        assert_eq!((edge.since(before, false), edge.since(before, true)), (0, 1));
        edge.see(false, true);
        assert_eq!((edge.since(before, true), edge.since(0, false)), (0, 1));
    }
}
