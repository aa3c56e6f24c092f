//! The mouse moved with its button held down. A page sees that in one of two ways: as a mouse that moves, or, once it lets
//! something of it be taken along, as a drag of that thing, which is told in other events.

use serde_json::{Value, json};

use crate::act::mouse;
use crate::limits::ACT;
use crate::patience::Patience;
use crate::state::{Event, Hand, Point};
use crate::{Browser, Error, Result};

/// Steps of a drag: pages follow the mouse, they do not look where it was last.
const STEPS: u32 = 8;

impl Browser {
    /// Presses at one point, moves, and lets go at the other.
    pub(crate) fn drag(&self, target: &str, from: Point, to: Point) -> Result<()> {
        let mut patience = Patience::of(ACT);
        for frame in self.frames(target) {
            // A frame that is just going has nothing to drag.
            self.run_patiently(&mut patience, (target, &frame), "watchDrag", &[], ACT).or_else(unless_over)?;
        }
        let hand = |does: &dyn Fn(&mut Hand) -> Vec<Event>| {
            self.line.state(|state| state.tab_mut(target).map_or_else(Vec::new, |tab| does(&mut tab.hand)))
        };
        hand(&|hand| {
            hand.press(from);
            Vec::new()
        });
        let mut events = vec![mouse("mousePressed", from, "left", 1)];
        events.extend(way(from, to).map(moved));
        if self.act_page(target, &events)? && self.is_dragged(target)? {
            // The page has let go of it; the browser says what it is a little later.
            self.line.wait_for(ACT, |state| state.tab(target)?.hand.holds().then_some(()))?;
        }
        let mut events: Vec<Event> = way(from, to).flat_map(|at| hand(&|hand| hand.go(at))).collect();
        events.extend(hand(&|hand| hand.release(to)));
        if events.is_empty() {
            events.push(mouse("mouseReleased", to, "left", 1));
        }
        self.act_page(target, &events).map(drop)
    }

    /// Whether the page has begun to drag something of it.
    fn is_dragged(&self, target: &str) -> Result<bool> {
        let mut patience = Patience::of(ACT);
        for frame in self.frames(target) {
            let answer =
                self.run_patiently(&mut patience, (target, &frame), "dragged", &[], ACT).or_else(unless_over)?;
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

fn moved((x, y): Point) -> Event {
    let event = json!({ "type": "mouseMoved", "x": x, "y": y, "button": "left", "buttons": 1 });
    ("Input.dispatchMouseEvent", event)
}
