//! Twenty random kills of the real engine in real tasks; `make chaos` does three hundred.

use std::time::{SystemTime, UNIX_EPOCH};

use xtask::chaos::{Plan, run};
use xtask::rig::Programs;

const POINTS: usize = 20;

#[test]
fn chaos_loses_nothing_and_repeats_nothing() {
    #[expect(clippy::disallowed_methods, reason = "another seed each time; the one that failed is printed")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let seed = std::env::var("THENAR_CHAOS_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(now);
    println!("seed {seed} (THENAR_CHAOS_SEED={seed} repeats it)");
    let programs = Programs::of_this_build().expect("the programs of this build");
    let tally = run(&programs, Plan { points: POINTS, seed }, |line| println!("{line}"))
        .unwrap_or_else(|error| panic!("seed {seed}: {error:#}"));
    assert!(tally.engine_kills + tally.everything_kills >= POINTS, "{tally:?}");
    assert!(tally.everything_kills > 0, "{tally:?}");
}
