//! A model over HTTP, whichever words it wants: the address, the key, one attempt, the list of models; what failed says
//! whether another attempt may help. It reads no reply itself.

use std::time::Duration;

use event::{FailureKind, Reply};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap};
use serde_json::Value;

use crate::chat::REPLY_BYTES_MAX;
use crate::client::Endpoint;
use crate::decode::{Decoder, Dialect, not_json};
use crate::name::Provider;
use crate::{Body, Delta, Failure};

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(10);

/// How many times as long as without a byte an attempt waits while what comes adds nothing to the reply: comments, pings,
/// empty pieces.
const IDLES_WITHOUT_A_WORD_MAX: u32 = 8;

/// Characters of a server's words that are repeated in a reason.
const WORDS_CHARS_MAX: usize = 500;

/// Bytes read of an error's body.
const ERROR_BYTES_MAX: usize = 64 * 1024;

/// How servers say that a request is longer than the model's window.
const WINDOW_PHRASES: [&str; 10] = [
    "exceed context limit",
    "context_length_exceeded",
    "maximum context length",
    "context window",
    "context length",
    "exceed_context_size",
    "exceeds the available context",
    "too many tokens",
    "prompt is too long",
    "input is too long",
];

/// The form of Anthropic's messages that is spoken here.
const ANTHROPIC_VERSION: &str = "2023-06-01";

/// One connection pool. Certificates are only read where the address needs them.
pub(crate) fn connections(base_url: &str) -> Result<reqwest::Client, Failure> {
    // Another crate of the process may have chosen already: then that choice holds.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder()
        .connect_timeout(CONNECT)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .tcp_nodelay(true)
        .user_agent(concat!("thenar/", env!("CARGO_PKG_VERSION")));
    let builder = if base_url.starts_with("http://") { builder.tls_certs_only([]) } else { builder };
    builder.build().map_err(|error| Failure::rejected(format!("prepare the connection to {base_url}: {error}")))
}

/// One attempt.
pub(crate) async fn call(
    http: &reqwest::Client,
    endpoint: &Endpoint,
    provider: Provider,
    idle: Duration,
    body: Body,
    on_delta: &mut dyn FnMut(Delta),
) -> Result<Reply, Failure> {
    let path = match provider {
        Provider::Anthropic => "messages",
        Provider::Responses => "responses",
        Provider::OpenAi | Provider::Gemini | Provider::Script => "chat/completions",
    };
    let url = address(endpoint, provider, path);
    let request = http.post(&url).header(CONTENT_TYPE, "application/json").body(body.into_bytes());
    let request = authorized(request, endpoint, provider)?;
    let sent = tokio::time::timeout(idle, request.send()).await.map_err(|_| silent(idle))?;
    let mut response = sent.map_err(|error| unreachable_server(&endpoint.base_url, &error))?;
    let status = response.status().as_u16();
    if status != 200 {
        let headers = response.headers().clone();
        let body = tokio::time::timeout(idle, read_error(&mut response)).await.unwrap_or_default();
        return Err(refused(provider, status, &headers, &body));
    }
    let charged = |failure: Failure| Failure { charged: failure.kind != FailureKind::WindowExceeded, ..failure };
    read(&mut response, Decoder::of(dialect(provider)), idle, on_delta).await.map_err(charged)
}

/// Reads an answer to its end.
async fn read(
    response: &mut reqwest::Response,
    mut decoder: Decoder,
    idle: Duration,
    on_delta: &mut dyn FnMut(Delta),
) -> Result<Reply, Failure> {
    let cut = |error: reqwest::Error| Failure::transient(format!("the model's answer was cut off: {}", root(&error)));
    let stalls = idle.saturating_mul(IDLES_WITHOUT_A_WORD_MAX);
    let (mut progress, mut moved) = (decoder.progress(), tokio::time::Instant::now());
    loop {
        let chunk = match tokio::time::timeout(idle, response.chunk()).await {
            Ok(Ok(Some(chunk))) => chunk,
            Ok(Ok(None)) => return decoder.finish(on_delta),
            Ok(Err(error)) => return decoder.broken(cut(error), on_delta),
            Err(_) => return decoder.broken(silent(idle), on_delta),
        };
        if decoder.push(&chunk, on_delta)? {
            return decoder.finish(on_delta);
        }
        if decoder.progress() > progress {
            (progress, moved) = (decoder.progress(), tokio::time::Instant::now());
        } else if moved.elapsed() >= stalls {
            return decoder.broken(wordless(stalls), on_delta);
        }
    }
}

