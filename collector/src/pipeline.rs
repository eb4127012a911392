//! What bounds the requests in flight: the bytes they hold together, and the door that opens once and closes once.
//!
//! A request reserves its bytes as they arrive, and those of its decompressed form as they appear; what does not fit is
//! refused at once, with an answer that says to try again. Nothing waits in a queue here.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use model::memory::{Memory, SMALL_REQUEST_BYTES};
use model::stats::Gauge;
use tokio::sync::{Notify, watch};

use crate::{Refusal, Share};

/// Whether what comes after the pipeline has room for so many bytes.
type Room = Box<dyn Fn(u64) -> bool + Send + Sync>;

/// The requests in flight.
pub struct Pipeline {
    bytes_max: u64,
    memory: Memory,
    // Of the store, once it is open.
    room: OnceLock<Room>,
    state: Mutex<State>,
    // Told when the last passage ends.
    idle: Notify,
    phase: watch::Sender<Phase>,
    gauge: Gauge,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Starting,
    Open,
    Closed,
}

#[derive(Debug, Default)]
struct State {
    bytes: u64,
    passages: u64,
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline")
            .field("bytes_max", &self.bytes_max)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl Pipeline {
    /// A pipeline that is not open yet, whose requests may hold `bytes_max` together, shown in `gauge`.
    /// What they will take until they are stored is asked of `memory`.
    pub fn new(bytes_max: u64, memory: Memory, gauge: Gauge) -> Arc<Self> {
        let (phase, _) = watch::channel(Phase::Starting);
        let room = OnceLock::new();
        Arc::new(Self { bytes_max, memory, room, state: Mutex::default(), idle: Notify::new(), phase, gauge })
    }

    /// Lets requests in from now on, as long as what comes after has `room` for so many bytes.
    pub fn open(&self, room: impl Fn(u64) -> bool + Send + Sync + 'static) {
        // A pipeline is opened once.
        let _ = self.room.set(Box::new(room));
        let _state = self.lock();
        self.phase.send_if_modified(|phase| std::mem::replace(phase, (*phase).max(Phase::Open)) == Phase::Starting);
    }

    /// An empty reservation for a request that begins to arrive.
    pub fn reserve(self: &Arc<Self>) -> Result<Reservation, Refusal> {
        self.admit()?;
        Ok(Reservation { pipeline: Arc::clone(self), bytes: 0, share: None })
    }

    /// Lets a request that has arrived go on to conversion and the store. [`Pipeline::close`] waits for it.
    pub fn enter(self: &Arc<Self>) -> Result<Passage, Refusal> {
        // The phase changes under the lock: who was admitted is waited for.
        let mut state = self.lock();
        self.admit()?;
        state.passages += 1;
        Ok(Passage { pipeline: Arc::clone(self) })
    }

    /// Refuses everything from now on, and returns when every request that entered has been answered.
    pub async fn close(&self) {
        {
            let _state = self.lock();
            self.phase.send_replace(Phase::Closed);
        }
        loop {
            let idle = self.idle.notified();
            if self.lock().passages == 0 {
                return;
            }
            idle.await;
        }
    }

    /// Returns when [`Pipeline::open`] was called.
    pub async fn opened(&self) {
        self.reached(Phase::Open).await;
    }

    /// Returns when [`Pipeline::close`] was called.
    pub async fn closed(&self) {
        self.reached(Phase::Closed).await;
    }

    async fn reached(&self, wanted: Phase) {
        // The sender lives as long as `self`, so that waiting cannot fail.
        let _ = self.phase.subscribe().wait_for(|phase| *phase >= wanted).await;
    }

    fn admit(&self) -> Result<(), Refusal> {
        match *self.phase.borrow() {
            Phase::Starting => Err(Refusal::Starting),
            Phase::Open => Ok(()),
            Phase::Closed => Err(Refusal::Closed),
        }
    }

    // Whether a request that would hold so many bytes, where all others hold `before`, has room in the store. Asked when it begins and
    // when it becomes large. What is in flight will be in the store before a large one; a small one does not answer for large ones,
    // which may well be refused: the store would refuse it too, but after all the work.
    fn has_room(&self, held: u64, all: u64, before: u64) -> bool {
        let large = all > SMALL_REQUEST_BYTES;
        let asks = held == 0 || (large && held <= SMALL_REQUEST_BYTES);
        !asks || self.room.get().is_none_or(|room| room(if large { before } else { 0 }))
    }

    // What all together may hold for a request of this size to be among them: large ones leave some of it to small ones.
    fn bytes_max_for(&self, request: u64) -> u64 {
        if request <= SMALL_REQUEST_BYTES { self.bytes_max } else { self.bytes_max / 8 * 7 }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bytes that one request holds. Given back when dropped.
#[derive(Debug)]
pub struct Reservation {
    pipeline: Arc<Pipeline>,
    bytes: u64,
    // Of the connection that it came over.
    share: Option<Share>,
}

impl Reservation {
    /// The same within what one connection may hold. To be called before anything is held.
    pub fn within(&mut self, share: Option<&Share>) {
        debug_assert_eq!(self.bytes, 0, "what is held already is not counted");
        self.share = share.cloned();
    }

    /// Holds `bytes` more, if they fit.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Refusal> {
        let bytes = bytes as u64;
        let all = self.bytes.saturating_add(bytes);
        let mut state = self.pipeline.lock();
        if state.bytes.saturating_add(bytes) > self.pipeline.bytes_max_for(all)
            || !self.pipeline.has_room(self.bytes, all, state.bytes)
        {
            return Err(Refusal::Overloaded);
        }
        if !self.pipeline.memory.may_take(self.bytes, bytes, state.bytes + bytes) {
            return Err(Refusal::Memory);
        }
        if !self.share.as_ref().is_none_or(|share| share.take(bytes)) {
            return Err(Refusal::ConnectionFull);
        }
        state.bytes += bytes;
        self.bytes += bytes;
        self.pipeline.gauge.set(state.bytes);
        Ok(())
    }

    /// Holds nothing any more.
    pub fn give_back(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        let mut state = self.pipeline.lock();
        state.bytes -= bytes;
        if let Some(share) = &self.share {
            share.give_back(bytes);
        }
        self.pipeline.gauge.set(state.bytes);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// A request that is being converted and stored.
#[derive(Debug)]
pub struct Passage {
    pipeline: Arc<Pipeline>,
}

impl Drop for Passage {
    fn drop(&mut self) {
        let mut state = self.pipeline.lock();
        state.passages -= 1;
        if state.passages == 0 {
            self.pipeline.idle.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use model::stats::Stats;

    use super::*;

    fn pipeline(bytes_max: u64) -> (Arc<Pipeline>, Gauge) {
        let gauge = Stats::new().gauge("sextant_test_bytes", "A test.", &[]);
        let pipeline = Pipeline::new(bytes_max, Memory::unlimited(), gauge.clone());
        assert!(matches!(pipeline.reserve(), Err(Refusal::Starting)));
        pipeline.open(|_| true);
        (pipeline, gauge)
    }

    #[test]
    fn bytes_are_given_back() {
        let (pipeline, gauge) = pipeline(10);
        let mut first = pipeline.reserve().expect("open");
        let mut second = pipeline.reserve().expect("open");
        first.grow(6).expect("it fits");
        second.grow(4).expect("it fits to the byte");
        assert!(matches!(second.grow(1), Err(Refusal::Overloaded)));
        assert_eq!(gauge.get(), 10);
        drop(first);
        second.grow(6).expect("it fits again");
        drop(second);
        assert_eq!(gauge.get(), 0);
    }

    #[test]
    fn small_requests_do_not_wait_for_the_store_to_have_room_for_large_ones() {
        let gauge = Stats::new().gauge("sextant_test_bytes", "A test.", &[]);
        let pipeline = Pipeline::new(1 << 30, Memory::unlimited(), gauge);
        let room = Arc::new(AtomicU64::new(1 << 20));
        let left = Arc::clone(&room);
        pipeline.open(move |bytes| bytes < left.load(Ordering::Relaxed));
        let [mut first, mut second, mut small, mut late] = [(); 4].map(|()| pipeline.reserve().expect("open"));
        first.grow(1 << 20).expect("nothing is before it");
        assert!(matches!(second.grow(1 << 20), Err(Refusal::Overloaded)), "the first will take the room");
        small.grow(1_000).expect("it asks for itself alone");
        room.store(0, Ordering::Relaxed);
        first.grow(1 << 20).expect("it has begun");
        small.grow(1_000).expect("it too");
        assert!(matches!(small.grow(1 << 20), Err(Refusal::Overloaded)), "it becomes large");
        assert!(matches!(late.grow(1_000), Err(Refusal::Overloaded)), "nothing begins");
    }

    #[tokio::test]
    async fn close_refuses_and_waits_for_what_entered() {
        let (pipeline, _) = pipeline(10);
        let passage = pipeline.enter().expect("open");
        let closing = tokio::spawn({
            let pipeline = Arc::clone(&pipeline);
            async move { pipeline.close().await }
        });
        pipeline.closed().await;
        assert!(matches!(pipeline.enter(), Err(Refusal::Closed)));
        assert!(matches!(pipeline.reserve(), Err(Refusal::Closed)));
        assert!(!closing.is_finished());
        // What is closed does not open again.
        pipeline.open(|_| true);
        assert!(matches!(pipeline.reserve(), Err(Refusal::Closed)));
        drop(passage);
        closing.await.expect("it returns");
    }

    #[test]
    fn one_connection_does_not_take_it_all_and_memory_is_asked_first() {
        let gauge = Stats::new().gauge("sextant_test_bytes", "A test.", &[]);
        let mib = 1 << 20;
        let memory = Memory::new(160 * mib, &Stats::new());
        let pipeline = Pipeline::new(8 * mib, memory.clone(), gauge);
        pipeline.open(|_| true);
        let share = Share::new(10);
        let mut first = pipeline.reserve().expect("open");
        first.within(Some(&share));
        first.grow(8).expect("it fits");
        let mut second = pipeline.reserve().expect("open");
        second.within(Some(&share));
        assert!(matches!(second.grow(3), Err(Refusal::ConnectionFull)));
        drop(first);
        second.grow(10).expect("it fits again");
        let [mut large, mut other] = [(); 2].map(|()| pipeline.reserve().expect("open"));
        large.grow(1 << 20).expect("there is room");
        memory.saw(121 * mib);
        assert!(matches!(other.grow(1 << 20), Err(Refusal::Memory)), "nothing large begins in the last quarter");
        large.grow(1 << 20).expect("there is room for what has begun");
        memory.saw(139 * mib);
        assert!(matches!(large.grow(1), Err(Refusal::Memory)));
        other.grow(1_000).expect("there is room for small ones");
        memory.saw(100 * mib);
        assert!(matches!(large.grow(6 << 20), Err(Refusal::Overloaded)), "an eighth is left to small ones");
        other.grow(1_000).expect("as this one");
    }
}
