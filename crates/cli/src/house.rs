//! The instance as this machine has it: folders, policy, keeper, toolset. Made once per command that needs it.

use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use agent::{Home, Instance, Setup};
use anyhow::Context;
use event::TaskId;

use crate::config::Config;
use crate::env;
use crate::exit::{Code, Problem};
use crate::toolset;

/// Opens the data folder and loads the policy.
pub(crate) fn open(config: &Config) -> Result<Instance, Problem> {
    let home = data_folder()?;
    let forbidden = forbidden(config)?;
    let policy = policy(config)?;
    let setup = Setup {
        home: Home::new(home),
        keeper: sandbox::find_keeper().map_err(|error| Problem::new(Code::Setup, error.to_string()))?,
        toolset: toolset::installed(),
        limits: config.computer.limits(),
        build: config.computer.build()?,
        policy,
        boot: env::boot(),
        forbidden,
        clock: env::now_ms,
    };
    Ok(Instance::new(setup)?)
}

/// The text of the policy.
fn policy(config: &Config) -> Result<String, Problem> {
    let Some(path) = &config.policy else { return Ok(policy::Engine::default_policy().to_owned()) };
    std::fs::read_to_string(path).map_err(|error| {
        Problem::new(Code::Setup, format!("read the policy {} (`policy` in config.toml): {error}", path.display()))
    })
}

/// Loads the policy as a task would.
pub(crate) fn try_policy(config: &Config) -> Result<(), Problem> {
    policy::Engine::load(&policy(config)?).map(drop).map_err(|error| {
        let place = config.policy.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
        Problem::new(Code::Setup, format!("load the policy {place}: {error}"))
            .hint(format!("${{EDITOR:-vi}} '{place}'"))
    })
}

/// The folders that no task may work in, nor around: what is in them decides what a task may do.
pub(crate) fn forbidden(config: &Config) -> Result<Vec<PathBuf>, Problem> {
    let mut folders = vec![env::home()?];
    folders.extend(env::config_folder());
    folders.extend(config.policy.as_deref().and_then(Path::parent).map(Path::to_owned));
    Ok(folders)
}

/// A folder of the person's as a workspace; `--workspace` named it.
pub(crate) fn lendable(path: &Path, config: &Config) -> Result<PathBuf, Problem> {
    let wrong = |error: sandbox::Error| {
        let problem = Problem::new(Code::Usage, format!("--workspace: {error}"));
        error.hint().iter().fold(problem, |problem, hint| problem.hint(*hint))
    };
    let real = sandbox::lendable(path, &forbidden(config)?).map_err(wrong)?;
    // Wherever HOME points now, whatever the system's own list says.
    let home = env::person().and_then(|home| home.canonicalize().ok());
    if home.is_some_and(|home| home.starts_with(&real)) {
        let reason = "it holds your whole home folder, with keys and settings in it".to_owned();
        return Err(wrong(sandbox::Error::Workspace { path: real, reason }));
    }
    Ok(real)
}

/// An error about a task: a journal that does not verify is named.
pub(crate) fn about(id: &TaskId) -> impl FnOnce(agent::Error) -> Problem {
    let id = id.clone();
    move |error| {
        let mut problem = Problem::from(error);
        if problem.code == Code::Corrupt && !problem.message.contains(id.as_str()) {
            problem.message = format!("task {id}: {}", problem.message);
        }
        problem
    }
}

/// The data folder, made with nobody else's access.
pub(crate) fn data_folder() -> Result<PathBuf, Problem> {
    let home = env::home()?;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&home);
    made.with_context(|| format!("make the data folder {}", home.display()))?;
    let mode = std::fs::metadata(&home).map(|data| data.permissions().mode()).unwrap_or(0);
    if mode & 0o077 != 0 {
        if !is_ours(&home) {
            let text = format!("the data folder {} is open to others and holds other things", home.display());
            return Err(Problem::new(Code::Setup, text).hint("set THENAR_HOME to a folder that is for Thenar alone"));
        }
        let closed = std::fs::set_permissions(&home, std::fs::Permissions::from_mode(0o700));
        closed.with_context(|| format!("close the data folder {} to others", home.display()))?;
    }
    Ok(home)
}

/// Whether a folder may be closed to others: it is empty, or its content says that it is a data folder.
fn is_ours(folder: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    let names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
    names.is_empty()
        || names.iter().any(|name| ["tasks", "config.toml", agent::Secrets::FILE].iter().any(|ours| name == *ours))
}

/// The task of this name, or the only one whose name begins so.
pub(crate) fn find(instance: &Instance, text: &str) -> Result<TaskId, Problem> {
    let none = || {
        Problem::new(Code::Usage, format!("there is no task {text}"))
            .hint("`thenar task list` shows the tasks there are")
    };
    if let Ok(id) = TaskId::new(text)
        && instance.folder(&id).is_ok()
    {
        return Ok(id);
    }
    let ids = instance.ids()?;
    let mut matching = ids.into_iter().filter(|id| !text.is_empty() && id.as_str().starts_with(text));
    match (matching.next(), matching.next()) {
        (Some(id), None) => Ok(id),
        (Some(_), Some(_)) => {
            Err(Problem::new(Code::Usage, format!("several tasks begin with {text}: give more of the name")))
        }
        (None, _) => Err(none()),
    }
}
