//! A delivered web page, to be looked at in a frame of the app. It is somebody else's page: it may run nothing, ask nothing,
//! send nothing, and its origin is nobody's; what it needs it must bring along.

use agent::{Because, Summary};
use axum::extract::{Path, State};
use axum::http::{HeaderValue, header};
use axum::response::IntoResponse as _;
use event::TaskId;

use super::extract::task_id;
use super::files::{no_file, open_beneath};
use super::problem::{Answer, Kind, OfPage, Problem};
use super::tasks::summary;
use super::{Shared, blocking};

/// Bytes of a page that is shown; a larger one is saved and opened from there.
const PAGE_BYTES_MAX: u64 = 32 * 1024 * 1024;

const POLICY: &str = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; \
    media-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'self'";

/// A delivered web page, to be shown
///
/// In a frame that lets it run nothing and ask for nothing; what it needs it must bring along.
#[utoipa::path(get, path = "/v1/tasks/{id}/pages/{*path}", operation_id = "getPage", tag = "files",
    params(("id" = TaskId, Path), ("path" = String, Path, description = "The file's name; it may hold slashes.")),
    responses((status = 200, description = "The page.", body = String, content_type = "text/html"), OfPage))]
pub(super) async fn deliverable(State(shared): State<Shared>, Path((name, path)): Path<(String, String)>) -> Answer {
    show(summary(&shared, &task_id(&name)?).await?, path).await
}

/// The page, if the task has handed it over.
pub(super) async fn show(task: Summary, path: String) -> Answer {
    let is_page = path.ends_with(".html") || path.ends_with(".htm");
    if !is_page || task.deliverables.iter().all(|file| file.name != path) {
        return Err(no_file());
    }
    let page = blocking(move || {
        let (mut file, data) = open_beneath(&task.out, &path).ok_or_else(no_file)?;
        if data.len() > PAGE_BYTES_MAX {
            let hint = "save it and open it from there";
            let large = Problem::new(Kind::TooLarge, "the page is too large to be shown here", hint);
            return Err(large.because(Because::PageTooLarge));
        }
        let mut page = Vec::new();
        std::io::Read::read_to_end(&mut file, &mut page).map_err(Problem::internal)?;
        Ok(page)
    });
    let mut response = page.await?.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    Ok(response)
}
