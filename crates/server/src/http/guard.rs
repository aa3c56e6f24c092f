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

use super::limits::HttpLimits;
use super::patience::bounded;
use super::problem::{Kind, Problem};
use super::{App, Shared, guests, web};

pub(super) const COOKIE: &str = "thenar_token";

/// What the guard remembers between requests.
#[derive(Debug)]
pub(super) struct Gate {
    limits: HttpLimits,
    buckets: Mutex<Buckets>,
    busy: AtomicUsize,
    /// Answers so far, by status.
    answered: Mutex<BTreeMap<u16, u64>>,
}

#[derive(Debug)]
struct Buckets {
    known: Bucket,
    guests: Bucket,
    strangers: Bucket,
}

#[derive(Debug)]
struct Bucket {
    left: f64,
    at_ms: u64,
}

impl Bucket {
    fn new(burst: u32) -> Self {
        Self { left: burst.into(), at_ms: 0 }
    }

    fn take(&mut self, now_ms: u64, burst: u32, per_second: u32) -> bool {
        let since = now_ms.saturating_sub(self.at_ms) as f64 / 1_000.0;
        self.left = (self.left + since * f64::from(per_second)).min(burst.into());
        self.at_ms = now_ms;
        if self.left < 1.0 {
            return false;
        }
        self.left -= 1.0;
        true
    }
}

impl Gate {
    pub(super) fn new(limits: HttpLimits) -> Self {
        let known = Bucket::new(limits.burst_requests_max);
        let guests = Bucket::new(limits.burst_guests_max);
        let buckets = Buckets { known, guests, strangers: Bucket::new(limits.burst_strangers_max) };
        Self { limits, buckets: Mutex::new(buckets), busy: AtomicUsize::new(0), answered: Mutex::default() }
    }

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
    let passed = if busy >= shared.gate.limits.concurrent_max {
        Err(Problem::new(Kind::Busy, "too many requests at once", "ask again in a moment"))
    } else {
        pass(&shared, &request)
    };
    let instance = request.uri().path().to_owned();
    let mut response = match passed {
        Ok(Some(entered)) => entered,
        Ok(None) => {
            let (request, late) = bounded(request, &shared.gate.limits);
            let response = next.run(request).await;
            if late.is() { too_slow() } else { response }
        }
        Err(problem) => problem.into_response(),
    };
    let status = response.status();
    if status.is_client_error() && response.extensions().get::<Problem>().is_none() && is_not_ours(response.headers()) {
        response = Problem::of_status(status).into_response();
    }
    Problem::tell(&mut response, &instance);
    shared.gate.count(response.status());
    let headers = response.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::X_DNS_PREFETCH_CONTROL, HeaderValue::from_static("off"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("private, no-store"));
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; sandbox"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    response
}

fn too_slow() -> Response {
    let hint = "send it at once; docs/api.md says how long it may take";
    let mut response = Problem::new(Kind::TooSlow, "the body did not come in time", hint).into_response();
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
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
    if let Some(key) = guests::key_in(path) {
        // The route asks once more: a link may end at any time, and this is only about how often.
        let known = shared.shares.get()?.find(key, (app.clock)()).is_some();
        return in_time(shared, if known { Caller::Guest } else { Caller::Stranger }).map(|()| None);
    }
    let proof = proof(app, headers);
    in_time(shared, if proof.is_some() { Caller::Known } else { Caller::Stranger })?;
    let Some(proof) = proof else {
        let hint = "send `Authorization: Bearer TOKEN`; the token is in the file access-token of the data folder";
        return Err(Problem::new(Kind::Unauthorized, "no valid access token was shown", hint));
    };
    let changes = !matches!(*request.method(), Method::GET | Method::HEAD);
    if proof == Proof::Cookie && changes && headers.get(header::ORIGIN).is_none() {
        return Err(foreign("a change with the cookie must name its origin"));
    }
    Ok(None)
}

/// Who asks, as far as it bounds how often.
#[derive(Clone, Copy)]
enum Caller {
    Known,
    /// With a link to a task.
    Guest,
    Stranger,
}

/// Refuses what comes too often.
fn in_time(shared: &Shared, caller: Caller) -> Result<(), Problem> {
    let (now_ms, limits) = ((shared.app.clock)(), &shared.gate.limits);
    let mut buckets = shared.gate.buckets();
    let taken = match caller {
        Caller::Known => buckets.known.take(now_ms, limits.burst_requests_max, limits.requests_per_second),
        Caller::Guest => buckets.guests.take(now_ms, limits.burst_guests_max, limits.guests_per_second),
        Caller::Stranger => buckets.strangers.take(now_ms, limits.burst_strangers_max, limits.strangers_per_second),
    };
    let told = || Problem::new(Kind::TooManyRequests, "too many requests", "ask again in a second");
    taken.then_some(()).ok_or_else(told)
}

/// The name under which we are called, if we may be called so: a name that somebody else points at us is refused.
fn host(app: &App, request: &Request) -> Result<String, Problem> {
    let wrong = || {
        let hint = "call the server by 127.0.0.1, localhost, or a name that it was told to answer to";
        Problem::new(Kind::WrongHost, "the Host header names no address of this server", hint)
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
    Problem::new(Kind::ForeignOrigin, detail, "ask from the server's own page, or with a bearer token")
}

fn proof(app: &App, headers: &HeaderMap) -> Option<Proof> {
    if let Some(shown) = headers.get(header::AUTHORIZATION) {
        let shown = shown.to_str().ok().and_then(|shown| shown.split_once(' '));
        // Other schemes are for a proxy before this server, which asks for a word of its own.
        if let Some((_, token)) = shown.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")) {
            return app.token.is(token.trim()).then_some(Proof::Bearer);
        }
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
