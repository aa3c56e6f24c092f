//! The events of a task: all that ever happened to it, in the order it happened.
//!
//! State, context, screen and audit are functions of these. Times are not in here: the journal's envelope carries them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    BlobRef, Changes, Checkpoint, Closed, Connection, Counted, Decision, Digest, Effect, EffectId, FailureKind,
    ForkOrigin, Label, MicroUsd, PageSeen, Refusal, Reply, TaskId, ToolFact, ToolResult,
};

/// One fact of a task's journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The first event: the brief and all that serves for the task's whole life.
    TaskCreated(Box<TaskCreated>),
    /// An engine took the task up again. `previous_lived_ms` is how long the engine before it held the task after its
    /// own start, where that can be told.
    Resumed {
        engine: String,
        boot: String,
        #[schema(required)]
        previous_lived_ms: Option<u64>,
    },
    /// In a task that began as a copy of another one: what stands before this happened to that one, and cost it. From here on it
    /// is this task's own.
    Forked { options: TaskOptions },
    /// The engine put the task down in good order, to be taken up again: its server was stopped or replaced.
    PutDown { reason: String },
    /// The person gave the task other limits.
    OptionsChanged { options: TaskOptions },
    /// The person gave the task other hosts: what programs in its computer may reach now, as in [`TaskOptions::allow_net`].
    HostsChanged { allow_net: Vec<String> },
    /// The person said something.
    MessageReceived { text: String, label: Label },
    /// The agent wants this.
    EffectRequested { effect: Effect },
    /// Policy has spoken.
    EffectDecided { id: EffectId, decision: Decision },
    /// The person must say whether the effect may happen; the answer is bound to the digest.
    ApprovalRequested { id: EffectId, effect_digest: Digest, question: String },
    /// The person (or `--yes` for them) has said.
    ApprovalAnswered { id: EffectId, effect_digest: Digest, allowed: bool, by: String, note: String },
    /// About to happen: from here on the effect is attached to, never started anew.
    EffectStarted { id: EffectId, boot: String },
    /// One try of a model call failed and another follows.
    ModelAttemptFailed {
        id: EffectId,
        attempt: u32,
        reason: String,
        retry_in_ms: u64,
        /// Its server may charge for it: what was reserved counts towards a cap. Absent where it may not, and in older records.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        charged: bool,
    },
    /// A model call gave a reply. The cost is absent where the price or the usage is not known.
    ModelReplied {
        id: EffectId,
        reply: Box<Reply>,
        #[schema(required)]
        cost: Option<MicroUsd>,
    },
    /// A model call gave nothing.
    ModelFailed {
        id: EffectId,
        kind: FailureKind,
        reason: String,
        /// Its server may charge for it: what was reserved counts towards a cap. Absent where it may not, and in older records.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        charged: bool,
    },
    /// A tool call ended.
    ToolFinished { id: EffectId, result: ToolResult },
    /// A limit was reached.
    LimitReached { limit: LimitKind, used: u64, max: u64 },
    /// The clock passed a time that `decide` waited for, in milliseconds since 1970 (UTC).
    TimeReached { at_ms: u64 },
    /// The person wants it to stop.
    StopRequested { by: String },
    /// The person has taken a part of the computer into their own hands: the agent begins nothing until it has it back.
    /// `page` is what the browser showed then.
    TakenOver {
        what: ComputerPart,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        page: Option<Box<PageSeen>>,
    },
    /// They have handed it back, with a word for the agent or none. `page` is what the browser showed then.
    HandedBack {
        what: ComputerPart,
        note: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        page: Option<Box<PageSeen>>,
    },
    /// In the folder that the person lent, these files are not what they were when the task began, and programs of the
    /// person's run them. The list replaces the one before it; `cut` where the folder was too large to see all.
    AutorunChanged { files: Vec<AutorunFile>, cut: bool },
    /// The workspace as a turn left it is kept.
    CheckpointTaken { checkpoint: Checkpoint },
    /// It could not be kept; the task goes on all the same. Said once for each reason.
    CheckpointMissed { at_seq: u64, reason: String },
    /// These are not kept any longer.
    CheckpointsLetGo { numbers: Vec<u64> },
    /// The person wants the workspace as this checkpoint has it. From here on it may be in between.
    RestoreBegun { number: u64, by: String },
    /// It is as the checkpoint has it, but for `differing` places and what `problem` says.
    WorkspaceRestored {
        number: u64,
        changes: Changes,
        differing: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        problem: Option<String>,
    },
    /// The task waited for so long that its computer was ended, with all that ran in it. The next tool call has a new one.
    ComputerSlept { waited_ms: u64 },
    /// A program in the computer opens a connection; how it ended follows.
    ConnectionOpened { connection: Connection },
    /// A connection is over.
    ConnectionClosed { closed: Closed },
    /// A program wanted a connection and did not get it.
    ConnectionRefused { connection: Connection, refused: Refusal },
    /// So many more connections than are named one by one.
    ConnectionsCounted { counted: Counted },
    /// The place may not be reached any more: its connections were cut, and new ones are refused.
    GrantEnded { id: EffectId, refused: Refusal },
    /// The task is over, or put down until it is resumed.
    TaskEnded { state: EndState, cause: StopCause, reason: String, text: String },
}

