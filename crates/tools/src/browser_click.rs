//! `browser_click`: a real click. What is covered, disabled or gone is not clicked.

use policy::ToolFacts;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::browsing;
use crate::call::Call;
use crate::catalog::Tool;
use crate::outcome::Outcome;

const WHAT: &str = "The click";

/// Click on an element by its number, or on a point of the window; shows what changed.
///
/// The element is scrolled into sight first. Options of a list are chosen with `browser_select_option`.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct BrowserClick {
    element: Option<u32>,
    x: Option<u64>,
    y: Option<u64>,
    how: Option<How>,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum How {
    Once,
    Twice,
    Right,
}

impl Tool for BrowserClick {
    const NAME: &'static str = "browser_click";
    const DURABLE_FIRST: bool = true;

    fn facts() -> ToolFacts {
        browsing::acting_facts(&[])
    }

    fn run(self, call: &Call<'_>) -> Result<Outcome, Outcome> {
        let spot = browsing::some_spot(self.element, self.x, self.y)?;
        let how = match self.how {
            None | Some(How::Once) => browser::Click::Once,
            Some(How::Twice) => browser::Click::Twice,
            Some(How::Right) => browser::Click::Right,
        };
        browsing::act(call, WHAT, |browser| browser.click(spot, how))
    }

    fn attach(self, call: &Call<'_>) -> Result<Option<Outcome>, Outcome> {
        browsing::acted(call, WHAT)
    }
}
