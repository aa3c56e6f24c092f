//! The browser of a task's computer while the person has taken it over: pictures of the page as it changes, and their clicks
//! and keys. One watcher a task; nothing is queued for one who falls behind but the latest picture.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use agent::{PageFrame, PageInput, Viewer};
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse as _;
use event::{ComputerPart, TaskId};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc;
use utoipa::ToSchema;

use super::extract::{Said, task_id, whole};
use super::problem::{Answer, Handling, Kind, OfBrowser, Problem};
use super::tasks::summary;
use super::{Shared, blocking};

/// Pictures on their way to a watcher.
const FRAMES_QUEUED_MAX: usize = 1;
/// What is done at once.
const ACTS_MAX: usize = 64;
const KEY_CHARS_MAX: usize = 40;
const TEXT_CHARS_MAX: usize = 20_000;
/// A window has no more points than this either way.
const POINTS_MAX: f64 = 10_000.0;

/// The lines to browsers that persons have in their hands.
pub(super) type Viewers = Mutex<HashMap<TaskId, Arc<Viewer>>>;

/// What a person does, in order.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BrowserInput {
    #[schema(min_items = 1, max_items = 64)]
    acts: Vec<Act>,
}

/// One thing that a person does. Points are counted from the top left corner of the picture's window.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "act", rename_all = "snake_case")]
#[schema(as = BrowserAct)]
enum Act {
    /// The mouse is there; `held` says that its left button is down.
    Move {
        #[schema(minimum = 0, maximum = 10_000)]
        x: f64,
        #[schema(minimum = 0, maximum = 10_000)]
        y: f64,
        #[serde(default)]
        held: bool,
    },
    /// A button goes down or up; the second press of a double click has the count 2.
    Button {
        #[schema(minimum = 0, maximum = 10_000)]
        x: f64,
        #[schema(minimum = 0, maximum = 10_000)]
        y: f64,
        down: bool,
        #[serde(default)]
        right: bool,
        #[serde(default = "once", deserialize_with = "whole")]
        #[schema(minimum = 1, maximum = 3)]
        count: u32,
    },
    /// The wheel turns, in points.
    Wheel {
        #[schema(minimum = 0, maximum = 10_000)]
        x: f64,
        #[schema(minimum = 0, maximum = 10_000)]
        y: f64,
        #[serde(default)]
        #[schema(minimum = -10_000, maximum = 10_000)]
        across: f64,
        #[schema(minimum = -10_000, maximum = 10_000)]
        down: f64,
    },
    /// A key by its name: `Enter`, `Control+A`.
    Key {
        #[schema(min_length = 1, max_length = 40)]
        key: String,
    },
    /// Text, as typed or pasted.
    Text {
        #[schema(max_length = 20_000)]
        text: String,
    },
}

fn once() -> u32 {
    1
}

/// Watch the browser
///
/// A stream of `frame` (`number`, `width`, `height`: the window in points, `jpeg`: the picture in base64), and `end` once the
/// agent has the browser again. Only while it is taken over; whoever is slow sees fewer pictures.
#[utoipa::path(get, path = "/v1/tasks/{id}/browser", operation_id = "watchBrowser", tag = "browser",
    params(("id" = TaskId, Path)),
    responses((status = 200, description = "Pictures of the page.", body = String, content_type = "text/event-stream"), OfBrowser))]
pub(super) async fn watch(State(shared): State<Shared>, Path(name): Path<String>) -> Answer {
    let id = task_id(&name)?;
    let viewer = taken(&shared, &id).await?;
    let Ok(place) = Arc::clone(&shared.terminal_watchers).try_acquire_owned() else {
        return Err(Problem::new(Kind::Busy, "too many watch already", "close one, or ask again later"));
    };
    let (sender, receiver) = mpsc::channel(FRAMES_QUEUED_MAX);
    // A thread of its own while somebody watches: pictures are waited for there.
    tokio::task::spawn_blocking(move || {
        let _place = place;
        let over = viewer.watch(|frame| match frame {
            Some(frame) => sender.blocking_send(piece(frame)).is_ok(),
            None => sender.blocking_send(Bytes::from_static(b": still here\n\n")).is_ok(),
        });
        if let Err(error) = over {
            tracing::debug!(%error, "a browser is not watched any more");
        }
        let _ = sender.blocking_send(Bytes::from_static(b"event: end\ndata: {}\n\n"));
    });
    let pieces = futures_util::stream::unfold(receiver, |mut receiver| async move {
        let piece = receiver.recv().await?;
        Some((Ok::<_, std::convert::Infallible>(piece), receiver))
    });
    let kind = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")];
    Ok((kind, Body::from_stream(pieces)).into_response())
}

