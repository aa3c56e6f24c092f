//! What every request passes first: is it meant for us, does it come from us, who asks, and not too often. Nothing here
//! looks at what is asked.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::problem::Problem;
use super::{App, Shared, web};

/// Bytes of a JSON body: a brief of the greatest length, written with escapes.
pub(super) const BODY_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Requests that one token may make at once, and in each second after that.
const BURST_REQUESTS_MAX: f64 = 2_000.0;
const REQUESTS_PER_SECOND: f64 = 500.0;

/// Wrong tokens at once, and in each second after that.
const BURST_STRANGERS_MAX: f64 = 100.0;
const STRANGERS_PER_SECOND: f64 = 10.0;

/// Requests being answered at once; open listeners are counted apart.
const CONCURRENT_MAX: usize = 512;

const COOKIE: &str = "thenar_token";

/// What the guard remembers between requests.
#[derive(Debug, Default)]
pub(super) struct Gate {
    buckets: Mutex<Buckets>,
    busy: AtomicUsize,
    /// Answers so far, by status.
    answered: Mutex<BTreeMap<u16, u64>>,
}

#[derive(Debug)]
struct Buckets {
    known: Bucket,
    strangers: Bucket,
}

impl Default for Buckets {
    fn default() -> Self {
        let known = Bucket { left: BURST_REQUESTS_MAX, at_ms: 0 };
        Self { known, strangers: Bucket { left: BURST_STRANGERS_MAX, at_ms: 0 } }
    }
}

#[derive(Debug)]
struct Bucket {
    left: f64,
    at_ms: u64,
}

impl Bucket {
    fn take(&mut self, now_ms: u64, burst: f64, per_second: f64) -> bool {
        let since = now_ms.saturating_sub(self.at_ms) as f64 / 1_000.0;
        self.left = (self.left + since * per_second).min(burst);
        self.at_ms = now_ms;
        if self.left < 1.0 {
            return false;
        }
        self.left -= 1.0;
        true
    }
}

impl Gate {
    fn buckets(&self) -> MutexGuard<'_, Buckets> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, status: StatusCode) {
        *self.answered.lock().unwrap_or_else(PoisonError::into_inner).entry(status.as_u16()).or_default() += 1;
    }

    pub(super) fn answered(&self) -> BTreeMap<u16, u64> {
        self.answered.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// How a caller proved who they are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Proof {
    Bearer,
    /// A browser sends it along whoever asks it to: it counts only with the page's own origin.
    Cookie,
}

/// The checks, then the route.
pub(super) async fn check(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    struct Leave<'a>(&'a AtomicUsize);
    impl Drop for Leave<'_> {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }
    let busy = shared.gate.busy.fetch_add(1, Ordering::Relaxed);
    let _leave = Leave(&shared.gate.busy);
    let passed = if busy >= CONCURRENT_MAX {
        Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too many requests at once", "ask again in a moment"))
    } else {
        pass(&shared, &request)
    };
    let mut response = match passed {
        Ok(Some(entered)) => entered,
        Ok(None) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    let status = response.status();
    let plain = status.is_client_error() && is_not_ours(response.headers());
    if plain {
        // The framework's own refusals, in our words.
        let detail = match status {
            StatusCode::PAYLOAD_TOO_LARGE => "the body is too large",
            StatusCode::UNSUPPORTED_MEDIA_TYPE => "the body is of another type than is taken here",
            _ => "the request is not one that is taken here",
        };
        response = Problem::new(status, detail, "docs/api.md says what is taken here").into_response();
    }
    shared.gate.count(status);
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("private, no-store"));
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; sandbox"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    response
}

fn is_not_ours(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_none_or(|kind| kind.as_bytes().starts_with(b"text/plain"))
}

