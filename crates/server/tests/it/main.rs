//! The service as its callers meet it: real loops and computers, a scripted model over HTTP.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a scenario ends where its stage breaks down")]

mod browser;
mod connections;
mod control;
mod door;
mod http;
mod kept;
mod openapi;
mod rig;
mod runner;
mod settings;
mod shares;
mod terminals;
mod uploads;
mod web;
mod words;
