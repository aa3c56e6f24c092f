//! `browser_input`: typing into a field, or giving it files of the workspace.

use policy::ToolFacts;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::browsing;
use crate::call::Call;
use crate::catalog::Tool;
use crate::downloads;
use crate::limits::INPUT_BYTES_MAX;
use crate::outcome::Outcome;

const WHAT: &str = "The typing";

/// Type text into a field, in place of what it holds unless add, then Enter if press_enter. A file field takes paths.
///
/// Without `element` the text goes where the cursor is, or answers the page's question for a line of text. For a field that
/// takes files, and where the page has opened a file chooser, `text` is paths in `/workspace`, one a line.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct BrowserInput {
    text: String,
    element: Option<u32>,
    add: Option<bool>,
    press_enter: Option<bool>,
}

impl Tool for BrowserInput {
    const NAME: &'static str = "browser_input";
    const DURABLE_FIRST: bool = true;

    fn facts() -> ToolFacts {
        browsing::acting_facts(&["text"])
    }

    fn run(self, call: &Call<'_>) -> Result<Outcome, Outcome> {
        if self.text.len() > INPUT_BYTES_MAX {
            let bytes = self.text.len();
            return Err(Outcome::invalid(format!("`text` has {bytes} bytes; {INPUT_BYTES_MAX} is the most")));
        }
        let taken = browsing::take(call, sandbox::Browser::default())?;
        // A dialog is answered with the text itself.
        let field = if taken.dialog().is_some() { Ok(None) } else { taken.upload_field(self.element) };
        let field = match field {
            Ok(field) => field,
            Err(error) => return browsing::tell(call, &taken, WHAT, Err(error)),
        };
        let files = match &field {
            Some(_) => downloads::hand_out(call, &taken, &self.text)?,
            None => Vec::new(),
        };
        browsing::act(call, WHAT, |browser| match &field {
            Some(field) => browser.upload(field, &files),
            None => {
                let (add, enter) = (self.add == Some(true), self.press_enter == Some(true));
                browser.input(self.element, &self.text, add, enter)
            }
        })
    }

    fn attach(self, call: &Call<'_>) -> Result<Option<Outcome>, Outcome> {
        browsing::acted(call, WHAT)
    }
}
