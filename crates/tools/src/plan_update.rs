//! `plan_update`: the checklist a person sees, and the list of what the result must meet. It never takes a point off
//! that list: what was asked for stays asked for.

use event::{AcceptanceItem, AcceptanceStatus, Plan, PlanStep, StepStatus, ToolFact};
use policy::ToolFacts;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::call::{Call, line, plain_facts, same_words};
use crate::catalog::Tool;
use crate::limits::{ACCEPTANCE_ITEMS_MAX, LINE_CHARS_MAX, PLAN_STEPS_MAX};
use crate::outcome::Outcome;

/// Replace the plan that the person sees. With the first one give acceptance: short, checkable points that the result
/// must meet.
///
/// The whole plan is given each time. Points of the acceptance list can be added later, never removed; `deliver` says
/// how each of them stands.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct PlanUpdate {
    steps: Vec<Step>,
    acceptance: Option<Vec<String>>,
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
        let before = items.len();
        for point in self.acceptance.unwrap_or_default() {
            let point = line("acceptance", &point, LINE_CHARS_MAX)?;
            if !items.iter().any(|item| same_words(&item.text, &point)) {
                items.push(AcceptanceItem { text: point, status: AcceptanceStatus::Unchecked, note: String::new() });
            }
        }
        if items.len() > ACCEPTANCE_ITEMS_MAX {
            return Err(Outcome::invalid(format!("the acceptance list holds {ACCEPTANCE_ITEMS_MAX} points at most")));
        }
        let grew = items.len() > before;
        if grew {
            text.push_str(&format!(" Acceptance list: {} points.", items.len()));
        }
        let outcome = Outcome::done(text).with(ToolFact::Plan { plan: Plan { steps } });
        Ok(if grew { outcome.with(ToolFact::Acceptance { items }) } else { outcome })
    }
}
