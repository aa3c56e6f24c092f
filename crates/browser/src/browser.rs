//! A browser in the hands of one caller: the line to it, the page that is acted upon, and how the caller is told what came
//! of an action. What can be done with a page is in the files beside this one.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::limits::{ACT, ANSWER, START};
use crate::line::{Ask, Line};
use crate::patience::Patience;
use crate::places::Places;
use crate::state::{Dialog, DialogKind, Post, State, auto_attach};
use crate::view::Shown;
use crate::{Error, Result};

/// How long pages that said nothing of their numbers may take to say it when they are asked again.
const RECOVER_AGAIN: Duration = Duration::from_secs(2);

/// What a caller brings beside the stream.
#[derive(Debug, Clone)]
pub struct Start {
    /// Grows with every caller of the same browser, so that their messages are never mixed up.
    pub generation: u32,
    /// The browser was started for this caller.
    pub fresh: bool,
    /// What still holds of what the browser said to callers before this one; empty where not all is known.
    pub standing: Vec<String>,
    /// The folder for downloads, as the browser sees it.
    pub downloads: String,
    /// Set to end whatever is waited for.
    pub cancel: Arc<AtomicBool>,
}

/// A browser. Several threads may look at it; one acts.
#[derive(Debug)]
pub struct Browser {
    pub(crate) line: Line,
    pub(crate) mine: Mutex<Mine>,
}

/// What the caller remembers between actions.
#[derive(Debug, Default)]
pub(crate) struct Mine {
    /// The number that the next element gets.
    pub(crate) next: u32,
    /// Which page and frame a number is in.
    pub(crate) places: Places,
    /// What the caller was told of each page last.
    pub(crate) shown: HashMap<String, Shown>,
    /// A page could not be asked for its numbers yet.
    pub(crate) unrecovered: bool,
    /// Where the mouse is, in points of the window.
    pub(crate) mouse: (f64, f64),
}

impl Browser {
    /// Takes the line, whether the browser is coming up, new, or was left by another caller in the middle of something.
    ///
    /// # Errors
    /// [`Error::Gone`] if it does not come up.
    pub fn attach(
        reader: impl Read + Send + 'static,
        writer: impl Write + Send + 'static,
        start: Start,
    ) -> Result<Self> {
        let (state, posts) = State::standing(&start.standing);
        let line = Line::open(reader, writer, &start, state)?;
        let browser = Self { line, mine: Mutex::new(Mine { next: 1, ..Mine::default() }) };
        let ask = |method, params, within| Ask { session: None, method, params, within, tab: None };
        let keep = json!({ "behavior": "allowAndName", "downloadPath": start.downloads, "eventsEnabled": true });
        let attach = ask("Target.setAutoAttach", auto_attach(true), ANSWER);
        let keep = ask("Browser.setDownloadBehavior", keep, ANSWER);
        let version = ask("Browser.getVersion", json!({}), START);
        if start.fresh {
            // Nobody was there before: all is said at once, to be heard as soon as it is up.
            browser.line.ask_all(&[version, attach, keep])?;
        } else {
            browser.line.ask(version)?;
            posts.iter().try_for_each(|post| browser.line.post(post))?;
            if start.standing.is_empty() {
                // Off first: that ends what a caller before this one had attached to, and answers what pages ask.
                browser.ask_browser("Target.setAutoAttach", auto_attach(false), ANSWER)?;
            }
            browser.line.ask_all(&[attach, keep])?;
        }
        browser.page()?;
        browser.recover(ANSWER)?;
        if !start.fresh {
            let words = if start.standing.is_empty() {
                // The browser answers for the caller that is gone.
                "The line to the browser was taken up anew; a question that a page had open was answered with no."
            } else {
                "The line to the browser was taken up anew."
            };
            browser.line.state(|state| state.note(words));
        }
        Ok(browser)
    }

    /// Whether the line still holds.
    pub fn is_alive(&self) -> bool {
        self.line.over().is_none()
    }

    /// The page that is acted upon; one is opened if there is none.
    pub(crate) fn page(&self) -> Result<String> {
        let shown = |browser: &Self, within| {
            browser.line.wait_for(within, |state| state.active().map(|tab| tab.target.clone()))
        };
        if let Some(target) = shown(self, Duration::from_millis(500))? {
            return Ok(target);
        }
        self.ask_browser("Target.createTarget", json!({ "url": "about:blank" }), ANSWER)?;
        shown(self, START)?.ok_or_else(|| Error::Gone("it opens no page".to_owned()))
    }

    /// Asks again where a page could not say yet what is numbered in it.
    pub(crate) fn recover_the_rest(&self) -> Result<()> {
        if self.mine().unrecovered { self.recover(RECOVER_AGAIN) } else { Ok(()) }
    }

