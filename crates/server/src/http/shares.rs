//! Links to a task for people without the token: made, listed and taken back by whoever has it. What such a link shows is in
//! `guests.rs`.

use agent::Because;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use event::TaskId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::{Said, task_id};
use super::problem::{Answer, Kind, OfShare, OfTask, Problem, Sharing};
use super::tasks::summary;
use super::wanted::milliseconds;
use super::{Shared, blocking};
use crate::shares::{Refused, Share, What, Wish};

/// A link holds no longer than this.
const HOLDS_MS_MAX: u64 = 366 * 24 * 60 * 60 * 1_000;

/// A new link.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewShare {
    /// How much it shows.
    what: What,
    /// How long it holds: a number and a unit, `12h`, `7d`; 366 days at the most, however much is asked for.
    #[schema(pattern = "^[1-9][0-9]{0,5}[smhd]$")]
    expires: String,
}

/// A link to a task.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Share)]
struct Link {
    id: String,
    what: What,
    created_ms: u64,
    /// From then on it opens nothing.
    expires_ms: u64,
}

/// A link that was just made.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MadeShare)]
pub(super) struct Made {
    share: Link,
    /// The address below this server's own: whoever has it sees the task. It is told this once and kept nowhere.
    path: String,
}

/// The links of a task.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Shares)]
pub(super) struct Links {
    /// Those that hold, oldest first.
    shares: Vec<Link>,
}

impl From<Share> for Link {
    fn from(share: Share) -> Self {
        let Share { id, what, created_ms, expires_ms, .. } = share;
        Self { id, what, created_ms, expires_ms }
    }
}

/// Make a link to a task
///
/// Whoever has it sees the task and its deliverables, without a token and without secrets, until it ends or is taken back.
#[utoipa::path(post, path = "/v1/tasks/{id}/shares", operation_id = "share", tag = "shares",
    params(("id" = TaskId, Path)), request_body = NewShare,
    responses((status = 201, description = "The link.", body = Made), Sharing))]
pub(super) async fn create(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    Said(wanted): Said<NewShare>,
) -> Answer {
    let id = task_id(&name)?;
    let wrong = || Problem::invalid("expires must be a number and a unit, like 12h or 7d");
    let holds_ms = milliseconds(&wanted.expires).ok_or_else(wrong)?.min(HOLDS_MS_MAX);
    let task = summary(&shared, &id).await?;
    let now_ms = (shared.app.clock)();
    let wish = Wish {
        task: id,
        task_created_ms: task.created_ms,
        what: wanted.what,
        expires_ms: now_ms.saturating_add(holds_ms),
    };
    let shares = Arc::clone(&shared.shares);
    let made = blocking(move || {
        shares.get()?.add(wish, now_ms).map_err(|refused| match refused {
            Refused::Full(_) => {
                Problem::new(Kind::NotNow, refused.to_string(), "take back some of them").because(Because::LinksTooMany)
            }
            Refused::Io(error) => Problem::io("keep the links", &error),
        })
    });
    let (share, key) = made.await?;
    let made = Made { share: share.into(), path: format!("/shared/{key}") };
    Ok((StatusCode::CREATED, Json(made)).into_response())
}

/// The links of a task
#[utoipa::path(get, path = "/v1/tasks/{id}/shares", operation_id = "listShares", tag = "shares",
    params(("id" = TaskId, Path)),
    responses((status = 200, description = "Those that hold.", body = Links), OfTask))]
pub(super) async fn list(State(shared): State<Shared>, Path(name): Path<String>) -> Answer {
    let id = task_id(&name)?;
    let task = summary(&shared, &id).await?;
    let of_task = shared.shares.get()?.of(&id, (shared.app.clock)());
    let of_task = of_task.into_iter().filter(|share| share.task_created_ms == task.created_ms);
    Ok(Json(Links { shares: of_task.map(Link::from).collect() }).into_response())
}

/// Take a link back
///
/// It opens nothing from then on.
#[utoipa::path(delete, path = "/v1/tasks/{id}/shares/{share}", operation_id = "unshare", tag = "shares",
    params(("id" = TaskId, Path), ("share" = String, Path, description = "The link's `id`.")),
    responses((status = 204, description = "It is taken back."), OfShare))]
pub(super) async fn revoke(State(shared): State<Shared>, Path((name, share)): Path<(String, String)>) -> Answer {
    let id = task_id(&name)?;
    let shares = Arc::clone(&shared.shares);
    let some =
        blocking(move || shares.get()?.revoke(&id, &share).map_err(|error| Problem::io("take a link back", &error)));
    if some.await? { Ok(StatusCode::NO_CONTENT.into_response()) } else { Err(no_share()) }
}

pub(super) fn no_share() -> Problem {
    let hint = "ask whoever gave you the link for a new one";
    Problem::new(Kind::NoSuchShare, "there is no such link, or it has ended", hint)
}
