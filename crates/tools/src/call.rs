//! One call on its way through its tool, and the small checks that every tool makes of its arguments. It never touches
//! the computer.

use event::{Tier, ToolCall};
use policy::ToolFacts;

use crate::outcome::Outcome;
use crate::world::World;

/// One call on its way through its tool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'a> {
    pub(crate) call: &'a ToolCall,
    pub(crate) world: &'a World,
}

impl Call<'_> {
    /// The name under which the computer knows the call.
    pub(crate) fn name(&self) -> String {
        self.call.id.to_string()
    }
}

/// A text argument without the space around it: neither empty nor over the limit.
pub(crate) fn line(field: &str, text: &str, chars_max: usize) -> Result<String, Outcome> {
    let text = text.trim();
    let length = text.chars().count();
    if length == 0 {
        return Err(Outcome::invalid(format!("`{field}` is empty")));
    }
    if length > chars_max {
        return Err(Outcome::invalid(format!("`{field}` has {length} characters; {chars_max} is the most")));
    }
    Ok(text.to_owned())
}

/// The longest path that the system takes.
const PATH_BYTES_MAX: usize = 4_095;

/// A path in the computer: relative ones begin at the workspace.
pub(crate) fn path(text: &str) -> Result<String, Outcome> {
    let text = text.trim();
    if text.is_empty() || text.len() > PATH_BYTES_MAX || text.contains('\0') {
        return Err(Outcome::invalid(format!("`path` must be 1 to {PATH_BYTES_MAX} bytes without NUL")));
    }
    Ok(match text.strip_prefix("~/") {
        Some(rest) => format!("/home/agent/{rest}"),
        None if text.starts_with('/') => text.to_owned(),
        None => format!("/workspace/{}", text.strip_prefix("./").unwrap_or(text)),
    })
}

/// Whether two lines say the same but for case, space and punctuation at their ends.
pub(crate) fn same_words(one: &str, other: &str) -> bool {
    words(one) == words(other)
}

pub(crate) fn words(text: &str) -> String {
    let text = text.trim_matches(|c: char| c.is_whitespace() || c.is_ascii_punctuation());
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// What most tools are: inside the task, and nothing that could not be undone.
pub(crate) fn plain_facts() -> ToolFacts {
    ToolFacts { tier: Tier::Autonomous, reversible: true, leaves: false, sinks: Vec::new() }
}

/// Inside the task, but what was done cannot be taken back.
pub(crate) fn lasting_facts() -> ToolFacts {
    ToolFacts { reversible: false, ..plain_facts() }
}
