//! What a person can tell a task: words, a yes or a no, stop, go on. The answer is whatever its holder, or its record,
//! says; nothing is decided here.

use agent::{Because, Command, Reached, Start};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use event::{Digest, EffectId, TaskId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::extract::{Said, task_id, whole};
use super::problem::{Answer, Asking, Changing, Confirming, Kind, Problem, Resuming, WithBodyOfTask};
use super::shown::{Awaited, Task};
use super::tasks::{summary, unpriced};
use super::wanted::{Bounds, check_text};
use super::{Shared, blocking};

/// How often, and how many times, a task is asked again whose holder is just letting it go.
const LETTING_GO: std::time::Duration = std::time::Duration::from_millis(20);
const LETTING_GO_TRIES_MAX: u32 = 100;

const NOTE_CHARS_MAX: usize = 10_000;

/// Words for the agent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Message {
    #[schema(
        min_length = 1,
        max_length = 65_536,
        pattern = "[^\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]"
    )]
    text: String,
}

/// The person's word on one effect, bound to what it was when they read it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Confirmation)]
pub(super) struct Confirm {
    #[serde(deserialize_with = "effect")]
    effect: EffectId,
    digest: Digest,
    allowed: bool,
    /// A word with it, for the agent.
    #[serde(default)]
    #[schema(max_length = 10_000)]
    note: String,
}

fn effect<'de, D: serde::Deserializer<'de>>(from: D) -> Result<EffectId, D::Error> {
    whole(from).map(EffectId)
}

/// What was heard.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Heard {
    /// For a person to read.
    text: String,
}

/// What the person is asked, and what an answer must look like.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Question {
    #[serde(flatten)]
    awaited: Awaited,
    /// The JSON Schema of the answer.
    #[schema(value_type = Object)]
    schema: Value,
}

/// Say something to the agent
///
/// It reads it before its next step. A task that waits goes on with it; one that has ended keeps it for a resume.
#[utoipa::path(post, path = "/v1/tasks/{id}/messages", operation_id = "sendMessage", tag = "control",
    params(("id" = TaskId, Path)), request_body = Message,
    responses((status = 202, description = "It is on record.", body = Heard), WithBodyOfTask))]
pub(super) async fn message(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    Said(message): Said<Message>,
) -> Answer {
    let id = task_id(&name)?;
    check_text("text", &message.text)?;
    tell(&shared, id, Command::Message { text: message.text }).await
}

/// What the person is asked to confirm
#[utoipa::path(get, path = "/v1/tasks/{id}/confirm", operation_id = "getConfirmation", tag = "control",
    params(("id" = TaskId, Path)),
    responses(
        (status = 200, description = "The effect, and the JSON Schema of the answer.", body = Question),
        Asking,
    ))]
pub(super) async fn asked(State(shared): State<Shared>, Path(name): Path<String>) -> Answer {
    let task = summary(&shared, &task_id(&name)?).await?;
    let nothing = "GET /v1/tasks/{id} says how the task stands";
    let open = task
        .approval
        .ok_or_else(|| Problem::new(Kind::NothingAwaited, "the task waits for no confirmation", nothing))?;
    let awaited = Awaited::from(open);
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "additionalProperties": false,
        "required": ["effect", "digest", "allowed"],
        "properties": {
            "effect": {"const": awaited.effect},
            "digest": {"const": awaited.digest},
            "allowed": {"type": "boolean"},
            "note": {"type": "string", "maxLength": NOTE_CHARS_MAX},
        },
    });
    Ok(Json(Question { awaited, schema }).into_response())
}

/// Answer with yes or no
///
/// The answer holds for exactly the effect that was read; if the task waits for something else by now, nothing happens.
#[utoipa::path(post, path = "/v1/tasks/{id}/confirm", operation_id = "confirm", tag = "control",
    params(("id" = TaskId, Path)), request_body = Confirm,
    responses((status = 202, description = "It is on record.", body = Heard), Confirming))]
pub(super) async fn confirm(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    Said(said): Said<Confirm>,
) -> Answer {
    let id = task_id(&name)?;
    if said.note.chars().count() > NOTE_CHARS_MAX {
        let wrong = Problem::invalid(format!("note is longer than {NOTE_CHARS_MAX} characters"));
        return Err(wrong.because(Because::NoteTooLong));
    }
    let task = summary(&shared, &id).await?;
    let stale = |detail: &str| {
        let again = "GET the confirmation again and answer what it asks now";
        Problem::new(Kind::StaleConfirmation, detail, again)
    };
    let open = task.approval.ok_or_else(|| stale("the task waits for no confirmation"))?;
    if (open.effect, open.digest) != (said.effect, said.digest) {
        return Err(stale("the task waits for a word on something else"));
    }
    tell(&shared, id, Command::Confirm { effect: Some(said.effect), allowed: said.allowed, note: said.note }).await
}

