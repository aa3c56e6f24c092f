//! The door to the agent for everybody else: create a task, run it, look at it, tell it something.

use std::collections::{HashMap, HashSet};
use std::fs::{File, Metadata, Permissions};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use event::{BlobRef, Event, TaskCreated, TaskId, TaskOptions};

use crate::control::{self, Answer, Command, heard};
use crate::home::{Home, TaskFolder};
use crate::limits::{BRIEF_BYTES_MAX, INPUT_FILES_MAX};
use crate::record::{Record, draft, each_event};
use crate::state::State;
use crate::summary::Summary;
use crate::{Because, Error, prompt};

/// What an instance is made of. The edge brings the clock, the boot's identity and all paths.
#[derive(Clone, Debug)]
pub struct Setup {
    pub home: Home,
    /// The keeper's binary.
    pub keeper: PathBuf,
    pub toolset: Option<PathBuf>,
    /// What each task's computer may take.
    pub limits: sandbox::Limits,
    /// Who makes each computer.
    pub build: sandbox::Build,
    /// Cedar text.
    pub policy: String,
    /// Identity of the machine's boot.
    pub boot: String,
    /// Folders that no task may work in, nor around.
    pub forbidden: Vec<PathBuf>,
    /// Milliseconds since 1970 (UTC).
    pub clock: fn() -> u64,
}

/// A task to be created.
#[derive(Clone, Debug, Default)]
pub struct NewTask {
    pub brief: String,
    /// `provider:model`.
    pub model: String,
    pub scripted: bool,
    /// The bound on each reply, where one is sent: [`model::Client::requested_output_max`].
    pub output_tokens_max: Option<u64>,
    /// Whether the model takes pictures: [`model::Client::sees`].
    pub sees: bool,
    pub options: TaskOptions,
    /// Files for the workspace, under the names they have where they lie.
    pub inputs: Vec<Input>,
    /// A name for it; one is made where there is none.
    pub id: Option<TaskId>,
}

/// A file for the workspace of a new task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A file of the person's: it is copied and stays where it is.
    Copy(PathBuf),
    /// A file that was received for this task, in the data folder's file system: it is moved.
    Move(PathBuf),
}

impl Input {
    /// The name it gets in the workspace.
    pub fn name(&self) -> String {
        self.path().file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    fn path(&self) -> &Path {
        match self {
            Self::Copy(path) | Self::Move(path) => path,
        }
    }
}

/// An event with its place on the record.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub seq: u64,
    pub time_ms: u64,
    pub event: Event,
}

/// The tasks of an instance.
#[derive(Debug, Default)]
pub struct Listing {
    /// Newest first.
    pub tasks: Vec<Summary>,
    /// Those whose journal cannot be read, and why.
    pub broken: Vec<(TaskId, Error)>,
}

/// The state of a journal's files; equal only while nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp(journal::Stamp);

/// Where a command went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reached {
    /// To the process that holds the task.
    Holder(Answer),
    /// Nobody holds the task: onto its record, for the next resume.
    Recorded(Answer),
}

/// How the folders of tasks begin that are being made. No list shows them.
pub(crate) const UNMADE: &str = ".new-";

/// The agent on this machine.
pub struct Instance {
    pub(crate) setup: Setup,
    pub(crate) policy: policy::Engine,
    /// The tasks that this process has in hand, for whoever watches.
    pub(crate) places: Mutex<HashMap<TaskId, Arc<Mutex<Weak<tools::Place>>>>>,
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance").field("setup", &self.setup).finish_non_exhaustive()
    }
}

impl Instance {
    /// Loads the rules; nothing else is opened yet.
    pub fn new(setup: Setup) -> Result<Self, Error> {
        let policy = policy::Engine::load(&setup.policy).map_err(|error| Error::Policy(error.to_string()))?;
        Ok(Self { setup, policy, places: Mutex::default() })
    }

    /// A new task's name.
    pub fn new_id(&self) -> Result<TaskId, Error> {
        new_id((self.setup.clock)())
    }

