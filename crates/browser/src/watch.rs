//! Watching a browser and working it by hand: pictures of the page as they change, and a person's own clicks and keys. It
//! does not say whether anybody may: that is settled before it is called.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::keys::{Held, Press};
use crate::limits::ACT;
use crate::line::Ask;
use crate::patience::Patience;
use crate::state::{Dialog, DialogKind, Event, Hand, Post, State, Tab};
use crate::{Browser, Error, Result};

/// Text that a person types at once.
const TEXT_CHARS_MAX: usize = 20_000;
/// The quality of moving pictures, from 0 to 100.
const QUALITY: u32 = 60;

/// How often it is asked what the page calls itself.
const NAME_PAUSE: Duration = Duration::from_millis(400);

/// A picture of the page at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Grows with every picture.
    pub number: u64,
    /// JPEG, as base64.
    pub jpeg: String,
    /// Size of the page's window, in points: what pointer positions are counted in.
    pub width: u32,
    pub height: u32,
}

/// The page as a watcher is told of it, beside its pictures.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    pub title: String,
    pub address: String,
    pub loading: bool,
    /// Its process broke: it shows nothing more until something is opened.
    pub crashed: bool,
    /// A question of the page's, before which everything else waits.
    pub question: Option<Question>,
    /// It waits for files to be chosen; true where it takes several.
    pub wants_files: Option<bool>,
    /// All that are open, in the order of their opening.
    pub tabs: Vec<OpenTab>,
}

/// A tab of the browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenTab {
    pub number: u32,
    pub title: String,
    pub address: String,
    /// The one that is seen.
    pub shown: bool,
}

/// A question that a page waits with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// No other question has it.
    pub number: u64,
    pub message: String,
    /// It wants a line of text, and not only yes or no.
    pub wants_text: bool,
}

/// What is new to a watcher.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sight {
    pub page: Option<Page>,
    pub frame: Option<Frame>,
}

/// What a person does to the page that they watch.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// The mouse is there now; `held` says that its left button is down.
    Move { x: f64, y: f64, held: bool },
    /// The left or right button goes down or up, with those keys held.
    Button { x: f64, y: f64, right: bool, down: bool, count: u32, held: Held },
    /// The wheel turns.
    Wheel { x: f64, y: f64, across: f64, down: f64 },
    /// A key, by its name; `Control+A` and the like.
    Key(String),
    /// Text, as typed or pasted.
    Text(String),
    /// Text that is not settled yet, as an input method shows it; what is typed next takes its place.
    Compose(String),
    /// The answer to the page's question: to the one of that number, where it still asks that; without, to whichever it asks.
    Answer { question: Option<u64>, yes: bool, text: String },
}

/// Somebody watches, until this is dropped.
#[derive(Debug)]
pub struct Watch<'a> {
    browser: &'a Browser,
    seen: u64,
    told: Page,
    /// When it was last asked what the page calls itself.
    named: Option<Instant>,
}

impl Frame {
    pub(crate) fn read(number: u64, params: &Value) -> Option<Self> {
        let about = &params["metadata"];
        let size =
            |key: &str| about[key].as_f64().filter(|size| (1.0..100_000.0).contains(size)).map(|size| size as u32);
        let jpeg = params["data"].as_str()?.to_owned();
        Some(Self { number, jpeg, width: size("deviceWidth")?, height: size("deviceHeight")? })
    }
}

