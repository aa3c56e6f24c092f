//! Files out of a task: its workspace and what it delivered, reached from the folder's descriptor and never through a link;
//! nothing here writes.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path as Name;
use std::sync::Arc;

use agent::{Folder, Summary};
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use event::TaskId;
use serde::Serialize;
use utoipa::openapi::{KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, Type};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use super::extract::task_id;
use super::problem::{Answer, Kind, OfFile, OfTask, Problem};
use super::shown::Delivered;
use super::tasks::summary;
use super::{Shared, blocking};

/// Headers that ask for a part of a file.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(super) struct Ranged {
    /// `bytes=FROM-TO`; one range.
    #[param(rename = "Range")]
    _range: Option<String>,
    /// The part only if the file's `ETag` is still this one; else the whole.
    #[param(rename = "If-Range")]
    _if_range: Option<String>,
}

/// A file's content.
pub(super) struct Content;

impl PartialSchema for Content {
    fn schema() -> RefOr<Schema> {
        let format = SchemaFormat::KnownFormat(KnownFormat::Binary);
        ObjectBuilder::new().schema_type(Type::String).format(Some(format)).into()
    }
}

impl ToSchema for Content {}

/// Files of one listing; a workspace may hold any number.
const LISTED_FILES_MAX: usize = 1_000;

/// Entries looked at for one listing, and how deep.
const LOOKED_AT_MAX: usize = 20_000;
const DEPTH_MAX: usize = 32;

/// Bytes read ahead of a slow reader.
const CHUNK_BYTES: usize = 64 * 1024;

/// The files of a workspace.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FileList {
    /// In order of their paths.
    files: Vec<FileLine>,
    /// There are no more than these.
    whole: bool,
}

/// A file of a workspace.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = File)]
struct FileLine {
    /// Below the workspace.
    path: String,
    bytes: u64,
    /// Milliseconds since 1970 (UTC).
    modified_ms: u64,
}

/// What a task has handed over.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Deliverables {
    deliverables: Vec<Delivered>,
}

/// The files of a task's workspace
///
/// Regular files only: links are neither listed nor followed.
#[utoipa::path(get, path = "/v1/tasks/{id}/files", operation_id = "listFiles", tag = "files",
    params(("id" = TaskId, Path)),
    responses((status = 200, description = "The files there are now.", body = FileList), OfTask))]
pub(super) async fn list(State(shared): State<Shared>, Path(name): Path<String>) -> Answer {
    let workspace = summary(&shared, &task_id(&name)?).await?.workspace;
    let listed = blocking(move || {
        let (mut files, mut looked_at) = (Vec::new(), 0);
        if let Ok(folder) = Folder::open(&workspace) {
            walk(&folder, "", DEPTH_MAX, &mut looked_at, &mut files);
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let whole = files.len() < LISTED_FILES_MAX && looked_at < LOOKED_AT_MAX;
        Ok(FileList { files, whole })
    });
    Ok(Json(listed.await?).into_response())
}

fn walk(folder: &Folder, before: &str, depth: usize, looked_at: &mut usize, files: &mut Vec<FileLine>) {
    // A name that is no text cannot be asked for, and what has gone meanwhile is not there.
    let Ok((folders, names)) = folder.entries() else { return };
    let path = |name: &str| if before.is_empty() { name.to_owned() } else { format!("{before}/{name}") };
    for name in names {
        *looked_at += 1;
        if *looked_at >= LOOKED_AT_MAX || files.len() >= LISTED_FILES_MAX {
            return;
        }
        if let Ok(data) = folder.about(&name) {
            let bytes = u64::try_from(data.st_size).unwrap_or(0);
            files.push(FileLine { path: path(&name), bytes, modified_ms: modified_ms(&data) });
        }
    }
    for name in folders {
        *looked_at += 1;
        if *looked_at >= LOOKED_AT_MAX || files.len() >= LISTED_FILES_MAX || depth == 0 {
            return;
        }
        if let Ok(below) = folder.existing(Name::new(&name)) {
            walk(&below, &path(&name), depth - 1, looked_at, files);
        }
    }
}

fn modified_ms(data: &rustix::fs::Stat) -> u64 {
    let whole = u64::try_from(data.st_mtime).unwrap_or(0).saturating_mul(1_000);
    whole.saturating_add(data.st_mtime_nsec / 1_000_000)
}

/// One file of the workspace
///
/// Always something to save and never something to show. It comes in ranges, so a download goes on where it broke off.
#[utoipa::path(get, path = "/v1/tasks/{id}/files/{*path}", operation_id = "getFile", tag = "files",
    params(("id" = TaskId, Path), ("path" = String, Path, description = "The file's path; it may hold slashes."), Ranged),
    responses(
        (status = 200, description = "The file.", body = inline(Content), content_type = "application/octet-stream",
            headers(("ETag" = String), ("Content-Disposition" = String), ("Accept-Ranges" = String))),
        (status = 206, description = "The part that was asked for.", body = inline(Content), content_type = "application/octet-stream",
            headers(("ETag" = String), ("Content-Disposition" = String), ("Content-Range" = String))),
        OfFile,
    ))]
