//! The mouse moved with its button held down. A page sees that in one of two ways: as a mouse that moves, or, once it lets
//! something of it be taken along, as a drag of that thing, which is told in other events.

use serde_json::{Value, json};

use crate::act::mouse;
use crate::limits::ACT;
use crate::state::Post;
use crate::{Browser, Error, Result};

/// Steps of a drag: pages follow the mouse, they do not look where it was last.
const STEPS: u32 = 8;

type Point = (f64, f64);

impl Browser {
    /// Presses at one point, moves, and lets go at the other.
    pub(crate) fn drag(&self, target: &str, from: Point, to: Point) -> Result<()> {
        let session = self.session(target)?;
        let intercept = |on: bool| ("Input.setInterceptDrags", json!({ "enabled": on }));
        for frame in self.frames(target) {
            // A frame that is just going has nothing to drag.
            self.run(target, &frame, "watchDrag", &[], ACT).or_else(unless_over)?;
        }
        self.line.state(|state| state.tab_mut(target).map(|tab| tab.dragged = None));
        let mut events = vec![intercept(true), mouse("mousePressed", from, "left", 1)];
        events.extend(way(from, to).map(moved));
        let done = if self.act_page(target, &events)? { self.let_go(target, from, to) } else { Ok(()) };
        let (method, params) = intercept(false);
        self.line.post(&Post::new(Some(&session), method, params))?;
        done
    }

    fn let_go(&self, target: &str, from: Point, to: Point) -> Result<()> {
        // Once the page has let go of it, the browser says what it is, a little later.
        let taken = if self.is_dragged(target)? {
            self.line.wait_for(ACT, |state| state.tab_mut(target)?.dragged.take())?
        } else {
            None
        };
        let Some(data) = taken else {
            return self.act_page(target, &[mouse("mouseReleased", to, "left", 1)]).map(drop);
        };
        let event = |kind: &str, (x, y): Point| {
            ("Input.dispatchDragEvent", json!({ "type": kind, "x": x, "y": y, "data": data }))
        };
        let mut events = vec![event("dragEnter", from)];
        events.extend(way(from, to).map(|at| event("dragOver", at)));
        events.push(event("drop", to));
        self.act_page(target, &events).map(drop)
    }

    /// Whether the page has begun to drag something of it.
    fn is_dragged(&self, target: &str) -> Result<bool> {
        for frame in self.frames(target) {
            let answer = self.run(target, &frame, "dragged", &[], ACT).or_else(unless_over)?;
            if answer == Value::Bool(true) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn unless_over(error: Error) -> Result<Value> {
    match error {
        Error::Gone(_) | Error::Cancelled => Err(error),
        _ => Ok(Value::Null),
    }
}

fn way((from_x, from_y): Point, (x, y): Point) -> impl Iterator<Item = Point> {
    (1..=STEPS).map(move |step| {
        let part = f64::from(step) / f64::from(STEPS);
        (from_x + (x - from_x) * part, from_y + (y - from_y) * part)
    })
}

fn moved((x, y): Point) -> (&'static str, Value) {
    let event = json!({ "type": "mouseMoved", "x": x, "y": y, "button": "left", "buttons": 1 });
    ("Input.dispatchMouseEvent", event)
}
