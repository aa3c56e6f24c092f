//! Names of tasks and effects. Not random by themselves: whoever creates a task brings the name.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The name of a task, also the name of its folder: lower-case letters, digits and hyphens, 1 to 64 of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TaskId(String);

/// A name that cannot be a task's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("task id {0:?} is not 1 to 64 lower-case letters, digits and hyphens")]
pub struct InvalidId(String);

impl TaskId {
    /// Checks the form, so that an id can be joined to a path without a thought.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidId> {
        let text = text.into();
        let form = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if text.is_empty() || text.len() > 64 || text.starts_with('-') || !text.chars().all(form) {
            return Err(InvalidId(text));
        }
        Ok(Self(text))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for TaskId {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        Self::new(text)
    }
}

impl From<TaskId> for String {
    fn from(id: TaskId) -> Self {
        id.0
    }
}

impl std::fmt::Display for TaskId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The number of an effect within its task, counted from 1 in the order of request; shown as `e12`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct EffectId(pub u64);

impl std::fmt::Display for EffectId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "e{}", self.0)
    }
}

impl std::str::FromStr for EffectId {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let digits = text.strip_prefix('e').unwrap_or(text);
        digits.parse().map(Self).map_err(|_| InvalidId(text.to_owned()))
    }
}
