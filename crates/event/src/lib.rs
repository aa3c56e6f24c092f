//! The vocabulary of the journal: ids, labels, messages, effects, and the [`Event`] enum.
//!
//! A type lives here only if it is written to the journal. Nothing here does I/O, reads a clock or rolls dice: an event
//! is made at the edge of the house and only described here.
//!
//! How the nouns fit: a person's words become [`Event::TaskCreated`]; the agent wants [`Effect`]s (a model call, a tool
//! call, a place to reach); each is requested, decided, started and finished, in that order, under one [`EffectId`]. What is known of a
//! datum (who could have written it, who may see it, where it came from) is its [`Label`].

mod checkpoint;
mod computer_limit;
mod delivery;
mod digest;
mod effect;
mod event;
mod ids;
mod label;
mod message;
mod money;
mod network;
mod schema;
mod why;

pub use checkpoint::{Changes, Checkpoint, ForkOrigin};
pub use computer_limit::ComputerLimit;
pub use delivery::{
    AcceptanceCheck, AcceptanceItem, AcceptanceStatus, CheckKind, Deliverable, Plan, PlanStep, StepStatus,
};
pub use digest::{BlobRef, Digest, InvalidDigest};
pub use effect::{
    Decision, Effect, FailureKind, ModelCall, Outcome, PageSeen, Tier, ToolCall, ToolFact, ToolResult, ToolStatus,
};
pub use event::{AutorunFile, ComputerPart, EndState, Event, LimitKind, StopCause, TaskCreated, TaskOptions};
pub use ids::{EffectId, InvalidId, TaskId};
pub use label::{Confidentiality, Integrity, Label, SOURCES_MAX, Source};
pub use message::{AssistantMessage, FinishReason, Item, Reply, ToolRequest, Usage};
pub use money::MicroUsd;
pub use network::{Closed, Connection, Counted, Reach, Refusal, Way};
pub use why::{NETWORK_RULES, ShippedRule, Why};

/// Serialises to canonical JSON: keys in code-point order, no insignificant space.
///
/// Two equal values give equal bytes, in this process and in the next one, which is what digests, permits and the
/// append-only prompt rest on. The keys are sorted here and not left to `serde_json`, whose map keeps the order of
/// insertion as soon as any crate of the build asks it to.
pub fn canonical<T: serde::Serialize>(value: &T) -> Vec<u8> {
    let value = serde_json::to_value(value).unwrap_or(serde_json::Value::Null);
    let mut out = Vec::with_capacity(256);
    write_sorted(&value, &mut out);
    out
}

fn write_sorted(value: &serde_json::Value, out: &mut Vec<u8>) {
    match value {
        serde_json::Value::Object(map) => {
            let sorted: std::collections::BTreeMap<_, _> = map.iter().collect();
            out.push(b'{');
            for (i, (key, value)) in sorted.into_iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                out.extend_from_slice(serde_json::Value::from(key.as_str()).to_string().as_bytes());
                out.push(b':');
                write_sorted(value, out);
            }
            out.push(b'}');
        }
        serde_json::Value::Array(items) => {
            out.push(b'[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write_sorted(item, out);
            }
            out.push(b']');
        }
        leaf => out.extend_from_slice(leaf.to_string().as_bytes()),
    }
}