impl Browser {
    /// Begins to take pictures of the page that is shown, no wider and higher than that.
    ///
    /// # Errors
    /// If the browser is gone.
    pub fn watch(&self, width_max: u32, height_max: u32) -> Result<Watch<'_>> {
        self.line.state(|state| state.cast.watchers += 1);
        // From here on its end is counted.
        let watch = Watch { browser: self, seen: 0, told: Page::default(), named: None };
        watch.follow(width_max, height_max)?;
        Ok(watch)
    }

    /// Does what a person does. Nothing is waited for: they see what comes of it.
    ///
    /// # Errors
    /// [`Error::Cannot`] for a key that there is not, [`Error::Gone`] if the browser is.
    pub fn feed(&self, input: &Input) -> Result<()> {
        let target = self.page()?;
        if let Input::Answer { question, yes, text } = input {
            let meant = |dialog: &Dialog| question.is_none_or(|number| number == dialog.number);
            return self.answer_if(&target, meant, *yes, Some(text)).map(drop);
        }
        let session = self.session(&target)?;
        let mut events = events(input)?;
        let dragging = self.line.state(|state| state.tab_mut(&target).map(|tab| drag(&mut tab.hand, input)));
        if let Some(dragging) = dragging.filter(|dragging| !dragging.is_empty()) {
            events = dragging;
        }
        for (method, params) in events {
            self.line.post(&Post::new(Some(&session), method, params))?;
        }
        if let Input::Move { x, y, .. } | Input::Button { x, y, .. } = input {
            self.mine().mouse = (*x, *y);
        }
        Ok(())
    }

    /// The text that is selected in the page, cut to what can be typed at once.
    ///
    /// # Errors
    /// If the page does not answer.
    pub fn selection(&self) -> Result<String> {
        let target = self.page()?;
        self.no_dialog(&target)?;
        self.caught_up(&target)?;
        let mut patience = Patience::of(ACT);
        for frame in self.frames(&target) {
            let (at, most) = ((&*target, &*frame), [TEXT_CHARS_MAX.into()]);
            // A frame that is just going has nothing selected.
            let Ok(answer) = self.run_patiently(&mut patience, at, "selection", &most, ACT) else { continue };
            if let Some(text) = answer.as_str().filter(|text| !text.is_empty()) {
                return Ok(text.to_owned());
            }
        }
        Ok(String::new())
    }
}

/// How long it is waited for a page to do what it was told before.
const CATCH_UP: Duration = Duration::from_secs(1);

