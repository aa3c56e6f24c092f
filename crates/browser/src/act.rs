//! Acting upon a page like a person: the mouse moves, presses and turns, keys go down and up. Only events that a device
//! makes; where there is none for it (the list of a select), the page's own.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::keys::Press;
use crate::limits::ANSWER;
use crate::patience::Patience;
use crate::view::number_or_null;
use crate::{Browser, Error, Result};

/// Frames within frames.
const DEPTH_MAX: usize = 8;
/// Further than any page is long.
const TO_THE_END: f64 = 1e7;

/// Something in a page to point at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Spot {
    /// An element, by its number.
    Element(u32),
    /// A point of the window.
    Point(f64, f64),
}

/// How to click.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Click {
    /// Once.
    #[default]
    Once,
    /// Twice, quickly.
    Twice,
    /// Once, with the other button.
    Right,
}

/// Where to scroll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Up,
    Down,
}

/// What our code says of an element to be pointed at.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Aim {
    gone: bool,
    invisible: bool,
    disabled: bool,
    pub(crate) tag: String,
    x: f64,
    y: f64,
    /// What lies over it.
    cover: Option<String>,
}

/// How far something is scrolled.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Scrolled {
    gone: bool,
    top: i64,
    height: i64,
    shown: i64,
}

impl Browser {
    /// Clicks, and says what came of it.
    ///
    /// # Errors
    /// [`Error::Cannot`] if there is nothing there that a person could click on.
    pub fn click(&self, spot: Spot, how: Click) -> Result<String> {
        let target = self.page()?;
        self.no_dialog(&target)?;
        let (x, y, what) = self.aim(&target, spot, true)?;
        let (button, count) = match how {
            Click::Once => ("left", 1),
            Click::Twice => ("left", 2),
            Click::Right => ("right", 1),
        };
        if !self.move_to(&target, x, y)? {
            return self
                .after(&format!("Moved the mouse to {what} and did not click: the page did something at once."));
        }
        let mut events = Vec::new();
        for nth in 1..=count {
            events.push(mouse("mousePressed", (x, y), button, nth));
            events.push(mouse("mouseReleased", (x, y), button, nth));
        }
        self.act_page(&target, &events)?;
        self.after(&format!("Clicked {what}."))
    }

    /// Moves the mouse there; with `drag`, with its button held down from where it was.
    ///
    /// # Errors
    /// [`Error::Cannot`] if there is nothing there to point at.
    pub fn move_mouse(&self, spot: Spot, drag: bool) -> Result<String> {
        let target = self.page()?;
        self.no_dialog(&target)?;
        let (from_x, from_y) = self.mine().mouse;
        let (x, y, what) = self.aim(&target, spot, false)?;
        if !drag {
            self.move_to(&target, x, y)?;
            return self.after(&format!("The mouse is on {what}, at x {}, y {}.", x.round(), y.round()));
        }
        self.drag(&target, (from_x, from_y), (x, y))?;
        self.mine().mouse = (x, y);
        let (from_x, from_y) = (from_x.round(), from_y.round());
        self.after(&format!("Dragged from x {from_x}, y {from_y} to {what}, at x {}, y {}.", x.round(), y.round()))
    }

    /// Presses a key, or several together.
    ///
    /// # Errors
    /// [`Error::Cannot`] if there is no such key.
    pub fn press(&self, key: &str) -> Result<String> {
        let press = Press::read(key)?;
        let target = self.page()?;
        if press.is("Enter") && self.answer_dialog(&target, true, None)? {
            return self.after("Answered the dialog: yes.");
        }
        if press.is("Escape") && self.answer_dialog(&target, false, None)? {
            return self.after("Answered the dialog: no.");
        }
        if press.is("Escape") && self.close_chooser(&target) {
            return self.after("Closed the file chooser: the page was given no files.");
        }
        self.no_dialog(&target)?;
        self.act_page(&target, &press.events())?;
        self.after(&format!("Pressed {}.", key.trim()))
    }