/// Anthropic's own clients take the address without the version.
fn address(endpoint: &Endpoint, provider: Provider, path: &str) -> String {
    let base = endpoint.base_url.trim_end_matches('/');
    let version = if provider == Provider::Anthropic && !base.ends_with("/v1") { "/v1" } else { "" };
    format!("{base}{version}/{path}")
}

fn dialect(provider: Provider) -> Dialect {
    match provider {
        Provider::Anthropic => Dialect::Anthropic(crate::anthropic::Reader::default()),
        Provider::Responses => Dialect::Responses(crate::responses::Reader::default()),
        Provider::OpenAi | Provider::Gemini | Provider::Script => Dialect::Chat,
    }
}

fn authorized(
    request: reqwest::RequestBuilder,
    endpoint: &Endpoint,
    provider: Provider,
) -> Result<reqwest::RequestBuilder, Failure> {
    let no_key = || Failure::rejected("the key holds characters that no key has, perhaps the end of a line");
    let key = endpoint.key.as_ref();
    if provider == Provider::Anthropic {
        let request = request.header("anthropic-version", ANTHROPIC_VERSION);
        return match key {
            Some(key) => Ok(request.header("x-api-key", key.bare().ok_or_else(no_key)?)),
            None => Ok(request),
        };
    }
    match key {
        Some(key) => Ok(request.header(AUTHORIZATION, key.bearer().ok_or_else(no_key)?)),
        None => Ok(request),
    }
}

fn silent(idle: Duration) -> Failure {
    let reason = format!("the model sent nothing for {} s", idle.as_secs_f32());
    Failure { silent: true, charged: true, ..Failure::transient(reason) }
}

/// What came kept the connection alive and was no part of a reply.
fn wordless(stalls: Duration) -> Failure {
    let reason = format!("the model sent signs of life and no word for {} s", stalls.as_secs_f32());
    Failure { reason, ..silent(stalls) }
}

fn unreachable_server(base_url: &str, error: &reqwest::Error) -> Failure {
    let cause = root(error);
    if error.is_builder() {
        return Failure::rejected(format!("{base_url} is not an address that can be called: {cause}"));
    }
    let reason = format!("cannot reach the model at {base_url}: {cause}");
    Failure { charged: !error.is_connect(), ..Failure::transient(reason) }
}

/// reqwest's own text repeats the address; the cause is at the end of the chain.
fn root(error: &reqwest::Error) -> &dyn std::error::Error {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause
}

async fn read_error(response: &mut reqwest::Response) -> Vec<u8> {
    let mut body = Vec::new();
    while body.len() < ERROR_BYTES_MAX {
        match response.chunk().await {
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) | Err(_) => break,
        }
    }
    body.truncate(ERROR_BYTES_MAX);
    body
}

/// An answer with another status than 200.
fn refused(provider: Provider, status: u16, headers: &HeaderMap, body: &[u8]) -> Failure {
    let value: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let words = match value.get("error") {
        Some(error) => words_of(error),
        None if value.is_object() => words_of(&value),
        None => plain(&String::from_utf8_lossy(body)),
    };
    let code = value.pointer("/error/code").and_then(Value::as_str).unwrap_or_default();
    let said = if words.is_empty() { String::new() } else { format!(": {}", words.trim_end_matches('.')) };
    let retry_after = retry_after(headers);
    match status {
        401 | 403 => {
            let variable = provider.key_variable();
            Failure::rejected(format!("the model's server refused the key ({status}){said}. Check {variable}"))
        }
        404 => Failure::rejected(format!(
            "the model's server knows no such model or address (404){said}. See `thenar models`"
        )),
        400 | 413 | 422 if speaks_of_window(body) => {
            Failure::window(format!("the request does not fit the model's window ({status}){said}"))
        }
        // Told before 5xx: some servers say it with 500.
        500..=599 if speaks_of_window(body) => {
            Failure::window(format!("the request does not fit the model's window ({status}){said}"))
        }
        // What the model wrote was no valid call: the next try may be one.
        400 if code == "tool_use_failed" => Failure::transient(format!("the model's server answered 400{said}")),
        402 => Failure::rejected(format!("the model's server wants to be paid first (402){said}")),
        429 if code == "insufficient_quota" => Failure::rejected(format!("the account's quota is used up (429){said}")),
        408 | 409 | 425 | 429 | 500..=599 => {
            let reason = format!("the model's server answered {status}{said}");
            Failure { retry_after, ..Failure::transient(reason) }
        }
        300..=399 => Failure::rejected(format!(
            "the model's server sends elsewhere ({status}); a key is not carried to another address. Set the final address"
        )),
        _ => Failure::rejected(format!("the model's server refused the request ({status}){said}")),
    }
}

