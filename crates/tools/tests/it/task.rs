//! A task with a computer of its own for one test, and calls that policy has allowed. Nothing here is a fake: the permit
//! comes from the policy in force by default.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use event::{AcceptanceItem, AcceptanceStatus, EffectId, TaskId, ToolCall, ToolFact, ToolResult};
use policy::{Engine, Facts, Permit, ToolFacts};
use sandbox::{ComputerSpec, Limits, Workspace};
use serde_json::{Value, json};
use tools::{Place, World};

/// A task with a computer of its own.
pub(crate) struct Task {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) world: World,
    policy: Engine,
    next: u64,
}

impl Task {
    /// A task with an empty workspace of its own and an output folder.
    pub(crate) fn new() -> Self {
        let task = Self::unopened();
        // The workspace is made with the computer.
        task.world.place.computer().expect("a computer");
        task
    }

    /// A task whose computer may take only so much.
    pub(crate) fn with_limits(limits: Limits) -> Self {
        let mut task = Self::unopened();
        task.world.place = place(task.folder.path(), ComputerSpec { limits, ..task.world.place.spec.clone() });
        task
    }

    /// A task whose computer nobody has needed yet.
    pub(crate) fn unopened() -> Self {
        let folder = tempfile::tempdir().expect("a folder for the task");
        let spec = ComputerSpec {
            dir: folder.path().join("task/computer"),
            workspace: Workspace::Own(folder.path().join("task/workspace")),
            toolset: None,
            limits: Limits::default(),
            forbidden: Vec::new(),
            build: Default::default(),
            egress: false,
            deadline_unix_ms: None,
            env: BTreeMap::new(),
            keeper: sandbox::find_keeper().expect("thenar-keeper is built"),
        };
        let place = place(folder.path(), spec);
        let world = World {
            place,
            processes: BTreeMap::new(),
            acceptance: Vec::new(),
            delivered: Vec::new(),
            pages_bytes: 0,
            cancel: Arc::default(),
        };
        let policy = Engine::load(Engine::default_policy()).expect("the default policy");
        Self { folder, world, policy, next: 1 }
    }

    pub(crate) fn workspace(&self) -> PathBuf {
        self.folder.path().join("task/workspace")
    }

    pub(crate) fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    /// The same task with these tools at hand in its computers.
    pub(crate) fn with_toolset(mut self, toolset: PathBuf) -> Self {
        if let Some(computer) = self.world.place.opened() {
            computer.shutdown().expect("the computer without them ends");
        }
        let spec = ComputerSpec { toolset: Some(toolset), ..self.world.place.spec.clone() };
        self.world.place = place(self.folder.path(), spec);
        self
    }

    /// What an engine has that took the task up again: nothing but the journal and the folder.
    pub(crate) fn restarted(&mut self) {
        self.world.place = place(self.folder.path(), self.world.place.spec.clone());
    }

    /// Another output folder, or none: the files stay where they are.
    pub(crate) fn hand_over_to(&mut self, out: Option<PathBuf>) {
        let spec = self.world.place.spec.clone();
        let cancel = self.world.place.cancel.clone();
        self.world.place = Arc::new(Place::new(self.folder.path().join("task"), spec, out, cancel));
    }

    /// Kills the computer's keeper, and only that one; everything inside dies with it.
    pub(crate) fn kill_keeper(&self) {
        let lock = self.world.place.spec.dir.join("keeper.lock");
        let holds = |pid: &std::path::Path| {
            let keeper = std::fs::read_to_string(pid.join("comm")).is_ok_and(|name| name.trim() == "thenar-keeper");
            let open = || std::fs::read_dir(pid.join("fd")).into_iter().flatten().flatten();
            keeper && open().any(|fd| std::fs::read_link(fd.path()).is_ok_and(|target| target == lock))
        };
        let mut processes = std::fs::read_dir("/proc").expect("/proc").flatten().map(|entry| entry.path());
        let keeper = processes.find(|pid| holds(pid)).expect("the keeper runs");
        let pid = keeper.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
        let pid = pid.and_then(rustix::process::Pid::from_raw).expect("a process");
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it is ours");
        // Its death is seen by what it held being let go.
        while holds(&keeper) {
            std::thread::yield_now();
        }
    }

