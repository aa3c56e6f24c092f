//! What every scenario stands on: an instance in a folder of its own, a model server, and the checks that follow.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use agent::{
    Command, Crash, Error, Faults, Home, Instance, NewTask, NoFaults, Nobody, Patience, Place, Reached, Setup, Start,
    State, Summary, Watcher,
};
use event::{EffectId, Event, TaskId, TaskOptions, ToolResult};
use model::{Client, Endpoint, Price, Settings};
use testkit::ModelServer;
use tokio::sync::mpsc;

/// How long the model may be silent where the test is not about its silence.
const IDLE: Duration = Duration::from_secs(60);

pub(crate) struct Rig {
    setup: Setup,
    pub(crate) instance: Instance,
    pub(crate) server: ModelServer,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) window: Option<u64>,
    /// How long the model may be silent.
    pub(crate) idle: Duration,
    pub(crate) price: Option<Price>,
    /// Whether the model is said to take pictures.
    pub(crate) sees: Option<bool>,
    /// How long the threads of an engine that died may take to end.
    pub(crate) linger: Duration,
    /// What the death of an engine waits for: a thread that has not begun when its engine dies never does anything.
    pub(crate) dies_after: fn(&Rig, &TaskId) -> bool,
}

impl Rig {
    pub(crate) fn new(server: ModelServer) -> Self {
        Self::build(server, policy::Engine::default_policy(), now_ms)
    }

    /// Under other rules, and with the clock that the test moves.
    pub(crate) fn with_policy(server: ModelServer, policy: &str) -> Self {
        Self::build(server, policy, testkit::clock::now_ms)
    }

    /// With a clock of the test's own.
    pub(crate) fn with_clock(server: ModelServer, clock: fn() -> u64) -> Self {
        Self::build(server, policy::Engine::default_policy(), clock)
    }

    fn build(server: ModelServer, policy: &str, clock: fn() -> u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let setup = Setup {
            home: Home::new(folder.path().join("home")),
            keeper: sandbox::find_keeper().expect("cargo build -p sandbox --bins makes it"),
            toolset: None,
            limits: Default::default(),
            build: Default::default(),
            policy: policy.to_owned(),
            boot: "this boot".to_owned(),
            forbidden: Vec::new(),
            clock,
        };
        Self {
            instance: Instance::new(setup.clone()).unwrap(),
            setup,
            server,
            folder,
            window: None,
            idle: IDLE,
            price: None,
            sees: None,
            linger: Duration::from_secs(20),
            dies_after: |_, _| true,
        }
    }

    /// With a clock that the test can put forward. It begins where the machine's stands, since the keeper has that one.
    pub(crate) fn ahead_of_time(server: ModelServer) -> Self {
        Self::build(server, policy::Engine::default_policy(), ahead_ms)
    }

    /// The machine went down and is up again.
    pub(crate) fn reboot(&mut self) {
        self.setup.boot = "the next boot".to_owned();
        self.instance = Instance::new(self.setup.clone()).unwrap();
    }

    /// From now on computers are made by this driver.
    pub(crate) fn made_by(&mut self, driver: sandbox::Driver) {
        self.setup.build = driver.into();
        self.instance = Instance::new(self.setup.clone()).unwrap();
    }

    /// From now on computers have these limits.
    pub(crate) fn limited_to(&mut self, limits: sandbox::Limits) {
        self.setup.limits = limits;
        self.instance = Instance::new(self.setup.clone()).unwrap();
    }

    pub(crate) fn create(&self, options: TaskOptions) -> TaskId {
        self.create_for("do it", options)
    }

    pub(crate) fn create_for(&self, brief: &str, options: TaskOptions) -> TaskId {
        let out = self.folder.path().join("out").to_str().unwrap().to_owned();
        let task = NewTask {
            brief: brief.to_owned(),
            model: "openai:scripted".to_owned(),
            output_tokens_max: self.client().requested_output_max(),
            sees: self.client().sees(),
            options: TaskOptions { out: Some(out), ..options },
            ..NewTask::default()
        };
        self.instance.create(task).unwrap()
    }

    fn client(&self) -> Arc<Client> {
        let settings = Settings {
            name: "openai:scripted".to_owned(),
            endpoint: Some(Endpoint { base_url: self.server.base_url(), key: None }),
            script: None,
            price: self.price,
            window_tokens: self.window,
            output_tokens_max: None,
            sees: self.sees,
            idle: self.idle,
        };
        Arc::new(Client::new(settings).unwrap())
    }

    /// Runs until the task rests or a planned crash comes.
    pub(crate) fn go(&self, id: &TaskId, start: Start, faults: &mut dyn Faults) -> Result<Summary, Error> {
        let (_sender, commands) = mpsc::channel(1);
        self.go_hearing(id, start, faults, commands)
    }

    pub(crate) fn go_hearing(
        &self,
        id: &TaskId,
        start: Start,
        faults: &mut dyn Faults,
        commands: mpsc::Receiver<Command>,
    ) -> Result<Summary, Error> {
        self.go_watched(id, start, faults, commands, &mut Nobody)
    }