    /// Finds out what a caller before this one had numbered, so that no number is given twice. All pages have one time for it;
    /// of what one does not say by then, a number may come twice until it does.
    fn recover(&self, within: Duration) -> Result<()> {
        self.mine().unrecovered = false;
        let targets: Vec<String> = self.line.state(|state| state.tabs().iter().map(|tab| tab.target.clone()).collect());
        let mut numbered = 0;
        let mut patience = Patience::of(within);
        for target in targets {
            // What was known of it when its pages were attached to may be long over.
            self.name(&target, within)?;
            if self.line.state(|state| state.has_dialog(&target)) {
                // It says nothing until it is answered.
                self.mine().unrecovered = true;
                continue;
            }
            // Answers come in order: with this one all is known that was asked for when the page was found.
            let tree = |left| self.ask_page(&target, "Page.getFrameTree", json!({}), left);
            if let Err(error) = self.patiently(&mut patience, (&target, &target), tree) {
                self.not_recovered(error)?;
                continue;
            }
            for frame in self.frames(&target) {
                if !self.line.state(|state| {
                    let frames = state.tab(&target).map(|tab| &tab.frames);
                    frames.and_then(|frames| frames.get(&frame)).is_some_and(|frame| frame.our_world.is_some())
                }) {
                    continue;
                }
                match self.run_patiently(&mut patience, (&target, &frame), "numbered", &[], within) {
                    Ok(answer) => {
                        numbered = numbered.max(answer.as_u64().and_then(|n| u32::try_from(n).ok()).unwrap_or(0));
                    }
                    Err(error) => self.not_recovered(error)?,
                }
            }
        }
        let mut mine = self.mine();
        mine.next = mine.next.max(numbered.saturating_add(1));
        Ok(())
    }

    fn not_recovered(&self, error: Error) -> Result<()> {
        match error {
            Error::Gone(_) | Error::Cancelled => Err(error),
            // A page that is gone by now has no numbers.
            Error::Cannot(_) => Ok(()),
            Error::Silent { .. } | Error::Refused { .. } | Error::Dialog => {
                self.mine().unrecovered = true;
                Ok(())
            }
        }
    }

    pub(crate) fn mine(&self) -> MutexGuard<'_, Mine> {
        self.mine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn ask_browser(&self, method: &str, params: Value, within: Duration) -> Result<Value> {
        self.line.ask(Ask { session: None, method, params, within, tab: None })
    }

    /// Asks a page, whose dialogs do not stand in the way of the answer.
    pub(crate) fn ask_page(&self, target: &str, method: &str, params: Value, within: Duration) -> Result<Value> {
        let session = self.session(target)?;
        self.line.ask(Ask { session: Some(&session), method, params, within, tab: None })
    }

    /// Does something to a page. There may be no answer because a dialog opens first or a script has no end: what was done
    /// is done all the same, and how the page stands is seen next. False if nothing more should be done now.
    pub(crate) fn act_page(&self, target: &str, asks: &[(&str, Value)]) -> Result<bool> {
        let session = self.session(target)?;
        let asks: Vec<Ask<'_>> = asks
            .iter()
            .map(|(method, params)| Ask {
                session: Some(&session),
                method,
                params: params.clone(),
                within: ACT,
                tab: Some(target),
            })
            .collect();
        match self.line.ask_all(&asks) {
            Ok(_) => Ok(true),
            Err(Error::Dialog | Error::Silent { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn session(&self, target: &str) -> Result<String> {
        let session = self.line.state(|state| state.tab(target).map(|tab| tab.session.clone()));
        session.ok_or_else(|| Error::Cannot("the page was closed".to_owned()))
    }

    /// The frames of a page, the main one first.
    pub(crate) fn frames(&self, target: &str) -> Vec<String> {
        let mut frames: Vec<String> = self
            .line
            .state(|state| state.tab(target).map(|tab| tab.frames.keys().cloned().collect()))
            .unwrap_or_default();
        frames.sort_unstable_by_key(|frame| (frame != target, frame.clone()));
        frames
    }

    /// Refuses while a dialog of the page stands in the way.
    pub(crate) fn no_dialog(&self, target: &str) -> Result<()> {
        if self.line.state(|state| state.has_dialog(target)) { Err(Error::Dialog) } else { Ok(()) }
    }

    /// The question that the page waits with, in words for the caller.
    pub fn dialog(&self) -> Option<String> {
        self.line.state(|state| {
            let dialog = state.active()?.dialog.as_ref()?;
            Some(match dialog.kind {
                DialogKind::Confirm => format!(
                    "The page asks to confirm and waits: {:?}. Answer with browser_press_key: Enter for yes, Escape for no.",
                    dialog.message
                ),
                DialogKind::Prompt => format!(
                    "The page asks for a line of text and waits: {:?}. Answer with browser_input, or browser_press_key Escape.",
                    dialog.message
                ),
            })
        })
    }

    /// Answers the question that the page waits with, if there is one.
    pub(crate) fn answer_dialog(&self, target: &str, accept: bool, text: Option<&str>) -> Result<bool> {
        self.answer_if(target, |_| true, accept, text)
    }

    /// The same where it is one of those.
    pub(crate) fn answer_if(
        &self,
        target: &str,
        which: impl FnOnce(&Dialog) -> bool,
        accept: bool,
        text: Option<&str>,
    ) -> Result<bool> {
        let dialog = self.line.state(|state| state.tab_mut(target)?.dialog.take_if(|dialog| which(dialog)));
        let Some(dialog) = dialog else { return Ok(false) };
        let mut params = json!({ "accept": accept });
        if let Some(text) = text {
            params["promptText"] = Value::from(text);
        }
        let ask = Ask {
            session: Some(&dialog.session),
            method: "Page.handleJavaScriptDialog",
            params,
            within: ANSWER,
            tab: None,
        };
        match self.line.ask(ask) {
            // Closed meanwhile, by the page or by a person who watches.
            Ok(_) | Err(Error::Refused { .. }) => {}
            Err(error) => return Err(error),
        }
        self.recover_the_rest()?;
        Ok(true)
    }

    /// Makes a page the one that is acted upon and shown.
    pub(crate) fn show(&self, target: &str) -> Result<()> {
        self.line.state(|state| state.activate(target));
        let session = self.session(target)?;
        self.line.post(&Post::new(Some(&session), "Page.bringToFront", json!({})))
    }
}