/// An error object in the middle of a stream.
pub(crate) fn stream_error(error: &Value) -> Failure {
    let words = words_of(error);
    if speaks_of_window(words.as_bytes()) || speaks_of_window(error.to_string().as_bytes()) {
        return Failure::window(format!("the request does not fit the model's window: {words}"));
    }
    Failure::transient(format!("the model's server broke off: {words}"))
}

fn speaks_of_window(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body).to_lowercase();
    WINDOW_PHRASES.iter().any(|phrase| text.contains(phrase))
}

fn words_of(error: &Value) -> String {
    match error {
        Value::String(text) => plain(text),
        other => {
            let words = ["message", "detail", "error"].iter().find_map(|key| other.get(key).and_then(Value::as_str));
            plain(words.unwrap_or_default())
        }
    }
}

/// A server's words, short and harmless for a terminal.
pub(crate) fn plain(text: &str) -> String {
    let visible = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    visible.take(WORDS_CHARS_MAX).collect::<String>().trim().to_owned()
}

/// `retry-after-ms`, or `retry-after` in seconds or as a date. A date counts from the server's own `date`: no clock of
/// ours is read, and it does not matter how wrong either is.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let number = |name: &str| text(name)?.parse::<f64>().ok();
    if let Some(milliseconds) = number("retry-after-ms").or_else(|| number("retry-after").map(|seconds| seconds * 1e3))
    {
        return milliseconds.is_finite().then(|| Duration::from_millis(milliseconds.max(0.0) as u64));
    }
    let dates = jiff::fmt::rfc2822::DateTimeParser::new();
    let date = |name: &str| dates.parse_timestamp(text(name)?).ok();
    let seconds = date("retry-after")?.as_second().saturating_sub(date("date")?.as_second());
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

/// A model as a server's list has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub name: String,
    /// Its window, where the list tells it.
    pub window_tokens: Option<u64>,
}

/// What servers call the window of a model in their lists: vLLM, OpenRouter, Groq, LM Studio and Mistral, Anthropic,
/// llama.cpp (the window it runs with, not the one the model was made for).
const WINDOW_FIELDS: [&str; 6] =
    ["/max_model_len", "/context_length", "/context_window", "/max_context_length", "/max_input_tokens", "/meta/n_ctx"];

/// The models that the server offers.
pub(crate) async fn models(
    http: &reqwest::Client,
    endpoint: &Endpoint,
    provider: Provider,
    idle: Duration,
) -> Result<Vec<Listed>, Failure> {
    let request = authorized(http.get(address(endpoint, provider, "models")), endpoint, provider)?;
    let sent = tokio::time::timeout(idle, request.send()).await.map_err(|_| silent(idle))?;
    let mut response = sent.map_err(|error| unreachable_server(&endpoint.base_url, &error))?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let mut body = Vec::new();
    while let Ok(Ok(Some(chunk))) = tokio::time::timeout(idle, response.chunk()).await {
        body.extend_from_slice(&chunk);
        if body.len() > REPLY_BYTES_MAX {
            return Err(Failure::rejected("the server's list of models is too long"));
        }
    }
    if status != 200 {
        return Err(refused(provider, status, &headers, &body));
    }
    listed_in(&body)
}

fn listed_in(body: &[u8]) -> Result<Vec<Listed>, Failure> {
    let value: Value = serde_json::from_slice(body).map_err(|error| not_json(&error))?;
    let list = value.get("data").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let listed = list.iter().filter_map(|model| {
        let name = plain(model.get("id").and_then(Value::as_str)?);
        // Gemini lists its models with their kind before them.
        let name = name.strip_prefix("models/").map(str::to_owned).unwrap_or(name);
        let window = WINDOW_FIELDS.iter().find_map(|field| model.pointer(field).and_then(Value::as_u64));
        Some(Listed { name, window_tokens: window.filter(|tokens| *tokens > 0) })
    });
    Ok(listed.collect())
}

#[cfg(test)]
mod tests;
