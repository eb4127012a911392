//! What a connection does, and whether it does enough and not too much: its bytes, its frames, its requests, and how long it
//! keeps others waiting.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::frames::{Frames, Tally};
use super::limits;
use super::reader::Reader;

/// Counts of one connection. Shared by its socket, its requests and who watches it.
#[derive(Debug, Default)]
pub struct Pulse {
    reads: AtomicU64,
    // As many when a request last ended: its body's do not belong to the next head.
    reads_of_requests: AtomicU64,
    written: AtomicU64,
    blocked: AtomicBool,
    requests: AtomicU64,
    active: AtomicUsize,
    http2: AtomicBool,
    // Of HTTP/2: a frame or a head is half there.
    amid: AtomicBool,
    flooded: AtomicBool,
    cut: AtomicBool,
    watched: Mutex<Watched>,
    since_look: Mutex<SinceLook>,
    // Of HTTP/2: who reads its answers, one for each stream.
    readers: Mutex<Vec<Weak<Reader>>>,
}

#[derive(Debug, Default)]
struct Watched {
    requests: u64,
    // Reads when a request last ended or began.
    reads_before: u64,
    quiet_since: Option<Instant>,
    head_since: Option<Instant>,
    blocked: Stalled,
}

// What came since the last look, and what had been written then.
#[derive(Debug, Default)]
struct SinceLook {
    frames: Tally,
    written: u64,
}

/// Since when something waits for a reader, and how much had been taken then.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stalled(Option<(Instant, u64)>);

impl Stalled {
    /// A look at a reader for whom something waits or not, who has taken `taken` bytes so far: whether that is too little.
    pub fn look(&mut self, waits: bool, taken: u64, now: Instant) -> bool {
        if !waits {
            self.0 = None;
            return false;
        }
        let (since, before) = *self.0.get_or_insert((now, taken));
        if now.duration_since(since) < limits::READER_WINDOW {
            return false;
        }
        self.0 = Some((now, taken));
        taken - before < limits::READER_WINDOW_BYTES_MIN
    }
}

/// Why a connection is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may go on.
    Fine,
    /// It has asked nothing for long: it is told to go.
    Idle,
    /// It takes too long to say what it wants.
    SlowHead,
    /// It takes too long to read what it asked for.
    SlowReader,
    /// It sends frames that are good for nothing, faster than any client does.
    Flood,
}

impl Pulse {
    /// A request has begun; it is over when the guard is dropped.
    pub fn request(self: &Arc<Self>) -> Request {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.active.fetch_add(1, Ordering::Relaxed);
        Request(Arc::clone(self))
    }

    /// Somebody begins to read an answer over HTTP/2, where the socket does not tell how slowly.
    pub fn reads(&self, reader: &Arc<Reader>) {
        lock(&self.readers).push(Arc::downgrade(reader));
    }

    /// The socket gave bytes, which left the connection's frames in this state and added these to them. Whether it may go on.
    pub fn read(&self, frames: &Frames, came: Tally) -> bool {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.amid.store(frames.is_amid(), Ordering::Relaxed);
        if !frames.is_http2() {
            return true;
        }
        self.http2.store(true, Ordering::Relaxed);
        let mut since = lock(&self.since_look);
        since.frames += came;
        let flooded = since.is_flood(self.written.load(Ordering::Relaxed));
        self.flooded.fetch_or(flooded, Ordering::Relaxed);
        !flooded
    }

    /// The socket took so many bytes, or none for now.
    pub fn wrote(&self, bytes: Option<usize>) {
        self.written.fetch_add(bytes.unwrap_or(0) as u64, Ordering::Relaxed);
        self.blocked.store(bytes.is_none(), Ordering::Relaxed);
    }

    /// Whether the connection was ended because of its frames.
    pub fn is_flooded(&self) -> bool {
        self.flooded.load(Ordering::Relaxed)
    }

    /// The connection is not to be closed but cut: its peer has had its time to take what was written.
    pub fn cut(&self) {
        self.cut.store(true, Ordering::Relaxed);
    }

