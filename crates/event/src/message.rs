//! What passes between the agent and a model, without any provider's dialect.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Label;

/// One item of a model's context, in order. Provider adapters turn it into their dialect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "role", rename_all = "snake_case")]
pub enum Item {
    /// The standing instructions; first, once, and never changed in a task.
    System { text: String },
    /// The person's words, or Thenar's own notices to the model.
    User { text: String, label: Label },
    /// The model's reply.
    Assistant { message: AssistantMessage },
    /// What a tool call brought back.
    Tool { call_id: String, tool: String, text: String, label: Label },
    /// A picture that a tool call took, as JPEG in base64, with our words on it; only for models that see.
    Picture { text: String, jpeg: String, label: Label },
}

/// A finished reply of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AssistantMessage {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// The model's thinking, where its provider shows it and wants it back.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reasoning: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolRequest>,
    /// What the provider wants back as it came, signed or sealed by it; only its own adapter looks inside.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub carried: Vec<serde_json::Value>,
}

/// A tool call as the model wrote it: nothing is checked yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ToolRequest {
    /// The provider's id for the call, to be echoed with its result.
    pub id: String,
    pub name: String,
    /// The arguments exactly as written; perhaps not JSON at all.
    pub arguments: String,
}

/// Why a reply ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The model was done.
    Stop,
    /// It asks for tools.
    ToolCalls,
    /// It ran into the output limit: the last tool call may be cut.
    Length,
    /// The provider withheld the rest.
    ContentFilter,
    /// The provider gave a reason we do not know, or none.
    Other,
}

/// Tokens of one call as the provider reported them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Usage {
    /// All input tokens, the cached ones among them.
    pub input_tokens: u64,
    pub cached_input_tokens: u64,
    /// Those of the input that the provider began to keep for later calls, where it charges for that.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cache_write_input_tokens: u64,
    pub output_tokens: u64,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// What a model call gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reply {
    pub message: AssistantMessage,
    pub finish: FinishReason,
    /// Absent where the provider did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// The model's name as the provider reported it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub served_by: String,
    /// The provider's number for the reply, to be named when something has to be cleared up with them.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub response_id: String,
}
