//! The record of a task as one file that anybody can check, written to whoever asks while it is read from the journal.

use std::io;

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::IntoResponse as _;
use event::TaskId;
use journal::{Blobs, Reader};

use super::extract::task_id;
use super::files::Content;
use super::pour::{Asker, pour};
use super::problem::{Answer, OfTask};
use super::{Shared, blocking};

/// The record of a task as one file
///
/// Anybody can check it, with `thenar journal verify` or with `docs/verify_journal.py`.
#[utoipa::path(get, path = "/v1/tasks/{id}/record", operation_id = "getRecord", tag = "events",
    params(("id" = TaskId, Path)),
    responses(
        (status = 200, description = "The bundle, one line a record.", body = inline(Content), content_type = "application/jsonl",
            headers(("Content-Disposition" = String))),
        OfTask,
    ))]
pub(super) async fn bundle(State(shared): State<Shared>, Path(name): Path<String>) -> Answer {
    let id = task_id(&name)?;
    let opened = blocking({
        let (app, id) = (std::sync::Arc::clone(&shared.app), id.clone());
        move || {
            let folder = app.instance.folder(&id)?;
            let reader = Reader::open(folder.root()).map_err(agent::Error::from)?;
            Ok((reader, Blobs::open(folder.root())))
        }
    });
    let (mut reader, blobs) = opened.await?;
    // A bundle without its head is seen to be half of one.
    let body =
        pour(Asker::Owner, move |out| journal::export(&mut reader, &blobs, out).map(drop).map_err(io::Error::other))?;
    // A task's name holds nothing that a quoted name would mind.
    let name = format!("attachment; filename=\"{id}.journal\"");
    let headers = [(header::CONTENT_TYPE, "application/jsonl".to_owned()), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, body).into_response())
}
