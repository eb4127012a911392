//! What waits for the collector, of one signal: runs of encoded items, each run a batch. Its bytes are bounded; what does not fit is refused, so that the oldest, which say how
//! a trouble began, stay.
//!
//! An item stands in a batch behind what it is grouped by: the length of the scope, the scope, the length of the item, the item.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::encode;

/// How a queue is bounded and cut into batches.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bounds {
    pub(crate) bytes_max: usize,
    /// From `OTEL_BSP_MAX_QUEUE_SIZE` and its like; without them only bytes count.
    pub(crate) items_max: usize,
    pub(crate) batch_bytes: usize,
    pub(crate) batch_items: usize,
    /// How long an item waits for company.
    pub(crate) delay: Duration,
}

/// Items that are sent together.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    pub(crate) items: usize,
}

#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) bounds: Bounds,
    waiting: Mutex<Waiting>,
    /// Spares the encoding of what would be refused; only a hint.
    full: AtomicBool,
    /// Told when a batch is complete.
    pub(crate) complete: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    complete: VecDeque<Batch>,
    growing: Batch,
    /// Bytes and items here and under way.
    bytes: usize,
    items: usize,
}

impl Queue {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { bounds, waiting: Mutex::default(), full: AtomicBool::new(false), complete: Notify::new() }
    }

    /// Whether an item may find room.
    pub(crate) fn has_room(&self) -> bool {
        !self.full.load(Ordering::Relaxed)
    }

    /// Takes an item, or says that there is no room. Never waits for more than the copying of other items.
    pub(crate) fn offer(&self, scope: &[u8], item: &[u8]) -> bool {
        self.put(scope, item, false)
    }

    /// Takes an item even where there is no room: the report of losses, of which there is one for each time that the collector comes back and takes a batch.
    pub(crate) fn put_in(&self, scope: &[u8], item: &[u8]) {
        self.put(scope, item, true);
    }

    fn put(&self, scope: &[u8], item: &[u8], always: bool) -> bool {
        let bytes = scope.len() + item.len() + 8;
        let mut waiting = self.lock();
        if !always && (waiting.bytes + bytes > self.bounds.bytes_max || waiting.items >= self.bounds.items_max) {
            self.full.store(true, Ordering::Relaxed);
            return false;
        }
        if waiting.growing.bytes.len() + bytes > self.bounds.batch_bytes {
            waiting.complete_batch();
        }
        let batch = &mut waiting.growing.bytes;
        for part in [scope, item] {
            // Neither is as long as 4 GiB: an item has a bound, and so has the queue.
            batch.extend_from_slice(&(part.len() as u32).to_le_bytes());
            batch.extend_from_slice(part);
        }
        waiting.growing.items += 1;
        waiting.bytes += bytes;
        waiting.items += 1;
        if waiting.growing.items >= self.bounds.batch_items {
            waiting.complete_batch();
        }
        let complete = !waiting.complete.is_empty();
        drop(waiting);
        if complete {
            self.complete.notify_one();
        }
        true
    }

    /// The next batch, which stays counted until it is [`Queue::done`]; with `complete_only` none that still grows.
    pub(crate) fn take(&self, complete_only: bool) -> Option<Batch> {
        let mut waiting = self.lock();
        if waiting.complete.is_empty() && !complete_only {
            waiting.complete_batch();
        }
        waiting.complete.pop_front()
    }

    /// Gives the room of a batch back.
    pub(crate) fn done(&self, batch: &Batch) {
        let mut waiting = self.lock();
        waiting.bytes -= batch.bytes.len();
        waiting.items -= batch.items;
        self.full.store(false, Ordering::Relaxed);
    }

    /// Items and bytes that wait or are under way.
    pub(crate) fn size(&self) -> (usize, usize) {
        let waiting = self.lock();
        (waiting.items, waiting.bytes)
    }

    /// Nothing in here panics half-way through a change, so what a poisoned lock guards is whole.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn complete_batch(&mut self) {
        if self.growing.items == 0 {
            return;
        }
        let mut batch = std::mem::take(&mut self.growing);
        // It has grown by doubling; while the collector is away there are dozens of them.
        batch.bytes.shrink_to_fit();
        self.complete.push_back(batch);
    }
}

