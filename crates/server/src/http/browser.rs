//! The browser of a task's computer: pictures of the page as it changes, whoever has it; and a person's clicks and keys once they
//! have taken it over. Nothing is queued for a watcher who falls behind but the latest picture.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use agent::{Because, Instance, KeysHeld, OpenTab, PageFrame, PageInput, PageSight, Viewer};
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse as _;
use event::{ComputerPart, PageSeen, TaskId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::mpsc;
use utoipa::ToSchema;

use super::events::StreamMessage;
use super::extract::{Said, task_id, whole};
use super::hands::{Hand, Handed};
use super::problem::{Answer, Handling, Kind, OfBrowser, OfTask, Problem};
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
/// The largest number of a question: the largest whole number that a page can say.
const QUESTION_MAX: u64 = (1 << 53) - 1;

/// Between two pictures of a page that changes all the time.
const FRAME_PAUSE: Duration = Duration::from_millis(80);
/// How often it is looked who has the browser, and whether there is one.
const LOOK_PAUSE: Duration = Duration::from_millis(500);

/// How a line is taken.
type Take = fn(&Instance, &TaskId) -> Result<Option<Viewer>, agent::Error>;

/// The lines to browsers that are not the agent's, and for each task whose turn it is to take one.
#[derive(Debug, Default)]
pub(super) struct Viewers {
    lines: Mutex<HashMap<TaskId, Arc<Viewer>>>,
    turns: Mutex<HashMap<TaskId, Arc<Mutex<()>>>>,
}

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
        /// Keys that are held meanwhile.
        #[serde(default)]
        shift: bool,
        #[serde(default)]
        control: bool,
        #[serde(default)]
        alt: bool,
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
    /// Text that an input method shows before it is settled; the next text takes its place.
    Compose {
        #[schema(max_length = 20_000)]
        text: String,
    },
    /// The answer to the page's question, the one of that number where it still asks that; the text is for one that wants a line
    /// of it.
    Answer {
        #[schema(maximum = 9_007_199_254_740_991_u64)]
        question: Option<u64>,
        yes: bool,
        #[serde(default)]
        #[schema(max_length = 20_000)]
        text: String,
    },
}

/// What is selected in the page.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BrowserSelection)]
struct Selection {
    text: String,
}

/// Who has the browser now.
enum Now {
    /// There is one to see.
    Seen(Arc<Viewer>),
    /// None is open, or not here.
    None,
    /// The task is over.
    Over,
}

fn once() -> u32 {
    1
}

/// Watch the browser
///
/// A stream, while the task runs or waits, whoever has the browser: `none` while there is none to see, `page` (`title`, `address`,
/// `loading`, `crashed`, the page's `question` with `number`, `message` and `wants_text`, or null, `wants_files` with `many`
/// where it asks for files, or null, and the `tabs` with `number`, `title`, `address` and `shown`), `frame` (`number`, `width`, `height`:
/// the window in points, `jpeg`: the picture in base64), and `end` once the task is over. Whoever is slow sees fewer pictures.
#[utoipa::path(get, path = "/v1/tasks/{id}/browser", operation_id = "watchBrowser", tag = "browser",
    params(("id" = TaskId, Path)),
    responses((status = 200, description = "Pictures of the page.", body = StreamMessage, content_type = "text/event-stream"), OfTask))]
pub(super) async fn watch(State(shared): State<Shared>, Path(name): Path<String>) -> Answer {
    let id = task_id(&name)?;
    summary(&shared, &id).await?;
    let Ok(place) = Arc::clone(&shared.terminal_watchers).try_acquire_owned() else {
        return Err(Problem::new(Kind::Busy, "too many watch already", "close one, or ask again later"));
    };
    let (sender, receiver) = mpsc::channel(FRAMES_QUEUED_MAX);
    // A thread of its own while somebody watches: pictures are waited for there.
    tokio::task::spawn_blocking(move || {
        let _place = place;
        show(&shared, &id, |piece| sender.blocking_send(piece).is_ok());
    });
    let pieces = futures_util::stream::unfold(receiver, |mut receiver| async move {
        let piece = receiver.recv().await?;
        Some((Ok::<_, std::convert::Infallible>(piece), receiver))
    });
    let kind = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")];
    Ok((kind, Body::from_stream(pieces)).into_response())
}