pub(super) async fn file(
    State(shared): State<Shared>,
    Path((name, path)): Path<(String, String)>,
    headers: HeaderMap,
) -> Answer {
    let workspace = summary(&shared, &task_id(&name)?).await?.workspace;
    let name = path.clone();
    send(move || open_beneath(&workspace, &name), path, headers).await
}

/// What a task has handed over
#[utoipa::path(get, path = "/v1/tasks/{id}/deliverables", operation_id = "listDeliverables", tag = "files",
    params(("id" = TaskId, Path)),
    responses((status = 200, description = "The files, with what their checks found.", body = Deliverables), OfTask))]
pub(super) async fn deliverables(State(shared): State<Shared>, Path(name): Path<String>) -> Answer {
    let task = summary(&shared, &task_id(&name)?).await?;
    Ok(Json(Deliverables { deliverables: task.deliverables.iter().map(Delivered::from).collect() }).into_response())
}

/// One file that a task has handed over
#[utoipa::path(get, path = "/v1/tasks/{id}/deliverables/{*path}", operation_id = "getDeliverable", tag = "files",
    params(("id" = TaskId, Path), ("path" = String, Path, description = "The file's name; it may hold slashes."), Ranged),
    responses(
        (status = 200, description = "The file.", body = inline(Content), content_type = "application/octet-stream",
            headers(("ETag" = String), ("Content-Disposition" = String), ("Accept-Ranges" = String))),
        (status = 206, description = "The part that was asked for.", body = inline(Content), content_type = "application/octet-stream",
            headers(("ETag" = String), ("Content-Disposition" = String), ("Content-Range" = String))),
        OfFile,
    ))]
pub(super) async fn deliverable(
    State(shared): State<Shared>,
    Path((name, path)): Path<(String, String)>,
    headers: HeaderMap,
) -> Answer {
    send_delivered(summary(&shared, &task_id(&name)?).await?, path, headers).await
}

/// A file, if the task has handed it over.
pub(super) async fn send_delivered(task: Summary, path: String, headers: HeaderMap) -> Answer {
    if task.deliverables.iter().all(|file| file.name != path) {
        return Err(no_file());
    }
    let name = path.clone();
    send(move || open_delivered(&task, &name), path, headers).await
}

pub(super) fn no_file() -> Problem {
    Problem::new(Kind::NoSuchFile, "there is no such file", "list the files first; links are not followed")
}

async fn send(open: impl FnOnce() -> Option<Opened> + Send + 'static, path: String, headers: HeaderMap) -> Answer {
    let (file, data) = blocking(move || open().ok_or_else(no_file)).await?;
    let tag = format!("\"{:x}-{:x}-{:x}-{:x}\"", data.ino(), data.len(), data.mtime(), data.mtime_nsec());
    let asked = headers.get(header::RANGE).and_then(|range| range.to_str().ok());
    let fits = headers.get(header::IF_RANGE).is_none_or(|known| known.as_bytes() == tag.as_bytes());
    let range = match asked.filter(|_| fits) {
        None => Range::Whole,
        Some(text) => Range::of(text, data.len()),
    };
    let (status, from, bytes) = match range {
        Range::Whole => (StatusCode::OK, 0, data.len()),
        Range::Part { from, bytes } => (StatusCode::PARTIAL_CONTENT, from, bytes),
        Range::Outside => {
            let told = Problem::new(Kind::RangeNotSatisfiable, "the file does not reach that far", "ask for less");
            let mut response = told.into_response();
            put(&mut response, header::CONTENT_RANGE, &format!("bytes */{}", data.len()))?;
            return Ok(response);
        }
    };
    let mut response = (status, Body::from_stream(pieces(file, from, bytes))).into_response();
    if status == StatusCode::PARTIAL_CONTENT {
        put(&mut response, header::CONTENT_RANGE, &format!("bytes {from}-{}/{}", from + bytes - 1, data.len()))?;
    }
    put(&mut response, header::CONTENT_LENGTH, &bytes.to_string())?;
    put(&mut response, header::CONTENT_TYPE, "application/octet-stream")?;
    put(&mut response, header::CONTENT_DISPOSITION, &attachment(&path))?;
    put(&mut response, header::ETAG, &tag)?;
    put(&mut response, header::ACCEPT_RANGES, "bytes")?;
    Ok(response)
}

