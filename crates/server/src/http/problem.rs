//! What a caller is told when something is refused or fails: RFC 9457, with a hint. What only we should know goes to the
//! log and not to them.

use std::collections::BTreeMap;

use axum::Json;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::openapi::{ContentBuilder, ObjectBuilder, Ref, RefOr, ResponseBuilder, Schema, Type};
use utoipa::{IntoResponses, PartialSchema, ToSchema};

use agent::Because;

use crate::Refused;

/// Seconds after which a caller who was turned away may ask again.
const RETRY_AFTER_S: u64 = 1;

/// Where the kinds of problems are explained; with `#` and its name, this is the `type` of a problem.
const KINDS_PATH: &str = "/v1/problems";

/// The kinds of problems. Programs rely on them: a name never changes its meaning, nor its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Malformed,
    Unauthorized,
    ForeignOrigin,
    NoSuchRoute,
    NoSuchTask,
    NoSuchFile,
    NoSuchTerminal,
    NoSuchShare,
    NoSuchCheckpoint,
    NothingAwaited,
    MethodNotAllowed,
    TooSlow,
    InHand,
    NotNow,
    StaleConfirmation,
    ModelUnavailable,
    PriceUnknown,
    TooLarge,
    UnsupportedMediaType,
    RangeNotSatisfiable,
    WrongHost,
    Invalid,
    KeyReused,
    SameName,
    TooManyRequests,
    Internal,
    Busy,
    QueueFull,
    Stopping,
    NotReady,
    DiskFull,
}

/// Kind, name, status, and what it means.
const KINDS: [(Kind, &str, StatusCode, &str); 31] = [
    (Kind::Malformed, "malformed", StatusCode::BAD_REQUEST, "The request cannot be read"),
    (Kind::Unauthorized, "unauthorized", StatusCode::UNAUTHORIZED, "No valid access token was shown"),
    (Kind::ForeignOrigin, "foreign-origin", StatusCode::FORBIDDEN, "Another site asked"),
    (Kind::NoSuchRoute, "no-such-route", StatusCode::NOT_FOUND, "There is nothing at this address"),
    (Kind::NoSuchTask, "no-such-task", StatusCode::NOT_FOUND, "There is no such task"),
    (
        Kind::NoSuchCheckpoint,
        "no-such-checkpoint",
        StatusCode::NOT_FOUND,
        "There is no such checkpoint, or it was let go",
    ),
    (Kind::NoSuchFile, "no-such-file", StatusCode::NOT_FOUND, "There is no such file"),
    (Kind::NoSuchTerminal, "no-such-terminal", StatusCode::NOT_FOUND, "No such terminal is there"),
    (Kind::NoSuchShare, "no-such-share", StatusCode::NOT_FOUND, "There is no such link, or it has ended"),
    (Kind::NothingAwaited, "nothing-awaited", StatusCode::NOT_FOUND, "The task waits for no confirmation"),
    (Kind::MethodNotAllowed, "method-not-allowed", StatusCode::METHOD_NOT_ALLOWED, "That cannot be done here"),
    (Kind::TooSlow, "too-slow", StatusCode::REQUEST_TIMEOUT, "The request's body did not come in time"),
    (Kind::InHand, "in-hand", StatusCode::CONFLICT, "The task is in hand"),
    (Kind::NotNow, "not-now", StatusCode::CONFLICT, "The task does not take this as it stands"),
    (
        Kind::StaleConfirmation,
        "stale-confirmation",
        StatusCode::CONFLICT,
        "The task waits for a word on something else",
    ),
    (Kind::ModelUnavailable, "model-unavailable", StatusCode::CONFLICT, "The model cannot be had"),
    (Kind::PriceUnknown, "price-unknown", StatusCode::CONFLICT, "A cap on money needs a price that is known"),
    (Kind::TooLarge, "too-large", StatusCode::PAYLOAD_TOO_LARGE, "The request is too large"),
    (
        Kind::UnsupportedMediaType,
        "unsupported-media-type",
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "The body is of another type than is taken here",
    ),
    (
        Kind::RangeNotSatisfiable,
        "range-not-satisfiable",
        StatusCode::RANGE_NOT_SATISFIABLE,
        "The file does not reach that far",
    ),
    (Kind::WrongHost, "wrong-host", StatusCode::MISDIRECTED_REQUEST, "The Host header names no address of this server"),
    (Kind::Invalid, "invalid", StatusCode::UNPROCESSABLE_ENTITY, "The request is understood, and not right"),
    (Kind::SameName, "same-name", StatusCode::CONFLICT, "Two files have the same name"),
    (Kind::KeyReused, "key-reused", StatusCode::CONFLICT, "This Idempotency-Key made another task"),
    (Kind::TooManyRequests, "too-many-requests", StatusCode::TOO_MANY_REQUESTS, "Too many requests"),
    (Kind::Internal, "internal", StatusCode::INTERNAL_SERVER_ERROR, "The server could not do that"),
    (Kind::Busy, "busy", StatusCode::SERVICE_UNAVAILABLE, "The server has its hands full"),
    (Kind::QueueFull, "queue-full", StatusCode::SERVICE_UNAVAILABLE, "Too many tasks wait already"),
    (Kind::Stopping, "stopping", StatusCode::SERVICE_UNAVAILABLE, "The server is stopping"),
    (Kind::NotReady, "not-ready", StatusCode::SERVICE_UNAVAILABLE, "The server cannot take tasks now"),
    (Kind::DiskFull, "disk-full", StatusCode::INSUFFICIENT_STORAGE, "The server's disk is full"),
];

