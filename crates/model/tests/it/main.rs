//! The client against a server that does what it is told: every way in which a call can fail, and that it fails once.

#![expect(clippy::unwrap_used, reason = "the helpers of tests fail like the tests themselves")]

mod calls;
mod failures;
mod support;
