//! Labels of the arguments that a model wrote: the person's own words stay the person's, all else is tainted by
//! whatever the model had read. What a label forbids is for the rules to say, not for this file.

use std::collections::BTreeMap;

use event::{Confidentiality, Integrity, Label, Source};
use serde_json::{Map, Value};

/// The label of each top-level argument.
///
/// An argument that stands verbatim and as a whole in the person's own words is the person's. Everything else the model
/// made, from everything it had read so far (`context`). What the person meant by the words is not judged: an address that
/// they warned of is their word too, and a rule that lets it be used without a question goes too far.
pub fn label_arguments(
    arguments: &Map<String, Value>,
    person_texts: &[&str],
    context: &Label,
) -> BTreeMap<String, Label> {
    let made = Label::new(Integrity::Trusted, Confidentiality::Public, Source::Model).join(context);
    let label = |value: &Value| match value {
        Value::String(text) if person_texts.iter().any(|words| stands_in(text, words)) => Label::person(),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            made.clone()
        }
    };
    arguments.iter().map(|(name, value)| (name.clone(), label(value))).collect()
}

/// Whether the text stands in the words as a whole: `example.com` does not stand in `bob@example.com`, nor in
/// `example.com.evil.org`.
fn stands_in(text: &str, words: &str) -> bool {
    if text.trim().is_empty() {
        return false;
    }
    words.match_indices(text).any(|(start, found)| {
        let before = words[..start].chars().next_back();
        let mut after = words[start + found.len()..].chars();
        !before.is_some_and(continues_before) && !continues_after(after.next(), after.next())
    })
}

/// A letter or digit, or what glues addresses, paths and names together. Scripts without spaces between words (all from
/// U+2E80 on) end anything.
fn glues(c: char) -> bool {
    (c.is_alphanumeric() && c < '\u{2e80}') || "_-@/\\+%&=#~$*".contains(c)
}

fn continues_before(c: char) -> bool {
    glues(c) || ".:".contains(c)
}

/// A point, colon or question mark ends a sentence before a space, and goes on with an address before anything else.
fn continues_after(next: Option<char>, then: Option<char>) -> bool {
    match next {
        Some('.' | ':' | '?' | '!' | ',' | ';') => then.is_some_and(|c| glues(c) || ".:".contains(c)),
        Some(c) => glues(c),
        None => false,
    }
}

#[cfg(test)]
mod tests;
