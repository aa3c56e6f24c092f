//! The mouse in a page, as far as drags go: once a page has let something of it be taken along, the browser asks us to move and
//! drop it. It asks a little after the mouse has moved; the button may be up again by then.

use serde_json::{Value, json};

/// What is dragged may say so much of itself; of what is larger, the page that it is dropped on gets nothing.
const DATA_BYTES_MAX: usize = 256 << 10;

pub(crate) type Point = (f64, f64);
/// Something to ask of the browser.
pub(crate) type Event = (&'static str, Value);

/// Where the mouse is, and what it holds.
#[derive(Debug, Default)]
pub(crate) struct Hand {
    at: Point,
    down: bool,
    taken: Option<Value>,
    /// The page under it knows of it.
    entered: bool,
}

impl Hand {
    /// The left button goes down.
    pub(crate) fn press(&mut self, at: Point) {
        *self = Self { at, down: true, ..Self::default() };
    }

    /// The browser says what is dragged. Where the button is up already, it is dropped at once.
    pub(crate) fn take(&mut self, data: &Value) -> Vec<Event> {
        let small = data.to_string().len() <= DATA_BYTES_MAX;
        let nothing = || json!({ "items": [], "dragOperationsMask": data["dragOperationsMask"] });
        self.taken = Some(if small { data.clone() } else { nothing() });
        self.entered = false;
        if self.down { Vec::new() } else { self.release(self.at) }
    }

    pub(crate) fn holds(&self) -> bool {
        self.taken.is_some()
    }

    /// The mouse moves: how, if it holds something; otherwise it is only a mouse.
    pub(crate) fn go(&mut self, at: Point) -> Vec<Event> {
        self.at = at;
        let Some(data) = &self.taken else { return Vec::new() };
        let enter = (!self.entered).then(|| event("dragEnter", at, data));
        self.entered = true;
        enter.into_iter().chain([event("dragOver", at, data)]).collect()
    }

    /// The left button goes up: likewise.
    pub(crate) fn release(&mut self, at: Point) -> Vec<Event> {
        let mut events = self.go(at);
        self.down = false;
        events.extend(self.taken.take().map(|data| event("drop", at, &data)));
        events
    }
}

fn event(kind: &str, (x, y): Point, data: &Value) -> Event {
    ("Input.dispatchDragEvent", json!({ "type": kind, "x": x, "y": y, "data": data }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(events: &[Event]) -> Vec<&str> {
        events.iter().map(|(_, params)| params["type"].as_str().unwrap()).collect()
    }

    #[test]
    fn what_is_taken_is_moved_and_dropped_also_by_a_hand_that_was_quick() {
        let data = json!({ "items": [{ "mimeType": "text/plain", "data": "card" }], "dragOperationsMask": 1 });
        let mut hand = Hand::default();
        assert!(hand.go((1.0, 1.0)).is_empty());
        hand.press((1.0, 1.0));
        assert!(hand.go((9.0, 9.0)).is_empty() && hand.take(&data).is_empty() && hand.holds());
        assert_eq!(kinds(&hand.go((10.0, 9.0))), ["dragEnter", "dragOver"]);
        assert_eq!(kinds(&hand.release((11.0, 9.0))), ["dragOver", "drop"]);
        assert!(!hand.holds() && hand.go((12.0, 9.0)).is_empty());
        hand.press((1.0, 1.0));
        assert!(hand.release((20.0, 9.0)).is_empty());
        let late = hand.take(&data);
        assert_eq!(kinds(&late), ["dragEnter", "dragOver", "drop"]);
        assert_eq!((&late[2].1["x"], &late[2].1["data"]), (&json!(20.0), &data));
        hand.press((1.0, 1.0));
        hand.take(&json!({ "items": [{ "data": "x".repeat(DATA_BYTES_MAX) }], "dragOperationsMask": 1 }));
        assert_eq!(hand.release((2.0, 2.0))[2].1["data"], json!({ "items": [], "dragOperationsMask": 1 }));
    }
}
