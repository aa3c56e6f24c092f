//! `message_notify_user`: words for the person. It waits for nothing.

use event::ToolFact;
use policy::ToolFacts;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::call::{Call, line, plain_facts};
use crate::catalog::Tool;
use crate::limits::TEXT_CHARS_MAX;
use crate::outcome::Outcome;

/// Tell the person something; the work goes on.
///
/// The text is shown at once and kept in the journal. Nothing is waited for: what needs an answer goes through
/// `message_ask_user`.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct MessageNotifyUser {
    text: String,
}

impl Tool for MessageNotifyUser {
    const NAME: &'static str = "message_notify_user";

    fn facts() -> ToolFacts {
        plain_facts()
    }

    fn run(self, _call: &Call<'_>) -> Result<Outcome, Outcome> {
        let text = line("text", &self.text, TEXT_CHARS_MAX)?;
        Ok(Outcome::done("Shown to the person.").with(ToolFact::Notice { text }))
    }
}
