//! Answers connections until the end is asked for: so many at once, each with so much time to say what it wants. Whoever
//! listens to events at the end is cut off, and comes back by `Last-Event-ID`.

use std::future::Future;
use std::io;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use super::limits::HttpLimits;
use super::{App, app, upload};

/// How long answers under way may take once the end is asked for.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// How long nobody is let in after the system refused a connection, mostly for want of descriptors.
const BREATH: Duration = Duration::from_millis(200);

/// Answers until `ended` is.
pub async fn serve(listener: TcpListener, state: App, ended: impl Future<Output = ()> + Send) -> io::Result<()> {
    upload::clear(state.instance.home().path());
    let limits = state.limits;
    let router = app(state);
    let places = std::sync::Arc::new(Semaphore::new(limits.connections_max));
    let (end, ending) = watch::channel(());
    // Dropped at the end, it cuts off whoever is still there.
    let mut connections = JoinSet::new();
    tokio::pin!(ended);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            Some(_) = connections.join_next() => continue,
            () = &mut ended => break,
        };
        match accepted {
            Ok((stream, place)) => {
                drop(connections.spawn(answer(stream, router.clone(), limits, ending.clone(), place)));
            }
            Err(error) => {
                tracing::warn!(%error, "let somebody in");
                tokio::time::sleep(BREATH).await;
            }
        }
    }
    drop((listener, ending));
    let _ = end.send(());
    let all = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(LAST_ANSWERS, all).await;
    Ok(())
}

/// The next connection, with a place. Who finds none waits with the system: a refusal would cost more than the wait.
async fn accept(
    listener: &TcpListener,
    places: &std::sync::Arc<Semaphore>,
) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let place = std::sync::Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, place))
}

/// One connection, to its end.
async fn answer(
    stream: TcpStream,
    router: Router,
    limits: HttpLimits,
    mut ending: watch::Receiver<()>,
    _place: OwnedSemaphorePermit,
) {
    let stalled_ms = u32::try_from(limits.stalled_max.as_millis()).unwrap_or(u32::MAX);
    // Where the system refuses, a reader that reads no more keeps its place for longer.
    let _ = stream.set_nodelay(true);
    let _ = rustix::net::sockopt::set_tcp_user_timeout(&stream, stalled_ms);
    let service =
        hyper::service::service_fn(move |request: Request<Incoming>| router.clone().oneshot(request.map(Body::new)));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // Also between two requests: an idle connection is let go as one that does not get to the point.
        .header_read_timeout(limits.header_time_max)
        .max_headers(limits.headers_max)
        .max_header_size(limits.header_bytes_max)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        _ = ending.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke off");
    }
}