/// The first event's payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TaskCreated {
    pub id: TaskId,
    /// The person's sentence.
    pub brief: String,
    /// `provider:model`.
    pub model: String,
    /// True where the model is a script and not a model at all.
    pub scripted: bool,
    pub options: TaskOptions,
    /// The bound on each reply that is sent with every request: part of the prefix, so it serves for the task's life.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_tokens_max: Option<u64>,
    /// Names of the files the person gave, as they stand in the workspace.
    pub inputs: Vec<String>,
    /// The system prompt.
    pub system: BlobRef,
    /// The tool list, as canonical JSON.
    pub tools: BlobRef,
    /// The policy in force at the start.
    pub policy: BlobRef,
    /// The model is shown pictures that tools take.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sees: bool,
    /// Version of the engine that made the task.
    pub engine: String,
    /// Identity of the machine's boot, to tell a crash of a process from a loss of power.
    pub boot: String,
    /// What in the folder that the person lent is run by programs of theirs, as it was: digests by path, canonical JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autorun: Option<BlobRef>,
    /// Where the task comes from, if it began as a copy of another one: the events up to [`Event::Forked`] are that one's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forked_from: Option<Box<ForkOrigin>>,
}

/// A file that a program of the person's runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AutorunFile {
    /// Below the folder.
    pub path: String,
    /// When, in words for the person: `git runs it by itself`.
    pub when: String,
}

/// What the person chose for a task, kept for every resume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TaskOptions {
    #[schema(required)]
    pub max_steps: Option<u64>,
    #[schema(required)]
    pub max_cost: Option<MicroUsd>,
    /// Milliseconds from the creation of the task.
    #[schema(required)]
    pub max_time_ms: Option<u64>,
    /// Answer yes to what the policy lets be answered so.
    pub yes: bool,
    /// The person's folder to work in, if not a workspace of the task's own. Absolute.
    #[schema(required)]
    pub workspace: Option<String>,
    /// Where deliverables go. Absolute.
    #[schema(required)]
    pub out: Option<String>,
    /// What programs in the computer may reach, as `HOST[:PORT][=ADDRESS[:PORT]]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allow_net: Vec<String>,
    /// Names of secrets that programs in the computer can use, each by the placeholder in a variable of its name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
}

/// A part of the computer with which a person can work in the agent's place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "part", rename_all = "snake_case")]
pub enum ComputerPart {
    /// The terminal of this name.
    Terminal { name: String },
    /// The browser with all its pages.
    Browser,
}

impl std::fmt::Display for ComputerPart {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Terminal { name } => write!(out, "the terminal {name:?}"),
            Self::Browser => out.write_str("the browser"),
        }
    }
}

/// The limits a task can reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LimitKind {
    /// Model replies.
    Steps,
    /// Millionths of a US dollar.
    Cost,
    /// Milliseconds since the task was created.
    Time,
    /// Tokens of the next request against the model's window.
    Window,
    /// Resumes in a row that brought nothing.
    Resumes,
}

/// How a task stands when nobody works on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EndState {
    Done,
    Stopped,
    Failed,
}

/// Why a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StopCause {
    /// The agent said so.
    Finished,
    /// The person stopped it; it can be resumed.
    Person,
    /// A limit of the task was reached; it can be resumed with a higher one.
    Limit(LimitKind),
    /// The model could not be had.
    Model,
    /// Thenar itself could not go on.
    Engine,
}

