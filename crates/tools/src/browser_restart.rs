//! `browser_restart`: another browser in place of the one there is. What was open is gone; what it was logged in to stays,
//! with its profile.

use policy::ToolFacts;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::browsing;
use crate::call::Call;
use crate::catalog::Tool;
use crate::outcome::Outcome;
use crate::shown::OUTPUT_CHARS;

const WHAT: &str = "The restart";

/// Start the browser anew, with full as the whole Chromium, and open url.
///
/// The quick one (headless shell) is what runs otherwise; the whole Chromium is for pages that do not work in it. Cookies
/// stay.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct BrowserRestart {
    url: Option<String>,
    full: Option<bool>,
}

impl Tool for BrowserRestart {
    const NAME: &'static str = "browser_restart";
    const DURABLE_FIRST: bool = true;

    fn facts() -> ToolFacts {
        browsing::acting_facts(&["url"])
    }

    fn run(self, call: &Call<'_>) -> Result<Outcome, Outcome> {
        let to = self.url.as_deref().filter(|url| !url.trim().is_empty()).map(browsing::destination).transpose()?;
        let which = if self.full == Some(true) { sandbox::Browser::Full } else { sandbox::Browser::Lean };
        // One that cannot be started ends nothing.
        which.program().map_err(|reason| Outcome::failed(format!("Nothing was restarted: {reason}.")))?;
        let computer = crate::process::computer(call)?;
        browsing::mark(call, &computer, WHAT)?;
        call.world.place.let_go_of_browser();
        computer.end_browser().map_err(|error| Outcome::failed(format!("The browser did not end: {error}.")))?;
        let taken = browsing::take(call, which)?;
        let came = match &to {
            Some(to) => taken.navigate(to),
            None => taken.view(None, OUTPUT_CHARS),
        };
        browsing::tell(call, &taken, WHAT, came)
    }

    fn attach(self, call: &Call<'_>) -> Result<Option<Outcome>, Outcome> {
        browsing::acted(call, WHAT)
    }
}
