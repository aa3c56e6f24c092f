//! The command line as a script meets it: the real binary, its exit codes, both its streams. What a command does inside is
//! the business of the crates below.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod attach;
mod backup;
mod caps;
mod checkpoints;
mod choosing;
mod computer;
mod crash;
mod demo;
mod desk;
mod doctor;
mod full;
mod handover;
mod hosts;
mod limits;
mod models;
mod packaging;
mod person;
mod record;
mod running;
mod secrets;
mod serve;
mod telemetry;
mod terminal;
mod upgrade;
