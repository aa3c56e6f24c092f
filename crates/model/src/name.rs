//! A model's name: `provider:model`. It says who to ask, not where: addresses and keys are settings.

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// OpenAI's chat completions, or any server that speaks them.
    OpenAi,
    /// A script: no model at all.
    Script,
}

/// A model's name, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    pub provider: Provider,
    pub model: String,
}

/// A name that names no model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no model's name: write provider:model, for instance openai:gpt-4.1 or script:demo")]
pub struct UnknownModel(String);

impl std::str::FromStr for Name {
    type Err = UnknownModel;

    fn from_str(text: &str) -> Result<Self, UnknownModel> {
        let unknown = || UnknownModel(text.to_owned());
        let (provider, model) = text.split_once(':').ok_or_else(unknown)?;
        let provider = match provider {
            "openai" => Provider::OpenAi,
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
        let provider = match self.provider {
            Provider::OpenAi => "openai",
            Provider::Script => "script",
        };
        write!(f, "{provider}:{}", self.model)
    }
}
