//! What a caller is told when something is refused or fails: RFC 9457, with a hint. What only we should know goes to the
//! log and not to them.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::Refused;

/// Seconds after which a caller who was turned away may ask again.
const RETRY_AFTER_S: u64 = 1;

/// A refusal or a failure.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    detail: String,
    hint: String,
}

/// What a handler gives.
pub(super) type Answer = Result<Response, Problem>;

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), hint: hint.into() }
    }

    pub(super) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail, "docs/api.md says what is taken here")
    }

    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail, "GET /v1/tasks lists the tasks there are")
    }

    pub(super) fn conflict(detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail, hint)
    }

    /// The cause goes to the log; the caller learns only that it was not them.
    pub(super) fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::error!(%cause, "answer a request");
        let hint = "the server's log says what it was; asking again does no harm";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "the server could not do that", hint)
    }
}

impl From<agent::Error> for Problem {
    fn from(error: agent::Error) -> Self {
        match &error {
            agent::Error::NoSuchTask(_) => Self::not_found(error.to_string()),
            agent::Error::Invalid(text) => Self::invalid(text.clone()),
            agent::Error::Held { .. } => Self::conflict("the task is in hand", "stop it first"),
            agent::Error::Journal(journal::Error::NotFound { .. }) => Self::not_found("there is no such task"),
            agent::Error::Journal(_)
            | agent::Error::Event { .. }
            | agent::Error::Policy(_)
            | agent::Error::Io { .. }
            | agent::Error::Model { .. }
            | agent::Error::Crashed(_) => Self::internal(error),
        }
    }
}

impl From<agent::Unavailable> for Problem {
    fn from(unavailable: agent::Unavailable) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, unavailable.reason, unavailable.hint)
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let hint = "the task is on record; it is taken up when there is room, or resume it later";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, refused.to_string(), hint)
    }
}

impl From<tokio::task::JoinError> for Problem {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::internal(error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or("Refused");
        let body = json!({
            "type": "about:blank",
            "title": title,
            "status": self.status.as_u16(),
            "detail": self.detail,
            "hint": self.hint,
        });
        let mut response = (self.status, body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
