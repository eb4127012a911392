//! How many workers a queue needs: more at once when messages have to wait, one fewer now and then when none does.

use std::time::Duration;

use tokio::time::Instant;

use crate::limits::{READY_PER_WORKER, WORKERS_MAX};

/// A number of workers, changed by what waits.
#[derive(Debug)]
pub(super) struct Scale {
    workers: usize,
    idle: Duration,
    /// Since when nothing has waited, or the last worker was let go.
    idle_since: Option<Instant>,
}

impl Scale {
    /// One worker; one too many is kept for so long.
    pub(super) fn new(idle: Duration) -> Self {
        Self { workers: 1, idle, idle_since: None }
    }

    pub(super) fn workers(&self) -> usize {
        self.workers
    }

    /// Told how many messages are ready.
    pub(super) fn next(&mut self, ready: u64, now: Instant) {
        let needed = usize::try_from(ready.div_ceil(READY_PER_WORKER)).unwrap_or(usize::MAX).clamp(1, WORKERS_MAX);
        if needed > self.workers {
            self.workers = needed;
        }
        if ready > 0 {
            self.idle_since = None;
            return;
        }
        let since = *self.idle_since.get_or_insert(now);
        if now.duration_since(since) >= self.idle && self.workers > 1 {
            self.workers -= 1;
            self.idle_since = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_come_at_once_and_go_one_by_one() {
        let mut scale = Scale::new(Duration::from_secs(5));
        let begun = Instant::now();
        for (second, ready, workers) in [
            (0, 0, 1),
            (1, 20, 1),
            (2, 21, 2),
            (3, 95, 5),
            (4, 1_000_000, 8),
            (5, 30, 8),
            (6, 0, 8),
            (10, 0, 8),
            (11, 0, 7),
            (12, 0, 7),
            (15, 1, 7),
            (16, 0, 7),
            (20, 0, 7),
            (21, 0, 6),
            (99, 0, 5),
            (100, 161, 8),
        ] {
            scale.next(ready, begun + Duration::from_secs(second));
            assert_eq!(scale.workers(), workers, "after {second} s");
        }
        for second in 101..200 {
            scale.next(0, begun + Duration::from_secs(second));
        }
        assert_eq!(scale.workers(), 1, "one stays");
    }
}
