//! Tasks: create, list, show, delete. What a task is comes from its journal; nothing is kept here.

use agent::{NewTask, Start, Summary};
use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::IntoResponse as _;
use event::{MicroUsd, TaskId, TaskOptions};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::problem::{Answer, Problem};
use super::{Shared, blocking};

/// Tasks of one page.
const PAGE_TASKS_MAX: usize = 200;
const PAGE_TASKS_DEFAULT: usize = 50;

const KEY_CHARS_MAX: usize = 200;

/// More is no cap any more.
const COST_USD_MAX: f64 = 1e9;

/// What a person asks for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    pub(super) task: String,
    pub(super) model: Option<String>,
    #[serde(flatten)]
    pub(super) limits: Bounds,
    #[serde(default)]
    pub(super) yes: bool,
}

/// How far a task may go.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Bounds {
    pub(super) max_steps: Option<u64>,
    pub(super) max_cost_usd: Option<f64>,
    /// A number and a unit: `90s`, `20m`, `8h`, `2d`.
    pub(super) max_time: Option<String>,
}

impl Bounds {
    pub(super) fn is_empty(&self) -> bool {
        self.max_steps.is_none() && self.max_cost_usd.is_none() && self.max_time.is_none()
    }

    /// These limits, and the others as they are.
    pub(super) fn over(&self, old: TaskOptions) -> Result<TaskOptions, Problem> {
        if self.max_steps == Some(0) {
            return Err(Problem::invalid("max_steps must be at least 1"));
        }
        let max_cost = match self.max_cost_usd {
            None => old.max_cost,
            Some(usd) if (0.0..=COST_USD_MAX).contains(&usd) => Some(MicroUsd((usd * 1e6).round() as u64)),
            Some(_) => return Err(Problem::invalid("max_cost_usd must be between 0 and 1000000000")),
        };
        let max_time_ms = match &self.max_time {
            None => old.max_time_ms,
            Some(text) => {
                let wrong = || Problem::invalid("max_time must be a number and a unit, like 90s, 20m, 8h or 2d");
                Some(milliseconds(text).ok_or_else(wrong)?)
            }
        };
        Ok(TaskOptions { max_steps: self.max_steps.or(old.max_steps), max_cost, max_time_ms, ..old })
    }
}

fn milliseconds(text: &str) -> Option<u64> {
    let (number, unit_ms) = match text.strip_suffix('s') {
        Some(number) => (number, 1_000),
        None => match text.strip_suffix('m') {
            Some(number) => (number, 60_000),
            None => match text.strip_suffix('h') {
                Some(number) => (number, 3_600_000),
                None => (text.strip_suffix('d')?, 86_400_000),
            },
        },
    };
    let form = (1..=6).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
    number.parse::<u64>().ok().filter(|&number| form && number > 0)?.checked_mul(unit_ms)
}

/// Creates a task and queues it.
pub(super) async fn create(
    State(shared): State<Shared>,
    headers: HeaderMap,
    body: Result<Json<Wanted>, JsonRejection>,
) -> Answer {
    let Json(wanted) = body.map_err(refused_body)?;
    create_with(&shared, &headers, wanted, Vec::new()).await
}

/// Why a JSON body was not taken.
pub(super) fn refused_body(rejection: JsonRejection) -> Problem {
    Problem::new(rejection.status(), rejection.body_text(), "docs/api.md says what is taken here")
}

pub(super) async fn create_with(
    shared: &Shared,
    headers: &HeaderMap,
    wanted: Wanted,
    inputs: Vec<std::path::PathBuf>,
) -> Answer {
    let key_id = match headers.get("idempotency-key") {
        None => None,
        Some(key) => Some(id_of(key)?),
    };
    let app = std::sync::Arc::clone(&shared.app);
    let (id, new) = blocking(move || {
        if let Some(id) = &key_id
            && app.instance.folder(id).is_ok()
        {
            return Ok((id.clone(), false));
        }
        let options = wanted.limits.over(TaskOptions { yes: wanted.yes, ..TaskOptions::default() })?;
        let opened = app.models.open(wanted.model.as_deref())?;
        if options.max_cost.is_some() && !opened.priced {
            return Err(Problem::invalid(format!(
                "the price of {} is not known: max_cost_usd cannot be kept",
                opened.name
            )));
        }
        let id = match key_id {
            Some(id) => id,
            None => app.instance.new_id()?,
        };
        // Beside the workspace: what the agent does there later does not touch what was handed over.
        let out = app.instance.home().task(&id).root().join("deliverables");
        let options = TaskOptions { out: Some(out.to_string_lossy().into_owned()), ..options };
        let task = NewTask {
            brief: wanted.task,
            model: opened.name,
            scripted: opened.scripted,
            output_tokens_max: opened.client.requested_output_max(),
            options,
            inputs,
            id: Some(id.clone()),
        };
        match app.instance.create(task) {
            Ok(id) => Ok((id, true)),
            // Two requests with the same key at once: one of them made it.
            Err(_) if app.instance.folder(&id).is_ok() => Ok((id, false)),
            Err(error) => Err(error.into()),
        }
    })
    .await?;
    if new && let Err(refused) = shared.app.runner.begin(&id, Start::Fresh) {
        tracing::warn!(task = %id, %refused, "the new task waits on record");
    }
    let summary = summary(shared, &id).await?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    let location = HeaderValue::try_from(format!("/v1/tasks/{id}")).map_err(Problem::internal)?;
    Ok((status, [(header::LOCATION, location)], Json(shown(&summary))).into_response())
}