    /// Turns the wheel over the page or an element: by a window's height, or all the way.
    ///
    /// # Errors
    /// [`Error::Cannot`] if there is no such element.
    pub fn scroll(&self, over: Option<u32>, direction: Direction, all_the_way: bool) -> Result<String> {
        let target = self.page()?;
        self.no_dialog(&target)?;
        let before = self.scrolled(&target, over)?;
        let (x, y) = match over {
            Some(number) => {
                let (x, y, _) = self.aim(&target, Spot::Element(number), false)?;
                (x, y)
            }
            None => self.middle(&target)?,
        };
        let by = if all_the_way { TO_THE_END } else { before.shown.max(100) as f64 * 0.9 };
        let by = if direction == Direction::Up { -by } else { by };
        let wheel = json!({ "type": "mouseWheel", "x": x, "y": y, "deltaX": 0, "deltaY": by });
        self.act_page(&target, &[("Input.dispatchMouseEvent", wheel)])?;
        self.settle_page(&target)?;
        let now = self.scrolled(&target, over)?;
        let said = if now.top == before.top {
            let end = if direction == Direction::Up { "top" } else { "end" };
            if now.height <= now.shown {
                "There is nothing to scroll.".to_owned()
            } else {
                format!("It is at its {end} already.")
            }
        } else {
            format!("Scrolled from {} to {} of {} points ({} are shown).", before.top, now.top, now.height, now.shown)
        };
        self.after_scrolling(&said)
    }

    fn scrolled(&self, target: &str, over: Option<u32>) -> Result<Scrolled> {
        let (target, frame) = match over {
            Some(number) => self.place_of(number)?,
            None => (target.to_owned(), target.to_owned()),
        };
        let answer = self.run(&target, &frame, "scrolled", &[number_or_null(over)], ANSWER)?;
        let scrolled: Scrolled = serde_json::from_value(answer).unwrap_or_default();
        if scrolled.gone { Err(no_element(over.unwrap_or(0))) } else { Ok(scrolled) }
    }

    fn middle(&self, target: &str) -> Result<(f64, f64)> {
        let size = self.ask_page(target, "Page.getLayoutMetrics", json!({}), ANSWER)?;
        let half = |key: &str| size["cssLayoutViewport"][key].as_f64().unwrap_or(400.0) / 2.0;
        Ok((half("clientWidth"), half("clientHeight")))
    }

    fn move_to(&self, target: &str, x: f64, y: f64) -> Result<bool> {
        let done = self.act_page(target, &[mouse("mouseMoved", (x, y), "none", 0)])?;
        self.mine().mouse = (x, y);
        Ok(done)
    }

    /// Where to point in the window, and what that is in words. With `strict`, only at what a click would reach.
    pub(crate) fn aim(&self, target: &str, spot: Spot, strict: bool) -> Result<(f64, f64, String)> {
        let number = match spot {
            Spot::Point(x, y) => {
                let sound = |value: f64| (0.0..=100_000.0).contains(&value);
                if !sound(x) || !sound(y) {
                    return Err(Error::Cannot(
                        "x and y are points of the window, counted from its top left corner".to_owned(),
                    ));
                }
                return Ok((x, y, format!("the point x {}, y {}", x.round(), y.round())));
            }
            Spot::Element(number) => number,
        };
        let (aim, what) = self.point_at(target, number)?;
        if strict {
            if aim.tag == "select" || aim.tag == "option" {
                return Err(Error::Cannot(format!("{what} is chosen from with browser_select_option, not by clicks")));
            }
            if aim.disabled {
                return Err(Error::Cannot(format!("{what} is disabled; a click would do nothing")));
            }
            if let Some(cover) = &aim.cover {
                let text = format!(
                    "{what} is covered by {cover:?}: nothing was clicked. Close or move what covers it, or click at its x and y"
                );
                return Err(Error::Cannot(text));
            }
        }
        Ok((aim.x, aim.y, what))
    }

