//! What every scenario stands on: an instance in a folder of its own, a model server, and the checks that follow.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use agent::{
    Command, Crash, Error, Faults, Home, Instance, NewTask, NoFaults, Nobody, Place, Setup, Start, Summary, Watcher,
};
use event::{Event, TaskId, TaskOptions};
use model::{Client, Endpoint, Settings};
use testkit::ModelServer;
use tokio::sync::mpsc;

/// How long the model may be silent here.
const IDLE: Duration = Duration::from_millis(150);

pub(crate) struct Rig {
    pub(crate) instance: Instance,
    pub(crate) server: ModelServer,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) window: Option<u64>,
    /// How long the threads of an engine that died may take to end.
    pub(crate) linger: Duration,
}

impl Rig {
    pub(crate) fn new(server: ModelServer) -> Self {
        Self::build(server, policy::Engine::default_policy(), now_ms)
    }

    /// Under other rules, and with the clock that the test moves.
    pub(crate) fn with_policy(server: ModelServer, policy: &str) -> Self {
        Self::build(server, policy, testkit::clock::now_ms)
    }

    fn build(server: ModelServer, policy: &str, clock: fn() -> u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let setup = Setup {
            home: Home::new(folder.path().join("home")),
            keeper: sandbox::find_keeper().expect("cargo build -p sandbox --bins makes it"),
            toolset: None,
            policy: policy.to_owned(),
            boot: "this boot".to_owned(),
            forbidden: Vec::new(),
            clock,
        };
        Self { instance: Instance::new(setup).unwrap(), server, folder, window: None, linger: Duration::from_secs(20) }
    }

    pub(crate) fn create(&self, options: TaskOptions) -> TaskId {
        let out = self.folder.path().join("out").to_str().unwrap().to_owned();
        let task = NewTask {
            brief: "do it".to_owned(),
            model: "openai:scripted".to_owned(),
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
            price: None,
            window_tokens: self.window,
            output_tokens_max: None,
            idle: IDLE,
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
        // A kill would take the threads along; here they are of our own process and would meddle with the next engine.
        runtime.shutdown_timeout(self.linger);
        outcome
    }

    pub(crate) fn run(&self, id: &TaskId) -> Summary {
        self.go(id, Start::Fresh, &mut NoFaults).unwrap()
    }

    pub(crate) fn events(&self, id: &TaskId) -> Vec<Event> {
        self.instance.events(id).unwrap().into_iter().map(|recorded| recorded.event).collect()
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

#[expect(clippy::disallowed_methods, reason = "the edge of these tests")]
fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}
