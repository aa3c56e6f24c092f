//! `browser_navigate`: going somewhere. Which servers can be reached is the network's business, not decided here.

use policy::ToolFacts;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::browsing;
use crate::call::Call;
use crate::catalog::Tool;
use crate::outcome::Outcome;

const WHAT: &str = "The navigation";

/// Open an address in the browser; or back, forward, reload, "tab 2", close tab.
///
/// `http`, `https` and `data` addresses are opened; a server that runs in the computer is at `localhost`. Another tab is
/// shown by its number.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct BrowserNavigate {
    url: String,
}

impl Tool for BrowserNavigate {
    const NAME: &'static str = "browser_navigate";
    const DURABLE_FIRST: bool = true;

    fn facts() -> ToolFacts {
        browsing::acting_facts(&["url"])
    }

    fn run(self, call: &Call<'_>) -> Result<Outcome, Outcome> {
        let to = browsing::destination(&self.url)?;
        browsing::act(call, WHAT, |browser| browser.navigate(&to))
    }

    fn attach(self, call: &Call<'_>) -> Result<Option<Outcome>, Outcome> {
        browsing::acted(call, WHAT)
    }
}
