//! What a tool's work came to, before it becomes the event that the journal keeps. It decides no label by itself beyond
//! who wrote the words.

use event::{EffectId, Integrity, Label, Source, ToolCall, ToolFact, ToolResult, ToolStatus};

/// What a tool brought back: the words for the model and the facts for the fold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) status: ToolStatus,
    pub(crate) text: String,
    pub(crate) words: Words,
    pub(crate) facts: Vec<ToolFact>,
}

/// Whose words an outcome's text holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Words {
    /// Only our own.
    Ours,
    /// Some of the call's arguments too.
    Arguments,
    /// What the computer put out.
    Computer,
}

impl Outcome {
    fn new(status: ToolStatus, words: Words, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), words, facts: Vec::new() }
    }

    /// Done, in our own words.
    pub(crate) fn done(text: impl Into<String>) -> Self {
        Self::new(ToolStatus::Ok, Words::Ours, text)
    }

    /// Done, with words from the computer.
    pub(crate) fn shown(text: impl Into<String>) -> Self {
        Self::new(ToolStatus::Ok, Words::Computer, text)
    }

    /// It cannot be; nothing was done.
    pub(crate) fn invalid(text: impl Into<String>) -> Self {
        Self::new(ToolStatus::Invalid, Words::Arguments, text)
    }

    /// It was tried and failed.
    pub(crate) fn failed(text: impl Into<String>) -> Self {
        Self::new(ToolStatus::Failed, Words::Computer, text)
    }

    /// Stopped while under way.
    pub(crate) fn interrupted(text: impl Into<String>) -> Self {
        Self::new(ToolStatus::Interrupted, Words::Computer, text)
    }

    /// Nobody can tell whether it happened.
    pub(crate) fn unknown(what: &str) -> Self {
        let text = format!(
            "Outcome unknown: the computer ended while this call was under way. {what} may have happened wholly, in part \
             or not at all. Check what is there before you repeat anything."
        );
        Self::new(ToolStatus::Unknown, Words::Ours, text)
    }

    /// The same of something in the browser, which may live on.
    pub(crate) fn unknown_in_browser(what: &str) -> Self {
        let text = format!(
            "Outcome unknown: the line to the browser broke while this call was under way. {what} may have happened wholly, \
             in part or not at all. Look with browser_view before you repeat anything."
        );
        Self::new(ToolStatus::Unknown, Words::Ours, text)
    }

    #[must_use]
    pub(crate) fn with(mut self, fact: ToolFact) -> Self {
        self.facts.push(fact);
        self
    }

    /// The result of this call.
    pub(crate) fn into_result(self, call: &ToolCall) -> ToolResult {
        let label = match self.words {
            Words::Ours => Label::system(),
            Words::Arguments => echo_of(call),
            Words::Computer => Label::output_of(call.id),
        };
        ToolResult { status: self.status, text: self.text, label, facts: self.facts }
    }
}

/// The label of a text that repeats some of the arguments: as cautious as the most cautious of them.
fn echo_of(call: &ToolCall) -> Label {
    let mut label = Label::new(Integrity::Trusted, event::Confidentiality::Public, Source::Effect(EffectId(call.id.0)));
    for argument in call.labels.values() {
        label.integrity = label.integrity.max(argument.integrity);
        label.confidentiality = label.confidentiality.max(argument.confidentiality);
    }
    label
}
