//! A model's server that does what it is told: replies, streams in pieces, fails, falls silent. It speaks real HTTP on
//! the loopback and holds every request against the invariants. It never thinks.

use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::{invariants, wire};

/// How long a silent answer keeps its connection.
const SILENCE_MAX: Duration = Duration::from_secs(600);

/// One reply of the script.
#[derive(Clone, Debug, Default)]
pub struct Turn {
    pub text: String,
    /// Tool names with their arguments exactly as sent.
    pub calls: Vec<(String, String)>,
    /// Input, cached input and output tokens.
    pub usage: Option<(u64, u64, u64)>,
    /// The reply runs into the output limit.
    pub cut: bool,
}

impl Turn {
    /// A reply in words: the end of the task.
    pub fn say(text: &str) -> Self {
        Self { text: text.to_owned(), ..Self::default() }
    }

    /// A reply with one tool call.
    pub fn call(tool: &str, arguments: &Value) -> Self {
        Self { calls: vec![(tool.to_owned(), arguments.to_string())], ..Self::default() }
    }

    /// A reply that runs a command.
    pub fn exec(command: &str) -> Self {
        Self::call("shell_exec", &json!({ "command": command }))
    }
}

/// What the server does with a request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The turn, streamed in small pieces.
    Stream(Turn),
    /// The turn, streamed; each piece waits at the gate.
    Gated(Turn, Gate),
    /// The turn as one JSON body, although a stream was asked for.
    Whole(Turn),
    /// Another status than 200.
    Status(u16, Vec<(String, String)>, String),
    /// The connection is closed without a byte.
    Reset,
    /// The stream breaks off after so many pieces.
    Half(Turn, usize),
    /// An error in the middle of the stream.
    ErrorInStream(String),
    /// Nothing, for as long as anybody waits.
    Silence,
}

/// Lets pieces through one at a time, or all.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    open: Arc<(Mutex<usize>, Condvar)>,
}

impl Gate {
    /// Lets so many more pieces through.
    pub fn let_through(&self, pieces: usize) {
        let mut open = lock(&self.open.0);
        *open = open.saturating_add(pieces);
        self.open.1.notify_all();
    }

    fn pass(&self) {
        let mut open = lock(&self.open.0);
        while *open == 0 {
            let (next, waited) = self.open.1.wait_timeout(open, SILENCE_MAX).unwrap_or_else(PoisonError::into_inner);
            open = next;
            if waited.timed_out() {
                return;
            }
        }
        *open = open.saturating_sub(1);
    }
}

/// One request as it was seen.
#[derive(Clone, Debug)]
pub struct Seen {
    pub body: Vec<u8>,
    /// When its last byte was here, and when the answer's last byte was handed over; microseconds since 1970 (UTC).
    pub arrived_us: u64,
    pub replied_us: u64,
    /// The share of the request before it that it begins with.
    pub append_only: f64,
}

type Plan = Box<dyn Fn(usize, &Value) -> Answer + Send + Sync>;

struct Shared {
    plan: Plan,
    seen: Mutex<Vec<Seen>>,
    /// Whether the latest request was answered with a failure.
    failed: Mutex<bool>,
    violations: Mutex<Vec<String>>,
    arrived: Condvar,
}

/// A running server; its threads end with the process.
pub struct ModelServer {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl ModelServer {
    /// Starts on a free port of the loopback. The plan is told how many requests came before, and the request.
    pub fn start(plan: impl Fn(usize, &Value) -> Answer + Send + Sync + 'static) -> std::io::Result<Self> {
        Self::start_on("127.0.0.1:0", plan)
    }

    /// Starts on this address.
    pub fn start_on(
        address: &str,
        plan: impl Fn(usize, &Value) -> Answer + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            plan: Box::new(plan),
            seen: Mutex::default(),
            failed: Mutex::default(),
            violations: Mutex::default(),
            arrived: Condvar::new(),
        });
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&serving);
                std::thread::spawn(move || drop(serve(&shared, stream)));
            }
        });
        Ok(Self { address, shared })
    }

    /// Plays turns by how many replies the request already holds, so that a resumed task finds its place.
    pub fn playing(turns: Vec<Turn>) -> std::io::Result<Self> {
        Self::start(move |_, request| Answer::Stream(turn_due(&turns, request)))
    }

    /// What goes into `OPENAI_BASE_URL`.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.shared.seen).clone()
    }

    /// The rules that requests broke.
    pub fn violations(&self) -> Vec<String> {
        lock(&self.shared.violations).clone()
    }

    /// Waits until so many requests have come; false if they do not within a minute.
    pub fn wait_for(&self, requests: usize) -> bool {
        let seen = lock(&self.shared.seen);
        let enough = |seen: &mut Vec<Seen>| seen.len() < requests;
        let (seen, _) = self
            .shared
            .arrived
            .wait_timeout_while(seen, Duration::from_secs(60), enough)
            .unwrap_or_else(PoisonError::into_inner);
        seen.len() >= requests
    }
}