impl Event {
    /// The kind's name, as the journal's envelope carries it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::TaskCreated(_) => "task_created",
            Self::Resumed { .. } => "resumed",
            Self::Forked { .. } => "forked",
            Self::PutDown { .. } => "put_down",
            Self::OptionsChanged { .. } => "options_changed",
            Self::HostsChanged { .. } => "hosts_changed",
            Self::MessageReceived { .. } => "message_received",
            Self::EffectRequested { .. } => "effect_requested",
            Self::EffectDecided { .. } => "effect_decided",
            Self::ApprovalRequested { .. } => "approval_requested",
            Self::ApprovalAnswered { .. } => "approval_answered",
            Self::EffectStarted { .. } => "effect_started",
            Self::ModelAttemptFailed { .. } => "model_attempt_failed",
            Self::ModelReplied { .. } => "model_replied",
            Self::ModelFailed { .. } => "model_failed",
            Self::ToolFinished { .. } => "tool_finished",
            Self::LimitReached { .. } => "limit_reached",
            Self::TimeReached { .. } => "time_reached",
            Self::StopRequested { .. } => "stop_requested",
            Self::TakenOver { .. } => "taken_over",
            Self::HandedBack { .. } => "handed_back",
            Self::AutorunChanged { .. } => "autorun_changed",
            Self::CheckpointTaken { .. } => "checkpoint_taken",
            Self::CheckpointMissed { .. } => "checkpoint_missed",
            Self::CheckpointsLetGo { .. } => "checkpoints_let_go",
            Self::RestoreBegun { .. } => "restore_begun",
            Self::WorkspaceRestored { .. } => "workspace_restored",
            Self::ComputerSlept { .. } => "computer_slept",
            Self::ConnectionOpened { .. } => "connection_opened",
            Self::ConnectionClosed { .. } => "connection_closed",
            Self::ConnectionRefused { .. } => "connection_refused",
            Self::ConnectionsCounted { .. } => "connections_counted",
            Self::GrantEnded { .. } => "grant_ended",
            Self::TaskEnded { .. } => "task_ended",
        }
    }

    /// The page of the browser that the event keeps, if it keeps one.
    pub fn page(&self) -> Option<&PageSeen> {
        if let Self::TakenOver { page, .. } | Self::HandedBack { page, .. } = self {
            return page.as_deref();
        }
        let Self::ToolFinished { result, .. } = self else { return None };
        result.facts.iter().find_map(|fact| if let ToolFact::Page { page } = fact { Some(page) } else { None })
    }

    /// Whether the event moved the task on. Markers, retries and repeated decisions did not: a task whose resumes bring
    /// nothing else is given up.
    pub fn is_progress(&self) -> bool {
        match self {
            Self::TaskCreated(_)
            | Self::Forked { .. }
            | Self::OptionsChanged { .. }
            | Self::HostsChanged { .. }
            | Self::MessageReceived { .. }
            | Self::ApprovalAnswered { .. }
            | Self::ModelReplied { .. }
            | Self::ModelFailed { .. }
            | Self::ToolFinished { .. }
            | Self::StopRequested { .. }
            | Self::TakenOver { .. }
            | Self::HandedBack { .. }
            | Self::TaskEnded { .. } => true,
            Self::Resumed { .. }
            | Self::PutDown { .. }
            | Self::EffectRequested { .. }
            | Self::EffectDecided { .. }
            | Self::ApprovalRequested { .. }
            | Self::EffectStarted { .. }
            | Self::ModelAttemptFailed { .. }
            | Self::LimitReached { .. }
            | Self::AutorunChanged { .. }
            | Self::CheckpointTaken { .. }
            | Self::CheckpointMissed { .. }
            | Self::CheckpointsLetGo { .. }
            | Self::RestoreBegun { .. }
            | Self::WorkspaceRestored { .. }
            | Self::ComputerSlept { .. }
            | Self::ConnectionOpened { .. }
            | Self::ConnectionClosed { .. }
            | Self::ConnectionRefused { .. }
            | Self::ConnectionsCounted { .. }
            | Self::GrantEnded { .. }
            | Self::TimeReached { .. } => false,
        }
    }
}