    /// Whether it is.
    pub fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Relaxed)
    }

    /// A look at the connection, which began at `began`.
    pub fn look(&self, began: Instant, now: Instant) -> Verdict {
        let mut watched = lock(&self.watched);
        let written = self.written.load(Ordering::Relaxed);
        *lock(&self.since_look) = SinceLook { frames: Tally::default(), written };
        if watched.blocked.look(self.blocked.load(Ordering::Relaxed), written, now) || self.has_slow_reader(now) {
            return Verdict::SlowReader;
        }
        let (requests, reads) = (self.requests.load(Ordering::Relaxed), self.reads.load(Ordering::Relaxed));
        if self.active.load(Ordering::Relaxed) > 0 || requests != watched.requests {
            (watched.requests, watched.reads_before) = (requests, reads);
            (watched.quiet_since, watched.head_since) = (None, None);
            return Verdict::Fine;
        }
        let quiet_since = *watched.quiet_since.get_or_insert(if requests == 0 { began } else { now });
        let before = watched.reads_before.max(self.reads_of_requests.load(Ordering::Relaxed));
        let head_begun = if self.http2.load(Ordering::Relaxed) {
            // Settings and pings come whole; a head that comes in drops does not.
            self.amid.load(Ordering::Relaxed)
        } else {
            // The first request is expected at once, the next whenever its first byte is there.
            requests == 0 || reads > before
        };
        if head_begun {
            let head_since = *watched.head_since.get_or_insert(if requests == 0 { began } else { now });
            if now.duration_since(head_since) >= limits::HEAD_TIMEOUT {
                return Verdict::SlowHead;
            }
        } else {
            watched.head_since = None;
        }
        if now.duration_since(quiet_since) >= limits::IDLE_TIMEOUT { Verdict::Idle } else { Verdict::Fine }
    }

    fn has_slow_reader(&self, now: Instant) -> bool {
        let mut slow = false;
        lock(&self.readers).retain(|reader| {
            let reader = reader.upgrade();
            slow |= reader.as_ref().is_some_and(|reader| reader.is_slow(now));
            reader.is_some()
        });
        slow
    }
}

