//! What a page has put on its console, and the errors in it: the last lines, each cut. Nothing of it is run or resolved.

use std::collections::VecDeque;

use serde_json::Value;

use crate::limits::{CONSOLE_LINE_CHARS_MAX, CONSOLE_LINES_MAX};

/// The last lines of a page's console.
#[derive(Debug, Default)]
pub(crate) struct Console {
    lines: VecDeque<String>,
    /// Lines that had to go.
    pub(crate) lost: u64,
}

impl Console {
    /// The last lines, oldest first.
    pub(crate) fn last(&self, most: usize) -> impl Iterator<Item = &str> {
        self.lines.iter().skip(self.lines.len().saturating_sub(most)).map(String::as_str)
    }

    pub(crate) fn len(&self) -> usize {
        self.lines.len()
    }

    pub(crate) fn apply(&mut self, method: &str, params: &Value) {
        match method {
            "Runtime.consoleAPICalled" => {
                let kind = params["type"].as_str().unwrap_or("log");
                let words: Vec<String> = params["args"].as_array().into_iter().flatten().map(shown).collect();
                self.add(kind, &words.join(" "));
            }
            "Runtime.exceptionThrown" => self.add("error", &exception(&params["exceptionDetails"])),
            "Log.entryAdded" => {
                let entry = &params["entry"];
                let place = entry["url"].as_str().filter(|url| !url.is_empty()).map(|url| format!(" ({url})"));
                let text = entry["text"].as_str().unwrap_or_default();
                self.add(entry["level"].as_str().unwrap_or("info"), &format!("{text}{}", place.unwrap_or_default()));
            }
            _ => {}
        }
    }

    fn add(&mut self, kind: &str, text: &str) {
        let text: String = text.chars().take(CONSOLE_LINE_CHARS_MAX).collect();
        if self.lines.len() >= CONSOLE_LINES_MAX {
            self.lines.pop_front();
            self.lost += 1;
        }
        self.lines.push_back(format!("{kind}: {}", text.replace('\n', " ⏎ ")));
    }
}

/// A value of a script's as a person would read it.
pub(crate) fn shown(value: &Value) -> String {
    if let Some(text) = value["value"].as_str() {
        return text.to_owned();
    }
    if value["type"] == "undefined" {
        return "undefined".to_owned();
    }
    if let Some(plain) = value.get("value") {
        return plain.to_string();
    }
    if let Some(odd) = value["unserializableValue"].as_str() {
        return odd.to_owned();
    }
    let fields = value["preview"]["properties"].as_array().map(Vec::as_slice).unwrap_or_default();
    let text = value["description"].as_str().unwrap_or("?").to_owned();
    if fields.is_empty() || value["subtype"] == "error" {
        return text;
    }
    let field = |field: &Value| {
        let text = |key: &str| field[key].as_str().unwrap_or_default().to_owned();
        format!("{}: {}", text("name"), text("value"))
    };
    format!("{text} {{{}}}", fields.iter().map(field).collect::<Vec<_>>().join(", "))
}

/// What a script died of.
pub(crate) fn exception(details: &Value) -> String {
    let thrown = &details["exception"];
    if thrown.is_null() {
        return details["text"].as_str().unwrap_or("an error").to_owned();
    }
    let text = shown(thrown);
    // The first line and where it was; the rest is the script's own depth.
    text.lines().take(3).collect::<Vec<_>>().join(" ⏎ ")
}