/// Tells a watcher all there is to see, until the task is over or they have gone.
fn show(shared: &Shared, id: &TaskId, send: impl Fn(Bytes) -> bool) {
    let mut told_none = false;
    loop {
        let viewer = match now(shared, id) {
            Now::Over => {
                send(event("end", &json!({})));
                return;
            }
            Now::None => {
                let piece = if told_none { Bytes::from_static(b": still here\n\n") } else { event("none", &json!({})) };
                told_none = true;
                if !send(piece) {
                    return;
                }
                pause(LOOK_PAUSE);
                continue;
            }
            Now::Seen(viewer) => viewer,
        };
        told_none = false;
        let (mut gone, mut looked) = (false, Instant::now());
        let over = viewer.watch(|sight| {
            gone =
                !sight.map_or_else(|| send(Bytes::from_static(b": still here\n\n")), |sight| pieces(sight).all(&send));
            if gone {
                return false;
            }
            if sight.is_some_and(|sight| sight.frame.is_some()) {
                pause(FRAME_PAUSE);
            }
            if looked.elapsed() < LOOK_PAUSE {
                return true;
            }
            looked = Instant::now();
            matches!(now(shared, id), Now::Seen(now) if Arc::ptr_eq(&now, &viewer) || now.is_the_same(&viewer))
        });
        if let Err(error) = over {
            tracing::debug!(%error, "a browser is not watched any more");
            pause(LOOK_PAUSE);
        }
        if gone {
            return;
        }
    }
}

/// Waits on a thread that may block, also while the runtime is on its way out.
fn pause(time: Duration) {
    std::thread::park_timeout(time);
}

fn now(shared: &Shared, id: &TaskId) -> Now {
    let Ok(summary) = shared.app.index.summary(id) else { return Now::Over };
    if matches!(summary.state, "done" | "failed" | "stopped") {
        return Now::Over;
    }
    let viewer = if summary.taken_over == Some(ComputerPart::Browser) {
        // Why it cannot be had is told to whoever wants to use it, and none is started for whoever only looks.
        at_work(shared, id).map(Arc::new).or_else(|| line(shared, id, Instance::view_living_browser).ok())
    } else if let Some(viewer) = shared.app.instance.look_at_browser(id) {
        Some(Arc::new(viewer))
    } else if summary.state == "waiting" {
        // It is in nobody's hands.
        line(shared, id, Instance::view_idle_browser).ok()
    } else {
        None
    };
    viewer.map_or(Now::None, Now::Seen)
}

/// What is selected in the browser
///
/// To be copied; only while it is taken over.
#[utoipa::path(get, path = "/v1/tasks/{id}/browser/selection", operation_id = "getBrowserSelection", tag = "browser",
    params(("id" = TaskId, Path)),
    responses((status = 200, description = "The text.", body = inline(Selection)), OfBrowser))]
pub(super) async fn selection(State(shared): State<Shared>, Path(name): Path<String>) -> Answer {
    let viewer = taken(&shared, &task_id(&name)?).await?;
    let text = blocking(move || {
        let why =
            |error: agent::Error| Problem::new(Kind::NotNow, error.to_string(), "look at the page, and try again");
        viewer.selection().map_err(why)
    });
    Ok(Json(Selection { text: text.await? }).into_response())
}

/// Click and type in the browser
///
/// Only while it is taken over. What comes of it is seen in the pictures.
#[utoipa::path(post, path = "/v1/tasks/{id}/browser/input", operation_id = "useBrowser", tag = "browser",
    params(("id" = TaskId, Path), Handed), request_body = BrowserInput,
    responses((status = 204, description = "It is done."), Handling))]
pub(super) async fn input(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    hand: Hand,
    Said(said): Said<BrowserInput>,
) -> Answer {
    let id = task_id(&name)?;
    if said.acts.is_empty() || said.acts.len() > ACTS_MAX {
        return Err(Problem::invalid(format!("acts are 1 to {ACTS_MAX}")));
    }
    let acts: Vec<PageInput> = said.acts.into_iter().map(Act::checked).collect::<Result<_, _>>()?;
    let viewer = taken_by(&shared, &id, &hand).await?;
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
            Self::Text { text } | Self::Compose { text } => text.chars().count() <= TEXT_CHARS_MAX,
            Self::Answer { question, text, .. } => {
                question.is_none_or(|number| number <= QUESTION_MAX) && text.chars().count() <= TEXT_CHARS_MAX
            }
        };
        if !sound {
            return Err(Problem::invalid("an act is out of its bounds: points are 0 to 10,000, a count 1 to 3"));
        }
        Ok(match self {
            Self::Move { x, y, held } => PageInput::Move { x, y, held },
            Self::Button { x, y, down, right, count, shift, control, alt } => {
                let held = KeysHeld { alt, control, shift };
                PageInput::Button { x, y, right, down, count, held }
            }
            Self::Wheel { x, y, across, down } => PageInput::Wheel { x, y, across, down },
            Self::Key { key } => PageInput::Key(key),
            Self::Text { text } => PageInput::Text(text),
            Self::Compose { text } => PageInput::Compose(text),
            Self::Answer { question, yes, text } => PageInput::Answer { question, yes, text },
        })
    }
}

/// The page as it stands, kept for whoever looks back at the task. None where nobody here has a line to the browser: none is
/// taken for this.
pub(super) async fn seen(shared: &Shared, id: &TaskId) -> Option<PageSeen> {
    let (shared, id) = (Shared::clone(shared), id.clone());
    let kept = blocking(move || {
        let persons = lines(&shared).get(&id).filter(|viewer| viewer.is_there()).map(Arc::clone);
        let viewer = persons.or_else(|| shared.app.instance.look_at_browser(&id).map(Arc::new));
        Ok(viewer.and_then(|viewer| shared.app.instance.keep_page(&id, &viewer)))
    });
    kept.await.ok().flatten()
}