fn put(response: &mut Response, name: header::HeaderName, value: &str) -> Result<(), Problem> {
    response.headers_mut().insert(name, HeaderValue::from_str(value).map_err(Problem::internal)?);
    Ok(())
}

/// Always something to save, never something to show: a file of the agent's must not run as a page of ours.
fn attachment(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or_default();
    let mut encoded = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    format!("attachment; filename*=UTF-8''{encoded}")
}

#[derive(Debug, PartialEq, Eq)]
enum Range {
    Whole,
    Part { from: u64, bytes: u64 },
    Outside,
}

impl Range {
    /// A single range; whatever else is asked is answered with the whole, as the standard lets us.
    fn of(text: &str, len: u64) -> Self {
        let Some((first, last)) = text.strip_prefix("bytes=").and_then(|range| range.trim().split_once('-')) else {
            return Self::Whole;
        };
        let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().ok());
        let (from, until) = match (number(first), number(last)) {
            (Some(Some(from)), _) if last.is_empty() => (from, len),
            (Some(Some(from)), Some(Some(last))) if from <= last => (from, last.saturating_add(1).min(len)),
            (_, Some(Some(tail))) if first.is_empty() && tail > 0 => (len.saturating_sub(tail), len),
            (_, Some(Some(0))) if first.is_empty() => return Self::Outside,
            _ => return Self::Whole,
        };
        if from >= len { Self::Outside } else { Self::Part { from, bytes: until - from } }
    }
}

/// A file, and what is known of it.
type Opened = (File, std::fs::Metadata);

/// Opens a regular file beneath a folder; a link on the way is a refusal.
pub(super) fn open_beneath(root: &Name, path: &str) -> Option<Opened> {
    open_in(&Folder::open(root).ok()?, path)
}

/// Opens a file that a task has handed over. Where that stands in the workspace, what ran there may have put links on the way to it;
/// elsewhere any links on the way are the person's.
pub(super) fn open_delivered(task: &Summary, name: &str) -> Option<Opened> {
    // In a folder of the person's the files may stay where they are.
    let out = if task.out.as_os_str().is_empty() { &task.workspace } else { &task.out };
    let Ok(below) = out.strip_prefix(&task.workspace) else { return open_beneath(out, name) };
    let workspace = Folder::open(&task.workspace).ok()?;
    let folder = if below.as_os_str().is_empty() { workspace } else { workspace.existing(below).ok()? };
    open_in(&folder, name)
}

fn open_in(folder: &Folder, path: &str) -> Option<Opened> {
    let file = folder.file(Name::new(path)).ok()?;
    let data = file.metadata().ok()?;
    Some((file, data))
}

/// The file a piece at a time, read when the one before is gone.
fn pieces(file: File, from: u64, bytes: u64) -> impl futures_util::Stream<Item = std::io::Result<Bytes>> {
    let start = (Arc::new(file), from, bytes);
    futures_util::stream::try_unfold(start, |(file, at, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let reader = Arc::clone(&file);
        let read = tokio::task::spawn_blocking(move || {
            let mut piece = vec![0; usize::try_from(left).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES)];
            (&*reader).seek(SeekFrom::Start(at))?;
            let read = (&*reader).read(&mut piece)?;
            if read == 0 {
                return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof));
            }
            piece.truncate(read);
            Ok(piece)
        });
        let piece = read.await.map_err(std::io::Error::other)??;
        let read = piece.len() as u64;
        Ok(Some((Bytes::from(piece), (file, at + read, left - read))))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_standard_says() {
        let part = |from, bytes| Range::Part { from, bytes };
        for (text, expected) in [
            ("bytes=0-0", part(0, 1)),
            ("bytes=2-", part(2, 8)),
            ("bytes=2-99", part(2, 8)),
            ("bytes=-3", part(7, 3)),
            ("bytes=-99", part(0, 10)),
            ("bytes=10-", Range::Outside),
            ("bytes=-0", Range::Outside),
            ("bytes=5-2", Range::Whole),
            ("bytes=0-1,4-5", Range::Whole),
            ("lines=1-2", Range::Whole),
        ] {
            assert_eq!(Range::of(text, 10), expected, "{text}");
        }
    }
}
