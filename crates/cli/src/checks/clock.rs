//! The clock: budgets of time, deadlines and TLS go by it. A wrong one is told and never set.

use std::path::Path;
use std::time::{Duration, Instant, UNIX_EPOCH};

use server::Seen;

use super::Finding;
use crate::{env, words};

/// 1 January 2026 (UTC): no clock that is right shows less.
const EARLIEST_MS: u64 = 1_767_225_600_000;

/// By so much a clock that is kept right may differ from one that only counts, while the doctor is at work.
const DRIFT_MAX: Duration = Duration::from_millis(100);

/// A task may have been at work so far in the future, as another clock saw it.
const AHEAD_MAX_MS: u64 = 60_000;

/// Read when the doctor begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begun {
    wall_ms: u64,
    counted: Instant,
}

impl Begun {
    pub(crate) fn now() -> Self {
        Self { wall_ms: env::now_ms(), counted: Instant::now() }
    }
}

/// Read when it ends: a clock that jumped in between is seen.
pub(crate) fn findings(home: &Path, begun: Begun) -> Vec<Finding> {
    let (now_ms, counted) = (env::now_ms(), begun.counted.elapsed());
    vec![date(now_ms, newest_ms(home)), steady(begun.wall_ms, now_ms, counted), kept(sandbox::clock_is_synchronised())]
}

const SET: &str = "sudo timedatectl set-ntp true || sudo apt-get install --yes chrony";

fn date(now_ms: u64, newest_ms: Option<u64>) -> Finding {
    let today = words::moment(now_ms);
    if now_ms < EARLIEST_MS {
        let what = format!("{today} cannot be: certificates and limits of time would fail");
        return Finding::fatal("date", Seen::DateImpossible { date: today }, what, SET);
    }
    if let Some(newest) = newest_ms.filter(|newest| *newest > now_ms + AHEAD_MAX_MS) {
        let newest = words::moment(newest);
        let what = format!("{today}, but a task was at work on {newest}: the clock was set back");
        return Finding::poor("date", Seen::DateSetBack { date: today, newest }, what, SET);
    }
    Finding::good("date", Seen::Date { date: today.clone() }, today)
}

/// When any task last showed a sign of life.
fn newest_ms(home: &Path) -> Option<u64> {
    let tasks = std::fs::read_dir(home.join("tasks")).ok()?;
    let signs = tasks.flatten().filter_map(|task| {
        let changed = std::fs::metadata(task.path().join("lock")).and_then(|lock| lock.modified()).ok()?;
        u64::try_from(changed.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
    });
    signs.max()
}

fn steady(before_ms: u64, now_ms: u64, counted: Duration) -> Finding {
    let counted_ms = i128::try_from(counted.as_millis()).unwrap_or(i128::MAX);
    let jumped = i128::from(now_ms) - i128::from(before_ms) - counted_ms;
    if jumped.unsigned_abs() > DRIFT_MAX.as_millis() {
        let ms = u64::try_from(jumped.unsigned_abs()).unwrap_or(u64::MAX);
        let (way, seen) =
            if jumped < 0 { ("back", Seen::ClockBack { ms }) } else { ("ahead", Seen::ClockAhead { ms }) };
        let what = format!("it jumped {way} by {ms} ms while the doctor looked");
        return Finding::poor("clock", seen, what, "sudo timedatectl timesync-status || chronyc tracking");
    }
    Finding::good("clock", Seen::ClockSteady, "it did not jump while the doctor looked")
}

fn kept(synchronised: Option<bool>) -> Finding {
    match synchronised {
        Some(true) => Finding::good("clock kept right", Seen::ClockKept, "the kernel says so"),
        Some(false) => Finding::poor("clock kept right", Seen::ClockNotKept, "the kernel says that nobody does", SET),
        None => Finding::good("clock kept right", Seen::ClockUnknown, "this machine does not say"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_that_cannot_be_and_one_before_the_tasks_are_seen() {
        let now = EARLIEST_MS + 86_400_000;
        assert!(date(now, None).works && date(now, Some(now)).works);
        let early = date(1_000, None);
        assert!(!early.works && early.needed && early.what.starts_with("1970-01-01"), "{early:?}");
        let back = date(now, Some(now + AHEAD_MAX_MS + 1));
        assert!(!back.works && !back.needed && back.what.contains("set back"), "{back:?}");
    }

    #[test]
    fn a_jump_is_told_with_its_way() {
        let second = Duration::from_secs(1);
        assert!(steady(5_000, 6_050, second).works);
        assert!(steady(5_000, 4_000, second).what.contains("back by 2000 ms"));
        assert!(steady(5_000, 9_000, second).what.contains("ahead by 3000 ms"));
        assert!(kept(Some(true)).works && kept(None).works && kept(Some(false)).fix.contains("timedatectl"));
    }

    #[test]
    fn the_newest_sign_of_life_is_the_newest_lock() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(newest_ms(home.path()), None);
        for (task, seconds) in [("t-old", 5), ("t-new", 9_000)] {
            let folder = home.path().join("tasks").join(task);
            std::fs::create_dir_all(&folder).unwrap();
            let lock = std::fs::File::create(folder.join("lock")).unwrap();
            lock.set_modified(UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
        }
        assert_eq!(newest_ms(home.path()), Some(9_000_000));
    }
}
