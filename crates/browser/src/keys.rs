//! Keys by the names people and models give them, as the events that a keyboard makes.

use serde_json::{Value, json};

use crate::{Error, Result};

/// A key, with those held down beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Press {
    key: String,
    code: String,
    number: u32,
    text: String,
    modifiers: u32,
    command: Option<&'static str>,
}

/// Keys that are held while something else is done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Held {
    pub alt: bool,
    pub control: bool,
    pub shift: bool,
}

impl Held {
    /// As the browser counts them.
    pub(crate) fn bits(self) -> u32 {
        [(self.alt, ALT), (self.control, CONTROL), (self.shift, SHIFT)]
            .into_iter()
            .map(|(held, bit)| if held { bit } else { 0 })
            .sum()
    }
}

const ALT: u32 = 1;
const CONTROL: u32 = 2;
const META: u32 = 4;
const SHIFT: u32 = 8;

/// Key, code, number, text.
const NAMED: &[(&str, &str, u32, &str)] = &[
    ("Enter", "Enter", 13, "\r"),
    ("Tab", "Tab", 9, ""),
    ("Escape", "Escape", 27, ""),
    ("Backspace", "Backspace", 8, ""),
    ("Delete", "Delete", 46, ""),
    ("Insert", "Insert", 45, ""),
    ("Home", "Home", 36, ""),
    ("End", "End", 35, ""),
    ("PageUp", "PageUp", 33, ""),
    ("PageDown", "PageDown", 34, ""),
    ("ArrowLeft", "ArrowLeft", 37, ""),
    ("ArrowUp", "ArrowUp", 38, ""),
    ("ArrowRight", "ArrowRight", 39, ""),
    ("ArrowDown", "ArrowDown", 40, ""),
    (" ", "Space", 32, " "),
    ("Shift", "ShiftLeft", 16, ""),
    ("Control", "ControlLeft", 17, ""),
    ("Alt", "AltLeft", 18, ""),
    ("Meta", "MetaLeft", 91, ""),
    ("ContextMenu", "ContextMenu", 93, ""),
];

/// Other names of the same.
const SYNONYMS: &[(&str, &str)] = &[
    ("return", "Enter"),
    ("esc", "Escape"),
    ("del", "Delete"),
    ("space", " "),
    ("spacebar", " "),
    ("left", "ArrowLeft"),
    ("up", "ArrowUp"),
    ("right", "ArrowRight"),
    ("down", "ArrowDown"),
    ("page_up", "PageUp"),
    ("page_down", "PageDown"),
    ("pgup", "PageUp"),
    ("pgdn", "PageDown"),
    ("ctrl", "Control"),
    ("cmd", "Meta"),
    ("command", "Meta"),
    ("option", "Alt"),
];

/// What the keys of editing do; a browser without a desktop would not know.
const COMMANDS: &[(&str, &str)] =
    &[("a", "selectAll"), ("c", "copy"), ("v", "paste"), ("x", "cut"), ("z", "undo"), ("y", "redo")];

impl Press {
    /// What `Enter`, `a`, `Control+A` or `Shift+Tab` means.
    pub(crate) fn read(text: &str) -> Result<Self> {
        let unknown =
            || Error::Cannot(format!("{:?} is no key: write Enter, Tab, a, ArrowDown, Control+A …", cut(text)));
        let text = text.trim_matches(|c: char| c == '\n' || c == '\t');
        let text = if text.trim().is_empty() { text } else { text.trim() };
        // A plus sign is a key of its own.
        let (before, last) = match text.strip_suffix("++") {
            Some(before) => (before, "+"),
            None if text == "+" => ("", "+"),
            None => text.rsplit_once('+').unwrap_or(("", text)),
        };
        let mut modifiers = 0;
        for name in before.split('+').filter(|name| !name.is_empty()) {
            modifiers |= match canonical(name.trim()).as_str() {
                "Alt" => ALT,
                "Control" | "ControlOrMeta" => CONTROL,
                "Meta" => META,
                "Shift" => SHIFT,
                _ => return Err(unknown()),
            };
        }
        let name = canonical(last.trim_matches(|c: char| c == ' ' && last.trim() != ""));
        let mut press = named(&name).or_else(|| function_key(&name)).or_else(|| letter(&name)).ok_or_else(unknown)?;
        let is_letter = press.key.chars().count() == 1;
        if is_letter && modifiers & (ALT | CONTROL | META) != 0 {
            // With these a letter is the key alone, however it is written: nobody means Control+Shift+A by Control+A.
            let shifted = modifiers & SHIFT != 0;
            press.key = if shifted { press.key.to_uppercase() } else { press.key.to_lowercase() };
            press.modifiers = 0;
        }
        press.modifiers |= modifiers;
        if press.modifiers & CONTROL != 0 {
            let key = press.key.to_lowercase();
            press.command = COMMANDS.iter().find(|(letter, _)| *letter == key).map(|(_, command)| *command);
        }
        if press.modifiers & (ALT | CONTROL | META) != 0 {
            press.text = String::new();
        } else if press.modifiers & SHIFT != 0 && press.text.chars().count() == 1 {
            press.text = press.text.to_uppercase();
            press.key = press.key.to_uppercase();
        }
        Ok(press)
    }

