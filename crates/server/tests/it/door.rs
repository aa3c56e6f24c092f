//! The HTTP door without a socket: a server on a stage of its own, and requests as its owner's program sends them.

use std::sync::{Arc, Mutex};

use agent::Unavailable;
use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request};
use event::TaskId;
use serde_json::{Value, json};
use server::{App, Change, Demo, Findings, House, HttpLimits, KnownModel, RunnerLimits, Settings, Token, Trial, app};
use testkit::{Answer, ModelServer, Turn};
use tower::ServiceExt as _;

use crate::rig::Rig;

/// A secret that the server knows of.
pub(crate) const WITHHELD: &str = "model-key-of-the-owner-1234";

/// A configuration in memory, and a machine that is well.
#[derive(Debug, Default)]
pub(crate) struct OneHouse {
    settings: Mutex<Settings>,
    /// What every new task may reach.
    pub(crate) always: Mutex<Vec<String>>,
    /// What it was told of models, with their keys.
    pub(crate) told: Mutex<Vec<String>>,
}

impl House for OneHouse {
    fn settings(&self) -> Result<Settings, Unavailable> {
        Ok(self.settings.lock().unwrap().clone())
    }

    fn change(&self, change: Change) -> Result<(), Unavailable> {
        let mut settings = self.settings.lock().unwrap();
        match change {
            Change::Choose(name) => settings.model = name,
            Change::Forget(name) => settings.models.retain(|model| model.name != name),
            Change::Limits(limits) => settings.limits = limits,
            Change::Hosts(hosts) => settings.allow_net = hosts,
            Change::Model(name, wanted) => {
                self.told.lock().unwrap().extend(wanted.api_key.clone());
                let has_key = wanted.api_key.is_some();
                settings.models.push(KnownModel { name, has_key, base_url: wanted.base_url, ..KnownModel::default() });
            }
        }
        Ok(())
    }

    fn try_out(&self, model: &str) -> Result<Trial, Unavailable> {
        Ok(Trial { model: model.to_owned(), usable: true, tests: Vec::new() })
    }

    fn demo(&self) -> Result<Demo, Unavailable> {
        let files = vec![("figures.csv", b"a,b\n1,2\n".as_slice())];
        Ok(Demo { task: "Count the figures".to_owned(), model: "openai:scripted".to_owned(), files })
    }

    fn findings(&self) -> Result<Findings, Unavailable> {
        Ok(Findings { able: true, findings: Vec::new() })
    }

    fn always_reached(&self) -> Vec<String> {
        self.always.lock().unwrap().clone()
    }

    fn withheld(&self) -> Vec<String> {
        vec![WITHHELD.to_owned()]
    }
}

/// A server whose model says one word and is done.
pub(crate) struct Door {
    pub(crate) rig: Rig,
    pub(crate) state: App,
    pub(crate) house: Arc<OneHouse>,
    pub(crate) router: Router,
    pub(crate) token: String,
}

pub(crate) fn door() -> Door {
    door_with(HttpLimits::default())
}

/// The same with other limits.
pub(crate) fn door_with(http: HttpLimits) -> Door {
    let server = ModelServer::start(|_, _| Answer::Stream(Turn::say("done")));
    door_before(server.unwrap(), RunnerLimits::default(), http)
}

/// A server whose model is this one.
pub(crate) fn door_before(server: ModelServer, runner: RunnerLimits, http: HttpLimits) -> Door {
    let rig = Rig::new(server, runner);
    let home = rig.folder.path().join("home");
    std::fs::create_dir_all(&home).unwrap();
    let token = Token::open(&home).unwrap();
    let shown = token.reveal().to_owned();
    let house = Arc::new(OneHouse::default());
    let state = App {
        instance: Arc::clone(&rig.instance),
        runner: rig.runner.clone(),
        index: rig.index.clone(),
        house: house.clone(),
        models: Arc::new(crate::rig::OneModel { base_url: rig.server.base_url() }),
        token,
        hosts: vec!["thenar.test".to_owned()],
        limits: http,
        clock: testkit::clock::now_ms,
    };
    Door { rig, router: app(state.clone()), state, house, token: shown }
}

/// A request as the owner's own program sends it; `headers` come on top, an empty value takes one away.
pub(crate) fn request(
    door: &Door,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&Value>,
) -> Request<Body> {
    let bearer = format!("Bearer {}", door.token);
    let mut all = vec![("host", "127.0.0.1:7171"), ("authorization", bearer.as_str())];
    if body.is_some() {
        all.push(("content-type", "application/json"));
    }
    for (name, value) in headers {
        all.retain(|(old, _)| old != name);
        if !value.is_empty() {
            all.push((name, value));
        }
    }
    let mut request = Request::builder().method(method.parse::<Method>().unwrap()).uri(path);
    for (name, value) in all {
        request = request.header(name, value);
    }
    request.body(body.map_or_else(Body::empty, |body| Body::from(body.to_string()))).unwrap()
}

pub(crate) struct Told {
    pub(crate) status: u16,
    pub(crate) headers: axum::http::HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Told {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

pub(crate) async fn ask(door: &Door, request: Request<Body>) -> Told {
    let response = door.router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, 16 * 1024 * 1024).await.unwrap().to_vec();
    Told { status: parts.status.as_u16(), headers: parts.headers, body }
}

pub(crate) async fn get(door: &Door, path: &str) -> Told {
    ask(door, request(door, "GET", path, &[], None)).await
}

pub(crate) async fn post(door: &Door, path: &str, body: Value) -> Told {
    ask(door, request(door, "POST", path, &[], Some(&body))).await
}

pub(crate) async fn made(door: &Door) -> TaskId {
    let told = post(door, "/v1/tasks", json!({"task": "say done"})).await;
    assert_eq!(told.status, 201, "{}", told.json());
    TaskId::new(told.json()["id"].as_str().unwrap()).unwrap()
}

/// A task that has ended.
pub(crate) async fn ended(door: &Door) -> TaskId {
    let id = made(door).await;
    tokio::task::block_in_place(|| door.rig.until(&id, "done"));
    id
}