impl Browser {
    /// Waits a little until what was done to the page has come to it: it answers in order, also for a mouse that stays.
    fn caught_up(&self, target: &str) -> Result<()> {
        let (x, y) = self.mine().mouse;
        let session = self.session(target)?;
        let params = json!({ "type": "mouseMoved", "x": x, "y": y, "button": "none", "buttons": 0 });
        let (session, method) = (Some(&*session), "Input.dispatchMouseEvent");
        match self.line.ask(Ask { session, method, params, within: CATCH_UP, tab: Some(target) }) {
            Err(error @ (Error::Gone(_) | Error::Cancelled)) => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

/// What takes the mouse's place while something of the page is dragged.
fn drag(hand: &mut Hand, input: &Input) -> Vec<Event> {
    match *input {
        Input::Move { x, y, .. } => hand.go((x, y)),
        Input::Button { x, y, right: false, down: true, .. } => {
            hand.press((x, y));
            Vec::new()
        }
        Input::Button { x, y, right: false, down: false, .. } => hand.release((x, y)),
        _ => Vec::new(),
    }
}

fn events(input: &Input) -> Result<Vec<Event>> {
    const MOUSE: &str = "Input.dispatchMouseEvent";
    Ok(match input {
        Input::Move { x, y, held } => {
            let (button, buttons) = if *held { ("left", 1) } else { ("none", 0) };
            vec![(MOUSE, json!({ "type": "mouseMoved", "x": x, "y": y, "button": button, "buttons": buttons }))]
        }
        Input::Button { x, y, right, down, count, held } => {
            let kind = if *down { "mousePressed" } else { "mouseReleased" };
            let button = if *right { "right" } else { "left" };
            let buttons = if !*down {
                0
            } else if *right {
                2
            } else {
                1
            };
            let event = json!({
                "type": kind, "x": x, "y": y, "button": button, "buttons": buttons, "clickCount": count,
                "modifiers": held.bits(),
            });
            vec![(MOUSE, event)]
        }
        Input::Wheel { x, y, across, down } => {
            vec![(MOUSE, json!({ "type": "mouseWheel", "x": x, "y": y, "deltaX": across, "deltaY": down }))]
        }
        Input::Key(key) => Press::read(key)?.events().to_vec(),
        Input::Text(text) | Input::Compose(text) if text.chars().count() > TEXT_CHARS_MAX => {
            return Err(Error::Cannot(format!("more than {TEXT_CHARS_MAX} characters at once")));
        }
        Input::Text(text) => vec![("Input.insertText", json!({ "text": text }))],
        Input::Compose(text) => {
            let end = text.encode_utf16().count();
            vec![("Input.imeSetComposition", json!({ "text": text, "selectionStart": end, "selectionEnd": end }))]
        }
        Input::Answer { .. } => Vec::new(),
    })
}

impl Watch<'_> {
    /// What is new to this watcher, waited for at most so long. Pictures that came meanwhile are left out: whoever is slow
    /// sees fewer.
    ///
    /// # Errors
    /// If the browser is gone.
    pub fn next(&mut self, within: Duration) -> Result<Option<Sight>> {
        if self.named.is_none_or(|named| named.elapsed() >= NAME_PAUSE) {
            self.named = Some(Instant::now());
            if let Some(shown) = self.browser.line.state(|state| state.active().map(|tab| tab.target.clone())) {
                self.browser.name(&shown, ACT)?;
            }
        }
        let (seen, told) = (self.seen, &self.told);
        let sight = self.browser.line.wait_for(within, |state| {
            let frame = state.cast.frame.as_ref().filter(|frame| frame.number > seen).cloned();
            let page = Page::of(state).filter(|page| page != told);
            (frame.is_some() || page.is_some()).then_some(Sight { page, frame })
        })?;
        if let Some(sight) = &sight {
            self.seen = sight.frame.as_ref().map_or(self.seen, |frame| frame.number);
            if let Some(page) = &sight.page {
                self.told = page.clone();
            }
        }
        Ok(sight)
    }

    /// Follows the caller to the page that is shown now; call it now and then.
    ///
    /// # Errors
    /// If the browser is gone.
    pub fn follow(&self, width_max: u32, height_max: u32) -> Result<()> {
        let shown = self.browser.page()?;
        let before = self.browser.line.state(|state| {
            let new = state.cast.target.as_ref() != Some(&shown);
            new.then(|| state.cast.target.replace(shown.clone()))
        });
        let Some(before) = before else { return Ok(()) };
        if let Some(before) = before {
            self.stop(&before);
        }
        let params = json!({ "format": "jpeg", "quality": QUALITY, "maxWidth": width_max, "maxHeight": height_max });
        let begun = self
            .browser
            .session(&shown)
            .and_then(|session| self.browser.line.post(&Post::new(Some(&session), "Page.startScreencast", params)));
        begun.inspect_err(|_| self.browser.line.state(|state| state.cast.target = None))
    }

    fn stop(&self, target: &str) {
        if let Ok(session) = self.browser.session(target) {
            // A page that is gone shows nothing more.
            let _ = self.browser.line.post(&Post::new(Some(&session), "Page.stopScreencast", json!({})));
        }
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        let last = self.browser.line.state(|state| {
            state.cast.watchers = state.cast.watchers.saturating_sub(1);
            let over = state.cast.watchers == 0;
            if over {
                state.cast.frame = None;
            }
            over.then(|| state.cast.target.take()).flatten()
        });
        if let Some(target) = last {
            self.stop(&target);
        }
    }
}

impl Page {
    /// The page that is shown, if there is one.
    fn of(state: &State) -> Option<Self> {
        let tab = state.active()?;
        let one = |open: &Tab| OpenTab {
            number: open.number,
            title: open.title.clone(),
            address: open.url.clone(),
            shown: open.number == tab.number,
        };
        let tabs = state.tabs().iter().map(one).collect();
        let wants_files = tab.chooser.as_ref().map(|chooser| chooser.many);
        let question = tab.dialog.as_ref().map(|Dialog { number, kind, message, .. }| Question {
            number: *number,
            message: message.clone(),
            wants_text: *kind == DialogKind::Prompt,
        });
        let (title, address) = (tab.title.clone(), tab.url.clone());
        Some(Self { title, address, loading: tab.is_loading(), crashed: tab.crashed, question, wants_files, tabs })
    }
}
