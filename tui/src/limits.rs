//! Every bound of the terminal, with its reason and what breaks if it is raised.

use std::time::Duration;

/// Characters of one [`Safe`](crate::sanitize::Safe). A record's body may have a megabyte; no screen shows more than this of it, and each frame
/// makes its lines anew. Raised, one long record makes every frame slow.
pub const SAFE_CHARS_MAX: usize = 16_384;

/// Characters of a text in a row of a list; no row is wider than the widest terminals by much.
pub const HEAD_CHARS_MAX: usize = 600;

/// Marks on one character. More are an attempt to write into the lines above; no language needs them.
pub const MARKS_MAX: usize = 4;

/// Views on the stack that Enter and Esc walk. Deeper, nobody knows the way back; the oldest but the first goes.
pub const VIEWS_MAX: usize = 64;

/// Characters of a line that is typed or pasted: what the server takes as a filter at most.
pub const INPUT_CHARS_MAX: usize = 16_384;

/// Lines that the palette remembers.
pub const HISTORY_MAX: usize = 50;

/// Bytes that `y` puts on the clipboard, before base64. Terminals drop longer sequences silently, xterm those beyond 100,000 bytes.
pub const COPY_BYTES_MAX: usize = 48 << 10;

/// Requests on their way. More at a time come from a stuck server; then the oldest is given up and says so.
pub const FETCHES_MAX: usize = 16;

/// Keys and pasted texts that wait. The reading thread waits when there are more: nothing typed is lost.
pub const INPUTS_WAITING_MAX: usize = 256;

/// Answers that wait. Fetches wait when there are more.
pub const ANSWERS_WAITING_MAX: usize = 32;

/// Followed rows that wait for the next frame. What comes faster is not parsed, only counted: it is stored, and a query finds it.
/// Raised, a frame takes longer than its thirtieth of a second.
pub const TAIL_WAITING_ROWS_MAX: usize = 400;

/// Bytes of followed rows that wait for the next frame.
pub const TAIL_WAITING_BYTES_MAX: usize = 4 << 20;

/// Time between two frames. Faster than this nobody reads, and drawing is what costs most.
pub const FRAME_INTERVAL: Duration = Duration::from_millis(33);

/// Time between two ticks: the banner counts in seconds, refreshes are due in seconds.
pub const TICK_INTERVAL: Duration = Duration::from_millis(250);

/// How long a message stays in the status line.
pub const NOTE_SHOWN: Duration = Duration::from_secs(6);

/// The first wait before a lost server is asked again; it doubles up to [`RECONNECT_MAX`].
pub const RECONNECT_MIN: Duration = Duration::from_millis(250);

/// The longest wait before a lost server is asked again.
pub const RECONNECT_MAX: Duration = Duration::from_secs(5);

/// How long a server may be silent before its answer counts as slow and is given up.
pub const SILENCE_MAX: Duration = Duration::from_secs(30);

/// The least size that is drawn; below it, a card says so.
pub const SIZE_MIN: (u16, u16) = (60, 18);

/// The greatest size `--once` draws. Raised, one command would take a gigabyte for blanks.
pub const SIZE_MAX: (u16, u16) = (1_000, 1_000);

/// Log records that a page brings, and that `o` brings more of.
pub const LOGS_PAGE: usize = 500;

/// Log records that the list keeps. When more are followed the oldest go; they are stored, and `[` finds them.
pub const LOGS_KEPT_MAX: usize = 5_000;

/// Approximate bytes of the log records that the list keeps. Without it, records of a megabyte would take gigabytes.
pub const LOGS_KEPT_BYTES_MAX: usize = 48 << 20;

/// Buckets of a histogram; the server takes no more than some hundreds, and a screen has no more columns.
pub const HISTOGRAM_BUCKETS: usize = 120;

/// Spans that a list shows.
pub const SPANS_PAGE: usize = 500;

/// Log records that are merged into one trace.
pub const TRACE_LOGS_MAX: usize = 1_000;