/// Stop a task
///
/// Nothing of it runs after that; it can be resumed.
#[utoipa::path(post, path = "/v1/tasks/{id}/stop", operation_id = "stopTask", tag = "control",
    params(("id" = TaskId, Path)),
    responses((status = 202, description = "It stops.", body = Heard), Changing))]
pub(super) async fn stop(State(shared): State<Shared>, Path(name): Path<String>) -> Answer {
    let id = task_id(&name)?;
    shared.app.runner.withdraw(&id);
    tell(&shared, id, Command::Stop { by: "person".to_owned() }).await
}

/// Go on with a task
///
/// With other limits, if there are any in the body; `{}` leaves them as they are.
#[utoipa::path(post, path = "/v1/tasks/{id}/resume", operation_id = "resumeTask", tag = "control",
    params(("id" = TaskId, Path)), request_body = Bounds,
    responses((status = 202, description = "It is queued.", body = Task), Resuming))]
pub(super) async fn resume(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    Said(bounds): Said<Bounds>,
) -> Answer {
    let id = task_id(&name)?;
    let task = summary(&shared, &id).await?;
    if !bounds.is_empty() {
        let age_ms = (shared.app.clock)().saturating_sub(task.created_ms);
        let was = Some(Box::new(task.options.clone()));
        let mut options = bounds.over(task.options, age_ms)?;
        if bounds.allow_net.is_some() || !bounds.secrets.is_empty() {
            let (app, named, more) =
                (std::sync::Arc::clone(&shared.app), bounds.allow_net.is_some(), bounds.secrets.clone());
            options = blocking(move || {
                let secrets = app.instance.secrets();
                let list = named.then(|| options.allow_net.clone());
                let mut options = secrets.with_more(options, &[], &more)?;
                if let Some(list) = list {
                    options.allow_net = secrets.whole_list(&list, &options.secrets, &app.house.always_reached())?;
                }
                Ok(options)
            })
            .await?;
        }
        if bounds.max_cost_usd.is_some() {
            let (models, model) = (std::sync::Arc::clone(&shared.app.models), task.model.clone());
            let opened = blocking(move || Ok(models.open(Some(&model))?)).await?;
            if !opened.priced {
                return Err(unpriced(&opened.name));
            }
        }
        reach(&shared, &id, Command::Options { options, was }).await?;
    }
    shared.app.runner.begin(&id, Start::Resume)?;
    let task = summary(&shared, &id).await?;
    Ok((StatusCode::ACCEPTED, Json(Task::of(task)?)).into_response())
}

/// Says it, and takes the task up where nobody has it.
pub(super) async fn tell(shared: &Shared, id: TaskId, command: Command) -> Answer {
    let moves_on = !matches!(command, Command::Stop { .. });
    let reached = reach(shared, &id, command).await?;
    if matches!(reached, Reached::Recorded(_)) && moves_on && summary(shared, &id).await?.cause.is_none() {
        shared.app.runner.begin(&id, Start::Resume)?;
    }
    let text = match reached {
        Reached::Holder(answer) | Reached::Recorded(answer) => answer.text,
    };
    Ok((StatusCode::ACCEPTED, Json(Heard { text })).into_response())
}

pub(super) async fn reach(shared: &Shared, id: &TaskId, command: Command) -> Result<Reached, Problem> {
    let mut tries = LETTING_GO_TRIES_MAX;
    loop {
        let (app, name, said) = (std::sync::Arc::clone(&shared.app), id.clone(), command.clone());
        let reached = blocking(move || Ok(app.instance.command(&name, said))).await?;
        // Whoever holds it and has no door is just taking it up, or letting it go.
        let on_the_way = matches!(reached, Err(agent::Error::Held { .. }));
        let why = match reached {
            Err(agent::Error::Held { .. }) => silent(),
            Ok(Reached::Recorded(answer)) if !answer.accepted => return Err(refused(answer)),
            Ok(Reached::Holder(answer)) if !answer.accepted => refused(answer),
            reached => return Ok(reached?),
        };
        // A task that has just ended, or come to wait, is let go a moment later; what is said meanwhile belongs on its record.
        let task = summary(shared, id).await?;
        if tries == 0 || (!on_the_way && task.cause.is_none() && task.state != "waiting") {
            return Err(why);
        }
        tries -= 1;
        tokio::time::sleep(LETTING_GO).await;
    }
}

fn silent() -> Problem {
    let text = "the task is in hand, and its holder does not answer";
    Problem::new(Kind::NotNow, text, "look at the task: GET /v1/tasks/{id}")
}

fn refused(answer: agent::Answer) -> Problem {
    let problem = Problem::new(Kind::NotNow, answer.text, "look at the task: GET /v1/tasks/{id}");
    match answer.because {
        Some(because) => problem.because(because),
        None => problem,
    }
}
