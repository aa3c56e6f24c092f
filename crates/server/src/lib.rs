//! The service: tasks that run side by side in one process, and the doors to them.
//!
//! [`Runner`] runs the tasks. It sees the agent only as [`agent::Instance`], knows no model, and decides nothing that the
//! agent decides.

mod bell;
mod house;
mod http;
mod index;
mod runner;
mod seen;
mod shares;
mod words;

pub use bell::{Answering, Bell, BellError, Heard, is_answered, ring};
pub use house::{
    Change, DefaultLimits, Demo, Figures, Finding, Findings, House, KnownModel, Settings, Test, Trial, WantedModel,
};
pub use http::{App, HttpLimits, Token, app, openapi, serve};
pub use index::Index;
pub use runner::{Load, Place, Refused, Runner, RunnerLimits};
pub use seen::{HeldBy, Lock, NoGroups, Seen};
