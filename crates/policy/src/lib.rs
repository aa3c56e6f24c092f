//! The one decision point: an effect and what is known of it go in, a decision comes out, and with an allowed one the
//! [`Permit`] without which nothing outside can be touched.
//!
//! Nothing here does I/O, reads a clock or rolls dice, and no refusal is an `Err`: a denial is a [`event::Decision`]
//! with a reason and the ids of the rules that spoke. There is no switch that opens the door when a rule fails.

mod engine;
mod error;
mod example;
mod facts;
mod labels;
mod permit;
mod request;
mod rules;

pub use engine::Engine;
pub use error::Error;
pub use facts::{Answer, Facts, ToolFacts, Verdict};
pub use labels::label_arguments;
pub use permit::Permit;