impl Kind {
    fn about(self) -> (&'static str, StatusCode, &'static str) {
        let known = KINDS.iter().find(|(kind, ..)| *kind == self);
        known.map_or(("internal", StatusCode::INTERNAL_SERVER_ERROR, ""), |(_, name, status, means)| {
            (*name, *status, *means)
        })
    }
}

impl Serialize for Kind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{KINDS_PATH}#{}", self.about().0))
    }
}

impl PartialSchema for Kind {
    fn schema() -> RefOr<Schema> {
        let known = KINDS.iter().map(|(_, name, ..)| format!("{KINDS_PATH}#{name}"));
        let text = "The kind of problem, relative to this server's address.";
        ObjectBuilder::new().schema_type(Type::String).description(Some(text)).enum_values(Some(known)).into()
    }
}

impl ToSchema for Kind {
    fn name() -> std::borrow::Cow<'static, str> {
        "ProblemType".into()
    }
}

/// A refusal or a failure.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    kind: Kind,
    detail: String,
    hint: String,
    because: Option<Because>,
}

/// What a handler gives.
pub(super) type Answer<T = Response> = Result<T, Problem>;

/// A refusal or a failure, as RFC 9457 has it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct Told<'a> {
    #[serde(rename = "type")]
    kind: Kind,
    /// What this kind of problem is.
    title: &'a str,
    /// The HTTP status once more.
    status: u16,
    /// What it is this time.
    detail: &'a str,
    /// The address that was asked.
    #[schema(format = "uri-reference")]
    instance: &'a str,
    /// What can be done about it.
    hint: &'a str,
    /// Why, by a code, where it is something that a person can put right.
    #[serde(skip_serializing_if = "Option::is_none")]
    because: Option<&'a Because>,
}

