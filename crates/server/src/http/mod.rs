//! The HTTP door, `/v1`: tasks, their events, and what can be said to them. It decides nothing: each route hands its
//! request on to the agent, the runner or the journal, and says what came of it.

mod api;
mod archive;
mod browser;
mod demo;
mod events;
mod extract;
mod files;
mod framed;
mod guard;
mod guests;
mod hand;
mod hands;
mod hosts;
mod kept;
mod limits;
mod page;
mod patience;
mod pictures;
mod pour;
mod problem;
mod record;
mod say;
mod secrets;
mod serve;
mod settings;
mod shares;
mod shown;
mod status;
mod takeover;
mod tasks;
mod terminals;
mod token;
mod upload;
mod veil;
mod wanted;
mod web;

use std::sync::Arc;

use agent::{Instance, Models};
use axum::Router;
use axum::routing::get;
use tokio::sync::Semaphore;

pub use api::openapi;
pub(crate) use extract::whole_or_null;
pub use limits::HttpLimits;
pub use serve::serve;
pub use token::Token;

use crate::shares::Shares;
use crate::{House, Index, Runner};

/// What the HTTP door stands before.
#[derive(Clone)]
pub struct App {
    pub instance: Arc<Instance>,
    pub runner: Runner,
    pub index: Index,
    pub models: Arc<dyn Models>,
    /// The edge: the configuration, and how this machine is.
    pub house: Arc<dyn House>,
    pub token: Token,
    /// Names under which the server may be called, besides those of this machine's loopback.
    pub hosts: Vec<String>,
    pub limits: HttpLimits,
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
    /// A place for each upload under way.
    uploads: Arc<Semaphore>,
    /// A place for each watcher of a terminal.
    terminal_watchers: Arc<Semaphore>,
    /// Browsers in persons' hands.
    viewers: Arc<browser::Viewers>,
    /// Whose hands, where several windows are open.
    hands: Arc<hands::Hands>,
    shares: Arc<Links>,
    /// One change of the secrets at a time.
    keeping: Arc<Semaphore>,
    /// The one place for trying a model or the machine.
    trials: Arc<Semaphore>,
}

/// The links that were given out, or why they cannot be had.
struct Links(Result<Shares, String>);

impl Links {
    fn get(&self) -> problem::Answer<&Shares> {
        self.0.as_ref().map_err(problem::Problem::internal)
    }
}

/// The routes, behind the checks that every request passes.
pub fn app(state: App) -> Router {
    let state = Arc::new(state);
    let shared = Shared {
        hub: events::Hub::new(Arc::clone(&state)),
        gate: Arc::new(guard::Gate::new(state.limits)),
        uploads: Arc::new(Semaphore::new(state.limits.uploads_max)),
        terminal_watchers: Arc::new(Semaphore::new(terminals::WATCHERS_MAX)),
        viewers: Arc::default(),
        hands: Arc::default(),
        keeping: Arc::new(Semaphore::new(1)),
        trials: Arc::new(Semaphore::new(1)),
        shares: Arc::new(Links(
            Shares::open(state.instance.home().path())
                .map_err(|error| format!("read the links that were given out: {error}")),
        )),
        app: state,
    };
    let (routes, _) = api::routes().split_for_parts();
    routes
        .route("/", get(web::screen))
        .route("/tasks/{*screen}", get(web::screen))
        .route("/settings", get(web::screen))
        .route("/settings/{*screen}", get(web::screen))
        .route("/shared/{*screen}", get(web::screen))
        .route("/icon.svg", get(web::file))
        .route("/assets/{*path}", get(web::file))
        .fallback(status::nowhere)
        .method_not_allowed_fallback(status::not_so)
        .layer(axum::extract::DefaultBodyLimit::max(limits::BODY_BYTES_MAX))
        .layer(axum::middleware::from_fn_with_state(shared.clone(), guard::check))
        .with_state(shared)
}

/// Does what blocks aside from the threads that answer.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, problem::Problem> + Send + 'static,
) -> Result<T, problem::Problem> {
    tokio::task::spawn_blocking(work).await?
}