/// `Some` where the request is answered already.
fn pass(shared: &Shared, request: &Request) -> Result<Option<Response>, Problem> {
    let (app, headers) = (&shared.app, request.headers());
    let host = host(app, request)?;
    // A link to a task may stand in a mail: the app that it opens asks for everything itself, and as ours.
    let for_everyone = web::is_for_everyone(request);
    if !for_everyone {
        from_us(headers, &host)?;
    }
    let path = request.uri().path();
    if path == "/healthz" || path == "/readyz" {
        return Ok(None);
    }
    if for_everyone {
        let shown = request.uri().query().and_then(|query| query.strip_prefix("token="));
        return Ok(shown.filter(|shown| app.token.is(shown)).map(|shown| enter(shown, path)));
    }
    let proof = proof(app, headers);
    let now_ms = (app.clock)();
    let mut buckets = shared.gate.buckets();
    let in_time = match proof {
        Some(_) => buckets.known.take(now_ms, BURST_REQUESTS_MAX, REQUESTS_PER_SECOND),
        None => buckets.strangers.take(now_ms, BURST_STRANGERS_MAX, STRANGERS_PER_SECOND),
    };
    drop(buckets);
    if !in_time {
        return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "too many requests", "ask again in a second"));
    }
    let Some(proof) = proof else {
        let hint = "send `Authorization: Bearer TOKEN`; the token is in the file access-token of the data folder";
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "no valid access token was shown", hint));
    };
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    if proof == Proof::Cookie && changes && headers.get(header::ORIGIN).is_none() {
        return Err(foreign("a change with the cookie must name its origin"));
    }
    Ok(None)
}

/// The name under which we are called, if we may be called so: a name that somebody else points at us is refused.
fn host(app: &App, request: &Request) -> Result<String, Problem> {
    let wrong = || {
        let hint = "call the server by 127.0.0.1, localhost, or a name that it was told to answer to";
        Problem::new(StatusCode::MISDIRECTED_REQUEST, "the Host header names no address of this server", hint)
    };
    let mut named = request.headers().get_all(header::HOST).iter();
    let host = named.next().and_then(|host| host.to_str().ok()).ok_or_else(wrong)?.to_ascii_lowercase();
    if named.next().is_some() {
        return Err(wrong());
    }
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map(|(name, _)| name).ok_or_else(wrong)?,
        None => host.split_once(':').map_or(host.as_str(), |(name, _)| name),
    };
    let loopback = name == "localhost" || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    let told = app.hosts.iter().any(|known| known.eq_ignore_ascii_case(name) || known.eq_ignore_ascii_case(&host));
    if loopback || told { Ok(host) } else { Err(wrong()) }
}

/// Refuses what another site makes a browser ask.
fn from_us(headers: &HeaderMap, host: &str) -> Result<(), Problem> {
    if let Some(origin) = headers.get(header::ORIGIN) {
        let origin = origin.to_str().unwrap_or_default().to_ascii_lowercase();
        let site = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        if site != Some(host) {
            return Err(foreign("the request comes from another origin"));
        }
    }
    match headers.get("sec-fetch-site").map(HeaderValue::as_bytes) {
        None | Some(b"same-origin" | b"none") => Ok(()),
        Some(_) => Err(foreign("the request comes from another site")),
    }
}

fn foreign(detail: &str) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, detail, "ask from the server's own page, or with a bearer token")
}

fn proof(app: &App, headers: &HeaderMap) -> Option<Proof> {
    if let Some(shown) = headers.get(header::AUTHORIZATION) {
        let (scheme, token) = shown.to_str().ok()?.split_once(' ')?;
        return (scheme.eq_ignore_ascii_case("bearer") && app.token.is(token.trim())).then_some(Proof::Bearer);
    }
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.any(|(name, value)| name == COOKIE && app.token.is(value)).then_some(Proof::Cookie)
}

/// The link with the token: keeps it in a cookie, and takes it out of the address. Whoever has such a link may come from
/// anywhere: it leads nowhere that they could not go.
fn enter(token: &str, path: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let cookie = format!("{COOKIE}={token}; Path=/; HttpOnly; SameSite=Strict");
    let place = HeaderValue::try_from(path).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(header::LOCATION, place);
    if let Ok(cookie) = HeaderValue::try_from(cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}
