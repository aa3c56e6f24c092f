//! Why one attempt gave nothing, and whether another may.

use std::time::Duration;

use event::FailureKind;

/// A failed attempt.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Failure {
    pub kind: FailureKind,
    /// In plain words, with what the reader can do.
    pub reason: String,
    /// How long the provider asks to wait.
    pub retry_after: Option<Duration>,
    /// Nothing at all came for the whole time-out.
    pub silent: bool,
    /// Its server had the request and did not refuse it: it may charge for what it did.
    pub charged: bool,
}

impl Failure {
    pub(crate) fn transient(reason: impl Into<String>) -> Self {
        Self { kind: FailureKind::Transient, reason: reason.into(), retry_after: None, silent: false, charged: false }
    }

    pub(crate) fn rejected(reason: impl Into<String>) -> Self {
        Self { kind: FailureKind::Rejected, ..Self::transient(reason) }
    }

    pub(crate) fn window(reason: impl Into<String>) -> Self {
        Self { kind: FailureKind::WindowExceeded, ..Self::transient(reason) }
    }
}
