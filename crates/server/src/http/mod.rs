//! The HTTP door, `/v1`: tasks, their events, and what can be said to them. It decides nothing: each route hands its
//! request on to the agent, the runner or the journal, and says what came of it.

mod events;
mod files;
mod framed;
mod guard;
mod page;
mod problem;
mod record;
mod say;
mod serve;
mod status;
mod tasks;
mod token;
mod web;

use std::sync::Arc;

use agent::{Instance, Models};
use axum::Router;
use axum::routing::{get, post};

pub use serve::serve;
pub use token::Token;

use crate::{Index, Runner};

/// What the HTTP door stands before.
#[derive(Clone)]
pub struct App {
    pub instance: Arc<Instance>,
    pub runner: Runner,
    pub index: Index,
    pub models: Arc<dyn Models>,
    pub token: Token,
    /// Names under which the server may be called, besides those of this machine's loopback.
    pub hosts: Vec<String>,
    /// Milliseconds since 1970 (UTC).
    pub clock: fn() -> u64,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("hosts", &self.hosts).finish_non_exhaustive()
    }
}

/// What every route shares.
#[derive(Clone)]
struct Shared {
    app: Arc<App>,
    hub: events::Hub,
    gate: Arc<guard::Gate>,
}

/// The routes, behind the checks that every request passes.
pub fn app(state: App) -> Router {
    let state = Arc::new(state);
    let shared = Shared { hub: events::Hub::new(Arc::clone(&state)), gate: Arc::default(), app: state };
    Router::new()
        .route("/", get(web::screen))
        .route("/tasks/{*screen}", get(web::screen))
        .route("/settings", get(web::screen))
        .route("/settings/{*screen}", get(web::screen))
        .route("/shared/{*screen}", get(web::screen))
        .route("/icon.svg", get(web::file))
        .route("/assets/{*path}", get(web::file))
        .route("/healthz", get(status::health))
        .route("/readyz", get(status::ready))
        .route("/v1/tasks", get(tasks::list).post(tasks::create))
        .route("/v1/tasks/{id}", get(tasks::show).delete(tasks::delete))
        .route("/v1/tasks/{id}/events", get(events::listen))
        .route("/v1/tasks/{id}/messages", post(say::message))
        .route("/v1/tasks/{id}/confirm", get(say::asked).post(say::confirm))
        .route("/v1/tasks/{id}/stop", post(say::stop))
        .route("/v1/tasks/{id}/resume", post(say::resume))
        .route("/v1/tasks/{id}/files", get(files::list))
        .route("/v1/tasks/{id}/files/{*path}", get(files::file))
        .route("/v1/tasks/{id}/deliverables", get(files::deliverables))
        .route("/v1/tasks/{id}/deliverables/{*path}", get(files::deliverable))
        .route("/v1/tasks/{id}/record", get(record::bundle))
        .route("/v1/tasks/{id}/pages/{*path}", get(framed::deliverable))
        .route("/v1/models", get(status::models))
        .route("/v1/budgets", get(status::budgets))
        .route("/metrics", get(status::metrics))
        .fallback(status::nowhere)
        .method_not_allowed_fallback(status::not_so)
        .layer(axum::extract::DefaultBodyLimit::max(guard::BODY_BYTES_MAX))
        .layer(axum::middleware::from_fn_with_state(shared.clone(), guard::check))
        .with_state(shared)
}

/// Does what blocks aside from the threads that answer.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, problem::Problem> + Send + 'static,
) -> Result<T, problem::Problem> {
    tokio::task::spawn_blocking(work).await?
}
