//! Bodies that are made on a blocking thread while they are sent: bounded, and ended when the client has gone.

use std::io;

use axum::body::{Body, Bytes};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::limits::{CHUNK_BYTES, CHUNKS_WAITING_MAX};

/// The writing end of a body.
#[derive(Debug)]
pub struct BodyWriter {
    sender: mpsc::Sender<io::Result<Bytes>>,
    buffer: Vec<u8>,
}

/// The client has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

/// A body and the end that writes it.
pub fn body() -> (BodyWriter, Body) {
    let (sender, receiver) = mpsc::channel(CHUNKS_WAITING_MAX);
    (BodyWriter { sender, buffer: Vec::new() }, Body::from_stream(ReceiverStream::new(receiver)))
}

impl BodyWriter {
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
        self.sender.blocking_send(Ok(std::mem::take(&mut self.buffer).into())).map_err(|_| Gone)
    }

    /// Cuts the connection, so that nobody takes what was sent for the whole answer.
    pub fn abort(self) {
        let error = io::Error::other("the answer could not be finished");
        // A client that has gone has cut it already.
        let _ = self.sender.blocking_send(Err(error));
    }
}
