//! Automation of this repository: the tidy test, the bench and the chaos run, as functions that tests call too.
//!
//! Nothing here ships: the product never depends on this crate.

pub mod bench;
pub mod chaos;
pub mod miniwob;
pub mod rig;
pub mod tidy;
