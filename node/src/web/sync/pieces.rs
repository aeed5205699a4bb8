//! Long answers: read while they are sent, so that what is in memory is a piece, not the whole.

use axum::body::{Body, Bytes};
use axum::response::Response;
use tokio_stream::wrappers::ReceiverStream;

use super::{as_lines, blocking};
use crate::store::StoreError;
use crate::web::problem::Problem;

/// What is read at a time, about, and is at once in memory.
pub(super) const PIECE_BYTES: usize = 256 * 1024;

/// Lines that are read from the disk some at a time.
pub(super) trait Pieces: Send + Sized + 'static {
    /// The next lines, about [`PIECE_BYTES`] of them; empty at the end.
    fn piece(&mut self) -> Result<String, StoreError>;
}

/// Reads the next piece where it may block.
pub(super) async fn next<P: Pieces>(mut pieces: P) -> Result<(String, P), Problem> {
    blocking(move || Ok::<_, StoreError>((pieces.piece()?, pieces))).await
}

/// All of it at once, where it need not be sent.
pub(super) fn whole<P: Pieces>(mut pieces: P) -> Result<String, Problem> {
    let mut text = String::new();
    loop {
        let piece = pieces.piece()?;
        if piece.is_empty() {
            return Ok(text);
        }
        text.push_str(&piece);
    }
}

/// An answer of which the first piece was read.
///
/// Each piece is read on a thread that may block only while it reads: a slow reader holds back
/// nothing but its own answer.
pub(super) fn answer<P: Pieces>(first: String, mut pieces: P) -> Response {
    if first.len() < PIECE_BYTES {
        return as_lines(first.into());
    }
    let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Bytes, std::io::Error>>(1);
    tokio::spawn(async move {
        let mut piece = Ok(first);
        loop {
            match piece {
                Ok(text) if text.is_empty() => return,
                Ok(text) => {
                    if sender.send(Ok(text.into())).await.is_err() {
                        return;
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "an answer was cut off");
                    let _ = sender.send(Err(std::io::Error::other("cut off"))).await;
                    return;
                }
            }
            let reading = tokio::task::spawn_blocking(move || (pieces.piece(), pieces));
            (piece, pieces) = match reading.await {
                Ok(read) => read,
                Err(_) => return,
            };
        }
    });
    as_lines(Body::from_stream(ReceiverStream::new(receiver)))
}