impl Problem {
    pub(super) fn new(kind: Kind, detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), hint: hint.into(), because: None }
    }

    /// With the reason by its code.
    pub(super) fn because(self, because: Because) -> Self {
        Self { because: Some(because), ..self }
    }

    pub(super) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, detail, "docs/api.md says what is taken here")
    }

    pub(super) fn no_task(detail: impl Into<String>) -> Self {
        Self::new(Kind::NoSuchTask, detail, "GET /v1/tasks lists the tasks there are")
    }

    /// The cause goes to the log; the caller learns only that it was not them.
    pub(super) fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::error!(%cause, "answer a request");
        let hint = "the server's log says what it was; asking again does no harm";
        Self::new(Kind::Internal, "the server could not do that", hint)
    }

    /// The framework's own refusal, in our words.
    pub(super) fn of_status(status: StatusCode) -> Self {
        let (kind, detail) = match status {
            StatusCode::PAYLOAD_TOO_LARGE => (Kind::TooLarge, "the body is too large"),
            StatusCode::UNSUPPORTED_MEDIA_TYPE => {
                (Kind::UnsupportedMediaType, "the body is of another type than is taken here")
            }
            StatusCode::REQUEST_TIMEOUT => (Kind::TooSlow, "the body did not come in time"),
            StatusCode::UNPROCESSABLE_ENTITY => (Kind::Invalid, "the request is not one that is taken here"),
            StatusCode::NOT_FOUND => (Kind::NoSuchRoute, "there is nothing here"),
            _ => (Kind::Malformed, "the request cannot be read"),
        };
        Self::new(kind, detail, "docs/api.md says what is taken here")
    }

    /// Puts the problem that a handler left in its response into words.
    pub(super) fn tell(response: &mut Response, instance: &str) {
        let Some(Self { kind, detail, hint, because }) = response.extensions_mut().remove() else { return };
        let (_, status, title) = kind.about();
        let told = Told {
            kind,
            title,
            status: status.as_u16(),
            detail: &detail,
            instance: &printable(instance),
            hint: &hint,
            because: because.as_ref(),
        };
        *response.body_mut() = Body::from(serde_json::to_string(&told).unwrap_or_default());
        let headers = response.headers_mut();
        headers.remove(header::CONTENT_LENGTH);
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    }
}

/// A path as it may stand in a URI reference: what the request's own parser let through and a URI has not is left out.
fn printable(path: &str) -> String {
    path.chars()
        .filter(|char| char.is_ascii_graphic() && !matches!(char, '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}'))
        .collect()
}

impl From<agent::Error> for Problem {
    fn from(error: agent::Error) -> Self {
        match &error {
            agent::Error::NoSuchTask(_) => Self::no_task(error.to_string()),
            agent::Error::Invalid(text) => Self::invalid(text.clone()),
            agent::Error::Refused { because, text } => Self::invalid(text.clone()).because(because.clone()),
            agent::Error::Held { .. } => Self::new(Kind::InHand, "the task is in hand", "stop it first"),
            agent::Error::Journal(journal::Error::NotFound { .. }) => Self::no_task("there is no such task"),
            agent::Error::Computer(error) => Self::computer(error),
            agent::Error::Io { source, .. } => of_disk(source).unwrap_or_else(|| Self::internal(error)),
            agent::Error::NoCheckpoint { .. } => {
                let hint = "GET /v1/tasks/{id}/checkpoints lists those there are";
                Self::new(Kind::NoSuchCheckpoint, error.to_string(), hint)
            }
            agent::Error::NotKept(_) => {
                let hint = "make the workspace smaller first, or take out of it what is named";
                Self::new(Kind::NotNow, error.to_string(), hint)
            }
            agent::Error::Journal(_)
            | agent::Error::Kept(_)
            | agent::Error::Event { .. }
            | agent::Error::Policy(_)
            | agent::Error::Model { .. }
            | agent::Error::Crashed(_) => Self::internal(error),
        }
    }
}

impl Problem {
    /// The task's computer refused, or is not there.
    fn computer(error: &agent::ComputerError) -> Self {
        use agent::ComputerError as Error;
        match error {
            Error::Invalid(text) => Self::invalid(text.clone()),
            Error::Refused(text) => Self::new(Kind::NotNow, text.clone(), "look at the task: GET /v1/tasks/{id}"),
            Error::Gone { .. } => {
                Self::new(Kind::NotNow, "the task's computer is not there", "look at the task: GET /v1/tasks/{id}")
            }
            other => Self::internal(other),
        }
    }

