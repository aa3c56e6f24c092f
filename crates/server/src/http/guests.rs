//! What somebody sees who has a link to a task and no token: the task's replay and the files it handed over, to be read and
//! nothing else. Who made the link is in `shares.rs`, what of an event is left out in `veil.rs`.

use std::sync::Arc;

use agent::Summary;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::IntoResponse as _;
use event::Digest;
use serde::Serialize;
use utoipa::ToSchema;

use super::events::{EventPage, Paged, page};
use super::extract::Asked;
use super::files::{self, Content, Ranged};
use super::framed::Beginning;
use super::pour::Asker;
use super::problem::{Answer, OfShare, OfSharedFile, OfSharedFrame, OfSharedPage, WithQueryOfShare};
use super::shares::no_share;
use super::shown::{Delivered, TaskState, title};
use super::tasks::summary;
use super::veil::Veil;
use super::{Shared, archive, blocking};
use super::{framed, pictures};
use crate::shares::{Share, What};

const START: &str = "/v1/shared/";

/// The key in an address of this file's, if it is one.
pub(super) fn key_in(path: &str) -> Option<&str> {
    path.strip_prefix(START).map(|rest| rest.split('/').next().unwrap_or_default())
}

/// A task as a link shows it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SharedTask {
    what: What,
    /// Milliseconds since 1970 (UTC), as all times here; from then on the link opens nothing.
    expires_ms: u64,
    state: TaskState,
    /// The beginning of what was asked for.
    title: String,
    created_ms: u64,
    updated_ms: u64,
    /// The number of the last event: whoever has seen that one has seen all.
    last_seq: u64,
    deliverables: Vec<Delivered>,
}

/// The link and its task, if both are still there.
async fn opened(shared: &Shared, key: &str) -> Answer<(Share, Summary)> {
    let share = shared.shares.get()?.find(key, (shared.app.clock)()).ok_or_else(no_share)?;
    let task = summary(shared, &share.task).await.map_err(|_| no_share())?;
    if task.created_ms == share.task_created_ms { Ok((share, task)) } else { Err(no_share()) }
}

async fn veil(shared: &Shared, task: &Summary, what: What) -> Answer<Veil> {
    let (app, task) = (Arc::clone(&shared.app), task.clone());
    blocking(move || Ok(Veil::new(&app, &task, what))).await
}

/// A task by its link
///
/// Needs no token: the link is the key.
#[utoipa::path(get, path = "/v1/shared/{key}", operation_id = "getShared", tag = "shares", security(()),
    params(("key" = String, Path, description = "The last part of the link.")),
    responses((status = 200, description = "The task.", body = SharedTask), OfShare))]
pub(super) async fn show(State(shared): State<Shared>, Path(key): Path<String>) -> Answer {
    let (share, task) = opened(&shared, &key).await?;
    let veil = veil(&shared, &task, share.what).await?;
    let told = SharedTask {
        what: share.what,
        expires_ms: share.expires_ms,
        state: TaskState::of(&task)?,
        title: title(&veil.text(&task.brief)),
        created_ms: task.created_ms,
        updated_ms: task.updated_ms,
        last_seq: task.last_seq,
        deliverables: task
            .deliverables
            .iter()
            .map(|file| Delivered::from(file).with_words(|text| veil.text(text)))
            .collect(),
    };
    Ok(Json(told).into_response())
}

/// The events that a link shows, a page at a time
///
/// Those that it does not show are left out, so numbers are missing between the others.
#[utoipa::path(get, path = "/v1/shared/{key}/events", operation_id = "listSharedEvents", tag = "shares", security(()),
    params(("key" = String, Path, description = "The last part of the link."), Paged),
    responses((status = 200, description = "A page.", body = EventPage), WithQueryOfShare))]
pub(super) async fn events(
    State(shared): State<Shared>,
    Path(key): Path<String>,
    Asked(wanted): Asked<Paged>,
) -> Answer {
    let (share, task) = opened(&shared, &key).await?;
    let veil = veil(&shared, &task, share.what).await?;
    page(&shared, share.task, wanted, move |recorded| veil.line(recorded)).await
}

/// A picture of a page that a shared task had open
///
/// By the digest in the event; only where the link shows everything.
#[utoipa::path(get, path = "/v1/shared/{key}/pictures/{digest}", operation_id = "getSharedPicture", tag = "shares", security(()),
    params(("key" = String, Path, description = "The last part of the link."), ("digest" = Digest, Path)),
    responses((status = 200, description = "The picture.", body = inline(Content), content_type = "image/jpeg"), OfSharedPage))]
pub(super) async fn picture(State(shared): State<Shared>, Path((key, digest)): Path<(String, String)>) -> Answer {
    let (share, task) = opened(&shared, &key).await?;
    match share.what {
        What::Everything => pictures::send(&shared, task.id, digest).await,
        What::Outputs => Err(pictures::none()),
    }
}

/// One file that a shared task has handed over
#[utoipa::path(get, path = "/v1/shared/{key}/deliverables/{*path}", operation_id = "getSharedDeliverable", tag = "shares",
    security(()),
    params(("key" = String, Path, description = "The last part of the link."),
        ("path" = String, Path, description = "The file's name; it may hold slashes."), Ranged),
    responses(
        (status = 200, description = "The file.", body = inline(Content), content_type = "application/octet-stream",
            headers(("ETag" = String), ("Content-Disposition" = String), ("Accept-Ranges" = String))),
        (status = 206, description = "The part that was asked for.", body = inline(Content), content_type = "application/octet-stream",
            headers(("ETag" = String), ("Content-Disposition" = String), ("Content-Range" = String))),
        OfSharedFile,
    ))]
pub(super) async fn deliverable(
    State(shared): State<Shared>,
    Path((key, path)): Path<(String, String)>,
    headers: HeaderMap,
) -> Answer {
    let (_, task) = opened(&shared, &key).await?;
    files::send_delivered(task, path, headers).await
}

/// All that a shared task has handed over, as one zip file
#[utoipa::path(get, path = "/v1/shared/{key}/archive", operation_id = "getSharedArchive", tag = "shares", security(()),
    params(("key" = String, Path, description = "The last part of the link.")),
    responses(
        (status = 200, description = "The files.", body = inline(Content), content_type = "application/zip",
            headers(("Content-Disposition" = String))),
        OfSharedPage,
    ))]
pub(super) async fn archive(State(shared): State<Shared>, Path(key): Path<String>) -> Answer {
    let (_, task) = opened(&shared, &key).await?;
    archive::send(task, Asker::Guest).await
}

/// A web page that a shared task has handed over, to be shown
///
/// In a frame that lets it run nothing and ask for nothing.
#[utoipa::path(get, path = "/v1/shared/{key}/pages/{*path}", operation_id = "getSharedPage", tag = "shares", security(()),
    params(("key" = String, Path, description = "The last part of the link."),
        ("path" = String, Path, description = "The file's name; it may hold slashes."), Beginning),
    responses((status = 200, description = "The page.", body = String, content_type = "text/html"), OfSharedFrame))]
pub(super) async fn delivered_page(
    State(shared): State<Shared>,
    Path((key, path)): Path<(String, String)>,
    Asked(beginning): Asked<Beginning>,
) -> Answer {
    let (_, task) = opened(&shared, &key).await?;
    framed::show(task, path, beginning).await
}
