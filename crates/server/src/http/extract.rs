//! How a request's body, query and headers are read: into a type, or refused in our words. What they mean is the route's.

use std::fmt;
use std::marker::PhantomData;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use event::TaskId;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::problem::{Answer, Kind, Problem};

/// A JSON body.
pub(super) struct Said<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Said<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Answer<Self> {
        let said = Json::from_request(request, state).await;
        said.map(|Json(Object(said))| Self(said)).map_err(|rejection| {
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

/// An object. A list of the values of its fields, which the library takes as well, is none.
struct Object<T>(T);

impl<'de, T: DeserializeOwned> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);
        impl<'de, T: DeserializeOwned> Visitor<'de> for Fields<T> {
            type Value = T;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }
        from.deserialize_map(Fields(PhantomData)).map(Self)
    }
}

/// A whole number in a body. In JSON `3.0` is one as well, and past 63 bits there is none.
pub(super) fn whole<'de, T: TryFrom<u64>, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    let number = serde_json::Number::deserialize(from)?;
    let exact = number.as_u64().filter(|whole| i64::try_from(*whole).is_ok());
    let written_otherwise = || {
        let float = number.as_f64().filter(|_| number.is_f64())?;
        (float.fract() == 0.0 && (0.0..i64::MAX as f64).contains(&float)).then_some(float as u64)
    };
    let whole = exact.or_else(written_otherwise).and_then(|whole| T::try_from(whole).ok());
    whole.ok_or_else(|| D::Error::custom(format!("{number} is no whole number from 0 on, or too large")))
}

/// The same where it may be null.
pub(crate) fn whole_or_null<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    struct Whole(u64);
    impl<'de> serde::Deserialize<'de> for Whole {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            whole(from).map(Self)
        }
    }
    Ok(Option::<Whole>::deserialize(from)?.map(|whole| whole.0))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<u64>) {
        let mut from = serde_json::Deserializer::from_str(text);
        assert_eq!(whole(&mut from).ok(), expected, "{text}");
    }

    #[test]
    fn a_whole_number_is_one_however_it_is_written() {
        check("0", Some(0));
        check("3.0", Some(3));
        check("1e3", Some(1000));
        check("9223372036854775807", Some(9_223_372_036_854_775_807));
        check("9223372036854775808", None);
        check("1e300", None);
        check("-1", None);
        check("2.5", None);
        check("\"3\"", None);
        check("null", None);
        let mut null = serde_json::Deserializer::from_str("null");
        assert_eq!(whole_or_null(&mut null).ok(), Some(None));
    }
}
