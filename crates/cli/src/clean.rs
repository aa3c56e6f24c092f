//! Text of models, tools and files made safe for a person's terminal: no escape, no control character, no trick with the
//! direction of writing gets through.

use sandbox::unseen;

/// Safe text; newlines and tabs stay.
pub(crate) fn text(raw: &str) -> String {
    raw.chars().filter_map(|c| if c == '\n' || c == '\t' { Some(c) } else { shown(c) }).collect()
}

/// Safe text on one line of at most so many characters.
pub(crate) fn line(raw: &str, chars_max: usize) -> String {
    let one: String = raw.chars().filter_map(|c| if c.is_whitespace() { Some(' ') } else { shown(c) }).collect();
    let one = one.trim();
    match one.char_indices().nth(chars_max) {
        None => one.to_owned(),
        Some(_) => one.chars().take(chars_max.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// JSON in which such characters are escaped: the same value, safe to look at.
pub(crate) fn json(value: &serde_json::Value) -> String {
    let mut safe = String::new();
    for c in value.to_string().chars() {
        // Whatever is not shown as it is is not of JSON's own form, so it stands in a string.
        if shown(c) == Some(c) {
            safe.push(c);
        } else {
            let mut units = [0; 2];
            safe.extend(c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    safe
}

fn shown(c: char) -> Option<char> {
    match c {
        '\u{1b}' => Some('␛'),
        '\r' => None,
        _ if unseen::in_question(c) => Some('·'),
        _ => Some(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_that_it_would_obey() {
        let attack = "a\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m b\u{202e}txt.exe\r\nnext\u{0}";
        let safe = text(attack);
        assert_eq!(safe, "a␛]0;owned·␛[2J·31m b·txt.exe\nnext·");
        assert!(!safe.chars().any(|c| c.is_control() && c != '\n'));
        assert_eq!(line("one\n two\tthree", 100), "one  two three");
        assert_eq!(line("abcdef", 4), "abc…");
    }

    #[test]
    fn json_keeps_its_value() {
        let value = serde_json::json!({ "a\u{9b}": ["\u{1b}[2J\u{7f}", "b\u{202e}\u{e0041}", "ü\n\"", 1.5] });
        let text = json(&value);
        assert_eq!(text, r#"{"a\u009b":["\u001b[2J\u007f","b\u202e\udb40\udc41","ü\n\"",1.5]}"#);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }
}
