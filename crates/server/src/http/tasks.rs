//! Tasks: create, list, show, delete. What a task is comes from its journal; nothing is kept here.

use std::sync::Arc;

use agent::{Input, NewTask, Start, Summary};
use axum::Json;
use axum::extract::{FromRequest as _, Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::IntoResponse as _;
use event::{TaskId, TaskOptions};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::extract::{Asked, Said, task_id};
use super::patience::is_form;
use super::problem::{Answer, Creating, Deleting, Kind, OfTask, Problem, WithQuery};
use super::shown::{Task, TaskState};
use super::upload::{self, Form};
use super::wanted::Wanted;
use super::{App, Shared, blocking};

/// Tasks of one page.
const PAGE_TASKS_MAX: usize = 200;
const PAGE_TASKS_DEFAULT: usize = 50;

const SEARCH_CHARS_MAX: usize = 200;

const KEY_CHARS_MAX: usize = 200;

/// Headers of a request that may come twice.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(super) struct Keyed {
    /// A name for this request, chosen by the caller: 1 to 200 plain characters.
    #[param(rename = "Idempotency-Key", pattern = "^[!-~]([ -~]{0,198}[!-~])?$")]
    _key: Option<String>,
}

/// Create a task
///
/// It is queued at once. The same `Idempotency-Key` always means the same task, also after a crash: ask again until there is
/// an answer. As a form it may bring files for the workspace, each in a part `file` with a plain and unique name.
#[utoipa::path(post, path = "/v1/tasks", operation_id = "createTask", tag = "tasks",
    params(Keyed),
    request_body(content((Wanted = "application/json"), (Form = "multipart/form-data"))),
    responses(
        (status = 201, description = "The task was made.", body = Task,
            headers(("Location" = String, description = "Where the task is."))),
        (status = 200, description = "This key has made the task already; here it is.", body = Task,
            headers(("Location" = String, description = "Where the task is."))),
        Creating,
    ))]
pub(super) async fn create(State(shared): State<Shared>, headers: HeaderMap, request: Request) -> Answer {
    let key = key_of(&headers)?;
    if !is_form(&request) {
        let Said(wanted) = Said::from_request(request, &()).await?;
        return create_with(&shared, key, wanted, Vec::new()).await;
    }
    let Ok(_place) = Arc::clone(&shared.uploads).try_acquire_owned() else {
        return Err(Problem::new(Kind::Busy, "too many files are being received", "ask again in a moment"));
    };
    // Before all those bytes come.
    shared.app.runner.room()?;
    let received = upload::receive(&shared, request).await?;
    let answer = create_with(&shared, key, received.wanted, received.inputs).await;
    drop(received.folder);
    answer
}

/// The task that this request makes, if it has a key.
pub(super) fn key_of(headers: &HeaderMap) -> Answer<Option<TaskId>> {
    headers.get("idempotency-key").map(id_of).transpose()
}

pub(super) async fn create_with(shared: &Shared, key: Option<TaskId>, wanted: Wanted, inputs: Vec<Input>) -> Answer {
    wanted.check()?;
    wanted.check_limits()?;
    let app = Arc::clone(&shared.app);
    let (id, new) = blocking(move || make(&app, key, wanted, inputs)).await?;
    if new && let Err(refused) = shared.app.runner.begin(&id, Start::Fresh) {
        tracing::warn!(task.id = %id, %refused, "the new task waits on record");
    }
    let task = Task::of(summary(shared, &id).await?)?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    let location = HeaderValue::try_from(format!("/v1/tasks/{id}")).map_err(Problem::internal)?;
    Ok((status, [(header::LOCATION, location)], Json(task)).into_response())
}

