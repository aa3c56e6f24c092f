//! `idle`: the agent says that it is finished. What that ends is for the agent's fold to say.

use event::ToolFact;
use policy::ToolFacts;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::call::{Call, plain_facts};
use crate::catalog::Tool;
use crate::outcome::Outcome;

/// Say that the task is finished; your text beside it is the last word to the person.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Idle {}

impl Tool for Idle {
    const NAME: &'static str = "idle";

    fn facts() -> ToolFacts {
        plain_facts()
    }

    fn run(self, _call: &Call<'_>) -> Result<Outcome, Outcome> {
        Ok(Outcome::done("The task ends here.").with(ToolFact::Idle { text: String::new() }))
    }
}
