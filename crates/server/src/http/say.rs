//! What a person can tell a task: words, a yes or a no, stop, go on. The answer is whatever its holder, or its record,
//! says; nothing is decided here.

use agent::{Command, Reached, Start};
use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use event::{Digest, EffectId, TaskId};
use serde::Deserialize;
use serde_json::json;

use super::problem::{Answer, Problem};
use super::tasks::{Bounds, id, refused_body, shown, summary};
use super::{Shared, blocking};

/// How often, and how many times, a task is asked again whose holder is just letting it go.
const LETTING_GO: std::time::Duration = std::time::Duration::from_millis(20);
const LETTING_GO_TRIES_MAX: u32 = 100;

/// Words for the agent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Message {
    text: String,
}

/// The person's word on one effect, bound to what it was when they read it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Confirm {
    effect: EffectId,
    digest: Digest,
    allowed: bool,
    #[serde(default)]
    note: String,
}

/// Words for the agent; a task that waits goes on with them.
pub(super) async fn message(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    body: Result<Json<Message>, JsonRejection>,
) -> Answer {
    let (id, Json(message)) = (id(&name)?, body.map_err(refused_body)?);
    tell(&shared, id, Command::Message { text: message.text }).await
}

/// What the person is asked, and what an answer must look like.
pub(super) async fn asked(State(shared): State<Shared>, Path(name): Path<String>) -> Answer {
    let task = summary(&shared, &id(&name)?).await?;
    let open = task.approval.ok_or_else(|| Problem::not_found("the task waits for no confirmation"))?;
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "additionalProperties": false,
        "required": ["effect", "digest", "allowed"],
        "properties": {
            "effect": {"const": open.effect},
            "digest": {"const": open.digest},
            "allowed": {"type": "boolean"},
            "note": {"type": "string"},
        },
    });
    let asked = json!({"effect": open.effect, "digest": open.digest, "question": open.question, "schema": schema});
    Ok(Json(asked).into_response())
}

/// The person's word on exactly the effect that they read.
pub(super) async fn confirm(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    body: Result<Json<Confirm>, JsonRejection>,
) -> Answer {
    let (id, Json(said)) = (id(&name)?, body.map_err(refused_body)?);
    let task = summary(&shared, &id).await?;
    let again = "GET the confirmation again and answer what it asks now";
    let open = task.approval.ok_or_else(|| Problem::conflict("the task waits for no confirmation", again))?;
    if (open.effect, open.digest) != (said.effect, said.digest) {
        return Err(Problem::conflict("the task waits for a word on something else", again));
    }
    tell(&shared, id, Command::Confirm { effect: Some(said.effect), allowed: said.allowed, note: said.note }).await
}

/// Stops the task; it can be resumed.
pub(super) async fn stop(State(shared): State<Shared>, Path(name): Path<String>) -> Answer {
    let id = id(&name)?;
    shared.app.runner.withdraw(&id);
    tell(&shared, id, Command::Stop { by: "person".to_owned() }).await
}

/// Goes on with a task, with other limits if there are any.
pub(super) async fn resume(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    body: Result<Json<Bounds>, JsonRejection>,
) -> Answer {
    let (id, Json(bounds)) = (id(&name)?, body.map_err(refused_body)?);
    let task = summary(&shared, &id).await?;
    if !bounds.is_empty() {
        let options = bounds.over(task.options)?;
        reach(&shared, &id, Command::Options { options }).await?;
    }
    shared.app.runner.begin(&id, Start::Resume)?;
    let task = summary(&shared, &id).await?;
    Ok((StatusCode::ACCEPTED, Json(shown(&task))).into_response())
}

/// Says it, and takes the task up where nobody has it.
async fn tell(shared: &Shared, id: TaskId, command: Command) -> Answer {
    let moves_on = !matches!(command, Command::Stop { .. });
    let reached = reach(shared, &id, command).await?;
    if matches!(reached, Reached::Recorded(_)) && moves_on && summary(shared, &id).await?.cause.is_none() {
        shared.app.runner.begin(&id, Start::Resume)?;
    }
    let text = match reached {
        Reached::Holder(answer) | Reached::Recorded(answer) => answer.text,
    };
    Ok((StatusCode::ACCEPTED, Json(json!({"text": text}))).into_response())
}

async fn reach(shared: &Shared, id: &TaskId, command: Command) -> Result<Reached, Problem> {
    let mut tries = LETTING_GO_TRIES_MAX;
    loop {
        let (app, name, said) = (std::sync::Arc::clone(&shared.app), id.clone(), command.clone());
        let reached = blocking(move || Ok(app.instance.command(&name, said))).await?;
        let why = match reached {
            Err(agent::Error::Held { .. }) => "the task is in hand, and its holder does not answer".to_owned(),
            Ok(Reached::Recorded(answer)) if !answer.accepted => return Err(refused(answer.text)),
            Ok(Reached::Holder(answer)) if !answer.accepted => answer.text,
            reached => return Ok(reached?),
        };
        // A task that has just ended is let go a moment later; what is said meanwhile belongs on its record.
        if tries == 0 || summary(shared, id).await?.cause.is_none() {
            return Err(refused(why));
        }
        tries -= 1;
        tokio::time::sleep(LETTING_GO).await;
    }
}

fn refused(text: String) -> Problem {
    Problem::conflict(text, "look at the task: GET /v1/tasks/{id}")
}