impl std::fmt::Debug for ModelServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModelServer").field("address", &self.address).finish_non_exhaustive()
    }
}

/// The turn that is due after this request; past the end, a closing word.
pub fn turn_due(turns: &[Turn], request: &Value) -> Turn {
    turns.get(replies_in(request)).cloned().unwrap_or_else(|| Turn::say("done"))
}

/// How many replies a request holds.
pub fn replies_in(request: &Value) -> usize {
    let messages = request.get("messages").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    messages.iter().filter(|message| message.get("role").and_then(Value::as_str) == Some("assistant")).count()
}

fn serve(shared: &Shared, stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut out = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    while let Some(request) = wire::read_request(&mut reader)? {
        let asked = (request.method.as_str(), request.path.as_str());
        if asked.0 == "POST" && asked.1.ends_with("/chat/completions") {
            if !chat(shared, request.body, &mut out)? {
                return Ok(());
            }
            continue;
        }
        let (status, body) = match asked {
            ("GET", "/v1/models") => {
                (200, json!({ "object": "list", "data": [{ "id": "scripted", "object": "model" }] }))
            }
            ("GET", "/report") => (200, report(shared)),
            ("GET", path) => match path.strip_prefix("/requests/").and_then(|index| index.parse::<usize>().ok()) {
                Some(index) => {
                    let body = lock(&shared.seen).get(index).map(|seen| seen.body.clone()).unwrap_or_default();
                    (200, serde_json::from_slice(&body).unwrap_or(Value::Null))
                }
                None => (404, json!({ "error": { "message": "nothing here" } })),
            },
            _ => (404, json!({ "error": { "message": "nothing here" } })),
        };
        out.write_all(&wire::whole(status, &[], "application/json", body.to_string().as_bytes()))?;
    }
    Ok(())
}

/// One request for a reply; false where the connection is over.
fn chat(shared: &Shared, body: Vec<u8>, out: &mut TcpStream) -> std::io::Result<bool> {
    let arrived_us = now_us();
    let value: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let index = {
        let mut seen = lock(&shared.seen);
        let before = seen.last().map(|before| (before.body.as_slice(), *lock(&shared.failed)));
        let append_only = before.map_or(1.0, |(before, _)| invariants::append_only(before, &body));
        let number = seen.len();
        let broken = invariants::check(&body, before);
        lock(&shared.violations).extend(broken.into_iter().map(|rule| format!("request {number}: {rule}")));
        seen.push(Seen { body, arrived_us, replied_us: arrived_us, append_only });
        shared.arrived.notify_all();
        number
    };
    let answer = (shared.plan)(index, &value);
    let good = matches!(answer, Answer::Stream(_) | Answer::Gated(..) | Answer::Whole(_));
    // Before the bytes are out: the next request may come at once.
    *lock(&shared.failed) = !good;
    let goes_on = send(&answer, index, out);
    if let Some(seen) = lock(&shared.seen).get_mut(index) {
        seen.replied_us = now_us();
    }
    goes_on
}

fn send(answer: &Answer, index: usize, out: &mut TcpStream) -> std::io::Result<bool> {
    match answer {
        Answer::Stream(turn) => stream(&pieces(turn, index), usize::MAX, None, out)?,
        Answer::Gated(turn, gate) => stream(&pieces(turn, index), usize::MAX, Some(gate), out)?,
        Answer::Whole(turn) => {
            let body = whole_reply(turn, index).to_string();
            out.write_all(&wire::whole(200, &[], "application/json", body.as_bytes()))?;
        }
        Answer::Status(status, headers, body) => {
            out.write_all(&wire::whole(*status, headers, "application/json", body.as_bytes()))?;
        }
        Answer::Reset => return Ok(false),
        Answer::Half(turn, most) => {
            stream(&pieces(turn, index), *most, None, out)?;
            return Ok(false);
        }
        Answer::ErrorInStream(message) => {
            let error = json!({ "error": { "message": message, "type": "server_error" } });
            stream(&[error], usize::MAX, None, out)?;
        }
        Answer::Silence => {
            // Until the other side hangs up, or the test is over.
            let mut byte = [0; 1];
            out.set_read_timeout(Some(SILENCE_MAX))?;
            let _ = std::io::Read::read(out, &mut byte);
            return Ok(false);
        }
    }
    Ok(true)
}