impl SinceLook {
    fn is_flood(&self, written: u64) -> bool {
        let Tally { heads, resets, windows, idle } = self.frames;
        let of_calls = limits::HTTP2_IDLE_FRAMES_MAX + limits::HTTP2_IDLE_FRAMES_OF_CALL_MAX * heads;
        let of_reading = (written - self.written) / limits::HTTP2_BYTES_OF_WINDOW_MIN;
        resets > limits::HTTP2_RESETS_MAX || idle > of_calls || windows > of_calls + of_reading
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A request under way.
#[derive(Debug)]
pub struct Request(Arc<Pulse>);

impl Drop for Request {
    fn drop(&mut self) {
        self.0.reads_of_requests.fetch_max(self.0.reads.load(Ordering::Relaxed), Ordering::Relaxed);
        self.0.active.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How often a connection is looked at.
pub const LOOK_INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(began: Instant, seconds: u64) -> Instant {
        began + Duration::from_secs(seconds)
    }

    // Bytes that are no HTTP/2.
    fn reads(pulse: &Pulse) {
        assert!(pulse.read(&Frames::Other, Tally::default()));
    }

    #[test]
    fn a_head_has_its_time_and_a_quiet_connection_more() {
        let began = Instant::now();
        let pulse = Arc::new(Pulse::default());
        assert_eq!(pulse.look(began, at(began, 9)), Verdict::Fine);
        assert_eq!(pulse.look(began, at(began, 10)), Verdict::SlowHead);

        let pulse = Arc::new(Pulse::default());
        let request = pulse.request();
        reads(&pulse);
        assert_eq!(pulse.look(began, at(began, 100)), Verdict::Fine, "an answer may take its time");
        drop(request);
        assert_eq!(pulse.look(began, at(began, 101)), Verdict::Fine);
        assert_eq!(pulse.look(began, at(began, 130)), Verdict::Fine, "quiet between two requests");
        reads(&pulse);
        assert_eq!(pulse.look(began, at(began, 131)), Verdict::Fine, "a head begins");
        assert_eq!(pulse.look(began, at(began, 141)), Verdict::SlowHead);

        let pulse = Arc::new(Pulse::default());
        drop(pulse.request());
        assert_eq!(pulse.look(began, at(began, 0)), Verdict::Fine);
        assert_eq!(pulse.look(began, at(began, 1)), Verdict::Fine);
        let late = began + Duration::from_secs(1) + limits::IDLE_TIMEOUT;
        assert_eq!(pulse.look(began, late), Verdict::Idle);
    }

    #[test]
    fn pings_are_no_head_but_half_a_frame_is() {
        let began = Instant::now();
        let (mut frames, pulse) = (Frames::default(), Pulse::default());
        let mut read = |bytes: &[u8]| {
            let mut came = Tally::default();
            frames.read(bytes, &mut came);
            pulse.read(&frames, came)
        };
        let ping = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
        assert!(read(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") && read(&ping));
        assert_eq!(pulse.look(began, at(began, 60)), Verdict::Fine);
        assert!(read(&ping[..3]));
        assert_eq!(pulse.look(began, at(began, 61)), Verdict::SlowHead, "the first request is late");
        assert!(read(&ping[3..]));
        let idle = limits::IDLE_TIMEOUT.as_secs();
        assert_eq!(pulse.look(began, at(began, idle)), Verdict::Idle, "pings alone are no reason to stay");
        assert_eq!(Pulse::default().look(began, at(began, 10)), Verdict::SlowHead, "not even a preface");
    }

    #[test]
    fn frames_that_carry_nothing_are_bounded_between_two_looks() {
        let http2 = Frames::Within(Default::default());
        let began = Instant::now();
        let flooded = |came: Tally, bytes: usize| {
            let pulse = Pulse::default();
            pulse.wrote(Some(bytes));
            let went_on = pulse.read(&http2, came);
            assert_ne!(went_on, pulse.is_flooded());
            assert_eq!(pulse.look(began, began), Verdict::Fine);
            assert!(pulse.read(&http2, Tally::default()), "counted anew");
            !went_on
        };
        let tally = Tally::default();
        let (idle, resets) = (limits::HTTP2_IDLE_FRAMES_MAX, limits::HTTP2_RESETS_MAX);
        for (came, bytes, flood) in [
            (Tally { idle, resets, windows: idle, ..tally }, 0, false),
            (Tally { idle: idle + 1, ..tally }, 1 << 30, true),
            (Tally { idle: idle + 8, heads: 2, ..tally }, 0, false),
            (Tally { resets: resets + 1, heads: 100_000, ..tally }, 0, true),
            (Tally { heads: 100_000, ..tally }, 0, false),
            (Tally { windows: idle + 1, ..tally }, 0, true),
            (Tally { windows: idle + 1_000, ..tally }, 1 << 20, false),
        ] {
            assert_eq!(flooded(came, bytes), flood, "{came:?} and {bytes} bytes");
        }
    }

    #[test]
    fn a_reader_must_take_something() {
        let began = Instant::now();
        let pulse = Arc::new(Pulse::default());
        let _request = pulse.request();
        pulse.wrote(None);
        let window = limits::READER_WINDOW.as_secs();
        assert_eq!(pulse.look(began, at(began, 1)), Verdict::Fine);
        pulse.written.fetch_add(limits::READER_WINDOW_BYTES_MIN, Ordering::Relaxed);
        assert_eq!(pulse.look(began, at(began, 1 + window)), Verdict::Fine, "slow, but not too slow");
        pulse.written.fetch_add(10, Ordering::Relaxed);
        assert_eq!(pulse.look(began, at(began, 1 + 2 * window)), Verdict::SlowReader);
    }
}