/// Puts the task on record, or finds the one that this key has made; `true` where it is new.
fn make(app: &App, key: Option<TaskId>, wanted: Wanted, inputs: Vec<Input>) -> Answer<(TaskId, bool)> {
    let names: Vec<String> = inputs.iter().map(Input::name).collect();
    let places = wanted.allow_net.as_deref().map(agent::allow_list).transpose()?;
    let same = |id: &TaskId| {
        let made = app.instance.summary(id)?;
        let model = wanted.model.as_ref().is_none_or(|model| *model == made.model);
        let rest =
            (made.options.yes, made.inputs, &made.options.secrets) == (wanted.yes, names.clone(), &wanted.secrets);
        // The hosts of secrets come on top.
        let reach = places.as_ref().is_none_or(|places| made.options.allow_net.starts_with(places));
        if made.brief == wanted.task && model && rest && reach {
            return Ok((id.clone(), false));
        }
        let detail = format!("the Idempotency-Key has made task {id}, and that was asked for in other words");
        Err(Problem::new(Kind::KeyReused, detail, "use a new key for a new task"))
    };
    if let Some(id) = &key
        && app.instance.folder(id).is_ok()
    {
        return same(id);
    }
    app.runner.room()?;
    let opened = app.models.open(wanted.model.as_deref())?;
    if wanted.max_cost_usd.is_some() && !opened.priced {
        return Err(unpriced(&opened.name));
    }
    let usual = app.house.settings()?;
    let named = places.clone().unwrap_or(usual.allow_net);
    let allow_net = app.instance.secrets().whole_list(&named, &wanted.secrets, &app.house.always_reached())?;
    let options = TaskOptions { allow_net, ..wanted.options(usual.limits, opened.priced)? };
    let id = match key {
        Some(id) => id,
        None => app.instance.new_id()?,
    };
    // Beside the workspace: what the agent does there later does not touch what was handed over.
    let out = app.instance.home().task(&id).root().join("deliverables");
    let task = NewTask {
        brief: wanted.task.clone(),
        model: opened.name,
        scripted: opened.scripted,
        output_tokens_max: opened.client.requested_output_max(),
        sees: opened.client.sees(),
        options: TaskOptions { out: Some(out.to_string_lossy().into_owned()), ..options },
        inputs,
        id: Some(id.clone()),
    };
    match app.instance.create(task) {
        Ok(id) => Ok((id, true)),
        // Two requests with the same key at once: one of them made it.
        Err(_) if app.instance.folder(&id).is_ok() => same(&id),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn unpriced(model: &str) -> Problem {
    let detail = format!("the price of {model} is not known: max_cost_usd cannot be kept");
    Problem::new(Kind::PriceUnknown, detail, "put its price into config.toml, or leave the cap away")
}

/// The name of the task that this key makes, always the same.
fn id_of(key: &HeaderValue) -> Answer<TaskId> {
    let plain =
        |key: &&[u8]| (1..=KEY_CHARS_MAX).contains(&key.len()) && key.iter().all(|byte| matches!(byte, b' '..=b'~'));
    let key = Some(key.as_bytes()).filter(plain);
    let key = key.ok_or_else(|| Problem::invalid("Idempotency-Key must be 1 to 200 plain characters"))?;
    let digest = event::Digest::of(key).to_string();
    let tail = digest.len().saturating_sub(32);
    TaskId::new(format!("k-{}", &digest[tail..])).map_err(Problem::internal)
}

pub(super) async fn summary(shared: &Shared, id: &TaskId) -> Answer<Summary> {
    let (index, id) = (shared.app.index.clone(), id.clone());
    blocking(move || Ok(index.summary(&id)?)).await
}

/// One task
#[utoipa::path(get, path = "/v1/tasks/{id}", operation_id = "getTask", tag = "tasks",
    params(("id" = TaskId, Path)),
    responses((status = 200, description = "The task as it stands.", body = Task), OfTask))]
pub(super) async fn show(State(shared): State<Shared>, Path(name): Path<String>) -> Answer {
    let summary = summary(&shared, &task_id(&name)?).await?;
    Ok(Json(Task::of(summary)?).into_response())
}

/// Remove a task that nobody has in hand
///
/// Its record, its workspace and what it handed over go with it.
#[utoipa::path(delete, path = "/v1/tasks/{id}", operation_id = "deleteTask", tag = "tasks",
    params(("id" = TaskId, Path)),
    responses((status = 204, description = "It is gone."), Deleting))]
