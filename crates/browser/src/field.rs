//! Typing into fields and choosing from lists. What stood in a field is replaced, unless the caller wants to add to it.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::act::{Spot, no_element};
use crate::keys::Press;
use crate::limits::{ANSWER, KEYS_TYPED_MAX};
use crate::patience::Patience;
use crate::state::DialogKind;
use crate::view::number_or_null;
use crate::{Browser, Error, Result};

/// Keys that a page is given at once: it has one time for all of them.
const KEYS_AT_ONCE: usize = 8;

/// What our code says of a field.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Field {
    gone: bool,
    tag: String,
    #[serde(rename = "type")]
    kind: String,
    /// It has a picker of its own: dates, colours.
    special: bool,
    editable: bool,
    /// It is a frame, and whatever has the focus is in that.
    frame: bool,
    /// Its document has the focus.
    has_focus: bool,
    file: bool,
    many: bool,
    empty: bool,
    disabled: bool,
    read_only: bool,
    select: bool,
}

/// What belongs into an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    /// Files, one or several.
    Files { many: bool },
    /// Text, or a value of its kind.
    Text,
    /// It is no field: a button, perhaps one that opens a chooser.
    Nothing,
}

impl Field {
    /// Characters are typed into it one by one, and it tells what it holds.
    fn is_typed(&self) -> bool {
        self.editable && matches!(self.tag.as_str(), "input" | "textarea")
    }
}

/// What came of choosing.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Chosen {
    gone: bool,
    not_select: bool,
    disabled: bool,
    single: bool,
    /// Options that cannot be chosen now.
    closed: Vec<String>,
    missing: Vec<String>,
    options: Vec<String>,
    chosen: Vec<String>,
}

impl Browser {
    /// Types into a field, or where the page is ready for typing; or answers the page's question for a line of text.
    ///
    /// # Errors
    /// [`Error::Cannot`] if nothing can be typed there.
    pub fn input(&self, number: Option<u32>, text: &str, add: bool, enter: bool) -> Result<String> {
        let target = self.page()?;
        if self.asks_for_text(&target, number)? {
            self.answer_dialog(&target, true, Some(text))?;
            return self.after("Answered the dialog with the text.");
        }
        let place = number.map(|number| self.place_of(number)).transpose()?;
        let field = self.field(&target, number)?;
        let what = number.map_or_else(|| "where the cursor is".to_owned(), |number| format!("into element {number}"));
        match (&field, number) {
            (field, Some(number)) if field.special => {
                let (place, frame) = place.unwrap_or_else(|| (target.clone(), target.clone()));
                let args = [number.into(), text.into(), false.into()];
                let set = self.run(&place, &frame, "setValue", &args, ANSWER)?;
                if set["took"] != true {
                    let form = form_of(&field.kind);
                    let text =
                        format!("element {number} did not take {text:?}: a field of type {} takes {form}", field.kind);
                    return Err(Error::Cannot(text));
                }
                let now = set["value"].as_str().unwrap_or_default().to_owned();
                self.finish(&target, enter, &format!("Set element {number} to {now:?}."))
            }
            _ => {
                self.make_ready(&target, number, &field, add)?;
                let listened = match (number, &place) {
                    (Some(number), Some(place)) if field.is_typed() && !text.is_empty() => Some((number, place)),
                    _ => None,
                };
                if let Some((number, (place, frame))) = listened {
                    self.run(place, frame, "listen", &[number.into()], ANSWER)?;
                }
                let (typed, all) = (self.type_text(&target, text)?, text.chars().count());
                if typed < all {
                    return self.after(&format!(
                        "Typed about {typed} of {all} characters {what}; then the page stopped taking them."
                    ));
                }
                if let Some((number, (place, frame))) = listened
                    && self.run(place, frame, "heard", &[], ANSWER) == Ok(false.into())
                {
                    return self.set(&target, (place, frame), number, &field, (text, add, enter));
                }
                self.finish(&target, enter, &format!("Typed {all} characters {what}."))
            }
        }
    }

