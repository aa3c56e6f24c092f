//! Why a policy was not loaded. A refused effect is not among these: that is a decision.

/// A policy text that cannot be relied on, and so is not used at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Longer than any policy that a person has read.
    #[error("load policy: {bytes} bytes, more than {}", crate::rules::POLICY_BYTES_MAX)]
    TooLong { bytes: usize },
    /// More rules than a decision has time for.
    #[error("load policy: {rules} rules, more than {}", crate::rules::RULES_MAX)]
    TooMany { rules: usize },
    /// Not Cedar.
    #[error("load policy: line {line}: {problem}")]
    Syntax { line: usize, problem: String },
    /// Cedar, but not a rule that can be relied on.
    #[error("load policy: rule {rule:?}: {problem}")]
    Rule { rule: String, problem: String },
    /// An example that is not one.
    #[error("load policy: example on line {line}: {problem}")]
    Example { line: usize, problem: String },
    /// The rules do not do what the policy's own example says.
    #[error("load policy: example on line {line} must {expected}, but the rules {found}")]
    Contradicted { line: usize, expected: String, found: String },
}

impl Error {
    /// What the person can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::TooLong { .. } | Self::TooMany { .. } => "split what is not needed into a policy for another task",
            Self::Syntax { .. } => "the text must be Cedar: permit (…) when { … }; see docs.cedarpolicy.com",
            Self::Rule { .. } => "every rule has its own @id, and @reason, @tier and @yes as the default policy shows",
            Self::Example { .. } => r#"an example is one line: //@ allow|ask|deny {"tool": "file_read", …}"#,
            Self::Contradicted { .. } => "change the rule or the example until both say what you mean",
        }
    }
}