pub(super) async fn delete(State(shared): State<Shared>, Path(name): Path<String>) -> Answer {
    let id = task_id(&name)?;
    let app = Arc::clone(&shared.app);
    let gone = id.clone();
    blocking(move || {
        app.instance.folder(&gone)?;
        app.runner.withdraw(&gone);
        if app.runner.place(&gone).is_some() {
            return Err(Problem::new(Kind::InHand, "the task is in hand", "stop it first"));
        }
        Ok(app.instance.delete(&gone)?)
    })
    .await?;
    shared.hub.forget(&id);
    let shares = Arc::clone(&shared.shares);
    // Its links open nothing any more, whether they are forgotten or not.
    blocking(move || Ok(shares.get().is_ok_and(|shares| shares.forget(&id).is_ok()))).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Which tasks are listed.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Page {
    /// Only tasks that stand so.
    state: Option<TaskState>,
    /// Only tasks that have each of these words, in small letters or in capitals: in what was asked for, in the names of their
    /// files, in the agent's last words, in the model's name, or as their id.
    #[param(max_length = 200)]
    search: Option<String>,
    /// Tasks of this page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// `next` of the page before.
    #[param(pattern = "^[0-9]{1,15}\\.[a-z0-9][a-z0-9-]{0,63}$")]
    cursor: Option<String>,
}

/// A page of tasks.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TaskPage {
    /// Newest first.
    tasks: Vec<Task>,
    /// The `cursor` of the page after; null on the last one.
    #[schema(required)]
    next: Option<String>,
    /// Tasks whose journal cannot be read.
    broken: Vec<TaskId>,
}

/// Tasks, newest first, a page at a time
#[utoipa::path(get, path = "/v1/tasks", operation_id = "listTasks", tag = "tasks", params(Page),
    responses((status = 200, description = "A page of tasks.", body = TaskPage), WithQuery))]
pub(super) async fn list(State(shared): State<Shared>, Asked(page): Asked<Page>) -> Answer {
    let limit = page.limit.unwrap_or(PAGE_TASKS_DEFAULT);
    if !(1..=PAGE_TASKS_MAX).contains(&limit) {
        return Err(Problem::invalid("limit must be between 1 and 200"));
    }
    let search = page.search.unwrap_or_default();
    if search.chars().count() > SEARCH_CHARS_MAX {
        return Err(Problem::invalid("search must not be longer than 200 characters"));
    }
    let search = Words::of(&search);
    let after = page.cursor.as_deref().map(place).transpose()?;
    let index = shared.app.index.clone();
    let listing = blocking(move || Ok(index.list())).await?;
    let wanted = |task: &&Summary| {
        page.state.is_none_or(|state| state.name() == task.state)
            && after.as_ref().is_none_or(|(time, id)| (task.created_ms, &task.id) < (*time, id))
            && search.stand_in(task)
    };
    let mut tasks: Vec<_> = listing.tasks.iter().filter(wanted).take(limit + 1).collect();
    let more = tasks.len() > limit;
    tasks.truncate(limit);
    let next = tasks.last().filter(|_| more).map(|last| format!("{}.{}", last.created_ms, last.id));
    let broken = listing.broken.iter().map(|(id, _)| id.clone()).collect();
    let tasks = tasks.into_iter().cloned().map(Task::of).collect::<Answer<_>>()?;
    Ok(Json(TaskPage { tasks, next, broken }).into_response())
}

/// Words that are searched for.
struct Words(Vec<String>);

impl Words {
    fn of(search: &str) -> Self {
        Self(search.split_whitespace().map(str::to_lowercase).collect())
    }

    fn stand_in(&self, task: &Summary) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let texts = [task.brief.as_str(), &task.text, &task.model, task.id.as_str()].into_iter();
        let names = task.inputs.iter().chain(task.deliverables.iter().map(|file| &file.name));
        let texts: Vec<_> = texts.chain(names.map(String::as_str)).map(str::to_lowercase).collect();
        self.0.iter().all(|word| texts.iter().any(|text| text.contains(word)))
    }
}

/// Time and name of the last task of the page before.
fn place(cursor: &str) -> Answer<(u64, TaskId)> {
    let parts = cursor.split_once('.').and_then(|(time, id)| {
        let form = (1..=15).contains(&time.len()) && time.bytes().all(|byte| byte.is_ascii_digit());
        Some((time.parse().ok().filter(|_| form)?, TaskId::new(id).ok()?))
    });
    parts.ok_or_else(|| Problem::invalid("cursor is none that was given out here"))
}
