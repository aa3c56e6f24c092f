//! A clock that a test moves by hand. It is one for the whole process: each test runs in a process of its own.

use std::sync::atomic::{AtomicU64, Ordering};

/// Where it begins: some moment of November 2023.
static NOW_MS: AtomicU64 = AtomicU64::new(1_700_000_000_000);

/// The time, in milliseconds since 1970 (UTC). Each look at it takes a millisecond, so that nothing happens at once.
pub fn now_ms() -> u64 {
    NOW_MS.fetch_add(1, Ordering::Relaxed)
}

/// Lets so much time pass.
pub fn pass_ms(ms: u64) {
    NOW_MS.fetch_add(ms, Ordering::Relaxed);
}