/// Click and type in the browser
///
/// Only while it is taken over. What comes of it is seen in the pictures.
#[utoipa::path(post, path = "/v1/tasks/{id}/browser/input", operation_id = "useBrowser", tag = "browser",
    params(("id" = TaskId, Path)), request_body = BrowserInput,
    responses((status = 204, description = "It is done."), Handling))]
pub(super) async fn input(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    Said(said): Said<BrowserInput>,
) -> Answer {
    let id = task_id(&name)?;
    if said.acts.is_empty() || said.acts.len() > ACTS_MAX {
        return Err(Problem::invalid(format!("acts are 1 to {ACTS_MAX}")));
    }
    let acts: Vec<PageInput> = said.acts.into_iter().map(Act::checked).collect::<Result<_, _>>()?;
    let viewer = taken(&shared, &id).await?;
    blocking(move || Ok(acts.iter().try_for_each(|act| viewer.feed(act))?)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

impl Act {
    fn checked(self) -> Result<PageInput, Problem> {
        let point = |value: f64| (0.0..=POINTS_MAX).contains(&value);
        let turn = |value: f64| value.abs() <= POINTS_MAX;
        let sound = match &self {
            Self::Move { x, y, .. } => point(*x) && point(*y),
            Self::Button { x, y, count, .. } => point(*x) && point(*y) && (1..=3).contains(count),
            Self::Wheel { x, y, across, down } => point(*x) && point(*y) && turn(*across) && turn(*down),
            Self::Key { key } => (1..=KEY_CHARS_MAX).contains(&key.chars().count()),
            Self::Text { text } => text.chars().count() <= TEXT_CHARS_MAX,
        };
        if !sound {
            return Err(Problem::invalid("an act is out of its bounds: points are 0 to 10,000, a count 1 to 3"));
        }
        Ok(match self {
            Self::Move { x, y, held } => PageInput::Move { x, y, held },
            Self::Button { x, y, down, right, count } => PageInput::Button { x, y, right, down, count },
            Self::Wheel { x, y, across, down } => PageInput::Wheel { x, y, across, down },
            Self::Key { key } => PageInput::Key(key),
            Self::Text { text } => PageInput::Text(text),
        })
    }
}

/// The line to the browser that the person has in their hands.
async fn taken(shared: &Shared, id: &TaskId) -> Result<Arc<Viewer>, Problem> {
    if summary(shared, id).await?.taken_over != Some(ComputerPart::Browser) {
        // What is left of an earlier time ends with its last watcher.
        lines(shared).remove(id);
        let hint = "POST /v1/tasks/{id}/takeover first";
        return Err(Problem::new(Kind::NotNow, "the browser is the agent's: take it over first", hint));
    }
    let (shared, id) = (Shared::clone(shared), id.clone());
    blocking(move || {
        // Held while a line is taken: a second one would cut the first.
        let mut lines = lines(&shared);
        if let Some(viewer) = lines.get(&id).filter(|viewer| viewer.is_there()) {
            return Ok(Arc::clone(viewer));
        }
        let gone = || Problem::new(Kind::NotNow, "the task has no computer now", "resume it first");
        let viewer = Arc::new(shared.app.instance.view_browser(&id)?.ok_or_else(gone)?);
        lines.retain(|_, viewer| viewer.is_there());
        lines.insert(id, Arc::clone(&viewer));
        Ok(viewer)
    })
    .await
}

fn lines(shared: &Shared) -> std::sync::MutexGuard<'_, HashMap<TaskId, Arc<Viewer>>> {
    shared.viewers.lock().unwrap_or_else(PoisonError::into_inner)
}

fn piece(frame: &PageFrame) -> Bytes {
    let PageFrame { number, jpeg, width, height } = frame;
    let data = json!({ "number": number, "width": width, "height": height, "jpeg": jpeg });
    Bytes::from(format!("event: frame\ndata: {data}\n\n"))
}
