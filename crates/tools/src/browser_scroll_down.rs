//! `browser_scroll_down`: the wheel turns, over the page or over an element that scrolls by itself.

use policy::ToolFacts;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::browsing;
use crate::call::Call;
use crate::catalog::Tool;
use crate::outcome::Outcome;

const WHAT: &str = "The scrolling";

/// Scroll the page down, or what the element is in, by a window or to_bottom.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct BrowserScrollDown {
    element: Option<u32>,
    to_bottom: Option<bool>,
}

impl Tool for BrowserScrollDown {
    const NAME: &'static str = "browser_scroll_down";
    const DURABLE_FIRST: bool = true;

    fn facts() -> ToolFacts {
        browsing::acting_facts(&[])
    }

    fn run(self, call: &Call<'_>) -> Result<Outcome, Outcome> {
        let all_the_way = self.to_bottom == Some(true);
        browsing::act(call, WHAT, |browser| browser.scroll(self.element, browser::Direction::Down, all_the_way))
    }

    fn attach(self, call: &Call<'_>) -> Result<Option<Outcome>, Outcome> {
        browsing::acted(call, WHAT)
    }
}
