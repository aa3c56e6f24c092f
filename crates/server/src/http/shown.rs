//! Tasks as they are shown: the shapes that go over the wire, made from a summary. Paths of this machine are not in them.

use agent::Summary;
use event::{
    AcceptanceItem, AutorunFile, ComputerPart, Deliverable, Digest, EffectId, MicroUsd, Plan, StopCause, TaskId, Usage,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::problem::{Answer, Problem};

/// Characters of a title.
const TITLE_CHARS_MAX: usize = 120;

/// How a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum TaskState {
    /// It waits for its turn.
    Queued,
    Running,
    /// Only the person can move it on.
    Waiting,
    /// Nobody works on it; it can be resumed.
    Stopped,
    Failed,
    Done,
}

impl TaskState {
    pub(super) const ALL: [Self; 6] =
        [Self::Queued, Self::Running, Self::Waiting, Self::Stopped, Self::Failed, Self::Done];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
            Self::Done => "done",
        }
    }

    pub(super) fn of(task: &Summary) -> Answer<Self> {
        let known = Self::ALL.into_iter().find(|state| state.name() == task.state);
        known.ok_or_else(|| Problem::internal(format_args!("the state {:?} is not known here", task.state)))
    }
}

/// What a waiting task waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum WaitsFor {
    /// A message: the agent has asked something.
    Answer,
    /// A yes or a no to an effect: GET the confirmation.
    Confirmation,
    /// To have back what the person has taken over.
    HandBack,
}

/// A task in full.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Task {
    pub(super) id: TaskId,
    state: TaskState,
    /// The beginning of what was asked for.
    title: String,
    /// Why it ended; null while it has not.
    #[schema(required)]
    cause: Option<StopCause>,
    /// The same in words.
    reason: String,
    /// The agent's last words, or what is missing.
    text: String,
    /// What was asked for.
    task: String,
    /// The files that came with it.
    inputs: Vec<String>,
    /// `provider:model`.
    model: String,
    /// A script plays the model.
    scripted: bool,
    /// Where it comes from, if it began as a copy of another task; null where it did not.
    #[schema(required)]
    forked_from: Option<Forked>,
    /// Milliseconds since 1970 (UTC), as all times here.
    created_ms: u64,
    updated_ms: u64,
    /// The number of the last event: whoever has seen that one has seen all.
    last_seq: u64,
    /// Replies of the model so far.
    steps: u64,
    /// US dollars; a lower bound where `unpriced_calls` is not 0.
    spent_usd: f64,
    unpriced_calls: u64,
    usage: Usage,
    plan: Plan,
    acceptance: Vec<AcceptanceItem>,
    deliverables: Vec<Delivered>,
    /// The person has said something since the task ended: a resume goes on with it.
    unread: bool,
    #[schema(required)]
    waits_for: Option<WaitsFor>,
    /// What the agent asked and nobody has answered.
    #[schema(required)]
    question: Option<String>,
    #[schema(required)]
    confirm: Option<Awaited>,
    /// What of the computer the person has in their own hands.
    #[schema(required)]
    taken_over: Option<ComputerPart>,
    #[schema(required)]
    max_steps: Option<u64>,
    #[schema(required)]
    max_cost_usd: Option<f64>,
    /// Milliseconds from the creation of the task.
    #[schema(required)]
    max_time_ms: Option<u64>,
    /// What the policy lets be answered so is answered with yes.
    yes: bool,
    /// What programs in its computer may reach without a question.
    allow_net: Vec<String>,
    /// The names of the secrets that it may use.
    secrets: Vec<String>,
    /// What in the folder that the person lent is run by programs of theirs, and is not what it was when the task began.
    autorun: Vec<AutorunFile>,
    /// There may be more: the folder was too large to see all of it.
    autorun_cut: bool,
}

