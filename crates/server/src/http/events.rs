//! A task's events to whoever listens. One poller reads a watched journal for all its listeners; a listener pulls at its
//! own pace, from the poller's ring or, when it fell behind, from the journal. Nothing is queued for anybody.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use agent::Recorded;
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::IntoResponse as _;
use event::{Event, TaskId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use utoipa::{IntoParams, ToSchema};

use super::extract::{Asked, header_text, task_id};
use super::problem::{Answer, Kind, Problem, WithQueryOfTask};
use super::{App, Shared, blocking};
use crate::words::{Heard, Hearing, Voice};

/// Listeners at once, over all tasks.
const LISTENERS_MAX: usize = 1_024;

/// Events that a watched task keeps at hand for all its listeners, and their bytes.
const RING_EVENTS_MAX: usize = 256;
const RING_BYTES_MAX: usize = 1024 * 1024;

/// Events read from a journal at a time, by a poller and by a listener that fell behind.
const CHUNK_EVENTS: usize = 16;

/// Events of one JSON page, and their bytes: a page ends before an event that would make it longer.
const PAGE_EVENTS_MAX: usize = 2_000;
const PAGE_EVENTS_DEFAULT: usize = 200;
const PAGE_BYTES_MAX: usize = 4 * 1024 * 1024;
const PAGE_CHUNK_EVENTS: usize = 64;

/// Events that are looked at for one page, where not all are shown.
const PAGE_LOOKED_AT_MAX: usize = 10_000;

const POLL: Duration = Duration::from_millis(50);
const HEARTBEAT: Duration = Duration::from_secs(15);

/// The watched tasks.
#[derive(Clone)]
pub(super) struct Hub {
    app: Arc<App>,
    watched: Arc<Mutex<HashMap<TaskId, Weak<Watched>>>>,
    places: Arc<Semaphore>,
}

/// How far a watched journal is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Head {
    seq: u64,
    /// The last word on the task is that it ended.
    ended: bool,
    /// Nothing more will come: the task was removed, or its journal cannot be read.
    gone: bool,
}

struct Watched {
    head: watch::Sender<Head>,
    ring: Mutex<Ring>,
}

#[derive(Default)]
struct Ring {
    events: VecDeque<(u64, Bytes)>,
    bytes: usize,
}

impl Ring {
    fn push(&mut self, seq: u64, event: Bytes) {
        self.bytes += event.len();
        self.events.push_back((seq, event));
        while self.events.len() > RING_EVENTS_MAX || (self.bytes > RING_BYTES_MAX && self.events.len() > 1) {
            let Some((_, old)) = self.events.pop_front() else { break };
            self.bytes -= old.len();
        }
    }

    /// The next event, if it is here still.
    fn after(&self, seq: u64) -> Option<Bytes> {
        let first = self.events.front()?.0;
        let at = usize::try_from((seq + 1).checked_sub(first)?).ok()?;
        self.events.get(at).map(|(_, event)| event.clone())
    }
}

