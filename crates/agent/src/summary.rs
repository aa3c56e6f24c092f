//! A task in one look: what a list shows and what a script reads. Made from the state; holds nothing of its own.

use std::path::PathBuf;

use event::{
    AcceptanceItem, AutorunFile, ComputerPart, Deliverable, Digest, EffectId, EndState, ForkOrigin, MicroUsd, Plan,
    StopCause, TaskId, TaskOptions, Usage,
};

use crate::home::TaskFolder;
use crate::state::State;

/// A task in one look.
#[derive(Clone, Debug)]
pub struct Summary {
    pub id: TaskId,
    /// `queued running waiting stopped failed done`.
    pub state: &'static str,
    pub cause: Option<StopCause>,
    pub reason: String,
    /// The agent's last words, or what is missing.
    pub text: String,
    pub brief: String,
    /// Names of the files the person gave.
    pub inputs: Vec<String>,
    pub model: String,
    pub scripted: bool,
    /// Where it comes from, if it began as a copy of another task.
    pub forked_from: Option<ForkOrigin>,
    pub created_ms: u64,
    pub updated_ms: u64,
    /// The number of the last event.
    pub last_seq: u64,
    pub steps: u64,
    pub spent: MicroUsd,
    pub unpriced_calls: u64,
    pub usage: Usage,
    pub plan: Plan,
    pub acceptance: Vec<AcceptanceItem>,
    pub deliverables: Vec<Deliverable>,
    /// What programs of the person's run in the folder that they lent, and is not what it was; whether there may be more.
    pub autorun: (Vec<AutorunFile>, bool),
    /// The person has said something since the task ended: a resume goes on with it.
    pub unread: bool,
    /// When its computer is put to sleep if nobody moves it on; none where that is not to come.
    pub sleeps_at_ms: Option<u64>,
    pub question: Option<String>,
    pub approval: Option<Approval>,
    /// What of the computer the person has in their own hands.
    pub taken_over: Option<ComputerPart>,
    pub options: TaskOptions,
    /// The places that the person said yes to when they were asked and did not name, as `HOST:PORT`.
    pub answered_net: Vec<String>,
    /// Where deliverables go.
    pub out: PathBuf,
    pub workspace: PathBuf,
    pub folder: PathBuf,
}

/// What the person is asked to allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    pub effect: EffectId,
    pub digest: Digest,
    pub question: String,
}

impl Summary {
    /// `held` says whether a process has the task in hand right now.
    pub(crate) fn new(id: &TaskId, folder: &TaskFolder, state: &State, held: bool) -> Self {
        let (name, reason) = standing(state, held);
        let created = state.created.as_deref();
        let ended = state.ended.as_ref();
        Self {
            id: id.clone(),
            state: name,
            cause: ended.map(|ended| ended.cause),
            reason,
            text: ended.map(|ended| ended.text.clone()).unwrap_or_default(),
            brief: created.map(|created| created.brief.clone()).unwrap_or_default(),
            inputs: created.map(|created| created.inputs.clone()).unwrap_or_default(),
            model: created.map(|created| created.model.clone()).unwrap_or_default(),
            scripted: created.is_some_and(|created| created.scripted),
            forked_from: created.and_then(|created| created.forked_from.as_deref().cloned()),
            created_ms: state.created_ms,
            updated_ms: state.now_ms,
            last_seq: state.seq,
            steps: state.steps,
            spent: state.spent,
            unpriced_calls: state.unpriced_calls,
            usage: state.usage,
            plan: state.plan.clone(),
            acceptance: state.acceptance.clone(),
            deliverables: state.deliverables.clone(),
            autorun: state.autorun.clone(),
            unread: state.unread,
            sleeps_at_ms: crate::decide::sleeps_at_ms(state),
            question: state.question.clone().filter(|_| ended.is_none()),
            approval: state.open_approval().filter(|_| ended.is_none()).map(|(effect, digest, question)| Approval {
                effect,
                digest,
                question: question.to_owned(),
            }),
            taken_over: state.taken_over.clone(),
            options: state.options.clone(),
            answered_net: state.network.answered(&state.options.allow_net),
            out: state.options.out.clone().map(PathBuf::from).unwrap_or_default(),
            workspace: state.options.workspace.clone().map_or_else(|| folder.workspace(), PathBuf::from),
            folder: folder.root().to_owned(),
        }
    }
}

