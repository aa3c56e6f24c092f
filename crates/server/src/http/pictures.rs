//! The pictures of pages that a task has, by their digests as the record has them. No other blob is given out here.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::IntoResponse as _;
use event::{Digest, TaskId};
use journal::Blobs;

use super::extract::task_id;
use super::files::Content;
use super::problem::{Answer, Kind, OfPage, Problem};
use super::{Shared, blocking};

/// How every JPEG begins.
const JPEG: [u8; 3] = [0xff, 0xd8, 0xff];

/// A picture of a page that the browser showed
///
/// By the digest in the event.
#[utoipa::path(get, path = "/v1/tasks/{id}/pictures/{digest}", operation_id = "getPicture", tag = "events",
    params(("id" = TaskId, Path), ("digest" = Digest, Path)),
    responses((status = 200, description = "The picture.", body = inline(Content), content_type = "image/jpeg"), OfPage))]
pub(super) async fn picture(State(shared): State<Shared>, Path((name, digest)): Path<(String, String)>) -> Answer {
    send(&shared, task_id(&name)?, digest).await
}

/// That the task has no such picture, or that it is not shown.
pub(super) fn none() -> Problem {
    Problem::new(Kind::NoSuchFile, "the task has no such picture", "take the digest from an event")
}

/// Sends a picture of the task's.
pub(super) async fn send(shared: &Shared, id: TaskId, digest: String) -> Answer {
    let digest: Digest = serde_json::from_value(digest.into()).map_err(|_| none())?;
    let app = Arc::clone(&shared.app);
    let bytes = blocking(move || {
        let folder = app.instance.folder(&id)?;
        let found = Blobs::open(folder.root()).get(&digest.0).ok();
        found.filter(|bytes| bytes.starts_with(&JPEG)).ok_or_else(none)
    });
    let headers =
        [(header::CONTENT_TYPE, "image/jpeg"), (header::CACHE_CONTROL, "private, max-age=31536000, immutable")];
    Ok((headers, bytes.await?).into_response())
}
