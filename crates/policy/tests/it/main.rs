//! What policy says, as tables: a policy text, an effect, its facts, and the decision they must give. How rules and
//! examples are read is tried here too, by the texts that must not load.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot build its subject has failed")]

mod authority;
mod default_policy;
mod empty;
mod loading;
mod permits;
mod rules;
mod support;