    /// A character as typed.
    pub(crate) fn of(character: char) -> Self {
        match character {
            '\n' => named("Enter"),
            '\t' => named("Tab"),
            character => letter(&character.to_string()),
        }
        .unwrap_or(Self {
            key: character.to_string(),
            code: String::new(),
            number: 0,
            text: character.to_string(),
            modifiers: 0,
            command: None,
        })
    }

    /// Down and up again.
    pub(crate) fn events(&self) -> [(&'static str, Value); 2] {
        let about = json!({
            "key": self.key, "code": self.code, "windowsVirtualKeyCode": self.number, "modifiers": self.modifiers,
        });
        let (mut down, mut up) = (about.clone(), about);
        up["type"] = "keyUp".into();
        if self.text.is_empty() {
            down["type"] = "rawKeyDown".into();
        } else {
            down["type"] = "keyDown".into();
            down["text"] = self.text.as_str().into();
        }
        if let Some(command) = self.command {
            down["commands"] = json!([command]);
        }
        [("Input.dispatchKeyEvent", down), ("Input.dispatchKeyEvent", up)]
    }

    pub(crate) fn is(&self, key: &str) -> bool {
        self.key == key && self.modifiers == 0
    }
}

fn cut(text: &str) -> String {
    text.chars().take(40).collect()
}

fn canonical(name: &str) -> String {
    let lower = name.to_lowercase();
    if let Some((_, key)) = SYNONYMS.iter().find(|(synonym, _)| *synonym == lower) {
        return (*key).to_owned();
    }
    let known = NAMED.iter().map(|(key, ..)| *key).find(|key| key.to_lowercase() == lower);
    known.map_or_else(|| name.to_owned(), str::to_owned)
}

fn named(name: &str) -> Option<Press> {
    let (key, code, number, text) = NAMED.iter().find(|(key, ..)| *key == name)?;
    let (modifiers, command) = (0, None);
    Some(Press { key: (*key).into(), code: (*code).into(), number: *number, text: (*text).into(), modifiers, command })
}

fn function_key(name: &str) -> Option<Press> {
    let number: u32 = name.strip_prefix(['F', 'f'])?.parse().ok().filter(|number| (1..=24).contains(number))?;
    let name = format!("F{number}");
    let (text, modifiers, command) = (String::new(), 0, None);
    Some(Press { key: name.clone(), code: name, number: 111 + number, text, modifiers, command })
}

fn letter(name: &str) -> Option<Press> {
    let mut letters = name.chars();
    let (Some(letter), None) = (letters.next(), letters.next()) else { return None };
    if letter.is_control() {
        return None;
    }
    let (code, number) = match letter {
        'a'..='z' | 'A'..='Z' => {
            (format!("Key{}", letter.to_ascii_uppercase()), u32::from(letter.to_ascii_uppercase()))
        }
        '0'..='9' => (format!("Digit{letter}"), u32::from(letter)),
        _ => (String::new(), 0),
    };
    let modifiers = if letter.is_ascii_uppercase() { SHIFT } else { 0 };
    Some(Press { key: letter.to_string(), code, number, text: letter.to_string(), modifiers, command: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, key: &str, typed: &str, modifiers: u32) {
        let press = Press::read(text).unwrap();
        assert_eq!((press.key.as_str(), press.text.as_str(), press.modifiers), (key, typed, modifiers), "{text}");
    }

    #[test]
    fn keys_are_known_by_the_names_that_people_give_them() {
        check("Enter", "Enter", "\r", 0);
        check("return", "Enter", "\r", 0);
        check("a", "a", "a", 0);
        check("A", "A", "A", SHIFT);
        check("Shift+a", "A", "A", SHIFT);
        check("ctrl+A", "a", "", CONTROL);
        check("Control+Shift+a", "A", "", CONTROL | SHIFT);
        check("Alt+F", "f", "", ALT);
        check("Control+Shift+Tab", "Tab", "", CONTROL | SHIFT);
        check("+", "+", "+", 0);
        check("Control++", "+", "", CONTROL);
        check(" ", " ", " ", 0);
        check("Space", " ", " ", 0);
        check("f5", "F5", "", 0);
        check("ü", "ü", "ü", 0);
        assert_eq!(Press::read("Control+a").unwrap().command, Some("selectAll"));
        for odd in ["", "Entre", "Hyper+a", "ab", "F99"] {
            assert!(Press::read(odd).is_err(), "{odd}");
        }
    }
}
