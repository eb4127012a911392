//! Bounds of connections, each with its reason.

use std::time::Duration;

/// A request's head must be whole after this time: clients send it in one piece, and who does not holds a place for nothing.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection without a request is told to go after this time. Longer than the minute at which most exporters come again.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(120);

/// In this time a client must take [`READER_WINDOW_BYTES_MIN`] of an answer that waits for it. Long enough for somebody who
/// reads in a pager, and for a network that was away for a while.
pub const READER_WINDOW: Duration = Duration::from_secs(30);

/// See [`READER_WINDOW`]: about a kilobyte a second.
pub const READER_WINDOW_BYTES_MIN: u64 = 32 << 10;

/// Bytes of a head over HTTP/1.1. Eight KiB are customary; tokens and trace context fit many times.
pub const HTTP1_HEAD_BYTES_MAX: usize = 64 << 10;

/// The same over HTTP/2, after decompression.
pub const HTTP2_HEAD_BYTES_MAX: u32 = 64 << 10;

/// Calls at a time on one connection. Exporters use a handful.
pub const HTTP2_STREAMS_MAX: u32 = 256;

/// Streams that a peer has reset before they were looked at: more is the attack of CVE-2023-44487, and ends the connection.
pub const HTTP2_PENDING_RESETS_MAX: usize = 32;

/// Streams that were reset because of the peer's mistakes: more is the attack of CVE-2025-8671.
pub const HTTP2_LOCAL_RESETS_MAX: usize = 256;

/// Streams that a peer may reset between two looks at its connection, a second apart: as many as it may have open, twice. Clients
/// whose calls run out of time stay far below it; who opens streams in order to reset them does not (CVE-2023-44487).
pub const HTTP2_RESETS_MAX: u64 = 512;

/// Frames between two looks that carry nothing: SETTINGS, PING, PRIORITY, CONTINUATION, DATA of a few bytes, unknown ones. Each
/// costs its sender nine bytes, and the server more.
pub const HTTP2_IDLE_FRAMES_MAX: u64 = 1_000;

/// As many more for each call that began: clients that measure the path (grpc-go) ping once a call.
pub const HTTP2_IDLE_FRAMES_OF_CALL_MAX: u64 = 4;

/// A reader of answers opens its windows again after some bytes; more often than for so many is a flood. Libraries do so for half a
/// window, which is 32 KiB or more.
pub const HTTP2_BYTES_OF_WINDOW_MIN: u64 = 1 << 10;

/// An answer is handed over in pieces of this size, the largest frame that every peer takes, so that it can be seen how slowly.
pub const HTTP2_PIECE_BYTES: usize = 16 << 10;

/// Bytes that a connection reads before it is others' turn: a tenth of a millisecond, where they go into memory that is new. A peer that
/// sends as fast as it is read would keep a core for the runtime's 128 reads, tens of MiB.
pub const READ_TURN_BYTES: usize = 64 << 10;

/// Bytes of an HTTP/2 stream and connection that may be on their way unread: large requests need not wait for the client
/// to hear of every 64 KiB.
pub const HTTP2_STREAM_WINDOW_BYTES: u32 = 1 << 20;

/// See [`HTTP2_STREAM_WINDOW_BYTES`].
pub const HTTP2_CONNECTION_WINDOW_BYTES: u32 = 4 << 20;

/// Bytes of an answer that wait on one stream.
pub const HTTP2_SEND_BYTES_MAX: usize = 256 << 10;

/// Bytes that the kernel keeps of what its network has not asked for yet. Without it the kernel takes some MiB for each slow
/// reader, which nobody counts; the network's speed does not depend on it.
pub const UNSENT_BYTES_MAX: u32 = 128 << 10;

/// A connection that says nothing for so long is asked whether it is still there.
pub const HTTP2_KEEPALIVE: Duration = Duration::from_secs(30);

/// And given up if it does not say so within this time.
pub const HTTP2_KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// Pause of the accept loop after an error that the next attempt would meet again, such as too many open files.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Open files beside connections: segments, parts and the program's own.
pub const FILES_BESIDE_CONNECTIONS: u64 = 512;
