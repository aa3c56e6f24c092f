//! The journal's integration tests, in one binary: each attacks a real file. None looks inside the crate.

#![expect(clippy::unwrap_used, reason = "the helpers of tests fail like the tests themselves")]

mod bundles;
mod child;
mod crash;
mod damage;
mod formats;
mod locks;
mod scale;
mod stores;
