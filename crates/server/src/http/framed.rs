//! A delivered web page, to be looked at in a frame of the app. It is somebody else's page: it may run nothing, ask nothing,
//! send nothing, and its origin is nobody's; what it needs it must bring along.

use std::io::Read as _;

use agent::{Because, Summary};
use axum::extract::{Path, State};
use axum::http::{HeaderValue, header};
use axum::response::IntoResponse as _;
use event::TaskId;
use serde::Deserialize;
use utoipa::IntoParams;

use super::extract::{Asked, task_id};
use super::files::{no_file, open_delivered};
use super::problem::{Answer, Kind, OfFrame, Problem};
use super::tasks::summary;
use super::{Shared, blocking};

/// Bytes of a page that is shown; a larger one is saved and opened from there.
const PAGE_BYTES_MAX: u64 = 32 * 1024 * 1024;

const POLICY: &str = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; \
    media-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'self'";

/// How much of the page is wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Beginning {
    /// So many bytes from its beginning, up to the end of a tag; without it all of it.
    #[param(minimum = 1, maximum = 33_554_432)]
    first: Option<u64>,
}

/// A delivered web page, to be shown
///
/// In a frame that lets it run nothing and ask for nothing; what it needs it must bring along.
#[utoipa::path(get, path = "/v1/tasks/{id}/pages/{*path}", operation_id = "getPage", tag = "files",
    params(("id" = TaskId, Path), ("path" = String, Path, description = "The file's name; it may hold slashes."), Beginning),
    responses((status = 200, description = "The page.", body = String, content_type = "text/html"), OfFrame))]
pub(super) async fn deliverable(
    State(shared): State<Shared>,
    Path((name, path)): Path<(String, String)>,
    Asked(beginning): Asked<Beginning>,
) -> Answer {
    show(summary(&shared, &task_id(&name)?).await?, path, beginning).await
}

/// The page, if the task has handed it over.
pub(super) async fn show(task: Summary, path: String, Beginning { first }: Beginning) -> Answer {
    if first.is_some_and(|first| !(1..=PAGE_BYTES_MAX).contains(&first)) {
        return Err(Problem::invalid(format!("first must be between 1 and {PAGE_BYTES_MAX}")));
    }
    let is_page = path.ends_with(".html") || path.ends_with(".htm");
    if !is_page || task.deliverables.iter().all(|file| file.name != path) {
        return Err(no_file());
    }
    let page = blocking(move || {
        let (mut file, data) = open_delivered(&task, &path).ok_or_else(no_file)?;
        if first.is_none() && data.len() > PAGE_BYTES_MAX {
            let hint = "save it and open it from there";
            let large = Problem::new(Kind::TooLarge, "the page is too large to be shown here", hint);
            return Err(large.because(Because::PageTooLarge));
        }
        let mut page = Vec::new();
        let bytes = first.unwrap_or(PAGE_BYTES_MAX);
        (&mut file).take(bytes).read_to_end(&mut page).map_err(Problem::internal)?;
        if data.len() > bytes {
            // Neither a tag nor a character is left torn.
            let whole = page.iter().rposition(|byte| *byte == b'>').map_or(0, |at| at + 1);
            page.truncate(whole);
        }
        Ok(tamed(&String::from_utf8_lossy(&page)))
    });
    let mut response = page.await?.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    Ok(response)
}

/// Elements that make a browser look a name up, or connect, whatever the policy says, and those that hold another page's text; none of
/// them could show anything here.
const REACHING: [&str; 2] = ["link", "iframe"];

/// The page with those elements made into ones that no browser knows. As text, so that no mark at its beginning has it read in another
/// encoding than it was searched in.
fn tamed(page: &str) -> String {
    let mut tamed = String::with_capacity(page.len());
    let mut rest = page;
    while let Some(at) = rest.find('<') {
        let (before, tag) = rest.split_at(at + 1);
        tamed.push_str(before);
        let reaches = |name: &&str| {
            tag.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
                && tag[name.len()..].starts_with(|c: char| c.is_ascii_whitespace() || matches!(c, '/' | '>'))
        };
        if REACHING.iter().any(reaches) {
            tamed.push_str("x-");
        }
        rest = tag;
    }
    tamed.push_str(rest);
    tamed
}

#[cfg(test)]
mod tests {
    use super::tamed;

    #[test]
    fn what_reaches_out_before_the_policy_is_asked_is_no_element_any_more() {
        let page = "<p>a < b</p><LINK rel=preconnect href=//x><link/><linked><iframe\nsrcdoc='&lt;link&gt;'><b>é<link";
        let shown =
            "<p>a < b</p><x-LINK rel=preconnect href=//x><x-link/><linked><x-iframe\nsrcdoc='&lt;link&gt;'><b>é<link";
        assert_eq!(tamed(page), shown);
        assert_eq!(tamed(""), "");
    }
}
