//! Why something could not be done with a page, one variant per thing the caller can do about it. What a page itself does
//! wrong (an error in a script, a server that refuses) is no error here but part of what is told of it.

/// Why a browser or a page did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The line to the browser is over: it ended, crashed, or somebody else has taken the line.
    #[error("the browser is gone: {0}")]
    Gone(String),
    /// The page does not answer; what was asked for may or may not have happened.
    #[error("the page did not answer within {seconds} s while it was asked to {what}")]
    Silent {
        /// What was asked, in words.
        what: String,
        /// How long was waited.
        seconds: u64,
    },
    /// The browser answered that it cannot.
    #[error("the browser could not {what}: {reason}")]
    Refused {
        /// What was asked, in words.
        what: String,
        /// The browser's words.
        reason: String,
    },
    /// It cannot be done as asked; nothing was done.
    #[error("{0}")]
    Cannot(String),
    /// A dialog of the page stands in the way; nothing else was done.
    #[error("a dialog of the page waits for an answer")]
    Dialog,
    /// The caller wants everything to stop.
    #[error("interrupted")]
    Cancelled,
}

impl Error {
    /// Whether it is certain that nothing was done.
    pub fn nothing_was_done(&self) -> bool {
        matches!(self, Self::Cannot(_) | Self::Dialog)
    }
}
