//! The room of a workspace, or of what a browser keeps, where the file system itself keeps no account of it: counted from outside, as seldom as the free space of the disk allows. Over its limit everything that runs is ended, and nothing more can be written until something was removed.

mod count;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::aside::{self, Aside};
use crate::inside;
use crate::launch::open_folder;
use crate::met::Met;
use crate::spec::{ComputerSpec, Limits, Workspace};
use crate::sys;
use count::{Used, count};

/// How often the free space is looked at while something runs.
const LOOK: Duration = Duration::from_secs(1);
/// How long a count is trusted although the free space says nothing: others may have made room meanwhile.
const TRUST: Duration = Duration::from_secs(60);
/// A count may take one part in this of the time,
const DUTY: u32 = 20;
/// and in this where all that was left may be gone: whoever fills faster than is counted must not gain by it.
const DUTY_WHEN_GONE: u32 = 2;
/// What may be added while the workspace is over its limit, so that cleaning up can move a little about.
const SLACK: Used = Used { bytes: 32 << 20, files: 1000 };
/// Parts of what is left.
const ALL: u64 = 1;
const HALF: u64 = 2;
/// Counting steps back behind everything else.
const NICENESS: i32 = 15;

pub(super) struct Room {
    folder: OwnedFd,
    init: i32,
    /// What may be used, without what was there before.
    most: Used,
    /// A person's folder: what is in it at first is not counted against them.
    lent: bool,
    before: Used,
    used: Option<Used>,
    /// Beyond this, what runs is ended.
    ceiling: Used,
    /// All that ran was ended by the last count.
    ended: bool,
    free: Used,
    counting: Option<Aside<2>>,
    counted_at: Instant,
    took: Duration,
    next: Instant,
    /// Something ran since the last look.
    stirred: bool,
}

impl Room {
    /// That of a computer's workspace.
    pub(super) fn of(spec: &ComputerSpec, init: i32) -> Option<Self> {
        let (Workspace::Own(path) | Workspace::Folder(path)) = &spec.workspace;
        let most = Used { bytes: spec.limits.workspace_bytes, files: spec.limits.workspace_files };
        Self::in_folder(path, most, matches!(spec.workspace, Workspace::Folder(_)), init)
    }

    /// That of a computer's browser, whose processes are others.
    pub(super) fn of_browser(folder: &Path, limits: &Limits, init: i32) -> Option<Self> {
        let most = Used { bytes: limits.browser_bytes, files: limits.browser_files };
        Self::in_folder(folder, most, false, init)
    }

    fn in_folder(path: &Path, most: Used, lent: bool, init: i32) -> Option<Self> {
        let folder = open_folder(path).ok()?;
        let free = free(&folder)?;
        let now = Instant::now();
        Some(Self {
            folder,
            init,
            most,
            lent,
            before: Used::default(),
            used: None,
            ceiling: most,
            ended: false,
            free,
            counting: None,
            counted_at: now,
            took: Duration::ZERO,
            next: now,
            stirred: false,
        })
    }