impl Summary {
    /// Says how a task that has neither ended nor waits stands: in hand, queued, or left by its process.
    pub fn stands(&mut self, running: bool, queued: bool) {
        if self.cause.is_some() || self.state == "waiting" {
            return;
        }
        (self.state, self.reason) = match (running, queued) {
            // Asked beside the work: an answer is wanted now, though the work goes on without it.
            (true, _) if self.approval.is_some() => ("waiting", ASKED.to_owned()),
            (true, _) => ("running", String::new()),
            (false, true) => ("queued", "it waits for its turn".to_owned()),
            (false, false) => ("stopped", LEFT.to_owned()),
        };
    }

    /// Whether it has ended; a resume would begin it anew.
    pub fn is_over(&self) -> bool {
        self.cause.is_some()
    }

    /// Whether its process ended in the middle of the work, and no other has it.
    pub fn is_left(&self) -> bool {
        self.cause.is_none() && self.state == "stopped"
    }
}

/// The words for a task whose process ended under it.
const LEFT: &str = "its process ended in the middle of the work; nothing is lost";

/// The words for a task that waits for an answer.
const ASKED: &str = "it waits for your word";

fn standing(state: &State, held: bool) -> (&'static str, String) {
    if let Some(ended) = &state.ended {
        let name = match ended.state {
            EndState::Done => "done",
            EndState::Stopped => "stopped",
            EndState::Failed => "failed",
        };
        return (name, ended.reason.clone());
    }
    if state.waits_for_person() || held && state.open_approval().is_some() {
        let reason = match &state.taken_over {
            Some(what) => format!("you have {what} in your hands"),
            None => ASKED.to_owned(),
        };
        return ("waiting", reason);
    }
    if held {
        return ("running", String::new());
    }
    ("stopped", LEFT.to_owned())
}

/// Characters of one argument in a question to the person: enough to read all of an ordinary one before saying yes.
const ARGUMENT_CHARS_MAX: usize = 8_000;

/// An effect as a person reads it before they allow it: the tool and each of its arguments.
pub(crate) fn in_words(call: &event::ToolCall) -> String {
    let mut lines = vec![call.tool.clone()];
    for (name, value) in &call.arguments {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let shown: String = value.chars().take(ARGUMENT_CHARS_MAX).collect();
        // Deeper than any name, so that no line of a value can pass for another argument.
        let ends = |c: char| matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}');
        let indented = shown.replace("\r\n", "\n").split(ends).collect::<Vec<_>>().join("\n      ");
        let more = if shown.len() < value.len() {
            format!(" … CUT HERE: {} bytes in all; `thenar journal show --json` has the whole of it", value.len())
        } else {
            String::new()
        };
        lines.push(format!("  {name}: {indented}{more}"));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::tests::tool_call;

    #[test]
    fn no_line_of_a_value_passes_for_another_argument() {
        let mut call = tool_call(1, "deliver");
        let forged = "x\n  request_waiver: false\r\n  a: b\rc\u{2028}d";
        call.arguments = serde_json::Map::from_iter([
            ("summary".to_owned(), forged.into()),
            ("request_waiver".to_owned(), true.into()),
        ]);
        let words = in_words(&call);
        let names: Vec<_> = words.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   ")).collect();
        assert_eq!(names, ["  summary: x", "  request_waiver: true"], "{words}");
        assert!(words.contains("\n        request_waiver: false\n        a: b\n      c\n      d"), "{words}");
    }
}
