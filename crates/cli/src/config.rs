//! The configuration file, read once at the edge: `$THENAR_HOME/config.toml`, else `~/.config/thenar/config.toml`. A key
//! that is not known is an error, with its line.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use model::Price;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::exit::{Code, Problem};
use crate::{env, words};

/// The file's content.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// The model to use, as `provider:model`.
    pub(crate) model: Option<String>,
    /// How long a model may be silent before an attempt is given up, as `90s` or `2m`. Default: 120 s.
    #[serde(deserialize_with = "duration")]
    pub(crate) model_timeout: Option<u64>,
    /// A Cedar file in place of the built-in policy; a relative path counts from the configuration's folder.
    pub(crate) policy: Option<PathBuf>,
    /// What programs of a task may reach that names nothing, as `["pypi.org", "*.example.org:8443"]`.
    pub(crate) allow_net: Vec<String>,
    /// How far a task may go that says nothing of it.
    pub(crate) limits: Limits,
    /// What each task's computer may take.
    pub(crate) computer: Computer,
    /// What is known of each model, by its name.
    #[serde(deserialize_with = "named")]
    pub(crate) models: BTreeMap<String, Known>,
}

/// How far a task may go that says nothing of it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Limits {
    /// Replies of the model, where a task says nothing else.
    pub(crate) max_steps: Option<u64>,
    /// US dollars, where a task says nothing else and its model's price is known.
    #[serde(deserialize_with = "price")]
    pub(crate) max_cost: Option<f64>,
    /// Time, as `20m` or `8h`, where a task says nothing else.
    #[serde(deserialize_with = "duration")]
    pub(crate) max_time: Option<u64>,
}

/// A key that stands in the file. It is neither shown nor written.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Key(String);

impl Key {
    /// The key, for the one who sends it and for the one who covers it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

/// What one computer may take; what is not said is as [`sandbox::Limits`] has it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Computer {
    /// Who makes it: `native` (our own launcher, the default) or `bwrap` (bubblewrap 0.8 or newer; no browser and no network then).
    pub(crate) driver: Option<String>,
    /// Memory of all its processes together: `512M`, `4G`.
    #[serde(deserialize_with = "size")]
    pub(crate) memory: Option<u64>,
    /// Processes and threads at one time.
    pub(crate) processes: Option<u64>,
    /// Most of the processor, in cores: `0.5`, `2`. Default: what others leave.
    #[serde(deserialize_with = "cores")]
    pub(crate) cpu: Option<u64>,
    /// Room in the workspace: `16G`.
    #[serde(deserialize_with = "size")]
    pub(crate) disk: Option<u64>,
    /// Files and folders in the workspace.
    pub(crate) files: Option<u64>,
}

impl Computer {
    /// How a computer is made here: `THENAR_COMPUTER` goes before the file.
    pub(crate) fn build(&self) -> Result<sandbox::Build, Problem> {
        let (place, named) = match env::var(env::COMPUTER) {
            Some(named) => (env::COMPUTER, Some(named)),
            None => ("`driver` under [computer] in config.toml", self.driver.clone()),
        };
        let Some(named) = named else { return Ok(sandbox::Build::default()) };
        let wrong = |error: String| Problem::new(Code::Setup, format!("{place}: {error}"));
        named.trim().parse::<sandbox::Driver>().map(sandbox::Build::from).map_err(wrong)
    }

    /// The limits of a computer as they are here.
    pub(crate) fn limits(&self) -> sandbox::Limits {
        let usual = sandbox::Limits::default();
        sandbox::Limits {
            memory_bytes: self.memory.unwrap_or(usual.memory_bytes),
            processes: self.processes.unwrap_or(usual.processes),
            cpu_percent: self.cpu.or(usual.cpu_percent),
            workspace_bytes: self.disk.unwrap_or(usual.workspace_bytes),
            workspace_files: self.files.unwrap_or(usual.workspace_files),
            ..usual
        }
    }
}