    /// A call with the next number.
    pub(crate) fn call(&mut self, tool: &str, arguments: Value) -> ToolCall {
        let id = EffectId(self.next);
        self.next += 1;
        let arguments = arguments.as_object().cloned().expect("arguments are an object");
        let call = ToolCall {
            id,
            turn: 1,
            call_id: "c".to_owned(),
            tool: tool.to_owned(),
            arguments,
            labels: BTreeMap::new(),
        };
        if let Some(name) = tools::process_name(&call) {
            self.world.processes.insert(name, id);
        }
        call
    }

    /// The permit for it, with the person's yes beforehand.
    pub(crate) fn permit(&self, call: &ToolCall) -> Permit<ToolCall> {
        self.permit_for(call, tools::facts(&call.tool).expect("a tool"))
    }

    pub(crate) fn permit_for(&self, call: &ToolCall, tool: ToolFacts) -> Permit<ToolCall> {
        let facts = Facts {
            task: TaskId::new("test").expect("a task's name"),
            model: "script:test".to_owned(),
            tool: Some(tool),
            yes: true,
            declared: false,
            budget_left: None,
        };
        self.policy.authorize_tool(call.clone(), &facts, None).permit.expect("the default policy allows it")
    }

    /// Runs a call and folds its facts in, as the agent's state does.
    pub(crate) fn run(&mut self, tool: &str, arguments: Value) -> ToolResult {
        let call = self.call(tool, arguments);
        self.run_call(&call)
    }

    pub(crate) fn run_call(&mut self, call: &ToolCall) -> ToolResult {
        let result = tools::run(self.permit(call), &self.world);
        for fact in &result.facts {
            match fact {
                ToolFact::Acceptance { items } => self.world.acceptance = items.clone(),
                ToolFact::Delivered { files } => self.world.delivered.extend(files.iter().cloned()),
                ToolFact::Plan { .. }
                | ToolFact::Notice { .. }
                | ToolFact::Question { .. }
                | ToolFact::Command { .. }
                | ToolFact::Picture { .. }
                | ToolFact::Page { .. }
                | ToolFact::BrowserLimits { .. }
                | ToolFact::Idle { .. } => {}
            }
        }
        result
    }

    /// What there is to see once this was typed: at first only its echo may be there.
    pub(crate) fn typed(&mut self, id: &str, input: &str, shown: &str) -> String {
        let mut text = self.text("shell_write_to_process", json!({"id": id, "input": input}));
        for _ in 0..600 {
            if text.contains(shown) {
                break;
            }
            std::thread::park_timeout(std::time::Duration::from_millis(100));
            text = self.text("shell_view", json!({"id": id}));
        }
        text
    }

    /// The text of a call.
    pub(crate) fn text(&mut self, tool: &str, arguments: Value) -> String {
        self.run(tool, arguments).text
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        // Also one that this place did not open itself: keepers outlive engines.
        if let Ok(Some(computer)) = sandbox::Computer::attach(&self.world.place.spec.dir) {
            let _ = computer.shutdown();
        }
    }
}

fn place(folder: &Path, spec: ComputerSpec) -> Arc<Place> {
    let cancel = Arc::new(AtomicBool::new(false));
    Arc::new(Place::new(folder.join("task"), spec, Some(folder.join("out")), cancel))
}

/// An acceptance list of which nothing is checked.
pub(crate) fn list(points: &[&str]) -> Vec<AcceptanceItem> {
    let item = |text: &&str| AcceptanceItem {
        text: (*text).to_owned(),
        status: AcceptanceStatus::Unchecked,
        note: String::new(),
        check: None,
    };
    points.iter().map(item).collect()
}

/// The toolset that was set up on this machine, if it was. `make test` sets it up and says that it must be there, so that
/// no test that needs it passes by not looking.
pub(crate) fn toolset() -> Option<PathBuf> {
    let found = find_toolset();
    assert!(found.is_some() || std::env::var_os("TOOLSET_REQUIRED").is_none(), "no toolset: run toolset/setup.sh");
    found
}

fn find_toolset() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("THENAR_TOOLSET").filter(|named| !named.is_empty()) {
        return Some(PathBuf::from(named));
    }
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?;
    let mut sets = std::fs::read_dir(cache.join("thenar/toolset")).ok()?.flatten().map(|entry| entry.path());
    sets.find(|set| set.join("site").is_dir())
}
