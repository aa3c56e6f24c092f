//! Watching a browser and working it by hand: pictures of the page as they change, and a person's own clicks and keys. It
//! does not say whether anybody may: that is settled before it is called.

use std::time::Duration;

use serde_json::{Value, json};

use crate::keys::Press;
use crate::limits::ANSWER;
use crate::state::Post;
use crate::{Browser, Error, Result};

/// Text that a person types at once.
const TEXT_CHARS_MAX: usize = 20_000;
/// The quality of moving pictures, from 0 to 100.
const QUALITY: u32 = 60;

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

/// What a person does to the page that they watch.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// The mouse is there now; `held` says that its left button is down.
    Move { x: f64, y: f64, held: bool },
    /// The left or right button goes down or up.
    Button { x: f64, y: f64, right: bool, down: bool, count: u32 },
    /// The wheel turns.
    Wheel { x: f64, y: f64, across: f64, down: f64 },
    /// A key, by its name; `Control+A` and the like.
    Key(String),
    /// Text, as typed or pasted.
    Text(String),
}

/// Somebody watches, until this is dropped.
#[derive(Debug)]
pub struct Watch<'a> {
    browser: &'a Browser,
    /// The page whose pictures come.
    target: String,
    seen: u64,
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
        let target = self.page()?;
        self.cast(&target, width_max, height_max)?;
        Ok(Watch { browser: self, target, seen: 0 })
    }

    fn cast(&self, target: &str, width_max: u32, height_max: u32) -> Result<()> {
        let params = json!({ "format": "jpeg", "quality": QUALITY, "maxWidth": width_max, "maxHeight": height_max });
        self.ask_page(target, "Page.startScreencast", params, ANSWER).map(drop)
    }

    /// Does what a person does. Nothing is waited for: they see what comes of it.
    ///
    /// # Errors
    /// [`Error::Cannot`] for a key that there is not, [`Error::Gone`] if the browser is.
    pub fn feed(&self, input: &Input) -> Result<()> {
        let target = self.page()?;
        let session = self.session(&target)?;
        for (method, params) in events(input)? {
            self.line.post(&Post::new(Some(&session), method, params))?;
        }
        if let Input::Move { x, y, .. } | Input::Button { x, y, .. } = input {
            self.mine().mouse = (*x, *y);
        }
        Ok(())
    }
}

fn events(input: &Input) -> Result<Vec<(&'static str, Value)>> {
    const MOUSE: &str = "Input.dispatchMouseEvent";
    Ok(match input {
        Input::Move { x, y, held } => {
            let (button, buttons) = if *held { ("left", 1) } else { ("none", 0) };
            vec![(MOUSE, json!({ "type": "mouseMoved", "x": x, "y": y, "button": button, "buttons": buttons }))]
        }
        Input::Button { x, y, right, down, count } => {
            let kind = if *down { "mousePressed" } else { "mouseReleased" };
            let button = if *right { "right" } else { "left" };
            let buttons = if !*down {
                0
            } else if *right {
                2
            } else {
                1
            };
            let event =
                json!({ "type": kind, "x": x, "y": y, "button": button, "buttons": buttons, "clickCount": count });
            vec![(MOUSE, event)]
        }
        Input::Wheel { x, y, across, down } => {
            vec![(MOUSE, json!({ "type": "mouseWheel", "x": x, "y": y, "deltaX": across, "deltaY": down }))]
        }
        Input::Key(key) => Press::read(key)?.events().to_vec(),
        Input::Text(text) if text.chars().count() > TEXT_CHARS_MAX => {
            return Err(Error::Cannot(format!("more than {TEXT_CHARS_MAX} characters at once")));
        }
        Input::Text(text) => vec![("Input.insertText", json!({ "text": text }))],
    })
}

impl Watch<'_> {
    /// The next picture that this watcher has not seen, waited for at most so long. Pictures that came meanwhile are left
    /// out: whoever is slow sees fewer.
    ///
    /// # Errors
    /// If the browser is gone.
    pub fn next(&mut self, within: Duration) -> Result<Option<Frame>> {
        let seen = self.seen;
        let frame = self
            .browser
            .line
            .wait_for(within, |state| state.cast.frame.as_ref().filter(|frame| frame.number > seen).cloned())?;
        if let Some(frame) = &frame {
            self.seen = frame.number;
        }
        Ok(frame)
    }

    /// Follows the caller to the page that is shown now; call it when a picture does not come.
    ///
    /// # Errors
    /// If the browser is gone.
    pub fn follow(&mut self, width_max: u32, height_max: u32) -> Result<()> {
        let shown = self.browser.page()?;
        if shown != self.target {
            self.stop();
            self.browser.cast(&shown, width_max, height_max)?;
            self.target = shown;
        }
        Ok(())
    }

    fn stop(&self) {
        if let Ok(session) = self.browser.session(&self.target) {
            // A page that is gone shows nothing more.
            let _ = self.browser.line.post(&Post::new(Some(&session), "Page.stopScreencast", json!({})));
        }
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.stop();
    }
}