    /// The file system refused.
    pub(super) fn io(doing: &str, error: &std::io::Error) -> Self {
        of_disk(error).unwrap_or_else(|| Self::internal(format_args!("{doing}: {error}")))
    }
}

/// The problem that the disk is full, if that is what it is.
fn of_disk(error: &std::io::Error) -> Option<Problem> {
    let full = matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded);
    full.then(|| Problem::new(Kind::DiskFull, "the server's disk is full", "free some space there, and ask again"))
}

impl From<agent::Unavailable> for Problem {
    fn from(unavailable: agent::Unavailable) -> Self {
        Self::new(Kind::ModelUnavailable, unavailable.reason, unavailable.hint)
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let hint = "the task is on record; it is taken up when there is room, or resume it later";
        let kind = match refused {
            Refused::Full(_) => Kind::QueueFull,
            Refused::Stopping => Kind::Stopping,
        };
        Self::new(kind, refused.to_string(), hint)
    }
}

impl From<tokio::task::JoinError> for Problem {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::internal(error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (_, status, _) = self.kind.about();
        let mut response = status.into_response();
        let headers = response.headers_mut();
        if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// The kinds of problems there are.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Problems {
    problems: Vec<About>,
}

/// One kind of problem.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProblemKind)]
struct About {
    #[serde(rename = "type")]
    kind: Kind,
    title: &'static str,
    status: u16,
}

/// What the `type` of a problem can be
///
/// A kind never changes its meaning, nor its status.
#[utoipa::path(get, path = KINDS_PATH, operation_id = "listProblems", tag = "server", responses(
    (status = 200, description = "All kinds.", body = Problems),
))]
pub(super) async fn kinds() -> Json<Problems> {
    let about = |(kind, _, status, title): &(Kind, &str, StatusCode, &'static str)| About {
        kind: *kind,
        title,
        status: status.as_u16(),
    };
    Json(Problems { problems: KINDS.iter().map(about).collect() })
}

impl Kind {
    /// Name, status and words for the API document.
    pub(super) fn documented(self) -> (&'static str, String, String) {
        let (name, status, title) = self.about();
        (name, status.as_str().to_owned(), format!("`{name}`: {title}."))
    }
}

/// A response with a problem, for the API document.
pub(super) fn response(description: String) -> utoipa::openapi::Response {
    let schema = RefOr::Ref(Ref::from_schema_name("Problem"));
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new().description(description).content("application/problem+json", content).build()
}

/// Responses of these kinds, by status.
fn responses(kinds: &[Kind]) -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (_, status, text) in kinds.iter().map(|kind| kind.documented()) {
        texts.entry(status).or_default().push(text);
    }
    texts.into_iter().map(|(status, texts)| (status, response(texts.join(" ")).into())).collect()
}

