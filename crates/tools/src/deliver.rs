//! `deliver`: files for the person, each opened by a parser of its type first. It changes nothing outside the task's own
//! folder before every file has passed, and does nothing twice for one effect.

mod acceptance;
mod asked;
mod check;
mod points;
mod publish;
mod stage;
mod unfinished;

pub(crate) use asked::{Check, adopt};
pub use unfinished::{HAND_OVER, hand_over, hand_over_facts};

use event::{AcceptanceItem, AcceptanceStatus, ToolFact};
use policy::ToolFacts;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::call::{Call, lasting_facts, line};
use crate::catalog::Tool;
use crate::limits::{LINE_CHARS_MAX, TEXT_CHARS_MAX};
use crate::outcome::{Outcome, Words};

/// Hand files in /workspace to the person. Each is opened and checked; a broken or empty one refuses the call. Say how
/// each acceptance point stands: a failed one refuses too, unless request_waiver asks the person to accept that.
///
/// Folders below the files' common one are kept. A point that is not mentioned stays as it was, at first `unchecked`. A
/// point with a check stands as the check finds it, whatever is said of it; checks are given with `plan_update`.
/// The files are copied, so later changes need another delivery; one of the same name replaces what the task delivered
/// before, and never a file that somebody else put there.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Deliver {
    files: Vec<File>,
    acceptance: Option<Vec<Point>>,
    summary: Option<String>,
    request_waiver: Option<bool>,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct File {
    path: String,
    description: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Point {
    text: String,
    status: Verdict,
    note: Option<String>,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Passed,
    Failed,
    Unchecked,
}

impl Tool for Deliver {
    const NAME: &'static str = "deliver";
    const DURABLE_FIRST: bool = true;

    fn facts() -> ToolFacts {
        // The task's own output is where the person asked to have it: it does not leave for anybody else.
        lasting_facts()
    }

    fn run(self, call: &Call<'_>) -> Result<Outcome, Outcome> {
        let staging = stage::Staging::of(call);
        if let Some(plan) = publish::Plan::read(&staging)? {
            return publish::publish(&plan, &staging, call);
        }
        let mut items = self.acceptance(call)?;
        self.refuse_failed(&mut items, call)?;
        let summary = match self.summary.as_deref().map(str::trim) {
            None | Some("") => None,
            Some(summary) => Some(line("summary", summary, TEXT_CHARS_MAX)?),
        };
        let files = self.files.len();
        let staged = tracing::info_span!("deliver.copy", thenar.files = files)
            .in_scope(|| stage::stage(&self.files, &staging, call))?;
        let findings = tracing::info_span!("deliver.check", thenar.files = files)
            .in_scope(|| check::check(&staged, &staging, call))?;
        tracing::info_span!("deliver.points").in_scope(|| points::check(&mut items, &staged, &staging, call))?;
        self.refuse_failed(&mut items, call)?;
        let plan = publish::Plan::make(staged, findings, items, summary, call)?;
        plan.write(&staging)?;
        tracing::info_span!("deliver.hand_over", thenar.files = files)
            .in_scope(|| publish::publish(&plan, &staging, call))
    }

    /// Once the plan is written, what remains is to finish it.
    fn attach(self, call: &Call<'_>) -> Result<Option<Outcome>, Outcome> {
        let staging = stage::Staging::of(call);
        match publish::Plan::read(&staging)? {
            Some(plan) => publish::publish(&plan, &staging, call).map(Some),
            None => Ok(None),
        }
    }
}

impl Deliver {
    /// The acceptance list after what was said of it.
    fn acceptance(&self, call: &Call<'_>) -> Result<Vec<AcceptanceItem>, Outcome> {
        let mut said = Vec::new();
        for point in self.acceptance.iter().flatten() {
            let status = match point.status {
                Verdict::Passed => AcceptanceStatus::Passed,
                Verdict::Failed => AcceptanceStatus::Failed,
                Verdict::Unchecked => AcceptanceStatus::Unchecked,
            };
            let text = line("acceptance", &point.text, LINE_CHARS_MAX)?;
            let note: String = point.note.iter().flat_map(|note| note.chars()).take(LINE_CHARS_MAX).collect();
            said.push(AcceptanceItem { text, status, note, check: None });
        }
        acceptance::settle(&call.world.acceptance, said)
    }

    /// Refused where a point failed and nobody waives it.
    fn refuse_failed(&self, items: &mut [AcceptanceItem], call: &Call<'_>) -> Result<(), Outcome> {
        // Policy put this very argument before the person: nothing that merely resembles it will do.
        let waived = call.call.arguments.get("request_waiver") == Some(&serde_json::Value::Bool(true))
            && self.request_waiver == Some(true);
        let failed = acceptance::failed(items);
        if failed.is_empty() {
            return Ok(());
        }
        if waived {
            acceptance::waive(items);
            return Ok(());
        }
        let text = format!(
            "Not delivered: the acceptance list has failed points:\n- {}\nMend them and deliver again. If they cannot be \
             mended, deliver with request_waiver true: the person is then asked whether to accept it so.",
            failed.join("\n- ")
        );
        // A check's note holds words of the files it read.
        let checked = items.iter().any(|item| item.check.is_some());
        let words = if checked { Words::Computer } else { Words::Arguments };
        Err(Outcome { words, ..Outcome::invalid(text) }.with(ToolFact::Acceptance { items: items.to_vec() }))
    }
}
