//! When two changes to a file surely bear different times: what makes a file's time of change a proof that it was not changed again.
//!
//! Through a mapping, only the first change to a page bears a time, and the next one once the page was written to the disk. So that time
//! proves nothing while somebody may hold such a mapping; nobody does where nobody has the file open for writing.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::FsWord;
use rustix::time::ClockId;

use super::listing::Moment;
use crate::sys;

/// Longer than the steps in which any kernel's file times advance.
const STEP_NANOS: i128 = 20_000_000;
/// The same where a file system keeps whole seconds only.
const WHOLE_SECONDS_NANOS: i128 = 2_000_000_000;
/// Longer than a changed page waits for the disk (half a minute, unless somebody told the kernel otherwise).
const WRITTEN_NANOS: i128 = 90_000_000_000;
/// From here on a change after a look at a file's times bears a time of its own, on the file systems below
/// (Linux, Documentation/filesystems/multigrain-ts.rst).
const FINE_SINCE: (u32, u32) = (6, 13);
/// btrfs, ext4, tmpfs, XFS, as `statfs` calls them (Linux, include/uapi/linux/magic.h).
const FINE_ON: [FsWord; 4] = [0x9123_683e, 0xef53, 0x0102_1994, 0x5846_5342];

/// Where pages wait for no disk.
const IN_MEMORY: FsWord = 0x0102_1994;

/// How times of change advance where a tree lies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// Each change that follows a look has another time than the one before.
    fine: bool,
    /// That nobody writes can be asked.
    told_who_writes: bool,
    /// What was changed goes to a disk.
    written: bool,
}

/// Who can change a file without opening it anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Writers {
    None,
    /// Somebody, or that is not known.
    Maybe,
}

impl Times {
    /// Of the file system of a folder.
    pub(super) fn of(folder: Option<BorrowedFd<'_>>) -> Self {
        let kind = folder.and_then(|folder| rustix::fs::fstatfs(folder).ok()).map(|about| about.f_type);
        let known = kind.is_some_and(|kind| FINE_ON.contains(&kind));
        let fine = known && kernel().is_some_and(|kernel| kernel >= FINE_SINCE);
        Self { fine, told_who_writes: known, written: kind.is_some_and(|kind| kind != IN_MEMORY) }
    }

    /// Who may write to a file now. Layers of file systems know of writers in one layer and of mappings in another.
    pub(super) fn writers(self, file: impl AsFd) -> Writers {
        let none = self.told_who_writes && sys::nobody_writes(file.as_fd()) == Some(true);
        if none { Writers::None } else { Writers::Maybe }
    }

    /// Now, by the clock that file times are taken from.
    pub(super) fn now() -> Moment {
        let now = rustix::time::clock_gettime(ClockId::RealtimeCoarse);
        Moment { seconds: now.tv_sec, nanos: u32::try_from(now.tv_nsec).unwrap_or(0) }
    }

    /// Whether something that bears this time, and was looked at no earlier than `looked`, bears another after any further change.
    pub(super) fn tell(self, changed: Moment, looked: Moment, writers: Writers) -> bool {
        let apart = i128::from(looked.seconds - changed.seconds) * 1_000_000_000 + i128::from(looked.nanos)
            - i128::from(changed.nanos);
        if writers == Writers::Maybe && !(self.written && apart > WRITTEN_NANOS) {
            return false;
        }
        if changed.nanos == 0 { apart > WHOLE_SECONDS_NANOS } else { self.fine || apart > STEP_NANOS }
    }
}

/// The running kernel's version.
fn kernel() -> Option<(u32, u32)> {
    let about = rustix::system::uname();
    let mut numbers = about.release().to_str().ok()?.split(|letter: char| !letter.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(seconds: i64, nanos: u32) -> Moment {
        Moment { seconds, nanos }
    }

    #[test]
    fn a_time_tells_changes_once_the_clock_has_moved_on_and_at_once_where_times_are_fine() {
        let [coarse, fine] = [false, true].map(|fine| Times { fine, told_who_writes: true, written: true });
        let none = Writers::None;
        let changed = moment(9, 990_000_000);
        for (looked, told) in
            [(moment(9, 999_000_000), false), (moment(10, 9_000_000), false), (moment(10, 11_000_000), true)]
        {
            assert_eq!(
                (coarse.tell(changed, looked, none), fine.tell(changed, looked, none)),
                (told, true),
                "{looked:?}"
            );
        }
        // A clock that was put back.
        assert!(!coarse.tell(changed, moment(5, 0), none));
        // Somebody may have it mapped: until the disk surely has all that was changed at that time.
        let maybe = Writers::Maybe;
        assert!(!fine.tell(changed, moment(40, 0), maybe) && fine.tell(changed, moment(140, 0), maybe));
        assert!(!Times { written: false, ..fine }.tell(changed, moment(140, 0), maybe));
        // Whole seconds: another change may follow in the same one.
        for (looked, told) in [(moment(10, 900_000_000), false), (moment(12, 1), true)] {
            assert_eq!(
                (coarse.tell(moment(10, 0), looked, none), fine.tell(moment(10, 0), looked, none)),
                (told, told),
                "{looked:?}"
            );
        }
        assert!(kernel().is_some_and(|kernel| kernel > (3, 0)));
    }

    #[test]
    fn where_times_are_fine_each_change_after_a_look_has_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let open = std::fs::File::open(folder.path()).unwrap();
        if !Times::of(Some(std::os::fd::AsFd::as_fd(&open))).fine {
            return;
        }
        let path = folder.path().join("file");
        let mut seen = std::collections::HashSet::new();
        for round in 0..2_000_u32 {
            std::fs::write(&path, round.to_le_bytes()).unwrap();
            let changed = super::super::remembered::changed(&rustix::fs::stat(&path).unwrap());
            assert!(seen.insert((changed.seconds, changed.nanos)), "round {round}");
        }
    }
}
