//! Who calls the model: one client for a task's model, its address, key and price. One attempt per call.

use std::time::Duration;

use event::{MicroUsd, ModelCall, Reply, Usage};
use policy::Permit;

use crate::name::{Name, Provider, UnknownModel};
use crate::{Body, Failure, Listed, Price, Script, Secret, http};

/// Output tokens held back for a model whose limit is not known.
pub(crate) const OUTPUT_TOKENS_DEFAULT_MAX: u64 = 16_384;

/// A piece of a reply as it streams in. Ephemeral: only the finished reply is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delta {
    Text(String),
    Reasoning(String),
    /// A tool call begins; its name.
    ToolCall(String),
}

/// Where a model is. Proxies named in the environment are not used: what is written here is who gets the key.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// As far as `/chat/completions`, without it: `https://api.openai.com/v1`.
    pub base_url: String,
    pub key: Option<Secret>,
}

impl Endpoint {
    /// A server's words may repeat the key.
    fn keep_secret(&self, mut failure: Failure) -> Failure {
        if let Some(key) = &self.key {
            failure.reason = key.taken_out_of(&failure.reason);
        }
        failure
    }
}

/// What is known of a model.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `provider:model`.
    pub name: String,
    pub endpoint: Option<Endpoint>,
    pub script: Option<Script>,
    pub price: Option<Price>,
    pub window_tokens: Option<u64>,
    pub output_tokens_max: Option<u64>,
    /// Whether it takes pictures; where nobody says, what is known of its name.
    pub sees: Option<bool>,
    /// Without a byte for so long, an attempt is given up.
    pub idle: Duration,
}

#[derive(Debug)]
enum Backend {
    Http { connections: reqwest::Client, endpoint: Endpoint, provider: Provider },
    Script(Script),
}

/// Calls one model.
#[derive(Debug)]
pub struct Client {
    settings: Settings,
    backend: Backend,
}

impl Client {
    /// A client; nothing is sent yet.
    pub fn new(mut settings: Settings) -> Result<Self, Failure> {
        let name: Name = settings.name.parse().map_err(|error: UnknownModel| Failure::rejected(error.to_string()))?;
        if let (Provider::Anthropic, Some(price)) = (name.provider, &mut settings.price) {
            price.cache_write.get_or_insert(price.input * crate::anthropic::CACHE_WRITE_TIMES);
        }
        let missing = |what: &str| Failure::rejected(format!("{name}: {what} is missing"));
        let backend = match name.provider {
            Provider::Script => Backend::Script(settings.script.clone().ok_or_else(|| missing("the script"))?),
            Provider::OpenAi | Provider::Responses | Provider::Anthropic | Provider::Gemini => {
                let endpoint = settings.endpoint.clone().ok_or_else(|| missing("the address"))?;
                Backend::Http { connections: http::connections(&endpoint.base_url)?, endpoint, provider: name.provider }
            }
        };
        Ok(Self { settings, backend })
    }

    /// One attempt. The permit is for these very bytes.
    pub async fn call(
        &self,
        permit: Permit<ModelCall>,
        body: Body,
        mut on_delta: impl FnMut(Delta),
    ) -> Result<Reply, Failure> {
        let call = permit.redeem();
        if call.body != body.digest() || call.model != self.settings.name {
            return Err(Failure::rejected("the permit is for another request than the one at hand"));
        }
        match &self.backend {
            Backend::Script(script) => script.reply(&body, &mut on_delta),
            Backend::Http { connections, endpoint, provider } => {
                let reply = http::call(connections, endpoint, *provider, self.settings.idle, body, &mut on_delta).await;
                reply.map_err(|failure| endpoint.keep_secret(failure))
            }
        }
    }

    /// What these tokens cost; a script costs nothing.
    pub fn cost(&self, usage: &Usage) -> Option<MicroUsd> {
        match &self.backend {
            Backend::Script(_) => Some(MicroUsd(0)),
            Backend::Http { .. } => self.settings.price.map(|price| price.cost(usage)),
        }
    }

    /// What a call of this size can cost at the most, where the price is known.
    pub fn reserve(&self, input_tokens_max: u64, output_tokens_max: u64) -> Option<MicroUsd> {
        match &self.backend {
            Backend::Script(_) => Some(MicroUsd(0)),
            Backend::Http { .. } => self.settings.price.map(|price| price.reserve(input_tokens_max, output_tokens_max)),
        }
    }

    /// The server's name and port; none for a script.
    pub fn server(&self) -> Option<(String, u16)> {
        let Backend::Http { endpoint, .. } = &self.backend else { return None };
        let url = reqwest::Url::parse(&endpoint.base_url).ok()?;
        Some((url.host_str()?.to_owned(), url.port_or_known_default()?))
    }

    /// The model's window, where it is known.
    pub fn window_tokens(&self) -> Option<u64> {
        self.settings.window_tokens
    }

    /// The most a reply can have, as far as is known.
    pub fn output_tokens_max(&self) -> u64 {
        self.settings.output_tokens_max.unwrap_or(OUTPUT_TOKENS_DEFAULT_MAX)
    }

    /// What is sent with each request to bound the reply: what the person configured, and in any case something where
    /// money is counted, or a cap could not be kept.
    pub fn requested_output_max(&self) -> Option<u64> {
        self.settings.output_tokens_max.or_else(|| self.settings.price.map(|_| OUTPUT_TOKENS_DEFAULT_MAX))
    }

    /// Whether the model takes pictures.
    pub fn sees(&self) -> bool {
        self.settings.sees.unwrap_or_else(|| crate::sight::sees(&self.settings.name))
    }

    /// The models that the server offers.
    pub async fn offered(&self) -> Result<Vec<Listed>, Failure> {
        let (connections, endpoint, provider) = match &self.backend {
            Backend::Script(_) => return Ok(vec![Listed { name: self.settings.name.clone(), window_tokens: None }]),
            Backend::Http { connections, endpoint, provider } => (connections, endpoint, *provider),
        };
        http::models(connections, endpoint, provider, self.settings.idle)
            .await
            .map_err(|failure| endpoint.keep_secret(failure))
    }
}
