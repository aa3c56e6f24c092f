//! `config.toml`, and the policy that it names: read as a task reads them.

use server::Seen;

use super::Finding;
use crate::config::{self, Config};
use crate::exit::Problem;
use crate::house;

/// The configuration that tasks have, or what stands in its way.
pub(crate) fn checked() -> Result<Config, Problem> {
    let config = config::read()?;
    house::try_policy(&config)?;
    Ok(config)
}

/// What is wrong in the file, and the command that opens it.
pub(crate) fn failed(problem: Problem) -> Finding {
    let file = config::places().into_iter().find(|path| path.is_file()).unwrap_or_default();
    let fix = problem.hints.first().cloned().unwrap_or_else(|| format!("${{EDITOR:-vi}} '{}'", file.display()));
    let seen = Seen::ConfigurationFailed { error: problem.message.clone() };
    Finding::fatal("configuration", seen, problem.message, fix)
}
