//! `browser_console_exec`: a script in the page, as typed into its console.

use policy::ToolFacts;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::browsing;
use crate::call::Call;
use crate::catalog::Tool;
use crate::limits::INPUT_BYTES_MAX;
use crate::outcome::Outcome;
use crate::shown::OUTPUT_CHARS;

const WHAT: &str = "The script";

/// Run JavaScript in the page, awaiting promises; elements in its result get numbers.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct BrowserConsoleExec {
    javascript: String,
}

impl Tool for BrowserConsoleExec {
    const NAME: &'static str = "browser_console_exec";
    const DURABLE_FIRST: bool = true;

    fn facts() -> ToolFacts {
        browsing::acting_facts(&["javascript"])
    }

    fn run(self, call: &Call<'_>) -> Result<Outcome, Outcome> {
        let bytes = self.javascript.len();
        if bytes > INPUT_BYTES_MAX || self.javascript.trim().is_empty() {
            return Err(Outcome::invalid(format!("`javascript` is 1 to {INPUT_BYTES_MAX} bytes, not {bytes}")));
        }
        browsing::act(call, WHAT, |browser| browser.exec(&self.javascript, OUTPUT_CHARS))
    }

    fn attach(self, call: &Call<'_>) -> Result<Option<Outcome>, Outcome> {
        browsing::acted(call, WHAT)
    }
}
