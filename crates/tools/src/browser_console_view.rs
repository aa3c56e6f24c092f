//! `browser_console_view`: what the page has put on its console. It changes nothing, so it may be done again.

use policy::ToolFacts;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::browsing;
use crate::call::{Call, plain_facts};
use crate::catalog::Tool;
use crate::limits::{CONSOLE_LINES_DEFAULT, CONSOLE_LINES_MAX};
use crate::outcome::Outcome;
use crate::shown::OUTPUT_CHARS;

/// Show the last lines of the page's console (50 unless told).
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct BrowserConsoleView {
    max_lines: Option<u64>,
}

impl Tool for BrowserConsoleView {
    const NAME: &'static str = "browser_console_view";

    fn facts() -> ToolFacts {
        plain_facts()
    }

    fn run(self, call: &Call<'_>) -> Result<Outcome, Outcome> {
        let lines = self.max_lines.unwrap_or(CONSOLE_LINES_DEFAULT).clamp(1, CONSOLE_LINES_MAX);
        let lines = usize::try_from(lines).unwrap_or(usize::MAX);
        browsing::look(call, |browser| browser.console(lines, OUTPUT_CHARS))
    }
}
