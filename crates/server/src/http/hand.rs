//! A browser in a person's hands, beside clicks and keys: where it goes, and the files that a page asks for. What it may reach is
//! settled where its network is; files go through the one door that the agent's go through.

use std::path::PathBuf;
use std::sync::Arc;

use agent::{Going, UPLOAD_FILES_MAX};
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use event::TaskId;
use serde::Deserialize;
use utoipa::ToSchema;

use super::browser::taken_by;
use super::extract::{Said, task_id, whole};
use super::files::Content;
use super::hands::{Hand, Handed};
use super::problem::{Answer, Giving, Handling, Kind, Problem};
use super::tasks::summary;
use super::upload::{self, Incoming};
use super::{Shared, blocking};

const ADDRESS_CHARS_MAX: usize = 8_192;
const PATH_CHARS_MAX: usize = 4_096;

/// Where the person goes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "to", rename_all = "snake_case")]
#[schema(as = BrowserGoing)]
pub(super) enum Go {
    /// An address: `https://example.org/a`, `example.org`, `localhost:8000`.
    Address {
        #[schema(min_length = 1, max_length = 8_192)]
        address: String,
    },
    Back {},
    Forward {},
    Reload {},
    /// Another tab, by its number.
    Tab {
        #[serde(deserialize_with = "whole")]
        #[schema(minimum = 0, maximum = 4_294_967_295_u32, format = Int64)]
        number: u32,
    },
    /// Close a tab.
    Close {
        #[serde(deserialize_with = "whole")]
        #[schema(minimum = 0, maximum = 4_294_967_295_u32, format = Int64)]
        number: u32,
    },
    /// An empty tab.
    NewTab {},
}

/// Files of the workspace for the page.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PageFiles {
    /// Paths below the workspace; none tells the page that there are none.
    #[schema(max_items = 20)]
    paths: Vec<String>,
}

/// Files of the person's for the page.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PageFilesForm)]
#[expect(dead_code, reason = "for the API document; the form itself is read piece by piece")]
pub(super) struct Form {
    /// One part each, under their own names.
    #[schema(min_items = 1, max_items = 20)]
    file: Vec<Content>,
}

/// Go somewhere in the browser
///
/// Only while it is taken over. It reaches what the task's programs may reach, and no more. An address is waited for until its
/// server answers, for 20 s at the most; what comes later is seen in the pictures.
#[utoipa::path(post, path = "/v1/tasks/{id}/browser/go", operation_id = "goInBrowser", tag = "browser",
    params(("id" = TaskId, Path), Handed), request_body = Go,
    responses((status = 204, description = "It goes there."), Handling))]
pub(super) async fn go(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    hand: Hand,
    Said(to): Said<Go>,
) -> Answer {
    let id = task_id(&name)?;
    if let Go::Address { address } = &to
        && !(1..=ADDRESS_CHARS_MAX).contains(&address.chars().count())
    {
        return Err(Problem::invalid(format!("an address has 1 to {ADDRESS_CHARS_MAX} characters")));
    }
    let viewer = taken_by(&shared, &id, &hand).await?;
    blocking(move || viewer.travel(&to.into()).map_err(not_done)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Give the page files of the workspace
///
/// Only while the browser is taken over and its page asks for files (`wants_files`). It gets copies.
#[utoipa::path(post, path = "/v1/tasks/{id}/browser/files", operation_id = "givePageFiles", tag = "browser",
    params(("id" = TaskId, Path), Handed), request_body = PageFiles,
    responses((status = 204, description = "The page has them."), Handling))]
pub(super) async fn give(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    hand: Hand,
    Said(said): Said<PageFiles>,
) -> Answer {
    let id = task_id(&name)?;
    if said.paths.len() > UPLOAD_FILES_MAX || said.paths.iter().any(|path| path.chars().count() > PATH_CHARS_MAX) {
        return Err(Problem::invalid(format!("a page is given {UPLOAD_FILES_MAX} files at once at the most")));
    }
    let workspace = summary(&shared, &id).await?.workspace;
    hand_over(&shared, &id, &hand, workspace, said.paths).await
}

/// Give the page files of your own
///
/// As [the other way](#tag/browser/operation/givePageFiles), for files that are not in the workspace and do not go there.
#[utoipa::path(post, path = "/v1/tasks/{id}/browser/upload", operation_id = "uploadToPage", tag = "browser",
    params(("id" = TaskId, Path), Handed), request_body(content((Form = "multipart/form-data"))),
    responses((status = 204, description = "The page has them."), Giving))]
pub(super) async fn upload(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    hand: Hand,
    request: Request,
) -> Answer {
    let id = task_id(&name)?;
    // Before all those bytes come.
    taken_by(&shared, &id, &hand).await?;
    let Ok(_place) = Arc::clone(&shared.uploads).try_acquire_owned() else {
        return Err(Problem::new(Kind::Busy, "too many files are being received", "ask again in a moment"));
    };
    let (folder, names) = upload::receive_files(&shared, request, UPLOAD_FILES_MAX).await?;
    let answer = hand_over(&shared, &id, &hand, folder.path().to_owned(), names).await;
    drop(folder);
    answer
}

/// Puts copies of the files where the browser can give them to a page, and has it do so.
async fn hand_over(shared: &Shared, id: &TaskId, hand: &Hand, from: PathBuf, files: Vec<String>) -> Answer {
    let viewer = taken_by(shared, id, hand).await?;
    let slot = format!("person-{}", Incoming::name()?);
    blocking(move || viewer.give_files(&from, &files, &slot).map_err(not_done)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// What the browser or its page does not take, and why.
fn not_done(error: agent::Error) -> Problem {
    match error {
        agent::Error::Invalid(why) => Problem::new(Kind::NotNow, why, "look at the page, and try again"),
        other => other.into(),
    }
}

impl From<Go> for Going {
    fn from(go: Go) -> Self {
        match go {
            Go::Address { address } => Self::Address(address),
            Go::Back {} => Self::Back,
            Go::Forward {} => Self::Forward,
            Go::Reload {} => Self::Reload,
            Go::Tab { number } => Self::Tab(number),
            Go::Close { number } => Self::Close(number),
            Go::NewTab {} => Self::NewTab,
        }
    }
}
