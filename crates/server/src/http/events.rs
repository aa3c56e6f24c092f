//! A task's events to whoever listens. One poller reads a watched journal for all its listeners; a listener pulls at its
//! own pace, from the poller's ring or, when it fell behind, from the journal. Nothing is queued for anybody.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use agent::Recorded;
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse as _;
use event::{Event, TaskId};
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::problem::{Answer, Problem};
use super::{App, Shared, blocking, tasks};

/// Listeners at once, over all tasks.
const LISTENERS_MAX: usize = 1_024;

/// Events that a watched task keeps at hand for all its listeners, and their bytes.
const RING_EVENTS_MAX: usize = 256;
const RING_BYTES_MAX: usize = 1024 * 1024;

/// Events read from a journal at a time, by a poller and by a listener that fell behind.
const CHUNK_EVENTS: usize = 16;

/// Events of one JSON page.
const PAGE_EVENTS_MAX: usize = 200;

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
                Event::MessageReceived { .. } | Event::OptionsChanged { .. } => ended,
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
                tracing::error!(task = %id, %error, "follow the events");
                watched.head.send_modify(|head| head.gone = true);
                return;
            }
        }
    }
}

/// An event as it goes over the wire.
fn encoded(recorded: &Recorded) -> Bytes {
    let data = as_json(recorded);
    Bytes::from(format!("id: {}\nevent: {}\ndata: {data}\n\n", recorded.seq, recorded.event.kind()))
}

fn as_json(recorded: &Recorded) -> serde_json::Value {
    json!({"seq": recorded.seq, "time_ms": recorded.time_ms, "event": recorded.event})
}

/// One listener's place.
struct Listener {
    app: Arc<App>,
    id: TaskId,
    watched: Arc<Watched>,
    head: watch::Receiver<Head>,
    after: u64,
    /// At most one chunk, read from the journal because the ring had moved on.
    behind: VecDeque<(u64, Bytes)>,
    /// Stays when the task has ended: a resume goes on.
    stays: bool,
    _place: OwnedSemaphorePermit,
}

impl Listener {
    /// The next piece of the stream; `None` at its end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some((seq, event)) = self.behind.pop_front() {
                self.after = seq;
                return Some(event);
            }
            let head = *self.head.borrow_and_update();
            if head.gone {
                return None;
            }
            if self.after < head.seq {
                let at_hand = self.watched.ring().after(self.after);
                if let Some(event) = at_hand {
                    self.after += 1;
                    return Some(event);
                }
                self.catch_up().await?;
                continue;
            }
            if head.ended && !self.stays {
                return None;
            }
            match tokio::time::timeout(HEARTBEAT, self.head.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return None,
                Err(_) => return Some(Bytes::from_static(b": still here\n\n")),
            }
        }
    }

    async fn catch_up(&mut self) -> Option<()> {
        let (app, id, after) = (Arc::clone(&self.app), self.id.clone(), self.after);
        let read = blocking(move || Ok(app.instance.follow(&id, after)?.next(CHUNK_EVENTS)?));
        let events = read.await.ok().filter(|events| !events.is_empty())?;
        self.behind = events.iter().map(|recorded| (recorded.seq, encoded(recorded))).collect();
        Some(())
    }
}

/// The events of a task: a stream for those who can take one, a page for others.
pub(super) async fn listen(
    State(shared): State<Shared>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Answer {
    let id = tasks::id(&name)?;
    let query = query.unwrap_or_default();
    let asked = |wanted: &str| {
        query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(name, _)| *name == wanted)
            .map(|(_, value)| value)
    };
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok()).or_else(|| asked("after"));
    let after = match last {
        None | Some("") => 0,
        Some(text) => {
            let number = text.parse::<u64>().ok().filter(|number| *number <= i64::MAX as u64);
            number.ok_or_else(|| Problem::invalid("the event to go on after must be a number"))?
        }
    };
    let accepts = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !accepts.contains("text/event-stream") {
        return page(&shared, id, after).await;
    }
    let Ok(place) = Arc::clone(&shared.hub.places).try_acquire_owned() else {
        let hint = "close one, or ask again later";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too many listen already", hint));
    };
    let watched = shared.hub.watch(&id).await?;
    let listener = Listener {
        app: Arc::clone(&shared.app),
        id,
        head: watched.head.subscribe(),
        watched,
        after,
        behind: VecDeque::new(),
        stays: asked("follow") != Some("false"),
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

async fn page(shared: &Shared, id: TaskId, after: u64) -> Answer {
    let app = Arc::clone(&shared.app);
    let (events, head) = blocking(move || {
        let head = app.instance.head(&id)?;
        if after >= head {
            return Ok((Vec::new(), head));
        }
        Ok((app.instance.follow(&id, after)?.next(PAGE_EVENTS_MAX)?, head))
    })
    .await?;
    let last = events.last().map(|recorded| recorded.seq);
    let next = last.filter(|last| *last < head);
    let events: Vec<_> = events.iter().map(as_json).collect();
    Ok(Json(json!({"events": events, "next": next})).into_response())
}