    /// Whether the page waits for a line of text and the text is for that. Text is no answer to yes or no, and text for a
    /// field is none to any question.
    fn asks_for_text(&self, target: &str, number: Option<u32>) -> Result<bool> {
        let kind = self.line.state(|state| state.tab(target)?.dialog.as_ref().map(|dialog| dialog.kind));
        match (kind, number) {
            (None, _) => Ok(false),
            (Some(DialogKind::Prompt), None) => Ok(true),
            (Some(DialogKind::Prompt | DialogKind::Confirm), _) => Err(Error::Dialog),
        }
    }

    /// Where the page keeps keys from a field: its value is set, and announced, as by pasting.
    fn set(
        &self,
        target: &str,
        (place, frame): (&str, &str),
        number: u32,
        field: &Field,
        (text, add, enter): (&str, bool, bool),
    ) -> Result<String> {
        let set = self.run(place, frame, "setValue", &[number.into(), text.into(), add.into()], ANSWER)?;
        // Of a password nothing is told, for it may be a person's.
        let value = set["value"].as_str();
        if set["took"] != true {
            let kind = if field.kind.is_empty() { &field.tag } else { &field.kind };
            let why = value.map(|held| format!(" {text:?}: it holds {held:?}")).unwrap_or_default();
            return Err(Error::Cannot(format!("element {number}, a field of type {kind}, did not take{why}")));
        }
        let to = value.map(|now| format!(" to {now:?}")).unwrap_or_default();
        self.finish(target, enter, &format!("The page keeps keys from element {number}: its value was set{to}."))
    }

    fn finish(&self, target: &str, enter: bool, said: &str) -> Result<String> {
        if !enter {
            return self.after(said);
        }
        self.act_page(target, &Press::of('\n').events())?;
        self.after(&format!("{said} Pressed Enter."))
    }

    fn field(&self, target: &str, number: Option<u32>) -> Result<Field> {
        let (place, frame) = match number {
            Some(number) => self.place_of(number)?,
            None => (target.to_owned(), target.to_owned()),
        };
        let answer = self.run(&place, &frame, "field", &[number_or_null(number)], ANSWER)?;
        let field: Field = serde_json::from_value(answer).unwrap_or_default();
        let Some(number) = number else {
            if field.gone {
                return Err(Error::Cannot("the page is not ready for typing: say which element".to_owned()));
            }
            return if field.frame { self.field_in_frame(target, field) } else { Ok(field) };
        };
        let refusal = if field.gone {
            return Err(no_element(number));
        } else if field.disabled {
            "it is disabled".to_owned()
        } else if field.read_only {
            "it is read-only".to_owned()
        } else if field.select {
            "choose from it with browser_select_option".to_owned()
        } else if field.file {
            "it takes files: give paths in the workspace".to_owned()
        } else if !field.editable && !field.special {
            format!("it is no field but {}", field.tag)
        } else {
            return Ok(field);
        };
        Err(Error::Cannot(format!("nothing can be typed into element {number}: {refusal}")))
    }

    /// What has the focus in the frames of a page; the frame itself, if none of them says.
    fn field_in_frame(&self, target: &str, outside: Field) -> Result<Field> {
        let mut patience = Patience::of(ANSWER);
        for frame in self.frames(target).into_iter().skip(1) {
            let at = (target, &*frame);
            let Ok(answer) = self.run_patiently(&mut patience, at, "field", &[Value::Null], ANSWER) else { continue };
            let field: Field = serde_json::from_value(answer).unwrap_or_default();
            if !field.gone && !field.frame && field.has_focus {
                return Ok(field);
            }
        }
        Ok(outside)
    }

    /// Puts the cursor into a field by a click, and selects what is to be replaced.
    fn make_ready(&self, target: &str, number: Option<u32>, field: &Field, add: bool) -> Result<()> {
        if let Some(number) = number {
            let (place, frame) = self.place_of(number)?;
            let active = |browser: &Self| browser.run(&place, &frame, "isActive", &[number.into()], ANSWER);
            // One click more would only move the cursor.
            if active(self)? != true {
                let (x, y, _) = self.aim(target, Spot::Element(number), true)?;
                let pointer = |kind: &str, buttons: u32| {
                    let event =
                        json!({ "type": kind, "x": x, "y": y, "button": "left", "buttons": buttons, "clickCount": 1 });
                    ("Input.dispatchMouseEvent", event)
                };
                let moved = ("Input.dispatchMouseEvent", json!({ "type": "mouseMoved", "x": x, "y": y }));
                self.act_page(target, &[moved, pointer("mousePressed", 1), pointer("mouseReleased", 0)])?;
                self.mine().mouse = (x, y);
            }
            if active(self)? != true {
                self.run(&place, &frame, "focus", &[number.into()], ANSWER)?;
            }
        }
        if !field.editable && !field.special {
            // A canvas, a row of a list: the keys of editing would do there whatever the page makes of them.
            return Ok(());
        }
        let end = if add { "Control+End" } else { "Control+a" };
        if !field.empty || add {
            self.act_page(target, &Press::read(end)?.events())?;
        }
        if !field.empty && !add {
            self.act_page(target, &Press::read("Delete")?.events())?;
        }
        Ok(())
    }

