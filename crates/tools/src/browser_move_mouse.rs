//! `browser_move_mouse`: the mouse moves, with or without its button held down.

use policy::ToolFacts;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::browsing;
use crate::call::Call;
use crate::catalog::Tool;
use crate::outcome::Outcome;

const WHAT: &str = "The movement of the mouse";

/// Move the mouse onto an element or point; drag holds its button down on the way from where it was.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct BrowserMoveMouse {
    element: Option<u32>,
    x: Option<u64>,
    y: Option<u64>,
    drag: Option<bool>,
}

impl Tool for BrowserMoveMouse {
    const NAME: &'static str = "browser_move_mouse";
    const DURABLE_FIRST: bool = true;

    fn facts() -> ToolFacts {
        browsing::acting_facts(&[])
    }

    fn run(self, call: &Call<'_>) -> Result<Outcome, Outcome> {
        let spot = browsing::some_spot(self.element, self.x, self.y)?;
        browsing::act(call, WHAT, |browser| browser.move_mouse(spot, self.drag == Some(true)))
    }

    fn attach(self, call: &Call<'_>) -> Result<Option<Outcome>, Outcome> {
        browsing::acted(call, WHAT)
    }
}
