//! `browser_select_option`: choosing from a list, by what its options are called.

use policy::ToolFacts;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::browsing;
use crate::call::Call;
use crate::catalog::Tool;
use crate::limits::OPTIONS_MAX;
use crate::outcome::Outcome;

const WHAT: &str = "The choice";

/// Choose from a select element by what the options are called; several only where it takes several.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct BrowserSelectOption {
    element: u32,
    option: Vec<String>,
}

impl Tool for BrowserSelectOption {
    const NAME: &'static str = "browser_select_option";
    const DURABLE_FIRST: bool = true;

    fn facts() -> ToolFacts {
        browsing::acting_facts(&[])
    }

    fn run(self, call: &Call<'_>) -> Result<Outcome, Outcome> {
        if self.option.len() > OPTIONS_MAX {
            return Err(browsing::not_so(&format!("`option` has {OPTIONS_MAX} names at most")));
        }
        browsing::act(call, WHAT, |browser| browser.select(self.element, &self.option))
    }

    fn attach(self, call: &Call<'_>) -> Result<Option<Outcome>, Outcome> {
        browsing::acted(call, WHAT)
    }
}
