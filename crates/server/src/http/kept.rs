//! The kept states of a task's workspace: which there are, going back to one, and a new task that begins at one.

use std::sync::Arc;

use agent::{Kept, NewFork, Start};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::IntoResponse as _;
use event::{Checkpoint, Event, TaskId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::{Said, task_id, whole};
use super::problem::{Answer, Forking, Kind, OfTask, Problem, Restoring};
use super::shown::Task;
use super::tasks::summary;
use super::wanted::check_text;
use super::{Shared, blocking};

/// The checkpoints of a task.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Checkpoints {
    /// Oldest first.
    checkpoints: Vec<Listed>,
    /// Why the latest state is not kept; null where it is.
    #[schema(required)]
    missed: Option<String>,
}

/// A checkpoint, and when it was taken.
#[derive(Debug, Serialize, ToSchema)]
struct Listed {
    #[serde(flatten)]
    checkpoint: Checkpoint,
    /// Milliseconds since 1970 (UTC).
    time_ms: u64,
}

/// A state to go back to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Restore)]
pub(super) struct Back {
    /// Its number.
    #[serde(deserialize_with = "whole")]
    #[schema(minimum = 1, maximum = 9_007_199_254_740_991_u64)]
    checkpoint: u64,
}

/// A new task that begins at a checkpoint of another one.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Fork)]
pub(super) struct Wanted {
    /// Its number.
    #[serde(deserialize_with = "whole")]
    #[schema(minimum = 1, maximum = 9_007_199_254_740_991_u64)]
    checkpoint: u64,
    /// What the new task is told first: how it should go on otherwise.
    #[schema(
        min_length = 1,
        max_length = 65_536,
        pattern = "[^\\t-\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]"
    )]
    message: Option<String>,
}

/// The kept states of a task's workspace
///
/// One after each turn that changed it; older ones are let go. The event `checkpoint_taken` has the same.
#[utoipa::path(get, path = "/v1/tasks/{id}/checkpoints", operation_id = "listCheckpoints", tag = "files",
    params(("id" = TaskId, Path)),
    responses((status = 200, description = "Those there are.", body = Checkpoints), OfTask))]
pub(super) async fn list(State(shared): State<Shared>, Path(name): Path<String>) -> Answer {
    let (id, app) = (task_id(&name)?, Arc::clone(&shared.app));
    let Kept { checkpoints, missed, .. } = blocking(move || Ok(app.instance.kept(&id)?)).await?;
    let listed = |kept: agent::KeptCheckpoint| Listed { checkpoint: kept.checkpoint, time_ms: kept.time_ms };
    Ok(Json(Checkpoints { checkpoints: checkpoints.into_iter().map(listed).collect(), missed }).into_response())
}

/// Set the workspace back to a checkpoint
///
/// The task must be in nobody's hand: stop it first. What is there now is kept before, as a checkpoint. The agent is told
/// when it goes on.
#[utoipa::path(post, path = "/v1/tasks/{id}/restore", operation_id = "restoreCheckpoint", tag = "control",
    params(("id" = TaskId, Path)), request_body = Back,
    responses((status = 200, description = "The workspace is as it was then.", body = Task), Restoring))]
pub(super) async fn restore(State(shared): State<Shared>, Path(name): Path<String>, Said(back): Said<Back>) -> Answer {
    let id = task_id(&name)?;
    let (app, of) = (Arc::clone(&shared.app), id.clone());
    blocking(move || {
        let events = app.instance.restore(&of, back.checkpoint, false, "person")?;
        let problem_of = |event| if let Event::WorkspaceRestored { problem, .. } = event { problem } else { None };
        let problem = events.into_iter().find_map(problem_of);
        let again = "it can be asked for again; nothing that is kept is lost";
        problem.map_or(Ok(()), |problem| Err(Problem::new(Kind::NotNow, problem, again)))
    })
    .await?;
    Ok(Json(Task::of(summary(&shared, &id).await?)?).into_response())
}

/// Try it another way
///
/// Makes a new task that has the history of this one up to a checkpoint and, in a workspace of its own, its files as they were. This one
/// is not touched, and may be at work meanwhile. The new one is queued at once.
#[utoipa::path(post, path = "/v1/tasks/{id}/fork", operation_id = "forkTask", tag = "tasks",
    params(("id" = TaskId, Path)), request_body = Wanted,
    responses(
        (status = 201, description = "The new task.", body = Task,
            headers(("Location" = String, description = "Where the task is."))),
        Forking,
    ))]
pub(super) async fn fork(State(shared): State<Shared>, Path(name): Path<String>, Said(wanted): Said<Wanted>) -> Answer {
    let from = task_id(&name)?;
    if let Some(text) = &wanted.message {
        check_text("message", text)?;
    }
    let app = Arc::clone(&shared.app);
    let id = blocking(move || {
        app.runner.room()?;
        let id = app.instance.new_id()?;
        let out = app.instance.home().task(&id).root().join("deliverables");
        let out = Some(out.to_string_lossy().into_owned());
        let fork = NewFork { at: wanted.checkpoint, message: wanted.message, options: None, out, id: Some(id) };
        Ok(app.instance.fork(&from, &fork)?)
    })
    .await?;
    if let Err(refused) = shared.app.runner.begin(&id, Start::Fresh) {
        tracing::warn!(task.id = %id, %refused, "the new task waits on record");
    }
    let task = Task::of(summary(&shared, &id).await?)?;
    let location = HeaderValue::try_from(format!("/v1/tasks/{id}")).map_err(Problem::internal)?;
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(task)).into_response())
}
