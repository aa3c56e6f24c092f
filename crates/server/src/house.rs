//! What only the edge knows and the page may see and change: the configuration, the models in it, whether this machine is able.
//! Keys go in and never come out.

use agent::Unavailable;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Seen;
use crate::http::whole_or_null;

/// What stands in the configuration, as far as a page may see it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Settings {
    /// The file that holds it.
    pub file: String,
    /// The model of a task that names none; null where the environment says, or nobody does.
    #[schema(required)]
    pub model: Option<String>,
    pub models: Vec<KnownModel>,
    pub limits: DefaultLimits,
    /// What programs of a task may reach that says nothing of it.
    pub allow_net: Vec<String>,
}

/// A model that stands in the configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct KnownModel {
    /// `provider:model`.
    pub name: String,
    /// Its server; null where it is its provider's own.
    #[schema(required)]
    pub base_url: Option<String>,
    /// The configuration holds a key for it, which nobody is shown.
    pub has_key: bool,
    /// The variable of the server's environment that holds its key.
    #[schema(required)]
    pub api_key_env: Option<String>,
    #[serde(flatten)]
    pub figures: Figures,
}

/// What a model costs and holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Figures {
    /// US dollars per million input tokens.
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    pub input_price: Option<f64>,
    /// US dollars per million input tokens that the server had cached.
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    pub cached_input_price: Option<f64>,
    /// US dollars per million output tokens.
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    pub output_price: Option<f64>,
    /// Tokens of input and output together.
    #[serde(default, deserialize_with = "whole_or_null")]
    #[schema(minimum = 1, maximum = 1_000_000_000)]
    pub window: Option<u64>,
    /// Tokens of one reply.
    #[serde(default, deserialize_with = "whole_or_null")]
    #[schema(minimum = 1, maximum = 1_000_000_000)]
    pub max_output: Option<u64>,
}

/// What a model in the configuration should be; what is left out is taken away, but for the key.
#[derive(Clone, Default, Deserialize, ToSchema)]
#[schema(as = ModelSettings)]
pub struct WantedModel {
    /// Its server, as far as `/chat/completions`; without it, its provider's own.
    #[schema(pattern = "^https?://[!-~]{1,1900}$")]
    pub base_url: Option<String>,
    /// Its key. Without it the one that is there stays, as long as the server is the same.
    #[schema(pattern = "^[!-~]{1,4000}$", write_only)]
    pub api_key: Option<String>,
    #[serde(flatten)]
    pub figures: Figures,
}

impl std::fmt::Debug for WantedModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WantedModel").field("base_url", &self.base_url).finish_non_exhaustive()
    }
}

/// How far a task may go that says nothing of it; what is left out has no limit of its own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DefaultLimits {
    /// Replies of the model.
    #[serde(default, deserialize_with = "whole_or_null")]
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub max_steps: Option<u64>,
    /// US dollars; holds for models whose price is known.
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    pub max_cost_usd: Option<f64>,
    /// A number and a unit: `90s`, `20m`, `8h`, `2d`.
    #[schema(pattern = "^[1-9][0-9]{0,5}[smhd]$")]
    pub max_time: Option<String>,
}

/// A change of the configuration.
#[derive(Clone, Debug)]
pub enum Change {
    /// The model of a task that names none.
    Choose(Option<String>),
    Model(String, Box<WantedModel>),
    Forget(String),
    Limits(DefaultLimits),
    /// What programs of a task may reach that says nothing of it.
    Hosts(Vec<String>),
}

/// A task that a script plays, with all that it needs: there is something to see before there is a model.
#[derive(Clone, Debug)]
pub struct Demo {
    pub task: String,
    /// The script, as a model's name.
    pub model: String,
    /// Name and content of each file for the workspace.
    pub files: Vec<(&'static str, &'static [u8])>,
}

/// What a model can do, as it was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Trial {
    pub model: String,
    /// Whether tasks can be done with it.
    pub usable: bool,
    pub tests: Vec<Test>,
}

/// One thing that was tried with a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ModelTest)]
pub struct Test {
    pub what: String,
    /// `yes`, `no`, `not told`.
    pub verdict: String,
    pub reason: String,
}

/// What was found of this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Findings {
    /// Tasks can be run here.
    pub able: bool,
    pub findings: Vec<Finding>,
}

/// One thing that was tried on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Finding {
    pub name: String,
    pub works: bool,
    /// Without it nothing can be run.
    pub needed: bool,
    pub finding: String,
    /// The same by a code; absent where there is none for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Seen>,
    /// How it is mended: a command to paste, or words.
    pub fix: String,
}

/// The edge, as the server's doors see it. All calls block.
pub trait House: Send + Sync {
    fn settings(&self) -> Result<Settings, Unavailable>;
    fn change(&self, change: Change) -> Result<(), Unavailable>;
    /// Asks the model a few small things; may cost a little.
    fn try_out(&self, model: &str) -> Result<Trial, Unavailable>;
    /// What programs of every new task may reach, whatever the settings or the task say.
    fn always_reached(&self) -> Vec<String>;
    /// Secrets of this program and of its configuration, to be covered where strangers look on.
    fn withheld(&self) -> Vec<String>;
    /// The demo, or why it cannot be shown here.
    fn demo(&self) -> Result<Demo, Unavailable>;
    /// Tries what a task needs.
    fn findings(&self) -> Result<Findings, Unavailable>;
}
