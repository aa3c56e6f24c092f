//! How a request's body, query and headers are read: into a type, or refused in our words. What they mean is the route's.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use event::TaskId;
use serde::de::DeserializeOwned;

use super::problem::{Answer, Kind, Problem};

/// A JSON body.
pub(super) struct Said<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Said<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Answer<Self> {
        let said = Json::from_request(request, state).await;
        said.map(|Json(said)| Self(said)).map_err(|rejection| {
            let kind = match &rejection {
                JsonRejection::JsonDataError(_) => Kind::Invalid,
                JsonRejection::JsonSyntaxError(_) => Kind::Malformed,
                JsonRejection::MissingJsonContentType(_) => Kind::UnsupportedMediaType,
                other => return Problem::of_status(other.status()),
            };
            Problem::new(kind, rejection.body_text(), "docs/api.md says what is taken here")
        })
    }
}

/// What stands after the question mark.
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Answer<Self> {
        let asked = Query::from_request_parts(parts, state).await;
        asked.map(|Query(asked)| Self(asked)).map_err(|rejection| Problem::invalid(rejection.body_text()))
    }
}

/// The task that the address names.
pub(super) fn task_id(text: &str) -> Answer<TaskId> {
    TaskId::new(text).map_err(|_| Problem::no_task("there is no task of this name"))
}

/// A header's text; nothing where it is not text.
pub(super) fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