    /// Types key by key; of what is long only the end, so that the page notices the same in less time. Gives the number of
    /// characters that the page has taken.
    fn type_text(&self, target: &str, text: &str) -> Result<usize> {
        let letters = text.chars().count();
        let pasted: String = text.chars().take(letters.saturating_sub(KEYS_TYPED_MAX)).collect();
        if !pasted.is_empty() {
            self.act_page(target, &[("Input.insertText", json!({ "text": pasted }))])?;
        }
        let mut typed = pasted.chars().count();
        let keys: Vec<_> = text.chars().skip(letters.saturating_sub(KEYS_TYPED_MAX)).collect();
        for some in keys.chunks(KEYS_AT_ONCE) {
            let events: Vec<_> = some.iter().flat_map(|key| Press::of(*key).events()).collect();
            if !self.act_page(target, &events)? {
                break;
            }
            typed += some.len();
        }
        Ok(typed)
    }

    /// Chooses from a list, by what its options are called.
    ///
    /// # Errors
    /// [`Error::Cannot`] if there is no such list or option.
    pub fn select(&self, number: u32, options: &[String]) -> Result<String> {
        let target = self.page()?;
        self.no_dialog(&target)?;
        let (place, frame) = self.place_of(number)?;
        let answer = self.run(&place, &frame, "choose", &[number.into(), json!(options)], ANSWER)?;
        let chosen: Chosen = serde_json::from_value(answer).unwrap_or_default();
        let refusal = if chosen.gone {
            return Err(no_element(number));
        } else if chosen.not_select {
            "it is no list of options; click on it and then on what it shows".to_owned()
        } else if chosen.disabled {
            "it is disabled".to_owned()
        } else if chosen.single {
            "only one of its options can be chosen".to_owned()
        } else if !chosen.closed.is_empty() {
            format!("its option {} is disabled", quoted(&chosen.closed, " + "))
        } else if !chosen.missing.is_empty() {
            format!("it has no option {:?}. Its options: {}", chosen.missing.join(", "), quoted(&chosen.options, " | "))
        } else {
            return self.after(&format!("Chosen in element {number}: {}.", quoted(&chosen.chosen, " + ")));
        };
        Err(Error::Cannot(format!("nothing can be chosen in element {number}: {refusal}")))
    }

    /// What belongs into an element.
    pub(crate) fn takes_files(&self, number: u32) -> Result<Takes> {
        let (place, frame) = self.place_of(number)?;
        let answer = self.run(&place, &frame, "field", &[number.into()], ANSWER)?;
        let field: Field = serde_json::from_value(answer).unwrap_or_default();
        if field.gone {
            return Err(no_element(number));
        }
        Ok(match field {
            Field { file: true, many, .. } => Takes::Files { many },
            Field { editable: true, .. } | Field { special: true, .. } | Field { select: true, .. } => Takes::Text,
            _ => Takes::Nothing,
        })
    }
}

/// What a page calls things, in a sentence of ours: nobody takes it for ours.
fn quoted(names: &[String], between: &str) -> String {
    names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(between)
}

/// The form that a field with a picker takes.
fn form_of(kind: &str) -> &'static str {
    match kind {
        "date" => "YYYY-MM-DD",
        "time" => "HH:MM",
        "datetime-local" => "YYYY-MM-DDTHH:MM",
        "month" => "YYYY-MM",
        "week" => "YYYY-Www",
        "color" => "#rrggbb",
        _ => "a number within its range",
    }
}
