//! Which checkpoints are let go: a pure function of what there is and of the room it takes. The newest stay, and of the others
//! ever fewer the older they are; the first stays as long as there is room, because it is what the person gave.

use crate::limits::{CHECKPOINTS_MAX, CHECKPOINTS_RECENT};
use crate::state::KeptCheckpoint;

/// Those to let go now, by number. `room` is whether their store is within its bytes; where it is not, one step is made with each call.
pub(crate) fn let_go(checkpoints: &[KeptCheckpoint], room: bool) -> Vec<u64> {
    let numbers: Vec<u64> = checkpoints.iter().map(|kept| kept.checkpoint.number).collect();
    if room && numbers.len() <= CHECKPOINTS_MAX {
        return Vec::new();
    }
    let recent = numbers.len().saturating_sub(CHECKPOINTS_RECENT);
    let old = numbers.get(1..recent).unwrap_or_default();
    if old.is_empty() {
        // Only recent ones: all but the last are dear. The older half of them goes.
        let going = numbers.len() / 2;
        return numbers[..going].to_vec();
    }
    // Every second one, from the oldest on: what was thinned before is thinned again.
    old.iter().copied().step_by(2).collect()
}

#[cfg(test)]
mod tests {
    use event::{Changes, Checkpoint, Digest};

    use super::*;

    fn checkpoints(numbers: impl IntoIterator<Item = u64>) -> Vec<KeptCheckpoint> {
        let one = |number| Checkpoint {
            number,
            at_seq: number,
            turn: number,
            digest: Digest::of(&number.to_be_bytes()),
            files: 1,
            bytes: 1,
            changes: Changes::default(),
            stored_bytes: 1,
            left_out: 0,
            disturbed: 0,
        };
        numbers.into_iter().map(|number| KeptCheckpoint { checkpoint: one(number), time_ms: 0 }).collect()
    }

    /// Those that are left of so many that were taken one after the other.
    fn left_of(all: u64) -> Vec<u64> {
        let mut left = Vec::new();
        for number in 1..=all {
            left.push(number);
            let going = let_go(&checkpoints(left.iter().copied()), true);
            left.retain(|number| !going.contains(number));
            assert!(left.len() <= CHECKPOINTS_MAX);
        }
        left
    }

    #[test]
    fn the_first_and_the_newest_stay_and_older_ones_lie_further_apart() {
        assert_eq!(left_of(CHECKPOINTS_MAX as u64), (1..=CHECKPOINTS_MAX as u64).collect::<Vec<_>>());
        let left = left_of(1_000);
        assert_eq!(left.first(), Some(&1));
        let newest: Vec<u64> = (1_000 - CHECKPOINTS_RECENT as u64 + 1..=1_000).collect();
        assert!(left.ends_with(&newest), "{left:?}");
        let gaps: Vec<u64> = left.windows(2).skip(1).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.first() > gaps.last(), "{left:?}");
    }

    #[test]
    fn without_room_the_last_one_is_left_at_the_end_and_never_less() {
        let mut left: Vec<u64> = (1..=40).collect();
        for _ in 0..40 {
            let going = let_go(&checkpoints(left.iter().copied()), false);
            assert!(!going.is_empty() || left.len() == 1, "{left:?}");
            left.retain(|number| !going.contains(number));
        }
        assert_eq!(left, [40]);
    }
}
