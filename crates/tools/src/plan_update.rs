//! `plan_update`: the checklist a person sees, and the list of what the result must meet. It never takes a point off
//! that list: what was asked for stays asked for.

use event::{AcceptanceItem, AcceptanceStatus, Plan, PlanStep, StepStatus, ToolFact};
use policy::ToolFacts;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::call::{Call, line, plain_facts, same_words};
use crate::catalog::Tool;
use crate::deliver::{Check, adopt};
use crate::limits::{ACCEPTANCE_ITEMS_MAX, LINE_CHARS_MAX, PLAN_STEPS_MAX};
use crate::outcome::Outcome;

/// Replace the plan that the person sees. With the first one give acceptance: short, checkable points that the result
/// must meet. A check is made by deliver itself; numbers: those in file must stand in the data files.
///
/// The whole plan is given each time. Points of the acceptance list can be added later, never removed; `deliver` says
/// how each of them stands. `exists`, `contains`, `numbers` and what is counted need a `file`; `opens`, `links` (relative
/// ones and anchors; the web is not asked) and `no_placeholders` (TODO, TBD, lorem ipsum, [insert ...], {{...}}) are
/// made of every delivered file without one. Of a check that was agreed only `file` and `data` can be changed later.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct PlanUpdate {
    steps: Vec<Step>,
    acceptance: Option<Vec<Wanted>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Wanted {
    text: String,
    check: Option<Check>,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Step {
    text: String,
    status: Option<Status>,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Status {
    Pending,
    InProgress,
    Done,
    Skipped,
}

impl From<Status> for StepStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Pending => Self::Pending,
            Status::InProgress => Self::InProgress,
            Status::Done => Self::Done,
            Status::Skipped => Self::Skipped,
        }
    }
}

impl Tool for PlanUpdate {
    const NAME: &'static str = "plan_update";

    fn facts() -> ToolFacts {
        plain_facts()
    }

    fn run(self, call: &Call<'_>) -> Result<Outcome, Outcome> {
        if self.steps.is_empty() || self.steps.len() > PLAN_STEPS_MAX {
            return Err(Outcome::invalid(format!("a plan has 1 to {PLAN_STEPS_MAX} steps, not {}", self.steps.len())));
        }
        let step = |step: Step| {
            let status = step.status.unwrap_or(Status::Pending).into();
            Ok(PlanStep { text: line("text", &step.text, LINE_CHARS_MAX)?, status })
        };
        let steps = self.steps.into_iter().map(step).collect::<Result<Vec<_>, Outcome>>()?;
        let done = steps.iter().filter(|step| step.status == StepStatus::Done).count();
        let mut text = format!("Plan noted: {done} of {} steps done.", steps.len());
        let mut items = call.world.acceptance.clone();
        for wanted in self.acceptance.unwrap_or_default() {
            let text = line("acceptance", &wanted.text, LINE_CHARS_MAX)?;
            let check = wanted.check.map(Check::settled).transpose()?;
            match items.iter_mut().find(|item| same_words(&item.text, &text)) {
                Some(item) => adopt(item, check)?,
                None => {
                    let (status, note) = (AcceptanceStatus::Unchecked, String::new());
                    items.push(AcceptanceItem { text, status, note, check });
                }
            }
        }
        if items.len() > ACCEPTANCE_ITEMS_MAX {
            return Err(Outcome::invalid(format!("the acceptance list holds {ACCEPTANCE_ITEMS_MAX} points at most")));
        }
        let changed = items != call.world.acceptance;
        if changed {
            text.push_str(&format!(" Acceptance list: {} points.", items.len()));
        }
        let outcome = Outcome::done(text).with(ToolFact::Plan { plan: Plan { steps } });
        Ok(if changed { outcome.with(ToolFact::Acceptance { items }) } else { outcome })
    }
}
