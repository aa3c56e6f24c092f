//! A delivered web page, to be looked at in a frame of the app. It is somebody else's page: it may run nothing, ask nothing,
//! send nothing, and its origin is nobody's; what it needs it must bring along.

use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::IntoResponse as _;

use super::files::{no_file, open_beneath};
use super::problem::{Answer, Problem};
use super::tasks::{id, summary};
use super::{Shared, blocking};

/// Bytes of a page that is shown; a larger one is saved and opened from there.
const PAGE_BYTES_MAX: u64 = 32 * 1024 * 1024;

const POLICY: &str = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; \
    media-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'self'";

/// One delivered page.
pub(super) async fn deliverable(State(shared): State<Shared>, Path((name, path)): Path<(String, String)>) -> Answer {
    let task = summary(&shared, &id(&name)?).await?;
    let is_page = path.ends_with(".html") || path.ends_with(".htm");
    if !is_page || task.deliverables.iter().all(|file| file.name != path) {
        return Err(no_file());
    }
    let page = blocking(move || {
        let (mut file, data) = open_beneath(&task.out, &path).ok_or_else(no_file)?;
        if data.len() > PAGE_BYTES_MAX {
            let hint = "save it and open it from there";
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "the page is too large to be shown here", hint));
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
