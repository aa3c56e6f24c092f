//! A body that is written while it is sent, by something that blocks. Nothing of it is kept, and a slow reader holds up nothing
//! but this.

use std::io;

use axum::body::{Body, Bytes};
use tokio::sync::mpsc;

/// Pieces, and the bytes of each, that are written ahead of a slow reader.
const PIECES_AHEAD_MAX: usize = 4;
const PIECE_BYTES: usize = 64 * 1024;

/// Where it is written to.
pub(super) type Spout = io::BufWriter<Out>;

/// The body. Where the writing fails it is cut off rather than ended, so that half of it is not taken for the whole.
pub(super) fn pour(write: impl FnOnce(&mut Spout) -> io::Result<()> + Send + 'static) -> Body {
    let (pieces, mut written) = mpsc::channel(PIECES_AHEAD_MAX);
    tokio::task::spawn_blocking(move || {
        let mut out = io::BufWriter::with_capacity(PIECE_BYTES, Out(pieces.clone()));
        if let Err(error) = write(&mut out).and_then(|()| io::Write::flush(&mut out)) {
            let _ = pieces.blocking_send(Err(error));
        }
    });
    Body::from_stream(futures_util::stream::poll_fn(move |context| written.poll_recv(context)))
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