impl Watched {
    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hub {
    pub(super) fn new(app: Arc<App>) -> Self {
        Self { app, watched: Arc::default(), places: Arc::new(Semaphore::new(LISTENERS_MAX)) }
    }

    /// How many listen now.
    pub(super) fn listeners(&self) -> usize {
        LISTENERS_MAX - self.places.available_permits()
    }

    /// The task is gone: its listeners are let go.
    pub(super) fn forget(&self, id: &TaskId) {
        if let Some(watched) = self.table().remove(id).and_then(|weak| weak.upgrade()) {
            watched.head.send_modify(|head| head.gone = true);
        }
    }

    fn table(&self) -> MutexGuard<'_, HashMap<TaskId, Weak<Watched>>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The task, watched: by a poller that is there already, or by a new one that ends with its last listener.
    async fn watch(&self, id: &TaskId) -> Result<Arc<Watched>, Problem> {
        if let Some(watched) = self.table().get(id).and_then(Weak::upgrade) {
            return Ok(watched);
        }
        let (app, name) = (Arc::clone(&self.app), id.clone());
        let opened = blocking(move || {
            let head = app.instance.head(&name)?;
            let from = head.saturating_sub(RING_EVENTS_MAX as u64);
            let mut follower = app.instance.follow(&name, from)?;
            let mut recent = Vec::new();
            loop {
                let events = follower.next(RING_EVENTS_MAX)?;
                if events.is_empty() {
                    return Ok((follower, recent));
                }
                recent = events;
            }
        });
        let (follower, recent) = opened.await?;
        let mut table = self.table();
        // Somebody else came meanwhile.
        if let Some(watched) = table.get(id).and_then(Weak::upgrade) {
            return Ok(watched);
        }
        let watched = Arc::new(Watched { head: watch::Sender::new(Head::default()), ring: Mutex::default() });
        watched.take(&recent);
        table.retain(|_, weak| weak.strong_count() > 0);
        table.insert(id.clone(), Arc::downgrade(&watched));
        drop(table);
        tokio::spawn(poll(id.clone(), follower, Arc::downgrade(&watched)));
        Ok(watched)
    }
}

impl Watched {
    fn take(&self, events: &[Recorded]) {
        let Some(last) = events.last() else { return };
        let mut ended = self.head.borrow().ended;
        let mut ring = self.ring();
        for recorded in events {
            ring.push(recorded.seq, encoded(recorded));
            ended = match &recorded.event {
                Event::TaskEnded { .. } => true,
                Event::MessageReceived { .. } | Event::OptionsChanged { .. } | Event::HostsChanged { .. } => ended,
                other => ended && !other.is_progress() && !matches!(other, Event::Resumed { .. }),
            };
        }
        drop(ring);
        self.head.send_modify(|head| (head.seq, head.ended) = (last.seq, ended));
    }
}

/// Reads what comes, for all listeners of one task, while there is one.
async fn poll(id: TaskId, mut follower: agent::Follower, watched: Weak<Watched>) {
    loop {
        let read = tokio::task::spawn_blocking(move || {
            let events = follower.next(CHUNK_EVENTS);
            (follower, events)
        });
        let Ok((back, events)) = read.await else { return };
        follower = back;
        let Some(watched) = watched.upgrade() else { return };
        match events {
            Ok(events) if events.is_empty() => {
                let gone = watched.head.borrow().gone;
                drop(watched);
                if gone {
                    return;
                }
                tokio::time::sleep(POLL).await;
            }
            Ok(events) => watched.take(&events),
            Err(error) => {
                tracing::error!(task.id = %id, %error, "follow the events");
                watched.head.send_modify(|head| head.gone = true);
                return;
            }
        }
    }
}

/// A line of a task's record: the `data` of a message of the stream, whose `id` is the number and whose `event` the kind.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RecordedEvent)]
pub(super) struct Line<'a> {
    /// Its number on the record, counted from 1 without a gap.
    #[schema(minimum = 1)]
    seq: u64,
    /// Milliseconds since 1970 (UTC).
    time_ms: u64,
    event: &'a Event,
}

fn line(recorded: &Recorded) -> Line<'_> {
    Line { seq: recorded.seq, time_ms: recorded.time_ms, event: &recorded.event }
}

fn as_json(recorded: &Recorded) -> String {
    // An event that came out of a journal goes into JSON as well.
    serde_json::to_string(&line(recorded)).unwrap_or_default()
}

/// An event as it goes over the wire.
fn encoded(recorded: &Recorded) -> Bytes {
    let data = as_json(recorded);
    Bytes::from(format!("id: {}\nevent: {}\ndata: {data}\n\n", recorded.seq, recorded.event.kind()))
}

/// Words of a reply as they go over the wire: without a number, for they are not on the record.
fn words(heard: &Heard) -> Bytes {
    let Heard { effect, attempt, text } = heard;
    let data = serde_json::json!({"effect": effect, "attempt": attempt, "text": text});
    Bytes::from(format!("event: words\ndata: {data}\n\n"))
}

