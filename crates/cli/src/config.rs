//! The configuration file, read once at the edge: `$THENAR_HOME/config.toml`, else `~/.config/thenar/config.toml`. A key
//! that is not known is an error, with its line.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use model::Price;
use serde::Deserialize;

use crate::env;
use crate::exit::{Code, Problem};

/// The file's content.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// The model to use, as `provider:model`.
    pub(crate) model: Option<String>,
    /// How long a model may be silent, as `90s` or `2m`.
    pub(crate) model_timeout: Option<String>,
    /// A Cedar file in place of the built-in policy.
    pub(crate) policy: Option<PathBuf>,
    /// What is known of each model, by its name.
    pub(crate) models: BTreeMap<String, Known>,
}

/// What is known of one model.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Known {
    /// Its server, as far as `/chat/completions`.
    pub(crate) base_url: Option<String>,
    /// The environment variable with its key.
    pub(crate) api_key_env: Option<String>,
    /// US dollars per million tokens.
    pub(crate) input_price: Option<f64>,
    pub(crate) cached_input_price: Option<f64>,
    pub(crate) output_price: Option<f64>,
    /// Tokens of input and output together.
    pub(crate) window: Option<u64>,
    /// Tokens of one reply; sent with each request.
    pub(crate) max_output: Option<u64>,
}

impl Known {
    /// The price, where both halves of it are there.
    pub(crate) fn price(&self) -> Option<Price> {
        let sound = |price: Option<f64>| price.filter(|price| price.is_finite() && *price >= 0.0);
        let (input, output) = (sound(self.input_price)?, sound(self.output_price)?);
        Some(Price { input, cached_input: sound(self.cached_input_price), output })
    }
}

/// Where the file is looked for, in order.
pub(crate) fn places() -> Vec<PathBuf> {
    let folders = [env::home().ok(), env::config_folder().ok()];
    folders.into_iter().flatten().map(|folder| folder.join("config.toml")).collect()
}

/// Reads the first file there is.
pub(crate) fn read() -> Result<Config, Problem> {
    match places().iter().find(|path| path.is_file()) {
        Some(path) => parse(path),
        None => Ok(Config::default()),
    }
}

fn parse(path: &Path) -> Result<Config, Problem> {
    let wrong = |what: String| Problem::new(Code::Setup, format!("read {}: {what}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    toml::from_str(&text).map_err(|error| wrong(error.to_string().trim().to_owned()))
}
