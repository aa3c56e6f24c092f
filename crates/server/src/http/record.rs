//! The record of a task as one file that anybody can check, written to whoever asks while it is read from the journal. Nothing
//! of it is kept, and a slow reader holds up nothing but this.

use std::io;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::IntoResponse as _;
use event::TaskId;
use journal::{Blobs, Reader};
use tokio::sync::mpsc;

use super::extract::task_id;
use super::files::Content;
use super::problem::{Answer, OfTask};
use super::{Shared, blocking};

/// Pieces, and the bytes of each, that are written ahead of a slow reader.
const PIECES_AHEAD_MAX: usize = 4;
const PIECE_BYTES: usize = 64 * 1024;

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
    let (pieces, mut written) = mpsc::channel(PIECES_AHEAD_MAX);
    tokio::task::spawn_blocking(move || {
        let mut out = io::BufWriter::with_capacity(PIECE_BYTES, Out(pieces.clone()));
        let exported = journal::export(&mut reader, &blobs, &mut out).map_err(io::Error::other);
        // Cut off rather than ended: a bundle without its head is seen to be half of one.
        if let Err(error) = exported.and_then(|_| io::Write::flush(&mut out)) {
            let _ = pieces.blocking_send(Err(error));
        }
    });
    let stream = futures_util::stream::poll_fn(move |context| written.poll_recv(context));
    // A task's name holds nothing that a quoted name would mind.
    let name = format!("attachment; filename=\"{id}.journal\"");
    let headers = [(header::CONTENT_TYPE, "application/jsonl".to_owned()), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, Body::from_stream(stream)).into_response())
}

struct Out(mpsc::Sender<io::Result<Bytes>>);

impl io::Write for Out {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        self.0.blocking_send(Ok(Bytes::copy_from_slice(piece))).map_err(gone)?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
