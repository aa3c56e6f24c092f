//! What a person does with a browser in hand beside clicks and keys: go somewhere, give the page files. Unlike the agent they
//! are told nothing of the page, for they see it; only why something could not be done.

use serde_json::{Value, json};

use crate::limits::{ADDRESS_CHARS_MAX, ANSWER};
use crate::line::Ask;
use crate::place::{Destination, Opened};
use crate::state::{Chooser, Post};
use crate::{Browser, Error, Result};

/// Where a person goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Going {
    /// To an address, as they typed it.
    Address(String),
    Back,
    Forward,
    Reload,
    /// To another tab, by its number.
    Tab(u32),
    /// Closes a tab.
    Close(u32),
    /// Opens an empty tab.
    NewTab,
}

impl Browser {
    /// Goes there. An address is waited for until its server begins to answer, or for a while; what comes then is seen.
    ///
    /// # Errors
    /// [`Error::Cannot`] with the reason where there is no such place.
    pub fn travel(&self, to: &Going) -> Result<()> {
        let shown = self.page()?;
        match to {
            Going::Address(word) => match Destination::read(word)? {
                Destination::Address(url) => match self.open(&shown, &url)? {
                    Opened::Failed(reason) => Err(Error::Cannot(format!(
                        "{} cannot be opened: {reason}",
                        url.chars().take(ADDRESS_CHARS_MAX).collect::<String>()
                    ))),
                    // What is slow is still waited for, and what comes of it is seen.
                    Opened::Page | Opened::File | Opened::Nothing | Opened::Slow { .. } => Ok(()),
                },
                _ => Err(Error::Cannot(format!("{word:?} is no address: write one like example.org"))),
            },
            Going::Back => self.turn_back(&shown, -1),
            Going::Forward => self.turn_back(&shown, 1),
            Going::Reload => self.tell_page(&shown, "Page.reload", json!({})),
            Going::Tab(number) => self.show(&self.tab_numbered(*number)?),
            Going::Close(number) => {
                let target = self.tab_numbered(*number)?;
                self.ask_browser("Target.closeTarget", json!({ "targetId": target }), ANSWER)?;
                self.line.wait_for(ANSWER, |state| state.tab(&target).is_none().then_some(()))?;
                // Where it was the last one, another is opened.
                let now = self.page()?;
                self.show(&now)
            }
            Going::NewTab => {
                let made = self.ask_browser("Target.createTarget", json!({ "url": "about:blank" }), ANSWER)?;
                let target = made["targetId"].as_str().unwrap_or_default().to_owned();
                let there = self.line.wait_for(ANSWER, |state| state.tab(&target).map(drop))?;
                there.ok_or_else(|| Error::Cannot("no more tabs can be open: close one first".to_owned()))?;
                self.show(&target)
            }
        }
    }

    /// Whether the page asks for so many files.
    ///
    /// # Errors
    /// [`Error::Cannot`] if it asks for none, or for one only.
    pub fn wants_so_many(&self, files: usize) -> Result<()> {
        self.chooser(&self.page()?, files).map(drop)
    }

    /// Gives the page the files that it asks for, by their paths as the browser sees them; none tells it that there are none.
    ///
    /// # Errors
    /// [`Error::Cannot`] if it asks for none, or for one only.
    pub fn give_files(&self, paths: &[String]) -> Result<()> {
        let target = self.page()?;
        let chooser = self.chooser(&target, paths.len())?;
        let forget = || {
            self.close_chooser(&target);
        };
        if paths.is_empty() {
            forget();
            return Ok(());
        }
        let params = json!({ "files": paths, "backendNodeId": chooser.node });
        let session = Some(&*chooser.session);
        let ask = Ask { session, method: "DOM.setFileInputFiles", params, within: ANSWER, tab: Some(&target) };
        match self.line.ask(ask) {
            Ok(_) | Err(Error::Dialog) => forget(),
            // The field is gone, and whatever asked with it.
            Err(Error::Refused { .. }) => {
                forget();
                return Err(Error::Cannot("the page does not ask for these files any more".to_owned()));
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn chooser(&self, target: &str, files: usize) -> Result<Chooser> {
        let chooser = self.line.state(|state| state.tab(target).and_then(|tab| tab.chooser.clone()));
        match chooser {
            None => Err(Error::Cannot("the page asks for no files now".to_owned())),
            Some(chooser) if files > 1 && !chooser.many => {
                Err(Error::Cannot("the page asks for one file only".to_owned()))
            }
            Some(chooser) => Ok(chooser),
        }
    }

    fn turn_back(&self, target: &str, by: i64) -> Result<()> {
        self.no_dialog(target)?;
        let entry = self.in_history(target, by)?;
        self.tell_page(target, "Page.navigateToHistoryEntry", json!({ "entryId": entry }))
    }

    fn tell_page(&self, target: &str, method: &'static str, params: Value) -> Result<()> {
        let session = self.session(target)?;
        self.line.post(&Post::new(Some(&session), method, params))
    }
}