    /// Puts a new task on record, with its inputs in its workspace. It does not run yet.
    pub fn create(&self, task: NewTask) -> Result<TaskId, Error> {
        check(&task, self.setup.build.driver)?;
        self.secrets().named(&task.options.secrets)?;
        let id = match &task.id {
            Some(id) => id.clone(),
            None => self.new_id()?,
        };
        self.build(&id, |root| self.fill(&id, &task, root))?;
        Ok(id)
    }

    /// Makes the folder of a new task.
    pub(crate) fn build(&self, id: &TaskId, fill: impl FnOnce(&Path) -> Result<(), Error>) -> Result<(), Error> {
        let folder = self.setup.home.task(id);
        if folder.root().exists() {
            return Err(Error::Invalid(format!("there is a task {id} already")));
        }
        // Built aside and moved into place whole, so that no half-made task is ever seen. Of two that make the same task
        // at once, each builds its own, and one of them finds the place taken.
        let aside = self.setup.home.tasks().join(format!("{UNMADE}{id}-{}", base36(chance()?, 7)));
        let made = fill(&aside);
        let moved =
            made.and_then(|()| std::fs::rename(&aside, folder.root()).map_err(io("make the task in", folder.root())));
        if let Err(error) = moved {
            let _ = sandbox::remove_tree(&aside);
            return Err(error);
        }
        Ok(())
    }

    fn fill(&self, id: &TaskId, task: &NewTask, root: &Path) -> Result<(), Error> {
        make_folder(root)?;
        let workspace = match &task.options.workspace {
            Some(path) => PathBuf::from(path),
            None => root.join("workspace"),
        };
        if task.options.workspace.is_none() {
            make_folder(&workspace)?;
        }
        let inputs = put_inputs(&task.inputs, &workspace)?;
        // As it was lent, with the inputs in it: they are the person's own as well.
        let autorun = task.options.workspace.as_ref().map(|_| tools::autorun::look(&workspace));
        let autorun = autorun.transpose().map_err(io("look through the folder", &workspace))?;
        let mut writer = journal::Writer::create(root, id.as_str())?;
        let blob = |bytes: &[u8]| -> Result<BlobRef, Error> {
            let blob = writer.blobs().put(bytes)?;
            Ok(BlobRef { digest: event::Digest(blob.digest), bytes: blob.bytes })
        };
        let offered = self.offered();
        let created = TaskCreated {
            id: id.clone(),
            brief: task.brief.clone(),
            model: task.model.clone(),
            scripted: task.scripted,
            options: task.options.clone(),
            output_tokens_max: task.output_tokens_max,
            inputs,
            system: blob(prompt::system(offered).as_bytes())?,
            tools: blob(&tools::list_json(offered))?,
            policy: blob(self.setup.policy.as_bytes())?,
            sees: task.sees,
            engine: env!("CARGO_PKG_VERSION").to_owned(),
            boot: self.setup.boot.clone(),
            autorun: autorun.map(|seen| blob(&seen.to_bytes())).transpose()?,
            forked_from: None,
        };
        writer.append(&[draft((self.setup.clock)(), &Event::TaskCreated(Box::new(created)))])?;
        Ok(())
    }

    /// The tools of a new task: those that work in the computers that are made here.
    fn offered(&self) -> tools::Offered {
        let browser = self.setup.build.driver.has_browser() && sandbox::Browser::default().program().is_ok();
        if browser { tools::Offered::All } else { tools::Offered::WithoutBrowser }
    }

    /// All tasks, newest first. A task whose journal cannot be read harms no other: it is named apart.
    pub fn list(&self) -> Result<Listing, Error> {
        let Listing { mut tasks, mut broken } = Listing::default();
        for id in self.ids()? {
            match self.summary(&id) {
                Ok(summary) => tasks.push(summary),
                Err(error) => broken.push((id, error)),
            }
        }
        tasks.sort_by(|a, b| (b.created_ms, &b.id).cmp(&(a.created_ms, &a.id)));
        Ok(Listing { tasks, broken })
    }