/// One listener's place.
struct Listener {
    app: Arc<App>,
    id: TaskId,
    watched: Arc<Watched>,
    head: watch::Receiver<Head>,
    after: u64,
    /// The journal, open at `after`, while the listener is behind what the ring holds.
    follower: Option<agent::Follower>,
    /// What the model is just saying; it is heard by whoever is not behind. The voice lives as long as it is heard.
    hearing: Hearing,
    _voice: Arc<Voice>,
    /// Stays when the task has ended: a resume goes on.
    stays: bool,
    _place: OwnedSemaphorePermit,
}

impl Listener {
    /// The next piece of the stream; `None` at its end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            let head = *self.head.borrow_and_update();
            if head.gone {
                return None;
            }
            if self.after < head.seq {
                let at_hand = self.watched.ring().after(self.after);
                if let Some(event) = at_hand {
                    (self.after, self.follower) = (self.after + 1, None);
                    return Some(event);
                }
                return self.catch_up().await;
            }
            if head.ended && !self.stays {
                return None;
            }
            if let Some(heard) = self.hearing.next() {
                return Some(words(&heard));
            }
            tokio::select! {
                changed = self.head.changed() => changed.ok()?,
                () = self.hearing.changed() => {}
                () = tokio::time::sleep(HEARTBEAT) => return Some(Bytes::from_static(b": still here\n\n")),
            }
        }
    }

    /// A chunk from the journal in one piece, because the ring had moved on.
    async fn catch_up(&mut self) -> Option<Bytes> {
        let (app, id, after, open) = (Arc::clone(&self.app), self.id.clone(), self.after, self.follower.take());
        let read = blocking(move || {
            let mut follower = open.map_or_else(|| app.instance.follow(&id, after), Ok)?;
            let events = follower.next(CHUNK_EVENTS)?;
            Ok((follower, events))
        });
        let (follower, events) = read.await.ok()?;
        (self.after, self.follower) = (events.last()?.seq, Some(follower));
        Some(events.iter().flat_map(encoded).collect())
    }
}

/// Which events are wanted.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// The number of the last event that is known already.
    #[param(minimum = 0, maximum = 9_007_199_254_740_991_u64)]
    after: Option<u64>,
    /// Whether the stream stays open when the task has ended: a resume goes on.
    #[param(default = true)]
    follow: Option<bool>,
    /// Events of a JSON page.
    #[param(minimum = 1, maximum = 2_000, default = 200)]
    limit: Option<usize>,
}

/// Headers of a stream that goes on.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
struct Resumed {
    /// The same as `after`, and before it.
    #[param(rename = "Last-Event-ID", minimum = 0, maximum = 9_007_199_254_740_991_u64, required = false)]
    _last: u64,
}

/// Greatest number that every JSON reader takes as it is.
const SEQ_MAX: u64 = 9_007_199_254_740_991;

/// A page of events.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EventPage {
    #[schema(value_type = Vec<Line>)]
    events: Vec<Box<RawValue>>,
    /// `after` of the next page; null on the last one.
    #[schema(required)]
    next: Option<u64>,
    /// The number of the task's last event.
    last_seq: u64,
}

/// A message of a stream, as its format (`text/event-stream`) has it. What `data` holds is said beside each stream.
#[derive(ToSchema)]
#[expect(dead_code, reason = "for the API document; streams are written piece by piece")]
pub(super) struct StreamMessage {
    /// Its kind.
    event: String,
    /// JSON.
    data: String,
    /// By which a stream that broke off goes on.
    #[schema(nullable = false)]
    id: Option<String>,
}

/// A task's events
///
/// With `Accept: text/event-stream`, a stream: each message's `data` is a `RecordedEvent`, its `event` the kind, its `id` the
/// number, so that a stream which broke off goes on by `Last-Event-ID`. Messages of the kind `words` have no `id`: they are the
/// model's words as they come, `{"effect", "attempt", "text"}`, void where `text` is null, and whole in the reply's event.
/// Without, a page of events.
#[utoipa::path(get, path = "/v1/tasks/{id}/events", operation_id = "listEvents", tag = "events",
    params(("id" = TaskId, Path), Wanted, Resumed),
    responses(
        (status = 200, description = "A page, or a stream.",
            content((EventPage = "application/json"), (StreamMessage = "text/event-stream"))),
        WithQueryOfTask,
    ))]
