//! What policy is told beside the effect itself. Whoever asks brings the facts; policy looks nothing up.

use event::{Decision, Digest, MicroUsd, TaskId, Tier};

use crate::Permit;

/// What is known of the task and of the thing asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// On whose behalf the effect would happen.
    pub task: TaskId,
    /// The model chosen for the task, `provider:model`.
    pub model: String,
    /// What the tool called is like; absent for a model call, and for a tool that nobody knows.
    pub tool: Option<ToolFacts>,
    /// The person said beforehand: yes to whatever may be answered so.
    pub yes: bool,
    /// The person named the place that is to be reached, for this task; false where nothing is.
    pub declared: bool,
    /// What is left under the task's cap, earlier reservations taken off; absent where there is no cap.
    pub budget_left: Option<MicroUsd>,
}

/// What a tool is like, whatever its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolFacts {
    /// The least of tiers at which it may run; no rule lowers it.
    pub tier: Tier,
    /// What it does can be undone.
    pub reversible: bool,
    /// Its effect leaves the task's computer and output for the world.
    pub leaves: bool,
    /// The arguments that say where something goes: recipients, addresses, hosts.
    pub sinks: Vec<String>,
}

/// What the person said to the question about one effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The effect that was shown to the person, by the digest of its canonical form. An edited effect has another.
    pub effect_digest: Digest,
    pub allowed: bool,
}

/// A decision, and the permit if it allows.
#[derive(Debug)]
#[must_use = "a decision belongs on the record"]
pub struct Verdict<E> {
    pub decision: Decision,
    pub permit: Option<Permit<E>>,
}
