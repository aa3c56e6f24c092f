//! A model's name: `provider:model`. It says who to ask, not where: addresses and keys are settings.

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// OpenAI's chat completions, or any server that speaks them.
    OpenAi,
    /// OpenAI's responses.
    Responses,
    /// Anthropic's messages.
    Anthropic,
    /// Gemini, by its address that speaks chat completions.
    Gemini,
    /// A script: no model at all.
    Script,
}

impl Provider {
    /// The word before the colon.
    pub fn word(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Responses => "responses",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Script => "script",
        }
    }

    /// The environment variable that usually holds its key.
    pub fn key_variable(self) -> &'static str {
        match self {
            Self::OpenAi | Self::Responses => "OPENAI_API_KEY",
            Self::Anthropic => "ANTHROPIC_API_KEY",
            Self::Gemini => "GEMINI_API_KEY",
            Self::Script => "no key",
        }
    }
}

/// A model's name, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    pub provider: Provider,
    pub model: String,
}

/// A name that names no model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no model's name: write provider:model, for instance openai:gpt-4.1, anthropic:claude-sonnet-4-5, gemini:gemini-2.5-pro or script:demo"
)]
pub struct UnknownModel(String);

impl std::str::FromStr for Name {
    type Err = UnknownModel;

    fn from_str(text: &str) -> Result<Self, UnknownModel> {
        let unknown = || UnknownModel(text.to_owned());
        let (provider, model) = text.split_once(':').ok_or_else(unknown)?;
        let provider = match provider {
            "openai" => Provider::OpenAi,
            "responses" => Provider::Responses,
            "anthropic" => Provider::Anthropic,
            "gemini" => Provider::Gemini,
            "script" => Provider::Script,
            _ => return Err(unknown()),
        };
        if model.is_empty() || model.chars().any(char::is_control) {
            return Err(unknown());
        }
        Ok(Self { provider, model: model.to_owned() })
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.provider.word(), self.model)
    }
}