/// Where a task comes from that began as a copy of another one.
#[derive(Debug, Serialize, ToSchema)]
struct Forked {
    task: TaskId,
    /// The number of that task's checkpoint.
    checkpoint: u64,
    /// The last event that both records have.
    at_seq: u64,
}

/// An effect that waits for the person's word.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Awaited {
    pub(super) effect: EffectId,
    /// What a yes is bound to.
    pub(super) digest: Digest,
    /// The effect in words: the tool and each of its arguments.
    pub(super) question: String,
}

/// A file that was handed over.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Delivered {
    pub(super) name: String,
    bytes: u64,
    digest: Digest,
    /// What the parser of its type found: `PDF, 4 pages`.
    finding: String,
    description: String,
}

impl From<&Deliverable> for Delivered {
    fn from(file: &Deliverable) -> Self {
        let Deliverable { name, bytes, digest, finding, description, path: _ } = file.clone();
        Self { name, bytes, digest, finding, description }
    }
}

impl Delivered {
    /// The same, said otherwise: what is no name and no figure.
    pub(super) fn with_words(self, said: impl Fn(&str) -> String) -> Self {
        Self { finding: said(&self.finding), description: said(&self.description), ..self }
    }
}

impl Task {
    pub(super) fn of(task: Summary) -> Answer<Self> {
        Ok(Self {
            state: TaskState::of(&task)?,
            title: title(&task.brief),
            waits_for: waits_for(&task),
            id: task.id,
            cause: task.cause,
            reason: task.reason,
            text: task.text,
            task: task.brief,
            inputs: task.inputs,
            model: task.model,
            scripted: task.scripted,
            forked_from: task.forked_from.map(|origin| Forked {
                task: origin.task,
                checkpoint: origin.checkpoint.number,
                at_seq: origin.at_seq,
            }),
            created_ms: task.created_ms,
            updated_ms: task.updated_ms,
            last_seq: task.last_seq,
            steps: task.steps,
            spent_usd: usd(task.spent),
            unpriced_calls: task.unpriced_calls,
            usage: task.usage,
            plan: task.plan,
            acceptance: task.acceptance,
            deliverables: task.deliverables.iter().map(Delivered::from).collect(),
            unread: task.unread,
            question: task.question,
            confirm: task.approval.map(Awaited::from),
            taken_over: task.taken_over,
            max_steps: task.options.max_steps,
            max_cost_usd: task.options.max_cost.map(usd),
            max_time_ms: task.options.max_time_ms,
            yes: task.options.yes,
            allow_net: task.options.allow_net,
            secrets: task.options.secrets,
            autorun: task.autorun.0,
            autorun_cut: task.autorun.1,
        })
    }
}

impl From<agent::Approval> for Awaited {
    fn from(open: agent::Approval) -> Self {
        Self { effect: open.effect, digest: open.digest, question: open.question }
    }
}

fn waits_for(task: &Summary) -> Option<WaitsFor> {
    match (&task.approval, &task.question) {
        _ if task.taken_over.is_some() => Some(WaitsFor::HandBack),
        (Some(_), _) => Some(WaitsFor::Confirmation),
        (None, Some(_)) => Some(WaitsFor::Answer),
        (None, None) => None,
    }
}

/// US dollars.
pub(super) fn usd(amount: MicroUsd) -> f64 {
    amount.0 as f64 / 1e6
}

/// The first line that says something, cut where it is long.
pub(super) fn title(brief: &str) -> String {
    let line = brief.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let mut chars = line.chars();
    let mut title: String = chars.by_ref().take(TITLE_CHARS_MAX).collect();
    if chars.next().is_some() {
        title.push('…');
    }
    title
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_the_first_line_that_says_something() {
        let long = "é".repeat(200);
        for (brief, expected) in [
            ("\n  Count the birds.\nAll of them.", "Count the birds."),
            ("  ", ""),
            (&long, &format!("{}…", "é".repeat(120))),
        ] {
            assert_eq!(title(brief), expected);
        }
    }
}
