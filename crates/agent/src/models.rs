//! Where an engine that runs many tasks gets their models from. The edge knows keys and addresses; whoever asks here does
//! not, and calls nothing itself.

use std::sync::Arc;

/// A model that is ready to be called.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The full name, `provider:model`.
    pub name: String,
    /// True where it is a script and not a model at all.
    pub scripted: bool,
    /// Whether its price is known, so that a cap on money can be kept.
    pub priced: bool,
    /// To be handed to [`crate::Instance::run`].
    pub client: Arc<model::Client>,
}

/// A model that can be named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered {
    pub name: String,
    /// Where it comes from: `configured`, `offered`, ….
    pub note: String,
}

/// Why there is no such model, and what the reader can do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Unavailable {
    pub reason: String,
    pub hint: String,
}

/// The models of an instance.
pub trait Models: Send + Sync {
    /// The model of this name; `None` is the one that is used where nobody names one. May ask a server, so it may block.
    fn open(&self, name: Option<&str>) -> Result<Opened, Unavailable>;
    /// What can be named. May ask a server, so it may block.
    fn offered(&self) -> Result<Vec<Offered>, Unavailable>;
}
