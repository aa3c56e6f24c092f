//! The terminals of a task's computer: which there are, what is on them, as it happens; and keys for one that the person
//! has taken over. Nothing is queued for a watcher: who falls behind is given the whole screen anew.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use agent::{Because, Depict, Look, Terminal, TerminalSize, Until};
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse as _;
use event::{ComputerPart, TaskId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;
use utoipa::ToSchema;

use super::events::StreamMessage;
use super::extract::{Said, header_text, task_id, whole};
use super::hands::{Hand, Handed};
use super::problem::{Answer, Kind, OfTask, OfTerminal, Problem, Typing};
use super::tasks::summary;
use super::{App, Shared, blocking};

/// Watchers of terminals at one time, over all tasks: each takes a thread while it waits.
pub(super) const WATCHERS_MAX: usize = 64;

/// Output that is sent to a watcher as it is; whoever is further behind is sent the screen.
const FOLLOWED_BYTES_MAX: u64 = 64 * 1024;

/// Output shown of a terminal that is over.
const LAST_BYTES_MAX: u64 = 256 * 1024;

/// Between two pieces of output, between two screens, and at most for one look.
const OUTPUT_PAUSE: Duration = Duration::from_millis(25);
const SCREEN_PAUSE: Duration = Duration::from_millis(250);
const LOOK_TIME: Duration = Duration::from_secs(2);
const HEARTBEAT: Duration = Duration::from_secs(15);

const KEYS_CHARS_MAX: usize = 65_536;

/// The terminals of a task's computer.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TerminalList {
    /// In order of their names; of several that bore one name, the newest.
    terminals: Vec<TerminalLine>,
}

/// A terminal.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Terminal)]
struct TerminalLine {
    name: String,
    /// Its shell is there. One that is over has only its output.
    open: bool,
    /// The size of its screen, while it is open.
    #[schema(required)]
    columns: Option<u16>,
    #[schema(required)]
    lines: Option<u16>,
    /// Its shell waits for a command.
    at_prompt: bool,
    /// The person has taken it over.
    taken_over: bool,
}

/// What is on a terminal's screen.
#[derive(Debug, Serialize, ToSchema)]
struct TerminalScreen {
    columns: u16,
    lines: u16,
    /// The cursor, from zero.
    column: u16,
    line: u16,
    /// A program has the whole screen to itself.
    full_screen: bool,
    at_prompt: bool,
    text: String,
}

/// Keys for a terminal.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TerminalKeys)]
pub(super) struct Keys {
    /// As a terminal sends them: `\r` is Enter, `\u0003` Ctrl-C.
    #[schema(min_length = 1, max_length = 65_536)]
    text: String,
    /// A name for these keys, chosen by the caller: the same are typed once.
    #[serde(default)]
    #[schema(pattern = "^[A-Za-z0-9_-]{1,64}$")]
    id: Option<String>,
}

/// A size for a terminal.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TerminalSize)]
pub(super) struct Wanted {
    #[schema(minimum = 20, maximum = 300)]
    #[serde(deserialize_with = "whole")]
    columns: u16,
    #[schema(minimum = 5, maximum = 120)]
    #[serde(deserialize_with = "whole")]
    lines: u16,
}

/// The terminals of a task
#[utoipa::path(get, path = "/v1/tasks/{id}/terminals", operation_id = "listTerminals", tag = "terminals",
    params(("id" = TaskId, Path)),
    responses((status = 200, description = "The terminals that there are and were.", body = TerminalList), OfTask))]
