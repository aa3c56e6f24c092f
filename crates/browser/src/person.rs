//! What a person does with a browser in hand beside clicks and keys: go somewhere, give the page files. Unlike the agent they
//! are told nothing of the page, for they see it; only why something could not be done.

use serde_json::{Value, json};

use crate::limits::{ANSWER, NAVIGATE};
use crate::line::Ask;
use crate::place::{Destination, network_error};
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
                Destination::Address(url) => self.open(&shown, &url),
                _ => Err(Error::Cannot(format!("{word:?} is no address: write one like example.org"))),
            },
            Going::Back => self.turn_back(&shown, -1),
            Going::Forward => self.turn_back(&shown, 1),
            Going::Reload => self.tell_page(&shown, "Page.reload", json!({})),
            Going::Tab(number) => self.show(&self.numbered(*number)?),
            Going::Close(number) => {
                let target = self.numbered(*number)?;
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

    fn open(&self, target: &str, url: &str) -> Result<()> {
        // A question that is left standing is answered with no: whoever goes elsewhere has not said yes to it. Whether the page
        // may be left is no question here.
        self.answer_dialog(target, false, None)?;
        self.close_chooser(target);
        let session = self.session(target)?;
        let (session, params) = (Some(&*session), json!({ "url": url }));
        let ask = Ask { session, method: "Page.navigate", params, within: NAVIGATE, tab: Some(target) };
        let cannot = |why: &str| {
            let shown: String = url.chars().take(200).collect();
            Err(Error::Cannot(format!("{shown} cannot be opened: {why}")))
        };
        match self.line.ask(ask) {
            Ok(answer) => match answer["errorText"].as_str() {
                // What is to be downloaded ends its navigation like this.
                None | Some("net::ERR_ABORTED") => Ok(()),
                Some(error) => cannot(&network_error(error)),
            },
            // It is still waited for, and what comes of it is seen.
            Err(Error::Dialog | Error::Silent { .. }) => Ok(()),
            Err(Error::Refused { reason, .. }) => cannot(&reason),
            Err(error) => Err(error),
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

    fn numbered(&self, number: u32) -> Result<String> {
        let found =
            self.line.state(|state| state.tabs().iter().find(|tab| tab.number == number).map(|tab| tab.target.clone()));
        found.ok_or_else(|| Error::Cannot(format!("tab {number} is closed")))
    }
}