    /// The names of all tasks, in no order.
    pub fn ids(&self) -> Result<Vec<TaskId>, Error> {
        let tasks = self.setup.home.tasks();
        match std::fs::read_dir(&tasks) {
            Ok(entries) => {
                Ok(entries.flatten().filter_map(|entry| TaskId::new(entry.file_name().to_str()?).ok()).collect())
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(io("list the tasks in", &tasks)(error)),
        }
    }

    /// One task, as its journal has it now.
    pub fn summary(&self, id: &TaskId) -> Result<Summary, Error> {
        let folder = self.folder(id)?;
        let state = self.state(id, &folder)?;
        Ok(Summary::new(id, &folder, &state, journal::holder(folder.root())?.is_some()))
    }

    /// Whether a process has the task in hand.
    pub fn is_held(&self, id: &TaskId) -> Result<bool, Error> {
        Ok(journal::holder(self.folder(id)?.root())?.is_some())
    }

    /// Ends the computer of a task that is over, where the engine died before it could do so itself. Whether there was one.
    pub fn end_left_computer(&self, id: &TaskId) -> Result<bool, Error> {
        let folder = self.folder(id)?;
        let Ok(Some(computer)) = sandbox::Computer::attach(&folder.computer()) else { return Ok(false) };
        // Whoever has the task in hand now needs it, or ends it.
        Ok(!self.is_held(id)? && computer.shutdown().is_ok())
    }

    /// A value that changes whenever the journal does.
    pub fn stamp(&self, id: &TaskId) -> Result<Stamp, Error> {
        Ok(Stamp(journal::stamp(self.folder(id)?.root())?))
    }

    /// Ends a task that nobody holds as stopped, because it has no model now; a resume goes on.
    pub fn put_off(&self, id: &TaskId, reason: &str) -> Result<(), Error> {
        let mut record = Record::open(id, &self.folder(id)?, self.setup.clock)?;
        let (state, cause) = (event::EndState::Stopped, event::StopCause::Model);
        let ended = Event::TaskEnded { state, cause, reason: reason.to_owned(), text: String::new() };
        record.append(vec![ended], &mut crate::watch::Nobody)
    }

    /// The events of a task, in order.
    pub fn events(&self, id: &TaskId) -> Result<Vec<Recorded>, Error> {
        let folder = self.folder(id)?;
        let mut events = Vec::new();
        each_event(id, &folder, |recorded| events.push(recorded))?;
        Ok(events)
    }

    /// The folder of a task that exists.
    pub fn folder(&self, id: &TaskId) -> Result<TaskFolder, Error> {
        let folder = self.setup.home.task(id);
        if folder.root().is_dir() { Ok(folder) } else { Err(Error::NoSuchTask(id.to_string())) }
    }

    /// Tells a task something: its holder, or its journal where nobody holds it.
    pub fn command(&self, id: &TaskId, command: Command) -> Result<Reached, Error> {
        let folder = self.folder(id)?;
        if let Command::Hosts { allow, .. } = &command {
            let wanted = TaskOptions { allow_net: allow.clone(), ..TaskOptions::default() };
            no_way_out(&wanted, self.driver(&folder)).map_err(Error::Invalid)?;
        }
        if let Some(answer) = control::send(&folder.control(), &command)? {
            return Ok(Reached::Holder(answer));
        }
        let mut record = Record::open(id, &folder, self.setup.clock)?;
        let stop = matches!(command, Command::Stop { .. });
        let (answer, mut events) = heard(&record.state, command);
        if answer.accepted && stop {
            events.extend(crate::handover::autorun(&record.state, &folder));
            events.push(Event::TaskEnded {
                state: event::EndState::Stopped,
                cause: event::StopCause::Person,
                reason: "stopped by the person".to_owned(),
                text: String::new(),
            });
        }
        if !events.is_empty() {
            record.append(events, &mut crate::watch::Nobody)?;
        }
        if answer.accepted
            && stop
            && let Ok(Some(computer)) = sandbox::Computer::attach(&folder.computer())
        {
            let _ = computer.shutdown();
        }
        Ok(Reached::Recorded(answer))
    }

    pub(crate) fn state(&self, id: &TaskId, folder: &TaskFolder) -> Result<State, Error> {
        let mut state = State::default();
        each_event(id, folder, |recorded| state.apply(&recorded.event, recorded.time_ms))?;
        Ok(state)
    }

    /// The secrets of this instance.
    pub fn secrets(&self) -> crate::Secrets {
        crate::Secrets::of(self.setup.home.path())
    }

    pub(crate) fn place(&self, folder: &TaskFolder, state: &State) -> tools::Place {
        let options = &state.options;
        let workspace = match &options.workspace {
            Some(path) => sandbox::Workspace::Folder(PathBuf::from(path)),
            None => sandbox::Workspace::Own(folder.workspace()),
        };
        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let mut env: std::collections::BTreeMap<_, _> = sandbox::egress::ENVIRONMENT.iter().map(pair).collect();
        let secrets = self.secrets().still(&options.secrets).unwrap_or_default();
        let trusted = if secrets.is_empty() { None } else { crate::secrets::authority(folder.root()).ok() };
        env.extend(trusted.iter().flat_map(|_| tools::TRUST.iter().map(pair)));
        env.extend(secrets.into_iter().map(|kept| (kept.name, kept.placeholder)));
        let spec = sandbox::ComputerSpec {
            dir: folder.computer(),
            workspace,
            toolset: self.setup.toolset.clone(),
            limits: self.setup.limits.clone(),
            deadline_unix_ms: state.deadline_ms(),
            env,
            keeper: self.setup.keeper.clone(),
            forbidden: self.setup.forbidden.clone(),
            build: self.setup.build,
            // Where there can be none, `no_way_out` says so to whoever wants one.
            egress: self.setup.build.driver.has_way_out(),
        };
        let out = options.out.clone().map(PathBuf::from);
        let place = tools::Place::new(folder.root().to_owned(), spec, out, Arc::new(AtomicBool::new(false)));
        match trusted {
            Some(authority) => place.with_trusted(authority.certificate().to_owned()),
            None => place,
        }
    }
}

fn check(task: &NewTask, driver: sandbox::Driver) -> Result<(), Error> {
    if task.brief.trim().is_empty() {
        return Err(Error::refused(Because::TaskEmpty, "the task is empty: say in a sentence what you want"));
    }
    if task.brief.len() > BRIEF_BYTES_MAX {
        let text = "the task is longer than 256 KiB: give long material as --input";
        return Err(Error::refused(Because::TaskTooLong, text));
    }
    no_way_out(&task.options, driver).map_err(Error::Invalid)?;
    crate::allow::allow_list(&task.options.allow_net)?;
    if task.inputs.len() > INPUT_FILES_MAX {
        return Err(Error::Invalid(format!("more than {INPUT_FILES_MAX} input files: give a folder as --workspace")));
    }
    Ok(())
}

/// Refuses what needs a way out of a computer that cannot have one. The task would run and never reach what it was given.
pub(crate) fn no_way_out(options: &event::TaskOptions, driver: sandbox::Driver) -> Result<(), String> {
    let what = match (options.allow_net.is_empty(), options.secrets.is_empty()) {
        _ if driver.has_way_out() => return Ok(()),
        (true, true) => return Ok(()),
        (false, _) => "hosts were named for the task",
        (true, false) => "secrets were named for the task, which are put in on the way to a host",
    };
    Err(format!(
        "{what}, and the driver {driver} makes no way out: take the driver native (THENAR_COMPUTER, or `driver` under \
         [computer] in config.toml), or leave them away"
    ))
}

/// Puts the person's files into the workspace under their own names; never over something else, and never through a link: what an
/// agent has left in a lent folder may be one.
fn put_inputs(inputs: &[Input], workspace: &Path) -> Result<Vec<String>, Error> {
    let folder = sandbox::Folder::open(workspace).map_err(io("open the workspace", workspace))?;
    let mut names = HashSet::new();
    let mut put = Vec::new();
    for (wanted, input) in inputs.iter().map(|input| (input, input.path())) {
        let metadata = std::fs::metadata(input).map_err(io("read the input", input))?;
        let name = wanted.name();
        if !metadata.is_file() || name.is_empty() {
            return Err(Error::Invalid(format!("input {} is not a file", input.display())));
        }
        if !names.insert(name.clone()) {
            return Err(Error::Invalid(format!("two inputs are named {name}: rename one of them")));
        }
        let there = folder.about(&name).ok();
        if let Some(there) = there {
            if (there.st_dev, there.st_ino) != (metadata.dev(), metadata.ino()) {
                let to = workspace.join(&name);
                let text = format!("{} is there already: rename the input or remove that file", to.display());
                return Err(Error::Invalid(text));
            }
        } else {
            match wanted {
                Input::Copy(_) => copy_in(input, &metadata, &folder, &name).map_err(io("copy the input", input))?,
                // A rename follows no link as its last part.
                Input::Move(_) => {
                    std::fs::rename(input, workspace.join(&name)).map_err(io("move the input", input))?;
                }
            }
        }
        put.push(name);
    }
    Ok(put)
}

fn copy_in(input: &Path, about: &Metadata, folder: &sandbox::Folder, name: &str) -> std::io::Result<()> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let aside = format!(".thenar-input-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let mut copy = folder.create(&aside)?;
    let copied = std::io::copy(&mut File::open(input)?, &mut copy)
        .and_then(|_| copy.set_permissions(Permissions::from_mode(about.permissions().mode() & 0o777)))
        .and_then(|()| folder.rename(&aside, name, sandbox::Over::Nothing));
    if copied.is_err() {
        folder.remove(&aside);
    }
    copied
}

pub(crate) fn make_folder(path: &Path) -> Result<(), Error> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io("make the folder", path))
}

fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { doing, path, source }
}

/// A name that sorts by time: the milliseconds in base 36, then a little chance.
fn new_id(now_ms: u64) -> Result<TaskId, Error> {
    let text = format!("t{}-{}", base36(now_ms, 9), base36(chance()?, 4));
    TaskId::new(text).map_err(|error| Error::Invalid(error.to_string()))
}

fn chance() -> Result<u64, Error> {
    let number = getrandom::u32();
    number.map(u64::from).map_err(|error| Error::Invalid(format!("read the system's random numbers: {error}")))
}

fn base36(mut number: u64, digits: usize) -> String {
    let mut text = vec![b'0'; digits];
    for place in text.iter_mut().rev() {
        *place = b"0123456789abcdefghijklmnopqrstuvwxyz"[(number % 36) as usize];
        number /= 36;
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_goes_over_nothing_and_through_no_link_that_an_agent_left() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(at("project")).unwrap();
        std::fs::create_dir_all(at("person")).unwrap();
        for name in ["data.csv", "run.sh", "kept.csv"] {
            std::fs::write(at(name), name).unwrap();
        }
        std::fs::set_permissions(at("run.sh"), Permissions::from_mode(0o755)).unwrap();
        // It leads to where nothing is yet, so that whoever asks whether the name is taken is told that it is not.
        std::os::unix::fs::symlink(at("person/.profile"), at("project/data.csv")).unwrap();
        std::fs::write(at("project/kept.csv"), "another").unwrap();
        let put = |inputs: &[Input]| put_inputs(inputs, &at("project"));
        for wanted in [Input::Copy(at("data.csv")), Input::Move(at("data.csv")), Input::Copy(at("kept.csv"))] {
            let refused = put(std::slice::from_ref(&wanted)).unwrap_err().to_string();
            assert!(refused.contains("is there already"), "{wanted:?}: {refused}");
        }
        assert!(!at("person/.profile").exists() && at("data.csv").exists());
        assert_eq!(std::fs::read_to_string(at("project/kept.csv")).unwrap(), "another");
        // What is new comes whole, with the rights that it had; what is in its place already stays.
        assert_eq!(
            put(&[Input::Copy(at("run.sh")), Input::Copy(at("project/kept.csv"))]).unwrap(),
            ["run.sh", "kept.csv"]
        );
        let mode = std::fs::metadata(at("project/run.sh")).unwrap().permissions().mode();
        assert_eq!((mode & 0o777, std::fs::read_to_string(at("project/run.sh")).unwrap().as_str()), (0o755, "run.sh"));
        let names = std::fs::read_dir(at("project")).unwrap().count();
        assert_eq!(names, 3, "nothing else is left");
    }
}
