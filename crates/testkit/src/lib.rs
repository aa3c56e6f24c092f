//! What tests stand on: a scripted model server that checks every request on arrival, and the audit of a journal.
//!
//! Dev-only: nothing of it ships, and nothing here is a mock: the server speaks HTTP, the audit reads real events.

mod audit;
pub mod clock;
mod invariants;
mod model_server;
mod wire;

pub use audit::audit;
pub use model_server::{Answer, Gate, ModelServer, Seen, Turn, replies_in, turn_due};
