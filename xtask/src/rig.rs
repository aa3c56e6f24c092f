//! What bench and chaos stand on: the real programs, a data folder that goes away, a scripted model server, and the
//! processes below us. It starts nothing that it does not end, and kills nothing that it did not start.

mod processes;
mod server;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

pub use processes::{Process, become_reaper, below_us, descendants, kill, reap_orphans};
pub use server::{Report, Script, Server};

/// How often a condition is looked at again.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// The programs under test.
#[derive(Debug, Clone)]
pub struct Programs {
    /// The product.
    pub thenar: PathBuf,
    /// Its keeper.
    pub keeper: PathBuf,
    /// The stand-alone scripted model server.
    pub scripted_model: PathBuf,
}

impl Programs {
    /// The programs of one build folder, `target/debug` or `target/release`.
    pub fn beside(folder: &Path) -> Result<Self> {
        let of = |name: &str| {
            let path = folder.join(name);
            ensure!(path.is_file(), "{} is not built: run `cargo build --workspace --bins` first", path.display());
            Ok(path)
        };
        Ok(Self { thenar: of("thenar")?, keeper: of("thenar-keeper")?, scripted_model: of("scripted-model")? })
    }

    /// The build folder that the running executable came from.
    pub fn of_this_build() -> Result<Self> {
        let here = std::env::current_exe().context("find this executable")?;
        let folders = here.ancestors().skip(1).take(2);
        let mut last = Ok(());
        for folder in folders {
            match Self::beside(folder) {
                Ok(programs) => return Ok(programs),
                Err(error) => last = Err(error),
            }
        }
        last.and_then(|()| bail!("{} lies in no build folder", here.display()))
    }
}

/// A data folder of its own with a scripted model beside it. Dropped, both are gone.
#[derive(Debug)]
pub struct Stage {
    programs: Programs,
    folder: TempDir,
    /// The model.
    pub server: Server,
}

impl Stage {
    /// Sets the stage for one task.
    pub fn set(programs: &Programs, script: &Script) -> Result<Self> {
        let folder = TempDir::with_prefix("thenar-stage-").context("make a data folder")?;
        let server = Server::start(&programs.scripted_model, script, folder.path())?;
        Ok(Self { programs: programs.clone(), folder, server })
    }

    /// `THENAR_HOME` of this stage.
    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// A folder for whatever a test wants to keep for its own time.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// `thenar` with these arguments, seeing nothing of the person's configuration.
    #[expect(clippy::disallowed_methods, reason = "the product is run here as a person runs it")]
    pub fn thenar(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.programs.thenar);
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.args(arguments).current_dir(self.folder.path()).env_clear().env("PATH", path);
        command.env("THENAR_HOME", self.home()).env("HOME", self.folder.path());
        for name in ["XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"] {
            command.env(name, self.folder.path().join(name));
        }
        command.env("OPENAI_BASE_URL", self.server.base_url()).env("OPENAI_API_KEY", "scripted");
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    /// Starts `thenar` with these arguments; what it says to a person goes to a file of the stage.
    pub fn start(&self, arguments: &[&str]) -> Result<Child> {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.said_path())?;
        self.thenar(arguments).stderr(log).spawn().with_context(|| format!("start thenar {}", arguments.join(" ")))
    }

    /// What all `thenar` processes of this stage said to the person.
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.said_path()).unwrap_or_default()
    }

    fn said_path(&self) -> PathBuf {
        self.folder.path().join("said")
    }

    /// The folder of the one task of this stage, once there is one.
    pub fn task(&self) -> Option<PathBuf> {
        let entries = std::fs::read_dir(self.home().join("tasks")).ok()?;
        let shown = |path: &PathBuf| path.file_name().is_some_and(|name| !name.to_string_lossy().starts_with('.'));
        entries.flatten().map(|entry| entry.path()).find(shown)
    }
}

impl Drop for Stage {
    /// A keeper lives on for a while by design; the stage's folder must not be pulled away under it.
    fn drop(&mut self) {
        for process in below_us().unwrap_or_default() {
            if process.name == "thenar-keeper" {
                kill(process.pid);
            }
        }
        // The dead too: a later look at the processes below us must not count them.
        let left = |process: &Process| process.name.starts_with("thenar-");
        let _ = wait_until(Duration::from_secs(5), || {
            reap_orphans();
            !descendants().unwrap_or_default().iter().any(left)
        });
    }
}

/// Waits for a child, at most so long; one that takes longer is killed.
pub fn wait_at_most(child: &mut Child, limit: Duration) -> Result<ExitStatus> {
    let mut status = None;
    let ended = wait_until(limit, || {
        status = child.try_wait().ok().flatten();
        status.is_some()
    });
    match status {
        Some(status) if ended => Ok(status),
        _ => {
            child.kill().context("kill a process that hangs")?;
            child.wait().context("wait for a killed process")?;
            bail!("process {} did not end within {} s", child.id(), limit.as_secs());
        }
    }
}

/// Looks at a condition until it holds; false when the time is over.
pub fn wait_until(limit: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while !holds() {
        if start.elapsed() > limit {
            return false;
        }
        pause(LOOK_AGAIN);
    }
    true
}

/// Lets time pass on purpose.
#[expect(clippy::disallowed_methods, reason = "another process is being watched from outside, and it tells nobody")]
pub fn pause(time: Duration) {
    std::thread::sleep(time);
}
