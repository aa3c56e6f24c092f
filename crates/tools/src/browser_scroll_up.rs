//! `browser_scroll_up`: the wheel turns, over the page or over an element that scrolls by itself.

use policy::ToolFacts;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::browsing;
use crate::call::Call;
use crate::catalog::Tool;
use crate::outcome::Outcome;

const WHAT: &str = "The scrolling";

/// Scroll the page up, or what the element is in, by a window or to_top.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct BrowserScrollUp {
    element: Option<u32>,
    to_top: Option<bool>,
}

impl Tool for BrowserScrollUp {
    const NAME: &'static str = "browser_scroll_up";
    const DURABLE_FIRST: bool = true;

    fn facts() -> ToolFacts {
        browsing::acting_facts(&[])
    }

    fn run(self, call: &Call<'_>) -> Result<Outcome, Outcome> {
        let all_the_way = self.to_top == Some(true);
        browsing::act(call, WHAT, |browser| browser.scroll(self.element, browser::Direction::Up, all_the_way))
    }

    fn attach(self, call: &Call<'_>) -> Result<Option<Outcome>, Outcome> {
        browsing::acted(call, WHAT)
    }
}