/// Names for what a route may answer beside what it is for.
macro_rules! answers {
    ($($(#[$doc:meta])* $name:ident: $($kind:ident)+;)+) => {$(
        $(#[$doc])*
        pub(super) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<utoipa::openapi::Response>> {
                responses(&[$(Kind::$kind),+])
            }
        }
    )+};
}

answers! {
    /// The task is named in the address.
    OfTask: NoSuchTask;
    /// The file is named in the address.
    OfFile: NoSuchTask NoSuchFile RangeNotSatisfiable;
    /// The page is named in the address.
    OfPage: NoSuchTask NoSuchFile TooLarge;
    OfFrame: NoSuchTask NoSuchFile TooLarge Invalid;
    /// There are parameters.
    WithQuery: Invalid;
    /// There are parameters, and a task.
    WithQueryOfTask: Invalid NoSuchTask;
    /// A new task.
    Creating: Malformed TooSlow ModelUnavailable PriceUnknown TooLarge UnsupportedMediaType Invalid KeyReused SameName QueueFull
        Stopping DiskFull;
    /// A task is made of what is here.
    Demonstrating: Invalid KeyReused ModelUnavailable QueueFull Stopping DiskFull;
    /// A task must be in nobody's hand.
    Deleting: NoSuchTask InHand;
    /// The task may wait for nothing.
    Asking: NoSuchTask NothingAwaited;
    /// There is a JSON body for a task.
    WithBodyOfTask: Malformed NoSuchTask TooSlow NotNow TooLarge UnsupportedMediaType Invalid DiskFull;
    /// The task may wait for something else.
    Confirming: Malformed NoSuchTask TooSlow StaleConfirmation NotNow TooLarge UnsupportedMediaType Invalid DiskFull;
    /// The task may be put into the queue.
    Resuming: Malformed NoSuchTask TooSlow NotNow ModelUnavailable PriceUnknown TooLarge UnsupportedMediaType Invalid
        QueueFull Stopping DiskFull;
    /// A checkpoint of the task is named, and nobody may have it in hand.
    Restoring: Malformed NoSuchTask NoSuchCheckpoint TooSlow InHand NotNow TooLarge UnsupportedMediaType Invalid DiskFull;
    /// A checkpoint of the task is named, and the new one may be put into the queue.
    Forking: Malformed NoSuchTask NoSuchCheckpoint TooSlow TooLarge UnsupportedMediaType Invalid QueueFull Stopping DiskFull;
    /// The terminal is named in the address.
    OfTerminal: NoSuchTask NoSuchTerminal NotNow;
    /// The terminal may not be in the person's hands.
    Typing: Malformed NoSuchTask NoSuchTerminal TooSlow NotNow TooLarge UnsupportedMediaType Invalid;
    /// What is to be taken over may not be there.
    TakingOver: Malformed NoSuchTask NoSuchTerminal TooSlow NotNow TooLarge UnsupportedMediaType Invalid DiskFull;
    /// The browser may not be in the person's hands.
    OfBrowser: NoSuchTask NotNow;
    /// Nor what is done to it be possible.
    Handling: Malformed NoSuchTask TooSlow NotNow TooLarge UnsupportedMediaType Invalid;
    /// Nor files be given to its page.
    Giving: Malformed NoSuchTask TooSlow NotNow TooLarge UnsupportedMediaType Invalid SameName DiskFull;
    /// The task may not take it.
    Changing: NoSuchTask NotNow DiskFull;
    /// The configuration may not be one.
    OfConfiguration: ModelUnavailable;
    /// It may be no secret, or its store be full.
    Keeping: Malformed TooSlow TooLarge UnsupportedMediaType Invalid DiskFull;
    /// It may be no name of a secret.
    Forgetting: Invalid DiskFull;
    /// The configuration may not take it.
    Configuring: Malformed TooSlow TooLarge UnsupportedMediaType Invalid;
    /// Something is tried, one thing at a time.
    Trying: Malformed TooSlow ModelUnavailable TooLarge UnsupportedMediaType Invalid;
    /// The server may not be ready.
    Ready: Stopping NotReady;
    /// There may be too many links.
    Sharing: Malformed NoSuchTask TooSlow NotNow TooLarge UnsupportedMediaType Invalid DiskFull;
    /// The link is named in the address.
    OfShare: NoSuchShare TooManyRequests;
    /// The link is named in the address, and there are parameters.
    WithQueryOfShare: NoSuchShare Invalid TooManyRequests;
    /// The link and a file are named in the address.
    OfSharedFile: NoSuchShare NoSuchFile RangeNotSatisfiable TooManyRequests;
    /// The link and a page are named in the address.
    OfSharedPage: NoSuchShare NoSuchFile TooLarge TooManyRequests;
    OfSharedFrame: NoSuchShare NoSuchFile TooLarge Invalid TooManyRequests;
    /// A model may have to be asked.
    OfModels: ModelUnavailable;
}
