//! How the server itself stands: alive, ready. It says nothing of any task to those without a token.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse as _;
use serde_json::json;

use super::problem::{Answer, Problem};
use super::{Shared, blocking};

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// The process answers.
pub(super) async fn health() -> axum::Json<serde_json::Value> {
    axum::Json(json!({"status": "ok"}))
}

/// It can take tasks: it does not stop, and its data folder can be written.
pub(super) async fn ready(State(shared): State<Shared>) -> Answer {
    let not = |detail| Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail, "try again later");
    if shared.app.runner.is_stopping() {
        return Err(not("the server is stopping"));
    }
    let home = shared.app.instance.home().path().to_owned();
    let writable = tokio::task::spawn_blocking(move || {
        rustix::fs::access(&home, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK).is_ok()
    });
    if !writable.await? {
        return Err(not("the data folder cannot be written"));
    }
    Ok(axum::Json(json!({"status": "ready"})).into_response())
}

/// The models that can be named.
pub(super) async fn models(State(shared): State<Shared>) -> Answer {
    let models = std::sync::Arc::clone(&shared.app.models);
    let offered = blocking(move || Ok(models.offered()?)).await?;
    let models: Vec<_> = offered.iter().map(|model| json!({"name": model.name, "note": model.note})).collect();
    Ok(axum::Json(json!({"models": models})).into_response())
}

/// What was spent, by task and in all. A sum is a lower bound where a call's price is not known.
pub(super) async fn budgets(State(shared): State<Shared>) -> Answer {
    let index = shared.app.index.clone();
    let listing = blocking(move || Ok(index.list())).await?;
    let today_ms = (shared.app.clock)() / DAY_MS * DAY_MS;
    let usd = |micro: u64| micro as f64 / 1e6;
    let spent = |from_ms: u64| {
        listing.tasks.iter().filter(|task| task.created_ms >= from_ms).map(|task| task.spent.0).sum::<u64>()
    };
    let tasks: Vec<_> = listing
        .tasks
        .iter()
        .map(|task| {
            let max = task.options.max_cost.map(|cost| usd(cost.0));
            json!({"id": task.id, "spent_usd": usd(task.spent.0), "max_cost_usd": max,
                "unpriced_calls": task.unpriced_calls, "steps": task.steps, "max_steps": task.options.max_steps})
        })
        .collect();
    let told = json!({
        "spent_usd": usd(spent(0)),
        "tasks_of_today_spent_usd": usd(spent(today_ms)),
        "unpriced_calls": listing.tasks.iter().map(|task| task.unpriced_calls).sum::<u64>(),
        "default_max_steps": agent::STEPS_DEFAULT_MAX,
        "tasks": tasks,
    });
    Ok(axum::Json(told).into_response())
}

/// Numbers for a monitor, as Prometheus reads them.
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
    let by_state = super::tasks::STATES.map(|state| {
        let count = listing.tasks.iter().filter(|task| task.state == state).count();
        (format!("{{state=\"{state}\"}}"), count as f64)
    });
    let sum = |of: fn(&agent::Summary) -> u64| listing.tasks.iter().map(of).sum::<u64>() as f64;
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
    Problem::new(StatusCode::NOT_FOUND, "there is nothing here", "docs/api.md says what there is")
}

pub(super) async fn not_so() -> Problem {
    let hint = "docs/api.md says what can be done here";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "that cannot be done here", hint)
}