/// What is known of one model.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Known {
    /// Its server, as far as `/chat/completions`. Default: its provider's variable, as `OPENAI_BASE_URL`, else the provider's own.
    pub(crate) base_url: Option<String>,
    /// Its key, if it is to stand in this file, which is refused then where everybody can read it. The app's settings keep it to its owner.
    pub(crate) api_key: Option<Key>,
    /// The environment variable that holds its key; empty: none is sent. Default: its provider's, as `OPENAI_API_KEY`.
    pub(crate) api_key_env: Option<String>,
    /// US dollars per million input tokens. A price holds only where input and output both have one.
    #[serde(deserialize_with = "price")]
    pub(crate) input_price: Option<f64>,
    /// US dollars per million input tokens that the server had cached. Default: the same as `input_price`.
    #[serde(deserialize_with = "price")]
    pub(crate) cached_input_price: Option<f64>,
    /// US dollars per million input tokens that the server begins to keep. Default: the same as `input_price`, and 1.25 times it for `anthropic:` models.
    #[serde(deserialize_with = "price")]
    pub(crate) cache_write_price: Option<f64>,
    /// US dollars per million output tokens.
    #[serde(deserialize_with = "price")]
    pub(crate) output_price: Option<f64>,
    /// Tokens of input and output together; a task stops before it would not fit.
    pub(crate) window: Option<u64>,
    /// Tokens of one reply; sent with each request, and reserved against `--max-cost`. Default: nothing is sent, 16,384 are reserved.
    pub(crate) max_output: Option<u64>,
    /// Whether it takes pictures. Default: what is known of its name.
    pub(crate) sees: Option<bool>,
}

impl Known {
    /// The price, where both halves of it are there.
    pub(crate) fn price(&self) -> Option<Price> {
        let (input, output) = (self.input_price?, self.output_price?);
        let (cached_input, cache_write) = (self.cached_input_price, self.cache_write_price);
        Some(Price { input, cached_input, cache_write, output })
    }
}

fn price<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    let price = f64::deserialize(from)?;
    let sound = price.is_finite() && price >= 0.0;
    let wrong = || D::Error::custom(format!("{price} is no price: US dollars per million tokens, 0 or more"));
    sound.then_some(Some(price)).ok_or_else(wrong)
}

fn size<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    words::bytes(&String::deserialize(from)?).map(Some).map_err(D::Error::custom)
}

/// In hundredths.
fn cores<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    let cores = f64::deserialize(from)?;
    let wrong = || D::Error::custom(format!("{cores} is no number of cores: from 0.01 to 1024"));
    (0.01..=1024.0).contains(&cores).then(|| Some((cores * 100.0).round() as u64)).ok_or_else(wrong)
}

fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    words::duration_ms(&String::deserialize(from)?).map(Some).map_err(D::Error::custom)
}

/// A misspelt name would be a price that never holds.
fn named<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, Known>, D::Error> {
    let models = BTreeMap::<String, Known>::deserialize(from)?;
    for name in models.keys() {
        name.parse::<model::Name>().map_err(D::Error::custom)?;
    }
    Ok(models)
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

/// Whether others than its owner and group can read a file, and come to it through the folders above.
fn is_open(path: &Path) -> bool {
    let lets = |path: &Path, bit| std::fs::metadata(path).is_ok_and(|about| about.permissions().mode() & bit != 0);
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    lets(&real, 0o004) && real.ancestors().skip(1).all(|folder| lets(folder, 0o001))
}

fn parse(path: &Path) -> Result<Config, Problem> {
    let wrong = |what: String| Problem::new(Code::Setup, format!("read {}: {what}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let mut config: Config = toml::from_str(&text).map_err(|error| wrong(error.to_string().trim().to_owned()))?;
    if config.models.values().any(|known| known.api_key.is_some()) && is_open(path) {
        return Err(wrong("it holds a key, and everybody on this machine can read it".to_owned())
            .hint(format!("chmod o-rwx '{}'", path.display())));
    }
    if let (Some(policy), Some(folder)) = (&config.policy, path.parent()) {
        config.policy = Some(folder.join(policy));
    }
    Ok(config)
}