pub(super) async fn listen(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    Asked(wanted): Asked<Wanted>,
    headers: HeaderMap,
) -> Answer {
    let id = task_id(&name)?;
    let after = match headers.get("last-event-id").map(|value| value.to_str().unwrap_or("-")) {
        None => wanted.after.unwrap_or(0),
        Some(text) => text.parse().map_err(|_| Problem::invalid("Last-Event-ID must be the number of an event"))?,
    };
    check(after.max(wanted.after.unwrap_or(0)), wanted.limit.unwrap_or(PAGE_EVENTS_DEFAULT))?;
    let accepts = header_text(&headers, "accept").unwrap_or_default();
    if !accepts.contains("text/event-stream") {
        let paged = Paged { after: Some(after), limit: wanted.limit };
        return page(&shared, id, paged, |recorded| Some(as_json(recorded))).await;
    }
    let Ok(place) = Arc::clone(&shared.hub.places).try_acquire_owned() else {
        return Err(Problem::new(Kind::Busy, "too many listen already", "close one, or ask again later"));
    };
    let watched = shared.hub.watch(&id).await?;
    let voice = shared.app.runner.words().of(&id);
    let listener = Listener {
        app: Arc::clone(&shared.app),
        id,
        head: watched.head.subscribe(),
        watched,
        after,
        follower: None,
        hearing: Hearing::new(&voice),
        _voice: voice,
        stays: wanted.follow.unwrap_or(true),
        _place: place,
    };
    // A piece at a time, so that what waits for a slow reader is shared with all others.
    let pieces = futures_util::stream::unfold(listener, |mut listener| async move {
        let piece = listener.next().await?;
        Some((Ok::<_, std::convert::Infallible>(piece), listener))
    });
    let kind = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")];
    Ok((kind, Body::from_stream(pieces)).into_response())
}

/// What is asked for must be within what the document says, whichever form the answer has.
fn check(after: u64, limit: usize) -> Answer<()> {
    if !(1..=PAGE_EVENTS_MAX).contains(&limit) {
        return Err(Problem::invalid("limit must be between 1 and 2000"));
    }
    if after > SEQ_MAX {
        return Err(Problem::invalid("the event to go on after must be the number of one"));
    }
    Ok(())
}

/// Which events are on a page.
#[derive(Clone, Copy, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Paged {
    /// The number of the last event that is known already.
    #[param(minimum = 0, maximum = 9_007_199_254_740_991_u64)]
    after: Option<u64>,
    /// Events of the page.
    #[param(minimum = 1, maximum = 2_000, default = 200)]
    limit: Option<usize>,
}

/// A page of those events that are shown, each as JSON.
pub(super) async fn page(
    shared: &Shared,
    id: TaskId,
    wanted: Paged,
    shown: impl Fn(&Recorded) -> Option<String> + Send + 'static,
) -> Answer {
    let (after, limit) = (wanted.after.unwrap_or(0), wanted.limit.unwrap_or(PAGE_EVENTS_DEFAULT));
    check(after, limit)?;
    let app = Arc::clone(&shared.app);
    let page = blocking(move || {
        let last_seq = app.instance.head(&id)?;
        let (mut events, mut last) = (Vec::new(), after);
        if after < last_seq {
            let mut follower = app.instance.follow(&id, after)?;
            let (mut bytes, mut looked_at) = (0, 0);
            'full: while events.len() < limit && looked_at < PAGE_LOOKED_AT_MAX {
                let more = follower.next(PAGE_CHUNK_EVENTS.min(limit - events.len()))?;
                if more.is_empty() {
                    break;
                }
                looked_at += more.len();
                for recorded in more {
                    if let Some(text) = shown(&recorded) {
                        bytes += text.len();
                        if bytes > PAGE_BYTES_MAX && !events.is_empty() {
                            break 'full;
                        }
                        events.push(RawValue::from_string(text).map_err(Problem::internal)?);
                    }
                    last = recorded.seq;
                }
            }
        }
        Ok(EventPage { events, next: Some(last).filter(|last| *last < last_seq), last_seq })
    });
    Ok(Json(page.await?).into_response())
}
