//! Answers connections until the end is asked for. Whoever listens to events then is cut off, and comes back by
//! `Last-Event-ID`.

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::{App, app};

/// How long answers under way may take once the end is asked for.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// Answers until `ended` is.
pub async fn serve(listener: TcpListener, state: App, ended: impl Future<Output = ()> + Send) -> io::Result<()> {
    let (end, ending) = oneshot::channel::<()>();
    let answering = axum::serve(listener, app(state)).with_graceful_shutdown(async move { drop(ending.await) });
    let mut answering = tokio::spawn(async move { answering.await });
    tokio::select! {
        answered = &mut answering => return answered.map_err(io::Error::other)?,
        () = ended => drop(end),
    }
    match tokio::time::timeout(LAST_ANSWERS, &mut answering).await {
        Ok(answered) => answered.map_err(io::Error::other)?,
        Err(_) => {
            answering.abort();
            Ok(())
        }
    }
}
