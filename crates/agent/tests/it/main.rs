//! Scenarios: the real loop, a real computer, a scripted model over HTTP, and an audit of the journal after each.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a scenario ends where its stage breaks down"
)]

mod browsing;
mod budgets;
mod checkpoints;
mod crash;
mod driver;
mod faults;
mod fork;
mod hosts;
mod labels;
mod network;
mod person;
mod rig;
mod saw;
mod sleep;
mod steering;
mod takeover;
