//! Effects, what policy said of them, and what they brought back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{AcceptanceItem, BlobRef, ComputerLimit, Deliverable, Digest, EffectId, Label, MicroUsd, Plan, Reach, Why};

/// Something the agent wants done outside itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "effect", rename_all = "snake_case")]
pub enum Effect {
    Model(ModelCall),
    Tool(ToolCall),
    Reach(Reach),
}

impl Effect {
    /// The effect's number.
    pub fn id(&self) -> EffectId {
        match self {
            Self::Model(call) => call.id,
            Self::Tool(call) => call.id,
            Self::Reach(reach) => reach.id,
        }
    }
}

/// One request to a model. The body itself is not stored: it is a function of the journal, and bound by its digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ModelCall {
    pub id: EffectId,
    /// The turn it opens, counted from 1.
    pub turn: u64,
    /// `provider:model`.
    pub model: String,
    /// Digest of the request body, byte for byte.
    pub body: Digest,
    pub body_bytes: u64,
    /// No more input tokens than this, by our own bound.
    pub input_tokens_max: u64,
    pub output_tokens_max: u64,
    /// The price of that many tokens, held back from the budget until the reply; absent where the price is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserved: Option<MicroUsd>,
    /// Who could have written what the model will read.
    pub label: Label,
}

/// One tool call whose arguments are a JSON object; whether they fit the tool is for the tool to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ToolCall {
    pub id: EffectId,
    pub turn: u64,
    /// The provider's id for the call.
    pub call_id: String,
    pub tool: String,
    pub arguments: Map<String, Value>,
    /// The label of each top-level argument.
    pub labels: BTreeMap<String, Label>,
}

/// Who decides an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// It runs.
    Autonomous,
    /// It waits for the person's word on exactly this effect.
    UserAuthorised,
    /// It can be prepared, never executed.
    UserOnly,
}

/// What policy said, and which rules spoke.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Decision {
    pub outcome: Outcome,
    pub tier: Tier,
    /// Ids of the rules that decided.
    pub rules: Vec<String>,
    /// In plain words, for the person and the model.
    pub reason: String,
    /// The same in parts, for whoever says it in another language; earlier journals have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub why: Vec<Why>,
    /// Digest of the effect's canonical form: what an answer or a permit is bound to.
    pub effect_digest: Digest,
}

/// The three things policy can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Allow,
    Deny,
    /// The person must say.
    Ask,
}

/// How a tool call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ToolStatus {
    /// It did what it says, also where that was to report a command's failure.
    Ok,
    /// The model asked for something that cannot be: a bad argument, an unknown tool, a missing file. Nothing was done.
    Invalid,
    /// Policy or the person refused. Nothing was done.
    Refused,
    /// It was tried and failed.
    Failed,
    /// Stopped by the person or a limit while under way.
    Interrupted,
    /// Its keeper or computer died: it may or may not have happened, wholly or in part.
    Unknown,
}

/// What a tool call brought back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ToolResult {
    pub status: ToolStatus,
    /// What the model is told; capped.
    pub text: String,
    pub label: Label,
    /// Facts for the fold and the person, beside the text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<ToolFact>,
}

/// A fact that a tool establishes beside its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "fact", rename_all = "snake_case")]
pub enum ToolFact {
    /// The plan was replaced.
    Plan { plan: Plan },
    /// The acceptance list was set or its states changed.
    Acceptance { items: Vec<AcceptanceItem> },
    /// Words for the person.
    Notice { text: String },
    /// A question to the person: the task waits until it is answered.
    Question { text: String },
    /// Files were handed over.
    Delivered { files: Vec<Deliverable> },
    /// A command ran: its exit code if it ended, the bytes it has put out so far, the limits of its computer that it met so far.
    Command {
        #[schema(required)]
        exit_code: Option<i32>,
        output_bytes: u64,
        running: bool,
        /// In words for the person; earlier journals have none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<String>,
        /// The same one by one; earlier journals have none.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        limits: Vec<ComputerLimit>,
    },
    /// The browser met limits of its own since its last call.
    BrowserLimits {
        /// In words for the person.
        limit: String,
        /// The same one by one.
        limits: Vec<ComputerLimit>,
    },
    /// The agent says that it is finished.
    Idle { text: String },
    /// A picture was taken for the model: a JPEG among the blobs.
    Picture { picture: BlobRef },
    /// How the browser's page stood after the call: for the person, never for the model.
    Page { page: PageSeen },
}

/// A page of the browser at a moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PageSeen {
    pub title: String,
    pub address: String,
    /// A small JPEG among the blobs; absent where the page could not be pictured in time, or the task has as many pictures
    /// as are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub picture: Option<BlobRef>,
}

/// Why a model call gave nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// No connection, a cut stream, a 429 or 5xx, silence: worth another try.
    Transient,
    /// The request does not fit the model's window.
    WindowExceeded,
    /// The provider will not have this request however often it is sent: key, name, form.
    Rejected,
}
