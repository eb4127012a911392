//! First in, first out: what has been there for longest goes first, however often it is used.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

/// The entries, and the order in which they came.
#[derive(Debug)]
pub(super) struct Fifo {
    capacity: usize,
    ttl: Duration,
    entries: HashMap<String, Entry>,
    /// Each key with the turn in which it came. One that was removed meanwhile, or came again, has another turn or none.
    order: VecDeque<(u64, String)>,
    turn: u64,
    evictions: u64,
}

#[derive(Debug)]
struct Entry {
    value: Bytes,
    turn: u64,
    until: Instant,
}

impl Fifo {
    pub(super) fn new(capacity: usize, ttl: Duration) -> Self {
        Self { capacity, ttl, entries: HashMap::new(), order: VecDeque::new(), turn: 0, evictions: 0 }
    }

    pub(super) fn get(&mut self, key: &str) -> Option<Bytes> {
        let entry = self.entries.get(key)?;
        if entry.until > Instant::now() {
            return Some(entry.value.clone());
        }
        self.entries.remove(key);
        self.evictions += 1;
        None
    }

    /// Another value for a key keeps the key's turn.
    pub(super) fn put(&mut self, key: &str, value: Bytes) {
        let until = Instant::now() + self.ttl;
        if let Some(entry) = self.entries.get_mut(key) {
            (entry.value, entry.until) = (value, until);
            return;
        }
        while self.entries.len() >= self.capacity {
            let Some((turn, oldest)) = self.order.pop_front() else { break };
            if self.entries.get(&oldest).is_some_and(|entry| entry.turn == turn) {
                self.entries.remove(&oldest);
                self.evictions += 1;
            }
        }
        self.turn += 1;
        self.entries.insert(key.to_owned(), Entry { value, turn: self.turn, until });
        self.order.push_back((self.turn, key.to_owned()));
        // Those without an entry are dropped once they are the half.
        if self.order.len() > 2 * self.capacity {
            let entries = &self.entries;
            self.order.retain(|(turn, key)| entries.get(key).is_some_and(|entry| entry.turn == *turn));
        }
    }

    pub(super) fn remove(&mut self, key: &str) {
        self.entries.remove(key);
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.order.clear();
    }

    pub(super) fn entries(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn evictions(&self) -> u64 {
        self.evictions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(fifo: &mut Fifo) -> String {
        ["a", "b", "c", "d", "e"].into_iter().filter(|key| fifo.get(key).is_some()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_goes_first_however_often_it_is_used() {
        let mut fifo = Fifo::new(3, Duration::from_secs(10));
        for (put, kept) in [("a", "a"), ("b", "ab"), ("c", "abc"), ("a", "abc"), ("d", "bcd"), ("a", "acd")] {
            fifo.put(put, Bytes::from_static(b"1"));
            assert_eq!(keys(&mut fifo), kept, "after {put}");
        }
        assert_eq!((fifo.entries(), fifo.evictions()), (3, 2));
        // One that was removed and comes again is the last.
        fifo.remove("c");
        fifo.put("c", Bytes::from_static(b"2"));
        fifo.put("e", Bytes::from_static(b"2"));
        assert_eq!(keys(&mut fifo), "ace", "d was the first");
        tokio::time::advance(Duration::from_secs(11)).await;
        assert_eq!(keys(&mut fifo), "");
        assert_eq!((fifo.entries(), fifo.evictions()), (0, 6));
    }

    #[tokio::test(start_paused = true)]
    async fn keys_that_come_and_go_take_no_memory() {
        let mut fifo = Fifo::new(4, Duration::from_secs(10));
        for round in 0..1_000 {
            let key = format!("key-{}", round % 7);
            fifo.put(&key, Bytes::new());
            fifo.remove(&key);
            assert!(fifo.order.len() <= 9, "{}", fifo.order.len());
        }
        fifo.put("a", Bytes::new());
        fifo.clear();
        assert_eq!(fifo.entries(), 0);
    }
}
