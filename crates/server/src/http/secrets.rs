//! Secrets over HTTP: values go in and never come out. Where they are kept, and who puts them in on the way, is the agent's.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::Said;
use super::problem::{Answer, Forgetting, Keeping, OfConfiguration, Problem};
use super::{Shared, blocking};

/// A secret without its value.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Secret)]
pub(super) struct Shown {
    /// The variable in which programs find its placeholder.
    name: String,
    /// Where it may go.
    hosts: Vec<String>,
}

/// All secrets.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SecretList {
    secrets: Vec<Shown>,
}

/// A secret to keep.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WantedSecret)]
pub(super) struct Wanted {
    /// One line, of at most 16 KiB.
    #[schema(min_length = 1, max_length = 16_384, write_only)]
    value: String,
    /// Where it may go, each as `HOST[:PORT]` or `*.DOMAIN`.
    #[schema(min_items = 1, max_items = 200)]
    hosts: Vec<String>,
}

/// The secrets that tasks can be given
///
/// Their values are told to nobody.
#[utoipa::path(get, path = "/v1/secrets", operation_id = "listSecrets", tag = "settings",
    responses((status = 200, description = "By name.", body = SecretList), OfConfiguration))]
pub(super) async fn list(State(shared): State<Shared>) -> Answer {
    let store = shared.app.instance.secrets();
    let kept = blocking(move || Ok(store.list()?)).await?;
    let secrets = kept.into_iter().map(|kept| Shown { name: kept.name, hosts: kept.hosts }).collect();
    Ok(Json(SecretList { secrets }).into_response())
}

/// Keep a secret, or another value of it
///
/// Programs have a placeholder; the value is put in on the way to its hosts, for tasks that were given the secret.
#[utoipa::path(put, path = "/v1/secrets/{name}", operation_id = "putSecret", tag = "settings",
    params(("name" = String, Path, pattern = "^[A-Za-z_][A-Za-z0-9_]{0,99}$", description = "A variable's name.")),
    request_body = Wanted,
    responses((status = 204, description = "It is kept."), Keeping))]
pub(super) async fn put(State(shared): State<Shared>, Path(name): Path<String>, Said(wanted): Said<Wanted>) -> Answer {
    let store = shared.app.instance.secrets();
    let _one = shared.keeping.acquire().await.map_err(Problem::internal)?;
    blocking(move || Ok(store.set(&name, &wanted.value, &wanted.hosts)?)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Forget a secret
///
/// Tasks that were given it cannot use it any more.
#[utoipa::path(delete, path = "/v1/secrets/{name}", operation_id = "deleteSecret", tag = "settings",
    params(("name" = String, Path, pattern = "^[A-Za-z_][A-Za-z0-9_]{0,99}$", description = "A variable's name.")),
    responses((status = 204, description = "It is not there."), Forgetting))]
pub(super) async fn remove(State(shared): State<Shared>, Path(name): Path<String>) -> Answer {
    let store = shared.app.instance.secrets();
    let _one = shared.keeping.acquire().await.map_err(Problem::internal)?;
    blocking(move || Ok(store.remove(&name)?)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