    pub(super) fn source(&self) -> Option<BorrowedFd<'_>> {
        self.counting.as_ref().map(Aside::source)
    }

    pub(super) fn due(&self, active: bool) -> Option<Instant> {
        (self.counting.is_none() && (active || self.stirred)).then_some(self.next)
    }

    pub(super) fn begins(&mut self) {
        if !self.stirred {
            self.stirred = true;
            self.next = Instant::now() + LOOK;
        }
    }

    pub(super) fn ends(&mut self) {
        self.stirred = true;
        if self.counting.is_none() && (self.full().is_some() || self.fell(HALF)) {
            self.next = Instant::now().max(self.counted_at + self.pause());
        }
    }

    /// What there is, if nothing more may be written.
    pub(super) fn full(&self) -> Option<Met> {
        let Used { bytes, files } = self.used?.without(self.before);
        let Used { bytes: max_bytes, files: max_files } = self.most;
        let over = Used { bytes, files }.exceeds(self.most);
        over.then_some(Met::Workspace { bytes, files, max_bytes, max_files })
    }

    /// Takes the result of a count, or begins one if it is time. Says why what runs must end.
    pub(super) fn look(&mut self, active: bool) -> Option<Met> {
        if let Some(counter) = &mut self.counting {
            let told = counter.told()?;
            self.counting = None;
            return self.take(told.map(|[bytes, files]| Used { bytes, files }));
        }
        if !(active || self.stirred) || Instant::now() < self.next {
            return None;
        }
        self.stirred = false;
        self.next = Instant::now() + LOOK;
        let stale = self.counted_at.elapsed() >= TRUST;
        let over = self.full().is_some();
        if (self.used.is_none() || stale || over || self.fell(HALF)) && self.counted_at.elapsed() >= self.pause() {
            self.counting = self.begin_count().ok();
        }
        None
    }

    /// How long it is not counted again.
    fn pause(&self) -> Duration {
        self.took * if self.fell(ALL) { DUTY_WHEN_GONE } else { DUTY }
    }

    /// Whether the free space fell so far that this part of what may still be used could be gone.
    fn fell(&self, part: u64) -> bool {
        let Some(free) = free(&self.folder) else { return true };
        let used = self.used.map_or(0, |used| used.bytes);
        let used_files = self.used.map_or(0, |used| used.files);
        let fell = self.free.bytes.saturating_sub(free.bytes);
        let fell_files = self.free.files.saturating_sub(free.files);
        let ceiling = self.ceiling.with(self.before);
        fell > ceiling.bytes.saturating_sub(used) / part || fell_files > ceiling.files.saturating_sub(used_files) / part
    }

    fn begin_count(&mut self) -> io::Result<Aside<2>> {
        self.free = free(&self.folder).unwrap_or(self.free);
        self.counted_at = Instant::now();
        let (init, files_max) = (self.init, self.most.files.saturating_mul(4));
        Aside::begin(Some(self.folder.as_fd()), || tell_count(init, files_max))
    }

    fn take(&mut self, used: Option<Used>) -> Option<Met> {
        self.took = self.counted_at.elapsed();
        let used = used?;
        if self.lent && self.used.is_none() {
            self.before = used;
        }
        self.used = Some(used);
        let own = used.without(self.before);
        // What was counted while it was still being filled is less than what is there: the first count afterwards says how much
        // that is, and whoever cleans up meanwhile is let.
        let over = own.exceeds(self.ceiling) && !self.ended;
        self.ended = over;
        let roof = own.with(SLACK);
        // Never below the limit; above it, only a little over what is used, and lower whenever less is used.
        self.ceiling = if own.exceeds(self.ceiling) { roof } else { self.ceiling.least(roof) }.most(self.most);
        if over { self.full() } else { None }
    }
}

/// The counting process's work: bytes, then files.
fn tell_count(init: i32, files_max: u64) -> io::Result<[u64; 2]> {
    sys::be_nice(NICENESS);
    if !rustix::process::geteuid().is_root() {
        // A program may close its folders to its own user, who is the keeper's: over its box, the keeper has the rights of root.
        // Without them it counts what is open to it.
        let _ = join_users_of(init);
        aside::die_with_the_keeper()?;
    }
    let folder = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    let (used, devices) = count(&folder, files_max);
    Ok([used.bytes.saturating_add(inside::nameless(init, &devices)), used.files])
}

fn join_users_of(init: i32) -> io::Result<()> {
    let users = rustix::fs::open(format!("/proc/{init}/ns/user"), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    Ok(move_into_link_name_space(users.as_fd(), Some(LinkNameSpaceType::User))?)
}

/// What is free on the file system of a folder.
fn free(folder: &OwnedFd) -> Option<Used> {
    let about = rustix::fs::fstatvfs(folder).ok()?;
    Some(Used { bytes: about.f_bfree.saturating_mul(about.f_frsize), files: about.f_ffree })
}