fn stream(pieces: &[Value], most: usize, gate: Option<&Gate>, out: &mut TcpStream) -> std::io::Result<()> {
    out.write_all(wire::STREAM_HEAD)?;
    let mut bytes = Vec::new();
    for piece in pieces.iter().take(most) {
        let line = format!("data: {piece}\n\n");
        match gate {
            Some(gate) => {
                gate.pass();
                out.write_all(&wire::chunk(line.as_bytes()))?;
            }
            None => bytes.extend(wire::chunk(line.as_bytes())),
        }
    }
    if pieces.len() <= most {
        bytes.extend(wire::chunk(b"data: [DONE]\n\n"));
        bytes.extend(wire::chunk(b""));
    }
    out.write_all(&bytes)
}

/// The turn as chunks of chat completions: text in words, arguments in halves.
fn pieces(turn: &Turn, index: usize) -> Vec<Value> {
    let chunk = |delta: Value, finish: Value| {
        let choice = json!({ "index": 0, "delta": delta, "finish_reason": finish });
        json!({ "id": format!("chatcmpl-{index}"), "object": "chat.completion.chunk", "model": "scripted", "choices": [choice] })
    };
    let mut pieces = vec![chunk(json!({ "role": "assistant", "content": "" }), Value::Null)];
    pieces.extend(turn.text.split_inclusive(' ').map(|word| chunk(json!({ "content": word }), Value::Null)));
    for (at, (name, arguments)) in turn.calls.iter().enumerate() {
        let mut half = arguments.len() / 2;
        while !arguments.is_char_boundary(half) {
            half -= 1;
        }
        let call = |part: Value| chunk(json!({ "tool_calls": [part] }), Value::Null);
        let id = format!("call_{index}_{at}");
        let function = json!({ "name": name, "arguments": "" });
        pieces.push(call(json!({ "index": at, "id": id, "type": "function", "function": function })));
        for part in [&arguments[..half], &arguments[half..]] {
            pieces.push(call(json!({ "index": at, "function": { "arguments": part } })));
        }
    }
    pieces.push(chunk(json!({}), finish(turn).into()));
    if let Some(usage) = usage(turn) {
        pieces.push(json!({ "id": format!("chatcmpl-{index}"), "object": "chat.completion.chunk", "model": "scripted",
            "choices": [], "usage": usage }));
    }
    pieces
}

/// Why the turn ends, as servers put it.
fn finish(turn: &Turn) -> &'static str {
    match (turn.cut, turn.calls.is_empty()) {
        (true, _) => "length",
        (false, true) => "stop",
        (false, false) => "tool_calls",
    }
}

fn whole_reply(turn: &Turn, index: usize) -> Value {
    let calls: Vec<Value> = turn
        .calls
        .iter()
        .enumerate()
        .map(|(at, (name, arguments))| {
            let function = json!({ "name": name, "arguments": arguments });
            json!({ "id": format!("call_{index}_{at}"), "type": "function", "function": function })
        })
        .collect();
    let mut message = json!({ "role": "assistant", "content": turn.text });
    if !calls.is_empty() {
        message["tool_calls"] = calls.into();
    }
    let choice = json!({ "index": 0, "message": message, "finish_reason": finish(turn) });
    let mut reply = json!({ "id": format!("chatcmpl-{index}"), "object": "chat.completion", "model": "scripted", "choices": [choice] });
    if let Some(usage) = usage(turn) {
        reply["usage"] = usage;
    }
    reply
}

fn usage(turn: &Turn) -> Option<Value> {
    let (input, cached, output) = turn.usage?;
    Some(json!({ "prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output,
        "prompt_tokens_details": { "cached_tokens": cached } }))
}

fn report(shared: &Shared) -> Value {
    let requests: Vec<Value> = lock(&shared.seen)
        .iter()
        .map(|seen| {
            json!({ "arrived_us": seen.arrived_us, "replied_us": seen.replied_us, "append_only": seen.append_only,
                "bytes": seen.body.len() })
        })
        .collect();
    json!({ "requests": requests, "violations": *lock(&shared.violations) })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[expect(clippy::disallowed_methods, reason = "arrival times are what the bench measures")]
fn now_us() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
