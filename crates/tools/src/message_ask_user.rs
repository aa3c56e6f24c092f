//! `message_ask_user`: a question to the person. The waiting itself is the agent's, not done here.

use event::ToolFact;
use policy::ToolFacts;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::call::{Call, line, plain_facts};
use crate::catalog::Tool;
use crate::limits::TEXT_CHARS_MAX;
use crate::outcome::Outcome;

/// Ask the person and wait for the answer; only when the work cannot go on without it.
///
/// The task waits until the person answers, perhaps for days; the answer comes as the person's next message.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct MessageAskUser {
    text: String,
}

impl Tool for MessageAskUser {
    const NAME: &'static str = "message_ask_user";

    fn facts() -> ToolFacts {
        plain_facts()
    }

    fn run(self, _call: &Call<'_>) -> Result<Outcome, Outcome> {
        let text = line("text", &self.text, TEXT_CHARS_MAX)?;
        Ok(Outcome::done("Asked; the person's answer is their next message.").with(ToolFact::Question { text }))
    }
}
