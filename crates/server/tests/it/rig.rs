//! What every scenario stands on: an instance in a folder of its own, a model that does what it is told, and a runner.

use std::sync::Arc;
use std::time::{Duration, Instant};

use agent::{Home, Instance, Models, NewTask, Offered, Opened, Setup, Unavailable};
use event::{TaskId, TaskOptions};
use model::{Client, Endpoint, Settings};
use server::{Index, Runner, RunnerLimits};
use testkit::ModelServer;

/// Long enough for a loaded machine; no test waits for it unless it fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// One model, `openai:scripted`.
pub(crate) struct OneModel {
    pub(crate) base_url: String,
}

impl Models for OneModel {
    fn open(&self, name: Option<&str>) -> Result<Opened, Unavailable> {
        let name = name.unwrap_or("openai:scripted").to_owned();
        if name != "openai:scripted" {
            let (reason, hint) = (format!("there is no model {name}"), "name another".to_owned());
            return Err(Unavailable { reason, hint });
        }
        let settings = Settings {
            name: name.clone(),
            endpoint: Some(Endpoint { base_url: self.base_url.clone(), key: None }),
            script: None,
            price: None,
            window_tokens: None,
            output_tokens_max: None,
            sees: None,
            idle: PATIENCE,
        };
        let client = Arc::new(Client::new(settings).unwrap());
        Ok(Opened { name, scripted: false, priced: false, client })
    }

    fn offered(&self) -> Result<Vec<Offered>, Unavailable> {
        Ok(vec![Offered { name: "openai:scripted".to_owned(), note: "configured".to_owned() }])
    }
}

/// A stage; everything on it is gone with it.
pub(crate) struct Rig {
    pub(crate) instance: Arc<Instance>,
    pub(crate) runner: Runner,
    pub(crate) index: Index,
    pub(crate) server: ModelServer,
    pub(crate) folder: tempfile::TempDir,
}

impl Rig {
    pub(crate) fn new(server: ModelServer, limits: RunnerLimits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let setup = Setup {
            home: Home::new(folder.path().join("home")),
            keeper: sandbox::find_keeper().expect("cargo build -p sandbox --bins makes it"),
            toolset: None,
            limits: Default::default(),
            build: Default::default(),
            policy: policy::Engine::default_policy().to_owned(),
            boot: "this boot".to_owned(),
            forbidden: Vec::new(),
            clock: testkit::clock::now_ms,
        };
        let instance = Arc::new(Instance::new(setup).unwrap());
        let models = Arc::new(OneModel { base_url: server.base_url() });
        let runner = Runner::start(Arc::clone(&instance), models, limits).unwrap();
        let index = Index::new(Arc::clone(&instance), runner.clone());
        Self { instance, runner, index, server, folder }
    }

    pub(crate) fn create(&self, id: &str, model: &str) -> TaskId {
        let out = self.folder.path().join("out").join(id).to_str().unwrap().to_owned();
        let task = NewTask {
            brief: format!("<{id}>"),
            model: model.to_owned(),
            options: TaskOptions { out: Some(out), ..TaskOptions::default() },
            id: Some(TaskId::new(id).unwrap()),
            ..NewTask::default()
        };
        self.instance.create(task).unwrap()
    }

    #[track_caller]
    pub(crate) fn until(&self, id: &TaskId, state: &str) {
        until(&format!("{id} is {state}"), || self.index.summary(id).unwrap().state == state);
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        for id in self.instance.ids().unwrap_or_default() {
            let folder = self.folder.path().join("home/tasks").join(id.as_str()).join("computer");
            if let Ok(Some(computer)) = sandbox::Computer::attach(&folder) {
                let _ = computer.shutdown();
            }
        }
    }
}

/// Looks until a condition holds.
#[track_caller]
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        #[expect(
            clippy::disallowed_methods,
            reason = "a poll with a deadline; the condition is another thread's doing"
        )]
        std::thread::sleep(Duration::from_millis(5));
    }
}
