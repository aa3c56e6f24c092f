//! `browser_press_key`: a key, or several together.

use policy::ToolFacts;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::browsing;
use crate::call::Call;
use crate::catalog::Tool;
use crate::outcome::Outcome;

const WHAT: &str = "The key press";

/// Press a key: Enter, Escape, ArrowDown, Control+A. A dialog takes Enter as yes, Escape as no.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct BrowserPressKey {
    key: String,
}

impl Tool for BrowserPressKey {
    const NAME: &'static str = "browser_press_key";
    const DURABLE_FIRST: bool = true;

    fn facts() -> ToolFacts {
        browsing::acting_facts(&[])
    }

    fn run(self, call: &Call<'_>) -> Result<Outcome, Outcome> {
        browsing::act(call, WHAT, |browser| browser.press(&self.key))
    }

    fn attach(self, call: &Call<'_>) -> Result<Option<Outcome>, Outcome> {
        browsing::acted(call, WHAT)
    }
}
