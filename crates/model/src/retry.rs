//! How long to wait before another attempt: a pure function; whoever calls it brings the chance.

use std::time::Duration;

/// The first wait; it doubles with each attempt.
const FIRST_MS: u64 = 500;

/// The longest wait of our own making.
const OWN_MS_MAX: u64 = 60_000;

/// The longest wait that a provider can ask for.
pub const RETRY_AFTER_MS_MAX: u64 = 10 * 60 * 1_000;

/// The wait after this attempt, counted from 1: it doubles, and half of it is left to chance so that many tasks do not come
/// back at once. What the provider asks for is kept to where it is longer: `0` is no promise that the next try is answered.
pub fn retry_delay(attempt: u32, retry_after: Option<Duration>, jitter: u64) -> Duration {
    let full = FIRST_MS.saturating_mul(1 << attempt.saturating_sub(1).min(16)).min(OWN_MS_MAX);
    let own = full / 2 + jitter % (full / 2 + 1);
    let asked = retry_after.map_or(0, |asked| {
        let asked = u64::try_from(asked.as_millis()).unwrap_or(u64::MAX).min(RETRY_AFTER_MS_MAX);
        asked + jitter % (asked / 10 + 1)
    });
    Duration::from_millis(own.max(asked))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_stay_within_bounds() {
        for (attempt, low, high) in [(1, 250, 500), (2, 500, 1_000), (5, 4_000, 8_000), (60, 30_000, 60_000)] {
            for jitter in [0, 1, 12_345, u64::MAX] {
                let wait = retry_delay(attempt, None, jitter).as_millis();
                assert!((low..=high).contains(&wait), "attempt {attempt}: {wait} ms");
            }
        }
    }

    #[test]
    fn what_the_provider_asks_for_is_kept_to_up_to_a_limit() {
        assert_eq!(retry_delay(1, Some(Duration::from_secs(2)), 0), Duration::from_secs(2));
        assert_eq!(retry_delay(9, Some(Duration::from_secs(86_400)), 0), Duration::from_millis(RETRY_AFTER_MS_MAX));
        // No try follows at once, whatever the provider says.
        assert_eq!(retry_delay(1, Some(Duration::ZERO), 7), retry_delay(1, None, 7));
        assert_eq!(retry_delay(8, Some(Duration::from_secs(1)), 7), retry_delay(8, None, 7));
    }
}