impl Batch {
    /// The export request, which has the same shape for spans and log records.
    pub(crate) fn request(&self, resource: &[u8]) -> Vec<u8> {
        let scopes = self.by_scope();
        let mut out = Vec::with_capacity(self.bytes.len() + resource.len() + 64);
        encode::nested(&mut out, 1, |out| {
            out.extend_from_slice(resource);
            for (scope, items) in &scopes {
                encode::nested(out, 2, |out| {
                    out.extend_from_slice(scope);
                    for item in items {
                        encode::bytes(out, 2, item);
                    }
                });
            }
        });
        out
    }

    // In the order in which they first occur.
    fn by_scope(&self) -> Vec<(&[u8], Vec<&[u8]>)> {
        let mut places: HashMap<&[u8], usize> = HashMap::new();
        let mut scopes: Vec<(&[u8], Vec<&[u8]>)> = Vec::new();
        let mut rest = self.bytes.as_slice();
        while let Some((scope, after)) = part(rest)
            && let Some((item, after)) = part(after)
        {
            let place = *places.entry(scope).or_insert_with(|| {
                scopes.push((scope, Vec::new()));
                scopes.len() - 1
            });
            scopes[place].1.push(item);
            rest = after;
        }
        scopes
    }
}

fn part(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_le_bytes(*length) as usize)
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use prost::Message;

    use super::*;

    fn queue(bytes_max: usize, items_max: usize) -> Queue {
        Queue::new(Bounds { bytes_max, items_max, batch_bytes: 100, batch_items: 3, delay: Duration::ZERO })
    }

    #[test]
    fn batches_are_cut_by_items_and_by_bytes() {
        let queue = queue(1_000, usize::MAX);
        for (bytes, _) in [(10, 1), (10, 2), (10, 3), (10, 1), (75, 1)] {
            assert!(queue.offer(b"", &vec![1; bytes]));
        }
        let taken: Vec<usize> = std::iter::from_fn(|| queue.take(true)).map(|batch| batch.items).collect();
        assert_eq!(taken, [3, 1], "the last one still grows");
        assert_eq!(queue.take(false).map(|batch| batch.items), Some(1));
        assert!(queue.take(false).is_none());
    }

    #[test]
    fn what_does_not_fit_is_refused_until_a_batch_is_done() {
        for (queue, fits) in [(queue(60, usize::MAX), 3), (queue(1_000, 2), 2)] {
            for number in 0..5 {
                assert_eq!(queue.offer(b"s", b"0123456789"), number < fits, "{number}");
            }
            assert!(!queue.has_room());
            let batch = queue.take(false).expect("a batch");
            assert!(!queue.offer(b"s", b"0123456789"), "what is under way counts");
            queue.done(&batch);
            assert_eq!(queue.size(), (0, 0));
            assert!(queue.has_room() && queue.offer(b"s", b"0123456789"));
        }
    }

    #[test]
    fn a_request_has_each_scope_once() {
        let queue = Queue::new(Bounds { batch_items: 10, batch_bytes: 1_000, ..queue(1_000, usize::MAX).bounds });
        for scope in ["a", "b", "a"] {
            let mut bytes = Vec::new();
            encode::nested(&mut bytes, 1, |out| encode::bytes(out, 1, scope.as_bytes()));
            assert!(queue.offer(&bytes, b""));
        }
        let request = queue.take(false).expect("a batch").request(b"");
        let request = ExportLogsServiceRequest::decode(request.as_slice()).expect("a request");
        let scopes = &request.resource_logs[0].scope_logs;
        let named: Vec<_> =
            scopes.iter().map(|s| (s.scope.as_ref().map(|s| s.name.as_str()), s.log_records.len())).collect();
        assert_eq!(named, [(Some("a"), 2), (Some("b"), 1)]);
    }
}
