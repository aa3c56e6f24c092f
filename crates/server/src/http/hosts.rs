//! What programs in a task's computer may reach, and the one way to change it. What that means for a task is for the agent to say.

use agent::{Command, Start, Summary};
use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse as _;
use event::TaskId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Shared;
use super::extract::{Said, task_id};
use super::problem::{Answer, OfTask, Resuming};
use super::say::reach;
use super::tasks::summary;

/// What programs in the task's computer may reach without a further question.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Hosts {
    /// Named by the person, as `HOST[:PORT][=ADDRESS[:PORT]]`.
    allow_net: Vec<String>,
    /// Said yes to when a program wanted them, as `HOST:PORT`.
    answered: Vec<String>,
}

/// Other hosts for a task; the others stay.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = HostChange)]
pub(super) struct Change {
    /// These may be reached from now on.
    #[serde(default)]
    #[schema(max_items = 200)]
    allow: Vec<String>,
    /// These may not: without a port every port is meant, by `*.DOMAIN` all below it, by `*` everything.
    #[serde(default)]
    #[schema(max_items = 200)]
    deny: Vec<String>,
}

impl From<Summary> for Hosts {
    fn from(task: Summary) -> Self {
        Self { allow_net: task.options.allow_net, answered: task.answered_net }
    }
}

/// What a task may reach
#[utoipa::path(get, path = "/v1/tasks/{id}/hosts", operation_id = "getTaskHosts", tag = "control",
    params(("id" = TaskId, Path)),
    responses((status = 200, description = "What may be reached without a question.", body = Hosts), OfTask))]
pub(super) async fn show(State(shared): State<Shared>, Path(name): Path<String>) -> Answer {
    Ok(Json(Hosts::from(summary(&shared, &task_id(&name)?).await?)).into_response())
}

/// Change what a task may reach
///
/// It holds at once, also while the task works: connections to what is taken away are cut, also where the person was asked and
/// had said yes. A question about a host that this decides is answered by it.
#[utoipa::path(post, path = "/v1/tasks/{id}/hosts", operation_id = "changeTaskHosts", tag = "control",
    params(("id" = TaskId, Path)), request_body = Change,
    responses((status = 200, description = "What may be reached now.", body = Hosts), Resuming))]
pub(super) async fn change(State(shared): State<Shared>, Path(name): Path<String>, Said(said): Said<Change>) -> Answer {
    let id = task_id(&name)?;
    agent::allow_list(&said.allow)?;
    agent::allow_list(&said.deny)?;
    let asked = summary(&shared, &id).await?.approval;
    let reached = reach(&shared, &id, Command::Hosts { allow: said.allow, deny: said.deny }).await?;
    let task = summary(&shared, &id).await?;
    // It waited for nothing else.
    if matches!(reached, agent::Reached::Recorded(_)) && asked.is_some() && task.approval.is_none() && !task.is_over() {
        shared.app.runner.begin(&id, Start::Resume)?;
    }
    Ok(Json(Hosts::from(task)).into_response())
}