pub(super) async fn list(State(shared): State<Shared>, Path(name): Path<String>) -> Answer {
    let id = task_id(&name)?;
    let taken = summary(&shared, &id).await?.taken_over;
    let app = Arc::clone(&shared.app);
    let listed = blocking(move || {
        let mut names: Vec<String> = app.instance.recorded_terminals(&id)?.into_iter().map(|(name, _)| name).collect();
        names.sort();
        names.dedup();
        let open = app.instance.terminals(&id)?;
        let line = |name: String| {
            let open = open.iter().find(|terminal| terminal.name == name);
            TerminalLine {
                open: open.is_some(),
                columns: open.map(|open| open.size.columns),
                lines: open.map(|open| open.size.lines),
                at_prompt: open.is_some_and(|open| open.at_prompt),
                taken_over: taken == Some(ComputerPart::Terminal { name: name.clone() }),
                name,
            }
        };
        Ok(TerminalList { terminals: names.into_iter().map(line).collect() })
    });
    Ok(Json(listed.await?).into_response())
}

/// What is on a terminal
///
/// With `Accept: text/event-stream`, a stream: `screen` (`columns`, `lines`, `drawing`: control characters that draw it on a
/// terminal of that size), then `output` (`text`, to be drawn after it) and `screen` again where the size changes or more was
/// put out than is sent, `end` when it is over. Without, its text now.
#[utoipa::path(get, path = "/v1/tasks/{id}/terminals/{name}", operation_id = "watchTerminal", tag = "terminals",
    params(("id" = TaskId, Path), ("name" = String, Path)),
    responses(
        (status = 200, description = "The screen, or a stream.",
            content((TerminalScreen = "application/json"), (StreamMessage = "text/event-stream"))),
        OfTerminal,
    ))]
