//! Files out of a task: its workspace and what it delivered, reached from the folder's descriptor and never through a link;
//! nothing here writes.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path as Name;
use std::sync::Arc;

use agent::Folder;
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::problem::{Answer, Problem};
use super::tasks::{id, shown, summary};
use super::{Shared, blocking};

/// Files of one listing; a workspace may hold any number.
const LISTED_FILES_MAX: usize = 1_000;

/// Entries looked at for one listing, and how deep.
const LOOKED_AT_MAX: usize = 20_000;
const DEPTH_MAX: usize = 32;

/// Bytes read ahead of a slow reader.
const CHUNK_BYTES: usize = 64 * 1024;

/// The files of a task's workspace.
pub(super) async fn list(State(shared): State<Shared>, Path(name): Path<String>) -> Answer {
    let workspace = summary(&shared, &id(&name)?).await?.workspace;
    let listed = blocking(move || {
        let (mut files, mut looked_at) = (Vec::new(), 0);
        if let Ok(folder) = Folder::open(&workspace) {
            walk(&folder, "", DEPTH_MAX, &mut looked_at, &mut files);
        }
        files.sort_by(|a, b| a["path"].as_str().cmp(&b["path"].as_str()));
        let whole = files.len() < LISTED_FILES_MAX && looked_at < LOOKED_AT_MAX;
        Ok(json!({"files": files, "whole": whole}))
    });
    Ok(Json(listed.await?).into_response())
}

fn walk(folder: &Folder, before: &str, depth: usize, looked_at: &mut usize, files: &mut Vec<Value>) {
    // A name that is no text cannot be asked for, and what has gone meanwhile is not there.
    let Ok((folders, names)) = folder.entries() else { return };
    let path = |name: &str| if before.is_empty() { name.to_owned() } else { format!("{before}/{name}") };
    for name in names {
        *looked_at += 1;
        if *looked_at >= LOOKED_AT_MAX || files.len() >= LISTED_FILES_MAX {
            return;
        }
        if let Ok(data) = folder.about(&name) {
            files
                .push(json!({"path": path(&name), "bytes": data.st_size, "modified_ms": data.st_mtime.max(0) * 1_000}));
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

/// One file of the workspace.
pub(super) async fn file(
    State(shared): State<Shared>,
    Path((name, path)): Path<(String, String)>,
    headers: HeaderMap,
) -> Answer {
    let workspace = summary(&shared, &id(&name)?).await?.workspace;
    send(workspace, path, headers).await
}

/// What the task handed over.
pub(super) async fn deliverables(State(shared): State<Shared>, Path(name): Path<String>) -> Answer {
    let task = summary(&shared, &id(&name)?).await?;
    Ok(Json(json!({"deliverables": shown(&task)["deliverables"]})).into_response())
}

/// One file that the task handed over.
pub(super) async fn deliverable(
    State(shared): State<Shared>,
    Path((name, path)): Path<(String, String)>,
    headers: HeaderMap,
) -> Answer {
    let task = summary(&shared, &id(&name)?).await?;
    if task.deliverables.iter().all(|file| file.name != path) {
        return Err(no_file());
    }
    send(task.out, path, headers).await
}

pub(super) fn no_file() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "there is no such file", "list the files first; links are not followed")
}

async fn send(root: std::path::PathBuf, path: String, headers: HeaderMap) -> Answer {
    let name = path.clone();
    let (file, data) = blocking(move || open_beneath(&root, &name).ok_or_else(no_file)).await?;
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
            let told =
                Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, "the file does not reach that far", "ask for less");
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

/// Opens a regular file beneath a folder; a link on the way is a refusal.
pub(super) fn open_beneath(root: &Name, path: &str) -> Option<(File, std::fs::Metadata)> {
    let file = Folder::open(root).ok()?.file(Name::new(path)).ok()?;
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
