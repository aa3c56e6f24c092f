//! One call as the agent makes it, under the default policy. Nothing here retries.

use std::time::Duration;

use event::{EffectId, Item, Label, ModelCall, Reply, TaskId};
use model::{Client, Conversation, Delta, Endpoint, Failure, Secret, Settings};
use policy::{Engine, Facts, Permit};
use testkit::{Answer, ModelServer};

pub(crate) const MODEL: &str = "openai:scripted";

/// Longer than any answer of a server that answers.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn settings(base_url: &str) -> Settings {
    Settings {
        name: MODEL.to_owned(),
        endpoint: Some(Endpoint { base_url: base_url.to_owned(), key: Some(Secret::new("sk-not-a-real-key")) }),
        script: None,
        price: None,
        window_tokens: None,
        output_tokens_max: None,
        sees: None,
        idle: PATIENCE,
    }
}

pub(crate) fn conversation() -> Conversation {
    let mut conversation = Conversation::new(MODEL, b"[]", None).unwrap();
    conversation.push(&Item::System { text: "be good".into() });
    conversation.push(&Item::User { text: "hello".into(), label: Label::person() });
    conversation
}

pub(crate) fn permit(conversation: &Conversation) -> Permit<ModelCall> {
    permit_for(MODEL, conversation)
}

pub(crate) fn permit_for(model: &str, conversation: &Conversation) -> Permit<ModelCall> {
    let body = conversation.body();
    let call = ModelCall {
        id: EffectId(1),
        turn: 1,
        model: model.to_owned(),
        body: body.digest(),
        body_bytes: body.len() as u64,
        input_tokens_max: conversation.input_tokens_max(),
        output_tokens_max: 1_000,
        reserved: None,
        label: Label::person(),
    };
    let task = TaskId::new("test").unwrap();
    let facts = Facts { task, model: model.to_owned(), tool: None, yes: false, declared: false, budget_left: None };
    let policy = Engine::load(Engine::default_policy()).unwrap();
    policy.authorize_model(call, &facts, None).permit.unwrap()
}

pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// One call to a server that gives this answer, with what was shown meanwhile.
pub(crate) fn call(answer: Answer) -> (Result<Reply, Failure>, Vec<Delta>, ModelServer) {
    let server = ModelServer::start(move |_, _| answer.clone()).unwrap();
    let (reply, deltas) = call_at(settings(&server.base_url()));
    (reply, deltas, server)
}

pub(crate) fn call_at(settings: Settings) -> (Result<Reply, Failure>, Vec<Delta>) {
    let conversation = conversation();
    let client = Client::new(settings).unwrap();
    let mut deltas = Vec::new();
    let reply = run(client.call(permit(&conversation), conversation.body(), |delta| deltas.push(delta)));
    (reply, deltas)
}
