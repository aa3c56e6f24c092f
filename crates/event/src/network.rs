//! What the record holds of a computer's network: which places were asked for, each connection, how much passed. What was said
//! on them is not in here.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::EffectId;
use crate::why::NetworkRule;

/// A place that programs in the computer want to reach: permitted once, and then for all connections there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reach {
    pub id: EffectId,
    /// A name in its one form, or an address.
    pub host: String,
    pub port: u16,
}

/// How a program asked for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// A request in plain HTTP.
    Http,
    /// TLS, to the address that stands for the name.
    Tls,
    /// A tunnel through the HTTP proxy.
    Connect,
    /// Through the SOCKS proxy.
    Socks,
}

/// A connection that a program asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Connection {
    /// Counted from 1 within the task.
    pub number: u64,
    /// The reach under which it runs; absent where it was refused before anybody was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<EffectId>,
    pub way: Way,
    pub host: String,
    pub port: u16,
}

/// Why a connection was refused or cut off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Refusal {
    /// The rule that spoke.
    #[schema(value_type = NetworkRule)]
    pub rule: String,
    /// In plain words.
    pub reason: String,
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Closed {
    pub number: u64,
    /// The address that was dialled, if it came so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The name that its TLS asked for, where it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls_name: Option<String>,
    /// From the computer. Absent where nobody knows: whoever carried the connection was killed. Records from before that could be
    /// said have 0 there, with the rule `egress.engine_gone`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_up: Option<u64>,
    /// To the computer; absent likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_down: Option<u64>,
    /// How long it was open; absent likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ms: Option<u64>,
    /// Why it was cut off, or came to nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refusal>,
}

/// Connections to one place that were too many to be named one by one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Counted {
    pub host: String,
    pub port: u16,
    pub opened: u64,
    pub refused: u64,
    pub bytes_up: u64,
    pub bytes_down: u64,
    /// The bytes are what passed at the most on connections whose ends do not say, or stand on no record: whoever carried them was
    /// killed. They count towards what may pass.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub at_most: bool,
}
