//! Bodies that are made on a blocking thread while they are sent: bounded, and ended when the client has gone.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use model::Clock;
use tokio::runtime::Handle;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_stream::wrappers::ReceiverStream;

use crate::admission::Permit;
use crate::limits::{CHUNK_BYTES, CHUNKS_WAITING_MAX, SLOW_CLIENT_S};

/// The writing end of a body.
pub struct BodyWriter {
    sender: mpsc::Sender<io::Result<Bytes>>,
    buffer: Vec<u8>,
    clock: Arc<dyn Clock>,
    permit: Option<Permit>,
    // A place among those whose clients are slow.
    slow: Option<OwnedSemaphorePermit>,
}

/// The client has gone, or takes nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

/// A body and the end that writes it.
pub fn body(clock: Arc<dyn Clock>) -> (BodyWriter, Body) {
    let (sender, receiver) = mpsc::channel(CHUNKS_WAITING_MAX);
    (
        BodyWriter { sender, buffer: Vec::new(), clock, permit: None, slow: None },
        Body::from_stream(ReceiverStream::new(receiver)),
    )
}

impl BodyWriter {
    /// Holds the permit of the query for as long as its client keeps up.
    pub fn hold(&mut self, permit: Permit) {
        self.permit = Some(permit);
    }

    /// The buffer to append to.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Sends what has been written once it is enough. Waits for a slow client: only for blocking threads.
    pub fn flush_if_large(&mut self) -> Result<(), Gone> {
        if self.buffer.len() < CHUNK_BYTES { Ok(()) } else { self.flush() }
    }

    /// Sends what has been written.
    pub fn flush(&mut self) -> Result<(), Gone> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let chunk = std::mem::take(&mut self.buffer);
        match self.sender.try_send(Ok(chunk.into())) {
            Ok(()) => Ok(()),
            Err(TrySendError::Closed(_)) => Err(Gone),
            Err(TrySendError::Full(chunk)) => self.wait_and_send(chunk),
        }
    }

    // From here on the client sets the pace. It must not keep others from their answers meanwhile.
    fn wait_and_send(&mut self, chunk: io::Result<Bytes>) -> Result<(), Gone> {
        if let Some(permit) = self.permit.take() {
            // Each holds a blocking thread, of which the write path needs some.
            self.slow = Some(permit.into_slow().ok_or(Gone)?);
        }
        let give_up = self.clock.monotonic() + Duration::from_secs(SLOW_CLIENT_S);
        Handle::current().block_on(async {
            tokio::select! {
                sent = self.sender.send(chunk) => sent.map_err(|_| Gone),
                () = self.clock.sleep_until(give_up) => Err(Gone),
            }
        })
    }

    /// Cuts the connection, so that nobody takes what was sent for the whole answer.
    pub fn abort(self) {
        let error = io::Error::other("the answer could not be finished");
        // A client that has gone has cut it already.
        let _ = self.sender.blocking_send(Err(error));
    }
}

#[cfg(test)]
mod tests {
    use model::{ManualClock, Timestamp};

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn gives_up_on_a_client_that_takes_nothing() {
        let clock = Arc::new(ManualClock::new(Timestamp::default()));
        let (mut writer, _body) = body(clock.clone());
        let writing = tokio::task::spawn_blocking(move || {
            let mut sent = 0;
            loop {
                writer.buffer().push(b'x');
                match writer.flush() {
                    Ok(()) => sent += 1,
                    Err(Gone) => return sent,
                }
            }
        });
        while !writing.is_finished() {
            clock.advance(Duration::from_secs(SLOW_CLIENT_S));
            tokio::task::yield_now().await;
        }
        assert_eq!(writing.await.expect("joined"), CHUNKS_WAITING_MAX);
    }
}
