//! Models: a conversation in, a reply out, one provider per file.
//!
//! [`Conversation`] encodes the context once and only ever appends; [`Client::call`] makes **one** attempt against a
//! permit. Retrying, budgets and the record are the loop's business; nothing here reads a file or a clock.

mod anthropic;
mod chat;
mod client;
mod collector;
mod conversation;
mod decode;
mod failure;
mod http;
mod local;
mod name;
mod price;
mod responses;
mod retry;
mod script;
mod secret;
mod sight;
mod sse;
pub mod told;

pub use client::{Client, Delta, Endpoint, Settings};
pub use collector::Collector;
pub use conversation::{Body, Conversation, Shape, tokens_max};
pub use failure::Failure;
pub use http::Listed;
pub use local::{Local, LocalServer, found};
pub use name::{Name, Provider, UnknownModel};
pub use price::Price;
pub use retry::{RETRY_AFTER_MS_MAX, retry_delay};
pub use script::{Script, ScriptError};
pub use secret::Secret;
pub use sight::base64;