    /// Brings an element into the window and says where it is there, and what it is.
    fn point_at(&self, target: &str, number: u32) -> Result<(Aim, String)> {
        let (place, frame) = self.place_of(number)?;
        if place != target {
            let tab = self.line.state(|state| state.tab(&place).map(|tab| tab.number));
            return Err(match tab {
                Some(tab) => Error::Cannot(format!(
                    "element {number} is in tab {tab}, which is not shown: browser_navigate to \"tab {tab}\" first"
                )),
                None => no_element(number),
            });
        }
        let answer = self.run(target, &frame, "point", &[number.into()], ANSWER)?;
        let aim: Aim = serde_json::from_value(answer).unwrap_or_default();
        if aim.gone {
            return Err(no_element(number));
        }
        if aim.invisible {
            return Err(Error::Cannot(format!("element {number} is not visible now")));
        }
        let aim = self.out_of_frames(target, &frame, aim)?;
        Ok((aim, format!("element {number}")))
    }

    /// From a point in a frame to that of the window, through all that is around the frame: each in turn is scrolled to where
    /// the point can be seen, and may lie under something.
    fn out_of_frames(&self, target: &str, frame: &str, mut aim: Aim) -> Result<Aim> {
        let mut chain = self.chain(target, frame)?;
        chain.reverse();
        for (parent, child) in chain {
            let owner = self.owner(target, &parent, &child)?;
            let answer = self.run(target, &parent, "through", &[owner.into(), aim.x.into(), aim.y.into()], ANSWER)?;
            let through: Aim = serde_json::from_value(answer).unwrap_or_default();
            if through.gone {
                return Err(Error::Cannot("that part of the page is gone".to_owned()));
            }
            (aim.x, aim.y) = (through.x, through.y);
            aim.cover = aim.cover.or(through.cover);
        }
        Ok(aim)
    }

    /// The frames around one, each with the one directly in it; the page's own first.
    fn chain(&self, target: &str, frame: &str) -> Result<Vec<(String, String)>> {
        let mut chain = Vec::new();
        let mut at = frame.to_owned();
        while at != target && chain.len() < DEPTH_MAX {
            let parent = self.line.state(|state| state.tab(target)?.frames.get(&at)?.parent.clone());
            let parent = parent.ok_or_else(|| Error::Cannot("that part of the page is gone".to_owned()))?;
            chain.push((parent.clone(), at));
            at = parent;
        }
        chain.reverse();
        Ok(chain)
    }

    /// Where a frame's own corner is in the window, and how much it is scaled.
    pub(crate) fn offset(&self, target: &str, frame: &str) -> Result<(f64, f64, f64)> {
        let (mut x, mut y, mut scale) = (0.0, 0.0, 1.0);
        for (parent, child) in self.chain(target, frame)? {
            let owner = self.owner(target, &parent, &child)?;
            let frame_box = self.run(target, &parent, "box", &[owner.into()], ANSWER)?;
            let part = |key: &str| frame_box[key].as_f64().unwrap_or(0.0);
            x += part("inner_x") * scale;
            y += part("inner_y") * scale;
            scale *= part("scale");
        }
        Ok((x, y, scale))
    }

    /// The page and frame of a number; whoever had the browser before may have given it.
    pub(crate) fn place_of(&self, number: u32) -> Result<(String, String)> {
        if let Some(place) = self.mine().places.get(number) {
            return Ok(place);
        }
        let target = self.page()?;
        let mut patience = Patience::of(ANSWER);
        for frame in self.frames(&target) {
            let has = self.run_patiently(&mut patience, (&target, &frame), "has", &[number.into()], ANSWER);
            if matches!(has, Ok(Value::Bool(true))) {
                self.mine().places.put(&[number], &target, &frame);
                return Ok((target, frame));
            }
        }
        Err(no_element(number))
    }
}

pub(crate) fn no_element(number: u32) -> Error {
    Error::Cannot(format!("there is no element {number} in the page (any more): look at it with browser_view"))
}

pub(crate) fn mouse(kind: &str, (x, y): (f64, f64), button: &str, count: u32) -> (&'static str, Value) {
    let buttons = match (kind, button) {
        ("mousePressed", "left") => 1,
        ("mousePressed", "right") => 2,
        _ => 0,
    };
    let event = json!({ "type": kind, "x": x, "y": y, "button": button, "buttons": buttons, "clickCount": count });
    ("Input.dispatchMouseEvent", event)
}
