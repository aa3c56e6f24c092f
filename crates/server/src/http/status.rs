//! How the server itself stands: alive, ready. It says nothing of any task to those without a token.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse as _;
use event::TaskId;
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::{Answer, Kind, OfModels, Problem, Ready};
use super::shown::{TaskState, usd};
use super::{Shared, blocking};

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// How the server stands.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Standing {
    /// `ok`, `ready`.
    status: &'static str,
}

/// The process answers
#[utoipa::path(get, path = "/healthz", operation_id = "health", tag = "server", security(()),
    responses((status = 200, description = "It does.", body = Standing)))]
pub(super) async fn health() -> Json<Standing> {
    Json(Standing { status: "ok" })
}

/// The server can take tasks
///
/// It does not stop, and its data folder can be written.
#[utoipa::path(get, path = "/readyz", operation_id = "ready", tag = "server", security(()),
    responses((status = 200, description = "It can.", body = Standing), Ready))]
pub(super) async fn ready(State(shared): State<Shared>) -> Answer {
    if shared.app.runner.is_stopping() {
        return Err(Problem::new(Kind::Stopping, "the server is stopping", "try again later"));
    }
    let home = shared.app.instance.home().path().to_owned();
    let writable = tokio::task::spawn_blocking(move || {
        rustix::fs::access(&home, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK).is_ok()
    });
    if !writable.await? {
        return Err(Problem::new(Kind::NotReady, "the data folder cannot be written", "try again later"));
    }
    Ok(Json(Standing { status: "ready" }).into_response())
}

/// The models that can be named.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ModelList {
    models: Vec<Offered>,
}

/// A model that can be named.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Model)]
struct Offered {
    /// `provider:model`.
    name: String,
    /// Where it comes from, for a person to read.
    note: String,
}

/// The models that can be named
#[utoipa::path(get, path = "/v1/models", operation_id = "listModels", tag = "server",
    responses((status = 200, description = "Those there are.", body = ModelList), OfModels))]
pub(super) async fn models(State(shared): State<Shared>) -> Answer {
    let models = std::sync::Arc::clone(&shared.app.models);
    let offered = blocking(move || Ok(models.offered()?)).await?;
    let models = offered.into_iter().map(|model| Offered { name: model.name, note: model.note }).collect();
    Ok(Json(ModelList { models }).into_response())
}

/// What was spent, by task and in all.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Budgets {
    /// US dollars for all tasks there are; a lower bound where `unpriced_calls` is not 0, as everywhere here.
    spent_usd: f64,
    /// The same for the tasks that were made today (UTC).
    tasks_of_today_spent_usd: f64,
    unpriced_calls: u64,
    /// Steps of a task that was given no other limit.
    default_max_steps: u64,
    tasks: Vec<Budget>,
}

/// What a task has spent, and may spend.
#[derive(Debug, Serialize, ToSchema)]
struct Budget {
    id: TaskId,
    spent_usd: f64,
    #[schema(required)]
    max_cost_usd: Option<f64>,
    unpriced_calls: u64,
    steps: u64,
    #[schema(required)]
    max_steps: Option<u64>,
}

/// What was spent, by task and in all
#[utoipa::path(get, path = "/v1/budgets", operation_id = "getBudgets", tag = "server",
    responses((status = 200, description = "What was spent.", body = Budgets)))]
pub(super) async fn budgets(State(shared): State<Shared>) -> Answer {
    let index = shared.app.index.clone();
    let listing = blocking(move || Ok(index.list())).await?;
    let today_ms = (shared.app.clock)() / DAY_MS * DAY_MS;
    let spent = |from_ms: u64| {
        let tasks = listing.tasks.iter().filter(|task| task.created_ms >= from_ms);
        usd(tasks.fold(event::MicroUsd::default(), |sum, task| sum.plus(task.spent)))
    };
    let budget = |task: &agent::Summary| Budget {
        id: task.id.clone(),
        spent_usd: usd(task.spent),
        max_cost_usd: task.options.max_cost.map(usd),
        unpriced_calls: task.unpriced_calls,
        steps: task.steps,
        max_steps: task.options.max_steps,
    };
    let told = Budgets {
        spent_usd: spent(0),
        tasks_of_today_spent_usd: spent(today_ms),
        unpriced_calls: listing.tasks.iter().map(|task| task.unpriced_calls).sum(),
        default_max_steps: agent::STEPS_DEFAULT_MAX,
        tasks: listing.tasks.iter().map(budget).collect(),
    };
    Ok(Json(told).into_response())
}

/// Numbers for a monitor
///
/// As Prometheus reads them.
#[utoipa::path(get, path = "/metrics", operation_id = "getMetrics", tag = "server",
    responses((status = 200, description = "One number a line.", body = String, content_type = "text/plain")))]
pub(super) async fn metrics(State(shared): State<Shared>) -> Answer {
    let index = shared.app.index.clone();
    let listing = blocking(move || Ok(index.list())).await?;
    let load = shared.app.runner.load();
    let mut text = String::new();
    let mut family = |name: &str, kind: &str, help: &str, lines: Vec<(String, f64)>| {
        text.push_str(&format!("# HELP thenar_{name} {help}\n# TYPE thenar_{name} {kind}\n"));
        for (labels, value) in lines {
            text.push_str(&format!("thenar_{name}{labels} {value}\n"));
        }
    };
    let plain = |value: f64| vec![(String::new(), value)];
    let by_state = TaskState::ALL.map(|state| {
        let count = listing.tasks.iter().filter(|task| task.state == state.name()).count();
        (format!("{{state=\"{}\"}}", state.name()), count as f64)
    });
    let sum = |of: fn(&agent::Summary) -> u64| listing.tasks.iter().map(|task| of(task) as f64).sum::<f64>();
    let answered = shared.gate.answered().into_iter();
    let answered = answered.map(|(status, count)| (format!("{{status=\"{status}\"}}"), count as f64)).collect();
    family("tasks", "gauge", "Tasks by state.", by_state.into());
    family("tasks_unreadable", "gauge", "Tasks whose journal cannot be read.", plain(listing.broken.len() as f64));
    family("queue_length", "gauge", "Tasks that wait for their turn.", plain(load.queued as f64));
    family("running", "gauge", "Tasks in hand.", plain(load.running as f64));
    family("runs_begun_total", "counter", "Runs begun since the start.", plain(load.begun as f64));
    family("runs_broken_total", "counter", "Runs that could not go on.", plain(load.broken as f64));
    family("listeners", "gauge", "Open event streams.", plain(shared.hub.listeners() as f64));
    family("requests_total", "counter", "Answers by status.", answered);
    family("steps", "gauge", "Steps of all tasks there are.", plain(sum(|task| task.steps)));
    family("spent_usd", "gauge", "Cost of all tasks there are.", plain(sum(|task| task.spent.0) / 1e6));
    family("input_tokens", "gauge", "Input tokens of all tasks there are.", plain(sum(|task| task.usage.input_tokens)));
    family(
        "output_tokens",
        "gauge",
        "Output tokens of all tasks there are.",
        plain(sum(|task| task.usage.output_tokens)),
    );
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}

pub(super) async fn nowhere() -> Problem {
    Problem::new(Kind::NoSuchRoute, "there is nothing here", "docs/api.md says what there is")
}

pub(super) async fn not_so() -> Problem {
    let hint = "the Allow header says what can be done here";
    Problem::new(Kind::MethodNotAllowed, "that cannot be done here", hint)
}
