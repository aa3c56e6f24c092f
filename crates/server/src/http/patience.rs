//! How long a request's body may take: a reader that waits for ever is a place taken for ever. Nothing of it is kept here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::Body;
use axum::extract::Request;
use axum::http::header;
use futures_util::StreamExt as _;
use tokio::time::{Instant, timeout_at};

use super::limits::HttpLimits;

/// Whether a body did not come in time.
#[derive(Clone, Debug, Default)]
pub(super) struct Late(Arc<AtomicBool>);

impl Late {
    pub(super) fn is(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Whether the body is a form, which may hold files.
pub(super) fn is_form(request: &Request) -> bool {
    let kind = request.headers().get(header::CONTENT_TYPE).map(|kind| kind.as_bytes().to_ascii_lowercase());
    kind.is_some_and(|kind| kind.starts_with(b"multipart/form-data"))
}

/// The same request, whose body breaks off when its time is over.
pub(super) fn bounded(request: Request, limits: &HttpLimits) -> (Request, Late) {
    let late = Late::default();
    let all = if is_form(&request) { limits.upload_time_max } else { limits.body_time_max };
    let (end, silence) = (Instant::now() + all, limits.body_silence_max);
    let (parts, body) = request.into_parts();
    let told = late.clone();
    let pieces = futures_util::stream::try_unfold(body.into_data_stream(), move |mut body| {
        let late = told.clone();
        async move {
            match timeout_at(end.min(Instant::now() + silence), body.next()).await {
                Ok(None) => Ok(None),
                Ok(Some(piece)) => Ok(Some((piece.map_err(std::io::Error::other)?, body))),
                Err(_) => {
                    late.0.store(true, Ordering::Relaxed);
                    Err(std::io::Error::from(std::io::ErrorKind::TimedOut))
                }
            }
        }
    });
    (Request::from_parts(parts, Body::from_stream(pieces)), late)
}