/// The same for whoever has taken it over, where several could have.
pub(super) async fn taken_by(shared: &Shared, id: &TaskId, hand: &Hand) -> Result<Arc<Viewer>, Problem> {
    let viewer = taken(shared, id).await?;
    shared.hands.check(id, hand)?;
    Ok(viewer)
}

/// Has a browser there for a person who takes it over, also where the agent never needed one.
pub(super) async fn begin(shared: &Shared, id: &TaskId) {
    let (shared, id) = (Shared::clone(shared), id.clone());
    let begun = blocking(move || match shared.app.instance.look_at_browser(&id) {
        Some(_) => Ok(()),
        None => line(&shared, &id, Instance::view_browser).map(drop),
    });
    // Why there is none is told to whoever wants to use it.
    let _ = begun.await;
}

/// The line to the browser that the person has in their hands.
async fn taken(shared: &Shared, id: &TaskId) -> Result<Arc<Viewer>, Problem> {
    if summary(shared, id).await?.taken_over != Some(ComputerPart::Browser) {
        // What is left of an earlier time ends with its last watcher.
        lines(shared).remove(id);
        let hint = "POST /v1/tasks/{id}/takeover first";
        let taken = Problem::new(Kind::NotNow, "the browser is the agent's: take it over first", hint);
        return Err(taken.because(Because::BrowserIsAgents));
    }
    let (shared, id) = (Shared::clone(shared), id.clone());
    blocking(move || line(&shared, &id, Instance::view_browser)).await
}

/// The agent's line, while a call of its is under way there.
fn at_work(shared: &Shared, id: &TaskId) -> Option<Viewer> {
    shared.app.instance.look_at_browser(id).filter(Viewer::is_at_work)
}

/// The line to a task's browser that is not the agent's, taken now if there was none.
fn line(shared: &Shared, id: &TaskId, take: Take) -> Result<Arc<Viewer>, Problem> {
    // One after the other: a second line would cut the first. A browser that is slow to start holds up those of its own task alone.
    let turn = turn(shared, id);
    let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(viewer) = lines(shared).get(id).filter(|viewer| viewer.is_there()) {
        return Ok(Arc::clone(viewer));
    }
    if at_work(shared, id).is_some() {
        let hint = "the agent finishes what it has begun there: try again in a moment";
        let busy = Problem::new(Kind::NotNow, "the agent is still at work in the browser", hint);
        return Err(busy.because(Because::AgentInBrowser));
    }
    let gone =
        || Problem::new(Kind::NotNow, "the task has no computer now", "resume it first").because(Because::NoComputer);
    let viewer = Arc::new(take(&shared.app.instance, id)?.ok_or_else(gone)?);
    let mut lines = lines(shared);
    lines.retain(|_, viewer| viewer.is_there());
    lines.insert(id.clone(), Arc::clone(&viewer));
    Ok(viewer)
}

fn lines(shared: &Shared) -> std::sync::MutexGuard<'_, HashMap<TaskId, Arc<Viewer>>> {
    shared.viewers.lines.lock().unwrap_or_else(PoisonError::into_inner)
}

fn turn(shared: &Shared, id: &TaskId) -> Arc<Mutex<()>> {
    let mut turns = shared.viewers.turns.lock().unwrap_or_else(PoisonError::into_inner);
    turns.retain(|_, turn| Arc::strong_count(turn) > 1);
    Arc::clone(turns.entry(id.clone()).or_default())
}

fn event(kind: &str, data: &serde_json::Value) -> Bytes {
    Bytes::from(format!("event: {kind}\ndata: {data}\n\n"))
}

/// What is new, as a watcher is told.
fn pieces(sight: &PageSight) -> impl Iterator<Item = Bytes> {
    let page = sight.page.as_ref().map(|page| {
        let question = page.question.as_ref();
        let question = question
            .map(|asked| json!({ "number": asked.number, "message": asked.message, "wants_text": asked.wants_text }));
        let wants_files = page.wants_files.map(|many| json!({ "many": many }));
        let one = |tab: &OpenTab| {
            json!({ "number": tab.number, "title": tab.title, "address": tab.address, "shown": tab.shown })
        };
        let tabs: Vec<_> = page.tabs.iter().map(one).collect();
        event(
            "page",
            &json!({
                "title": page.title, "address": page.address, "loading": page.loading, "crashed": page.crashed,
                "question": question, "wants_files": wants_files, "tabs": tabs,
            }),
        )
    });
    let frame = sight.frame.as_ref().map(|PageFrame { number, jpeg, width, height }| {
        event("frame", &json!({ "number": number, "width": width, "height": height, "jpeg": jpeg }))
    });
    page.into_iter().chain(frame)
}