pub(super) async fn watch(
    State(shared): State<Shared>,
    Path((task, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Answer {
    let id = task_id(&task)?;
    if !header_text(&headers, "accept").unwrap_or_default().contains("text/event-stream") {
        let terminal = open_one(&shared, &id, &name).await?;
        let app = Arc::clone(&shared.app);
        let look = blocking(move || {
            Ok(app.instance.look_at_terminal(&id, &terminal.call, Until::Now, Depict::Text, LOOK_TIME)?)
        });
        let Look { terminal, screen } = look.await?.ok_or_else(none)?;
        let screen = screen.ok_or_else(|| Problem::internal("a look without a screen"))?;
        return Ok(Json(TerminalScreen {
            columns: terminal.size.columns,
            lines: terminal.size.lines,
            column: screen.cursor.0,
            line: screen.cursor.1,
            full_screen: screen.full_screen,
            at_prompt: terminal.at_prompt,
            text: screen.content,
        })
        .into_response());
    }
    let call = newest(&shared, &id, &name).await?;
    let Ok(place) = Arc::clone(&shared.terminal_watchers).try_acquire_owned() else {
        return Err(Problem::new(Kind::Busy, "too many watch terminals already", "close one, or ask again later"));
    };
    let app = Arc::clone(&shared.app);
    let watcher = Watcher { app, id, call, drawn: None, sent: Instant::now(), over: false, _place: place };
    let pieces = futures_util::stream::unfold(watcher, |mut watcher| async move {
        let piece = watcher.next().await?;
        Some((Ok::<_, std::convert::Infallible>(piece), watcher))
    });
    let kind = [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")];
    Ok((kind, Body::from_stream(pieces)).into_response())
}

/// Type into a terminal
///
/// Only while it is taken over.
#[utoipa::path(post, path = "/v1/tasks/{id}/terminals/{name}/keys", operation_id = "typeIntoTerminal", tag = "terminals",
    params(("id" = TaskId, Path), ("name" = String, Path), Handed), request_body = Keys,
    responses((status = 204, description = "They are typed."), Typing))]
pub(super) async fn keys(
    State(shared): State<Shared>,
    Path((task, name)): Path<(String, String)>,
    hand: Hand,
    Said(keys): Said<Keys>,
) -> Answer {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let id = task_id(&task)?;
    if keys.text.is_empty() || keys.text.chars().count() > KEYS_CHARS_MAX {
        return Err(Problem::invalid(format!("text is 1 to {KEYS_CHARS_MAX} characters")));
    }
    let plain = |id: &String| {
        (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let write_id = match keys.id {
        Some(id) if plain(&id) => format!("person-{id}"),
        Some(_) => return Err(Problem::invalid("id is 1 to 64 letters, digits, dashes and underscores")),
        None => format!("person.{}.{}", (shared.app.clock)(), NEXT.fetch_add(1, Ordering::Relaxed)),
    };
    let terminal = taken(&shared, &id, &name).await?;
    shared.hands.check(&id, &hand)?;
    let app = Arc::clone(&shared.app);
    blocking(move || Ok(app.instance.type_into_terminal(&id, &terminal.call, &write_id, keys.text.as_bytes())?))
        .await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Give a terminal another size
///
/// Only while it is taken over.
#[utoipa::path(post, path = "/v1/tasks/{id}/terminals/{name}/size", operation_id = "resizeTerminal", tag = "terminals",
    params(("id" = TaskId, Path), ("name" = String, Path), Handed), request_body = Wanted,
    responses((status = 204, description = "Its programs are told."), Typing))]
pub(super) async fn size(
    State(shared): State<Shared>,
    Path((task, name)): Path<(String, String)>,
    hand: Hand,
    Said(wanted): Said<Wanted>,
) -> Answer {
    let id = task_id(&task)?;
    let size = TerminalSize { columns: wanted.columns, lines: wanted.lines };
    if !size.fits() {
        return Err(Problem::invalid("a terminal has 20 to 300 columns and 5 to 120 lines"));
    }
    let terminal = taken(&shared, &id, &name).await?;
    shared.hands.check(&id, &hand)?;
    let app = Arc::clone(&shared.app);
    blocking(move || Ok(app.instance.resize_terminal(&id, &terminal.call, size)?)).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn none() -> Problem {
    Problem::new(Kind::NoSuchTerminal, "no such terminal is open", "GET /v1/tasks/{id}/terminals lists them")
}

/// The open terminal of this name.
pub(super) async fn open_one(shared: &Shared, id: &TaskId, name: &str) -> Result<Terminal, Problem> {
    let (app, id, name) = (Arc::clone(&shared.app), id.clone(), name.to_owned());
    let open = blocking(move || {
        // A task that is not there has no terminals, and should say so itself.
        app.instance.folder(&id)?;
        Ok(app.instance.terminals(&id)?.into_iter().find(|terminal| terminal.name == name))
    });
    open.await?.ok_or_else(none)
}

/// The terminal of this name that the person has in their hands.
async fn taken(shared: &Shared, id: &TaskId, name: &str) -> Result<Terminal, Problem> {
    let task = summary(shared, id).await?;
    let terminal = open_one(shared, id, name).await?;
    if task.taken_over != Some(ComputerPart::Terminal { name: name.to_owned() }) {
        let hint = "POST /v1/tasks/{id}/takeover first";
        let taken = Problem::new(Kind::NotNow, "the terminal is the agent's: take it over first", hint);
        return Err(taken.because(Because::TerminalIsAgents));
    }
    Ok(terminal)
}

/// The call of the newest terminal of this name, open or not.
async fn newest(shared: &Shared, id: &TaskId, name: &str) -> Result<String, Problem> {
    let (app, id, name) = (Arc::clone(&shared.app), id.clone(), name.to_owned());
    let found = blocking(move || {
        let recorded = app.instance.recorded_terminals(&id)?;
        Ok(recorded.into_iter().rev().find(|(known, _)| *known == name).map(|(_, call)| call))
    });
    found.await?.ok_or_else(none)
}

/// One watcher of one terminal.
struct Watcher {
    app: Arc<App>,
    id: TaskId,
    call: String,
    /// What the watcher has.
    drawn: Option<Drawn>,
    /// When something was sent last.
    sent: Instant,
    over: bool,
    _place: OwnedSemaphorePermit,
}

#[derive(Clone, Copy)]
struct Drawn {
    size: TerminalSize,
    /// Output up to this byte.
    at: u64,
    changes: u64,
}

impl Watcher {
    /// The next piece of the stream; `None` at its end.
    async fn next(&mut self) -> Option<Bytes> {
        while !self.over {
            let Some(drawn) = self.drawn else { return self.screen().await };
            tokio::time::sleep(OUTPUT_PAUSE).await;
            let until = Until::Changed { changes: drawn.changes };
            let Some(Look { terminal, .. }) = self.look(until, Depict::Nothing).await else {
                return self.last(drawn.at).await;
            };
            if terminal.changes == drawn.changes {
                if self.sent.elapsed() >= HEARTBEAT {
                    self.sent = Instant::now();
                    return Some(Bytes::from_static(b": still here\n\n"));
                }
                continue;
            }
            let more = terminal.drawn_bytes.saturating_sub(drawn.at);
            let kept = terminal.drawn_bytes <= terminal.kept_bytes;
            if terminal.size != drawn.size || !kept || more > FOLLOWED_BYTES_MAX {
                tokio::time::sleep(SCREEN_PAUSE).await;
                return self.screen().await;
            }
            self.drawn = Some(Drawn { at: terminal.drawn_bytes, changes: terminal.changes, ..drawn });
            if more > 0 {
                let output = self.output(drawn.at, more).await?;
                return Some(self.piece("output", &json!({ "text": output })));
            }
        }
        None
    }

    /// The whole screen.
    async fn screen(&mut self) -> Option<Bytes> {
        let Some(Look { terminal, screen }) = self.look(Until::Now, Depict::Drawing).await else {
            // It is over, and nothing of it was sent yet: its last output.
            let size = TerminalSize::USUAL;
            let (call, id, app) = (self.call.clone(), self.id.clone(), Arc::clone(&self.app));
            let length = blocking(move || Ok(app.instance.terminal_output_bytes(&id, &call)?)).await.unwrap_or(0);
            let from = length.saturating_sub(LAST_BYTES_MAX);
            self.drawn = Some(Drawn { size, at: from, changes: 0 });
            return Some(
                self.piece("screen", &json!({"columns": size.columns, "lines": size.lines, "drawing": "\u{1b}c"})),
            );
        };
        let Terminal { size, drawn_bytes, changes, .. } = terminal;
        self.drawn = Some(Drawn { size, at: drawn_bytes, changes });
        let drawing = screen.map(|screen| screen.content).unwrap_or_default();
        Some(self.piece("screen", &json!({"columns": size.columns, "lines": size.lines, "drawing": drawing})))
    }

    /// What is left of a terminal that is over.
    async fn last(&mut self, at: u64) -> Option<Bytes> {
        self.over = true;
        let output = self.output(at, LAST_BYTES_MAX).await.unwrap_or_default();
        let mut pieces = Vec::new();
        if !output.is_empty() {
            pieces.extend(self.piece("output", &json!({ "text": output })));
        }
        pieces.extend(self.piece("end", &json!({})));
        Some(pieces.into())
    }

    async fn look(&self, until: Until, depict: Depict) -> Option<Look> {
        let (app, id, call) = (Arc::clone(&self.app), self.id.clone(), self.call.clone());
        let look = blocking(move || Ok(app.instance.look_at_terminal(&id, &call, until, depict, LOOK_TIME)?));
        // Where the task was removed, or another computer does not know the call, it is over as well.
        look.await.ok().flatten()
    }

    /// Output as text. It begins and ends between characters, so what is no text was none.
    async fn output(&self, at: u64, bytes: u64) -> Option<String> {
        let (app, id, call) = (Arc::clone(&self.app), self.id.clone(), self.call.clone());
        let max = usize::try_from(bytes).unwrap_or(usize::MAX);
        let read = blocking(move || Ok(app.instance.terminal_output(&id, &call, at, max)?)).await.ok()?;
        Some(String::from_utf8_lossy(&read).into_owned())
    }

    fn piece(&mut self, kind: &str, data: &serde_json::Value) -> Bytes {
        self.sent = Instant::now();
        Bytes::from(format!("event: {kind}\ndata: {data}\n\n"))
    }
}
