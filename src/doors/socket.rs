//! A socket that tells its connection's pulse what passes through it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::frames::{Frames, Tally};
use super::limits;
use super::pulse::Pulse;

/// See the module.
#[derive(Debug)]
pub struct Counted {
    socket: TcpStream,
    pulse: Arc<Pulse>,
    frames: Frames,
    // Bytes read since it last waited.
    turn: usize,
}

impl Counted {
    /// Counts into `pulse`.
    pub fn new(socket: TcpStream, pulse: Arc<Pulse>) -> Self {
        Self { socket, pulse, frames: Frames::default(), turn: 0 }
    }

    fn wrote(&self, wrote: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &wrote {
            Poll::Pending => self.pulse.wrote(None),
            // A socket that took less than it was given is full again: the next attempt would wait.
            Poll::Ready(Ok(bytes)) => self.pulse.wrote(Some(*bytes)),
            Poll::Ready(Err(_)) => {}
        }
        wrote
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if self.pulse.is_cut() {
            // What the peer has not taken would stay with the kernel, and the end of it would wait behind.
            let _ = self.socket.set_zero_linger();
        }
    }
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.turn >= limits::READ_TURN_BYTES {
            self.turn = 0;
            // Others in the runtime come first, and whoever else waits for this core.
            cx.waker().wake_by_ref();
            std::thread::yield_now();
            return Poll::Pending;
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut self.socket).poll_read(cx, buf);
        let came = &buf.filled()[before..];
        self.turn = if read.is_ready() { self.turn + came.len() } else { 0 };
        if read.is_ready() && !came.is_empty() {
            let mut tally = Tally::default();
            self.frames.read(came, &mut tally);
            if !self.pulse.read(&self.frames, tally) {
                return Poll::Ready(Err(io::Error::other("a flood of HTTP/2 frames")));
            }
        }
        read
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.socket).poll_write(cx, buf);
        self.wrote(wrote)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.socket).poll_write_vectored(cx, bufs);
        self.wrote(wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }
}