    pub(crate) fn go_watched(
        &self,
        id: &TaskId,
        start: Start,
        faults: &mut dyn Faults,
        commands: mpsc::Receiver<Command>,
        watcher: &mut dyn Watcher,
    ) -> Result<Summary, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let run = self.instance.run_with_faults(id, start, self.client(), commands, watcher, faults);
        let outcome = runtime.block_on(run);
        if matches!(outcome, Err(Error::Crashed(_))) {
            until(|| (self.dies_after)(self, id));
        }
        // A kill would take the threads along; here they are of our own process and would meddle with the next engine.
        runtime.shutdown_timeout(self.linger);
        outcome
    }

    /// Runs with an onlooker who can speak up: the closure is shown each event, and says what the person says then.
    pub(crate) fn go_saying(
        &self,
        id: &TaskId,
        start: Start,
        patience: Patience,
        says: impl FnMut(Seen<'_>) -> Option<Command>,
    ) -> Summary {
        let (mouth, commands) = mpsc::channel(16);
        let mut watcher = Person { mouth, patience, says };
        self.go_watched(id, start, &mut NoFaults, commands, &mut watcher).unwrap()
    }

    /// Goes on with a task that was put down.
    pub(crate) fn resume(&self, id: &TaskId) -> Summary {
        self.go(id, Start::Resume, &mut NoFaults).unwrap()
    }

    /// Tells a task something that nobody holds, or its holder.
    #[track_caller]
    pub(crate) fn tell(&self, id: &TaskId, command: Command) {
        let (Reached::Holder(answer) | Reached::Recorded(answer)) = self.instance.command(id, command).unwrap();
        assert!(answer.accepted, "{}", answer.text);
    }

    pub(crate) fn run(&self, id: &TaskId) -> Summary {
        self.go(id, Start::Fresh, &mut NoFaults).unwrap()
    }

    pub(crate) fn events(&self, id: &TaskId) -> Vec<Event> {
        self.instance.events(id).unwrap().into_iter().map(|recorded| recorded.event).collect()
    }

    /// What the tools brought back, in order.
    pub(crate) fn results(&self, id: &TaskId) -> Vec<ToolResult> {
        let result = |event| if let Event::ToolFinished { result, .. } = event { Some(result) } else { None };
        self.events(id).into_iter().filter_map(result).collect()
    }

    /// What stands in the output folder under this name; empty where there is nothing.
    pub(crate) fn out_file(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join("out").join(name)).unwrap_or_default()
    }

    pub(crate) fn workspace_file(&self, id: &TaskId, name: &str) -> String {
        let folder = self.instance.folder(id).unwrap().workspace();
        std::fs::read_to_string(folder.join(name)).unwrap_or_default()
    }

    /// What holds after every scenario.
    pub(crate) fn check(&self, id: &TaskId) {
        let events = self.instance.events(id).unwrap();
        let broken = testkit::audit(events.iter().map(|recorded| (recorded.seq, &recorded.event)));
        assert!(broken.is_empty(), "the audit: {broken:#?}");
        assert!(self.server.violations().is_empty(), "the requests: {:#?}", self.server.violations());
        let folder = self.instance.folder(id).unwrap();
        let verdict = journal::verify_folder(folder.root()).unwrap();
        assert!(matches!(verdict, journal::Verdict::Whole(_)), "{verdict}");
        for kept in self.instance.kept(id).unwrap().checkpoints {
            let (number, plain) = (kept.checkpoint.number, sandbox::checkpoint::Compression::None);
            let whole = self.instance.export_files(id, number, plain, &mut std::io::sink());
            assert!(whole.is_ok(), "checkpoint {number}: {whole:?}");
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        for id in self.instance.ids().unwrap_or_default() {
            let folder = self.instance.folder(&id).unwrap();
            if let Ok(Some(computer)) = sandbox::Computer::attach(&folder.computer()) {
                let _ = computer.shutdown();
            }
        }
    }
}

/// What an onlooker is shown.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Seen<'a> {
    Event(&'a Event),
    /// A piece of a reply.
    Delta,
    /// The task waits for the person.
    Waiting,
}

/// An onlooker who is the person too.
struct Person<F> {
    mouth: mpsc::Sender<Command>,
    patience: Patience,
    says: F,
}

impl<F: FnMut(Seen<'_>) -> Option<Command>> Person<F> {
    fn shown(&mut self, seen: Seen<'_>) {
        if let Some(command) = (self.says)(seen) {
            self.mouth.try_send(command).unwrap();
        }
    }
}

impl<F: FnMut(Seen<'_>) -> Option<Command>> Watcher for Person<F> {
    fn event(&mut self, _seq: u64, _time_ms: u64, event: &Event, _state: &State) {
        self.shown(Seen::Event(event));
    }

    fn delta(&mut self, _id: EffectId, _attempt: u32, _delta: &model::Delta) {
        self.shown(Seen::Delta);
    }

    fn withdrawn(&mut self, _id: EffectId) {}

    fn waiting(&mut self, _state: &State) -> Patience {
        self.shown(Seen::Waiting);
        self.patience
    }
}

/// Waits until it is so.
#[track_caller]
pub(crate) fn until(mut so: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while !so() {
        assert!(std::time::Instant::now() < deadline, "it never came to be");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

/// Dies at the n-th visit of a place.
pub(crate) struct DieAt {
    pub(crate) place: Place,
    pub(crate) visit: usize,
    seen: BTreeMap<&'static str, usize>,
}

impl DieAt {
    pub(crate) fn new(place: Place, visit: usize) -> Self {
        Self { place, visit, seen: BTreeMap::new() }
    }
}

impl Faults for DieAt {
    fn at(&mut self, place: Place) -> Result<(), Crash> {
        if place != self.place {
            return Ok(());
        }
        let seen = self.seen.entry("here").or_default();
        *seen += 1;
        if *seen == self.visit { Err(Crash) } else { Ok(()) }
    }
}

/// How far the test has put the clock forward.
static AHEAD_MS: AtomicU64 = AtomicU64::new(0);

/// Lets so much time pass.
pub(crate) fn pass_ms(ms: u64) {
    AHEAD_MS.fetch_add(ms, Ordering::Relaxed);
}

fn ahead_ms() -> u64 {
    now_ms() + AHEAD_MS.load(Ordering::Relaxed)
}

#[expect(clippy::disallowed_methods, reason = "the edge of these tests")]
pub(crate) fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}