/// The name of the task that this key makes, always the same.
fn id_of(key: &HeaderValue) -> Result<TaskId, Problem> {
    let key = key.to_str().ok().filter(|key| !key.is_empty() && key.len() <= KEY_CHARS_MAX);
    let key = key.ok_or_else(|| Problem::invalid("Idempotency-Key must be 1 to 200 plain characters"))?;
    let digest = event::Digest::of(key.as_bytes()).to_string();
    let hex: String = digest.chars().filter(char::is_ascii_hexdigit).collect();
    let tail = hex.len().saturating_sub(32);
    TaskId::new(format!("k-{}", &hex[tail..])).map_err(Problem::internal)
}

pub(super) fn id(text: &str) -> Result<TaskId, Problem> {
    TaskId::new(text).map_err(|_| Problem::not_found("there is no task of this name"))
}

pub(super) async fn summary(shared: &Shared, id: &TaskId) -> Result<Summary, Problem> {
    let (index, id) = (shared.app.index.clone(), id.clone());
    blocking(move || Ok(index.summary(&id)?)).await
}

/// One task.
pub(super) async fn show(State(shared): State<Shared>, Path(name): Path<String>) -> Answer {
    let summary = summary(&shared, &id(&name)?).await?;
    Ok(Json(shown(&summary)).into_response())
}

/// Removes a task that nobody has in hand.
pub(super) async fn delete(State(shared): State<Shared>, Path(name): Path<String>) -> Answer {
    let id = id(&name)?;
    let app = std::sync::Arc::clone(&shared.app);
    let gone = id.clone();
    blocking(move || {
        app.instance.folder(&gone)?;
        app.runner.withdraw(&gone);
        if app.runner.place(&gone).is_some() {
            return Err(Problem::conflict("the task is in hand", "stop it first"));
        }
        Ok(app.instance.delete(&gone)?)
    })
    .await?;
    shared.hub.forget(&id);
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) const STATES: [&str; 6] = ["queued", "running", "waiting", "stopped", "failed", "done"];

#[derive(Debug, Default)]
struct Page {
    state: Option<String>,
    limit: usize,
    /// Time and name of the last task of the page before.
    after: Option<(u64, TaskId)>,
}

impl Page {
    fn read(query: &str) -> Result<Self, Problem> {
        let mut page = Self { limit: PAGE_TASKS_DEFAULT, ..Self::default() };
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            match name {
                "state" if STATES.contains(&value) => page.state = Some(value.to_owned()),
                "state" => return Err(Problem::invalid(format!("state must be one of {}", STATES.join(", ")))),
                "limit" => {
                    let limit = value.parse().ok().filter(|limit| (1..=PAGE_TASKS_MAX).contains(limit));
                    page.limit = limit.ok_or_else(|| Problem::invalid("limit must be between 1 and 200"))?;
                }
                "cursor" => {
                    let parts =
                        value.split_once('.').and_then(|(time, id)| Some((time.parse().ok()?, TaskId::new(id).ok()?)));
                    page.after = Some(parts.ok_or_else(|| Problem::invalid("cursor is none that was given out here"))?);
                }
                _ => {}
            }
        }
        Ok(page)
    }
}

/// Tasks, newest first, a page at a time.
pub(super) async fn list(State(shared): State<Shared>, RawQuery(query): RawQuery) -> Answer {
    let page = Page::read(query.as_deref().unwrap_or_default())?;
    let index = shared.app.index.clone();
    let listing = blocking(move || Ok(index.list())).await?;
    let wanted = |task: &&Summary| {
        page.state.as_deref().is_none_or(|state| state == task.state)
            && page.after.as_ref().is_none_or(|(time, id)| (task.created_ms, &task.id) < (*time, id))
    };
    let mut tasks: Vec<_> = listing.tasks.iter().filter(wanted).take(page.limit + 1).collect();
    let more = tasks.len() > page.limit;
    tasks.truncate(page.limit);
    let next = tasks.last().filter(|_| more).map(|last| format!("{}.{}", last.created_ms, last.id));
    let broken: Vec<_> = listing.broken.iter().map(|(id, _)| id).collect();
    let tasks: Vec<_> = tasks.into_iter().map(shown).collect();
    Ok(Json(json!({"tasks": tasks, "next": next, "broken": broken})).into_response())
}

/// A task as it is shown.
pub(super) fn shown(task: &Summary) -> Value {
    #[derive(Serialize)]
    struct Waits<'a> {
        effect: event::EffectId,
        digest: event::Digest,
        question: &'a str,
    }
    let confirm =
        task.approval.as_ref().map(|open| Waits { effect: open.effect, digest: open.digest, question: &open.question });
    let deliverables: Vec<_> = task
        .deliverables
        .iter()
        .map(|file| {
            json!({"name": file.name, "bytes": file.bytes, "digest": file.digest, "finding": file.finding,
                "description": file.description})
        })
        .collect();
    json!({
        "id": task.id,
        "state": task.state,
        "cause": task.cause,
        "reason": task.reason,
        "text": task.text,
        "task": task.brief,
        "model": task.model,
        "scripted": task.scripted,
        "created_ms": task.created_ms,
        "updated_ms": task.updated_ms,
        "steps": task.steps,
        "spent_usd": task.spent.0 as f64 / 1e6,
        "unpriced_calls": task.unpriced_calls,
        "usage": task.usage,
        "plan": task.plan,
        "acceptance": task.acceptance,
        "deliverables": deliverables,
        "unread": task.unread,
        "question": task.question,
        "confirm": confirm,
        "max_steps": task.options.max_steps,
        "max_cost_usd": task.options.max_cost.map(|cost| cost.0 as f64 / 1e6),
        "max_time_ms": task.options.max_time_ms,
        "yes": task.options.yes,
    })
}
