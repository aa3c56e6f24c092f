//! A body that is written while it is sent, by something that blocks. Nothing of it is kept, and a slow reader holds up nothing
//! but this.

use std::io;

use axum::body::{Body, Bytes};
use tokio::sync::{Semaphore, mpsc};

use super::problem::{Answer, Kind, Problem};

/// Pieces, and the bytes of each, that are written ahead of a slow reader.
const PIECES_AHEAD_MAX: usize = 4;
const PIECE_BYTES: usize = 64 * 1024;

/// For whom it is written. Each such body has a thread until its reader has all of it, however slow: those who have a link and no
/// token cannot take the operator's places.
#[derive(Clone, Copy, Debug)]
pub(super) enum Asker {
    Owner,
    Guest,
}

static OWNERS: Semaphore = Semaphore::const_new(64);
static GUESTS: Semaphore = Semaphore::const_new(32);

/// Where it is written to.
pub(super) type Spout = io::BufWriter<Out>;

/// The body. Where the writing fails it is cut off rather than ended, so that half of it is not taken for the whole.
pub(super) fn pour(asker: Asker, write: impl FnOnce(&mut Spout) -> io::Result<()> + Send + 'static) -> Answer<Body> {
    let places = match asker {
        Asker::Owner => &OWNERS,
        Asker::Guest => &GUESTS,
    };
    let busy = |_| Problem::new(Kind::Busy, "too many downloads of this kind at once", "ask again in a moment");
    let place = places.try_acquire().map_err(busy)?;
    let (pieces, mut written) = mpsc::channel(PIECES_AHEAD_MAX);
    tokio::task::spawn_blocking(move || {
        let mut out = io::BufWriter::with_capacity(PIECE_BYTES, Out(pieces.clone()));
        if let Err(error) = write(&mut out).and_then(|()| io::Write::flush(&mut out)) {
            let _ = pieces.blocking_send(Err(error));
        }
        drop(place);
    });
    Ok(Body::from_stream(futures_util::stream::poll_fn(move |context| written.poll_recv(context))))
}

#[derive(Debug)]
pub(super) struct Out(mpsc::Sender<io::Result<Bytes>>);

impl io::Write for Out {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        self.0.blocking_send(Ok(Bytes::copy_from_slice(piece))).map_err(gone)?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
