//! Bodies that are made on a blocking thread while they are sent: bounded, ended when the client has gone, and cut where they were
//! not finished, so that nobody takes a part of an answer for the whole.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::Frame;
use model::Clock;
use tokio::runtime::Handle;
use tokio::sync::{Notify, OwnedSemaphorePermit};

use crate::admission::Permit;
use crate::limits::{CHUNK_BYTES, CHUNKS_WAITING_MAX, SLOW_CLIENT_S};

/// The writing end of a body. Dropped before [`BodyWriter::finish`], it cuts the answer: what its client has not taken yet is
/// forgotten at once, and its connection ends without an end of the body.
pub struct BodyWriter {
    queue: Arc<Queue>,
    buffer: Vec<u8>,
    clock: Arc<dyn Clock>,
    permit: Option<Permit>,
    // A place among those whose clients are slow.
    slow: Option<OwnedSemaphorePermit>,
}

/// The client has gone, or takes too little.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

/// A body and the end that writes it.
pub fn body(clock: Arc<dyn Clock>) -> (BodyWriter, Body) {
    let queue = Arc::new(Queue::default());
    let writer = BodyWriter { queue: Arc::clone(&queue), buffer: Vec::new(), clock, permit: None, slow: None };
    (writer, Body::new(Written(queue)))
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

    /// Sends what is left. The answer is whole.
    pub fn finish(mut self) -> Result<(), Gone> {
        self.flush()?;
        self.queue.end(End::Whole);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Gone> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let chunk = Bytes::from(std::mem::take(&mut self.buffer));
        if self.queue.push(&chunk)? { Ok(()) } else { self.wait_and_push(&chunk) }
    }

    // From here on the client sets the pace. It must not keep others from their answers meanwhile.
    fn wait_and_push(&mut self, chunk: &Bytes) -> Result<(), Gone> {
        if let Some(permit) = self.permit.take() {
            // Each holds a blocking thread, of which the write path needs some.
            self.slow = Some(permit.into_slow().ok_or(Gone)?);
        }
        let give_up = self.clock.monotonic() + Duration::from_secs(SLOW_CLIENT_S);
        Handle::current().block_on(async {
            let pushed = async {
                loop {
                    // Room that is made between the two lines is not missed: the notification waits.
                    if self.queue.push(chunk)? {
                        return Ok(());
                    }
                    self.queue.room.notified().await;
                }
            };
            tokio::select! {
                pushed = pushed => pushed,
                () = self.clock.sleep_until(give_up) => Err(Gone),
            }
        })
    }
}

impl Drop for BodyWriter {
    fn drop(&mut self) {
        self.queue.end(End::Cut);
    }
}

// What was written and has not been taken yet.
#[derive(Debug, Default)]
struct Queue {
    state: Mutex<State>,
    // Told when a piece was taken, or nobody takes any more.
    room: Notify,
}

#[derive(Debug, Default)]
struct State {
    chunks: VecDeque<Bytes>,
    end: Option<End>,
    abandoned: bool,
    reader: Option<Waker>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Whole,
    Cut,
}

impl Queue {
    // Whether there was room.
    fn push(&self, chunk: &Bytes) -> Result<bool, Gone> {
        let mut state = self.lock();
        if state.abandoned {
            return Err(Gone);
        }
        if state.chunks.len() >= CHUNKS_WAITING_MAX {
            return Ok(false);
        }
        state.chunks.push_back(chunk.clone());
        state.wake();
        Ok(true)
    }

    // The first end counts.
    fn end(&self, end: End) {
        let mut state = self.lock();
        if state.end.is_none() {
            state.end = Some(end);
            if end == End::Cut {
                // Its client may take minutes to come for it, or never does.
                state.chunks.clear();
            }
            state.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wake(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

// The reading end.
struct Written(Arc<Queue>);

impl HttpBody for Written {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let mut state = self.0.lock();
        if let Some(chunk) = state.chunks.pop_front() {
            self.0.room.notify_one();
            return Poll::Ready(Some(Ok(Frame::data(chunk))));
        }
        match state.end {
            None => {
                state.reader = Some(cx.waker().clone());
                Poll::Pending
            }
            Some(End::Whole) => Poll::Ready(None),
            Some(End::Cut) => Poll::Ready(Some(Err(io::Error::other("the answer was not finished")))),
        }
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.abandoned = true;
        state.chunks.clear();
        self.0.room.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use model::stats::Stats;
    use model::{ManualClock, Timestamp};

    use super::*;
    use crate::Config;
    use crate::admission::{Admission, Extent};
    use crate::limits::SLOW_CLIENTS_MAX;

    fn clock() -> Arc<ManualClock> {
        Arc::new(ManualClock::new(Timestamp::default()))
    }

    // As many chunks as its reader takes.
    fn write_on(mut writer: BodyWriter) -> usize {
        let mut sent = 0;
        loop {
            writer.buffer().push(b'x');
            match writer.flush() {
                Ok(()) => sent += 1,
                Err(Gone) => return sent,
            }
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn gives_up_on_a_client_that_takes_nothing_and_keeps_nothing_for_it() {
        let clock = clock();
        let (writer, body) = body(clock.clone());
        let queue = Arc::clone(&writer.queue);
        let writing = tokio::task::spawn_blocking(move || write_on(writer));
        while !writing.is_finished() {
            clock.advance(Duration::from_secs(SLOW_CLIENT_S));
            tokio::task::yield_now().await;
        }
        assert_eq!(writing.await.expect("joined"), CHUNKS_WAITING_MAX);
        assert!(queue.lock().chunks.is_empty());
        assert!(body.collect().await.is_err(), "what was not finished has no end");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_body_is_taken_as_it_is_written() {
        let (mut writer, body) = body(clock());
        let reading = tokio::spawn(body.collect());
        let written = tokio::task::spawn_blocking(move || {
            for piece in 0..100u8 {
                writer.buffer().push(piece);
                writer.flush()?;
            }
            writer.buffer().push(100);
            writer.finish()
        });
        assert_eq!(written.await.expect("joined"), Ok(()));
        let whole = reading.await.expect("joined").expect("it has an end").to_bytes();
        assert!(whole.iter().copied().eq(0..=100));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn writing_ends_when_nobody_reads_any_more() {
        let (writer, body) = body(clock());
        let writing = tokio::task::spawn_blocking(move || write_on(writer));
        drop(body);
        assert!(writing.await.expect("joined") <= CHUNKS_WAITING_MAX);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn of_slow_clients_only_some_are_waited_for() {
        let (clock, admission) = (clock(), Admission::new(&Config::default(), &Stats::new()));
        let mut waited_for = Vec::new();
        for number in 0..=SLOW_CLIENTS_MAX {
            let (mut writer, body) = body(clock.clone());
            let queue = Arc::clone(&writer.queue);
            let (sender, written) = tokio::sync::oneshot::channel();
            let guard = admission.start(Extent::Stream, move |_, permit| {
                writer.hold(permit);
                let _ = sender.send(write_on(writer));
            });
            guard.await.expect("a slow client's permit is free again").release();
            if number == SLOW_CLIENTS_MAX {
                assert_eq!(written.await, Ok(CHUNKS_WAITING_MAX));
                assert!(body.collect().await.is_err(), "it is cut");
            } else {
                while queue.lock().chunks.len() < CHUNKS_WAITING_MAX {
                    tokio::task::yield_now().await;
                }
                waited_for.push((written, body));
            }
        }
        for (written, body) in waited_for {
            drop(body);
            written.await.expect("it learns that nobody reads");
        }
    }
}
