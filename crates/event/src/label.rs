//! What is known of a datum: who could have written it, who may see it, where it came from.
//!
//! Labels only ever join towards caution. Nothing here decides what a label permits: that is `policy`.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::EffectId;

/// Who could have written a datum. Ordered towards caution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Integrity {
    /// Only the person or Thenar itself.
    Trusted,
    /// Somebody else may have: a web page, a file from elsewhere, a command's output, a model that read any of them.
    Untrusted,
}

/// Who may see a datum. Ordered towards caution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Confidentiality {
    /// Anybody.
    Public,
    /// The person and the models chosen for the task.
    Private,
    /// Nobody outside the engine: keys and passwords.
    Secret,
}

/// Where a datum came from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Thenar's own words: the system prompt, a notice of a limit.
    System,
    /// The person's words.
    Person,
    /// The model's own composition.
    Model,
    /// A file the person gave, by name.
    Input(String),
    /// The result of an effect.
    Effect(EffectId),
}

/// How many sources a label names before it only says that there were more.
pub const SOURCES_MAX: usize = 16;

/// What is known of a datum.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub struct Label {
    pub integrity: Integrity,
    pub confidentiality: Confidentiality,
    /// At most [`SOURCES_MAX`]; `more_sources` says whether some were left out.
    pub sources: BTreeSet<Source>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more_sources: bool,
}

impl Label {
    /// A label with one source.
    pub fn new(integrity: Integrity, confidentiality: Confidentiality, source: Source) -> Self {
        Self { integrity, confidentiality, sources: BTreeSet::from([source]), more_sources: false }
    }

    /// Thenar's own words.
    pub fn system() -> Self {
        Self::new(Integrity::Trusted, Confidentiality::Public, Source::System)
    }

    /// The person's words: trusted, and private to the person.
    pub fn person() -> Self {
        Self::new(Integrity::Trusted, Confidentiality::Private, Source::Person)
    }

    /// What an effect brought back from the computer.
    pub fn output_of(effect: EffectId) -> Self {
        Self::new(Integrity::Untrusted, Confidentiality::Private, Source::Effect(effect))
    }

    /// The label of something made from both: the more cautious of each.
    #[must_use]
    pub fn join(mut self, other: &Self) -> Self {
        self.integrity = self.integrity.max(other.integrity);
        self.confidentiality = self.confidentiality.max(other.confidentiality);
        self.more_sources |= other.more_sources;
        for source in &other.sources {
            if self.sources.len() < SOURCES_MAX {
                self.sources.insert(source.clone());
            } else if !self.sources.contains(source) {
                self.more_sources = true;
            }
        }
        self
    }
}
