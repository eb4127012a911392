//! What is left of requests that are refused: read and thrown away, of all of them together at a walk.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use http_body_util::BodyExt as _;
use model::Clock;

use crate::limits;

/// The bodies that are thrown away. One for the whole process.
#[derive(Debug, Default)]
pub struct Drain {
    // When all that has been read would have been read at the speed that is allowed.
    walked: Mutex<Duration>,
}

impl Drain {
    /// Reads and throws away what is left of a body, up to `bytes_max`.
    pub async fn drop_rest(&self, clock: &dyn Clock, mut body: Body, bytes_max: u64) {
        let mut left = bytes_max;
        while left > 0 {
            let Some(Ok(frame)) = body.frame().await else {
                return;
            };
            let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
            left = left.saturating_sub(bytes);
            let (now, walked) = self.walk(clock, bytes);
            if walked > now.saturating_add(limits::DRAIN_AHEAD) {
                clock.sleep_until(walked).await;
            }
        }
    }

    // Now, and when these bytes would have been read.
    fn walk(&self, clock: &dyn Clock, bytes: u64) -> (Duration, Duration) {
        let now = clock.monotonic();
        let took = Duration::from_nanos(bytes.saturating_mul(1_000_000_000) / limits::DRAIN_BYTES_PER_S);
        let mut walked = self.walked.lock().unwrap_or_else(PoisonError::into_inner);
        *walked = (*walked).max(now).saturating_add(took);
        (now, *walked)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::task::{Context, Poll};

    use axum::body::{Bytes, HttpBody};
    use hyper::body::Frame;
    use model::{ManualClock, Timestamp};

    use super::*;

    const PIECE: u64 = limits::DRAIN_BYTES_PER_S / 64;

    // A body that counts the pieces that are taken.
    struct Pieces {
        left: u64,
        taken: Arc<AtomicU64>,
    }

    impl HttpBody for Pieces {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            if self.left == 0 {
                return Poll::Ready(None);
            }
            self.left -= 1;
            self.taken.fetch_add(1, Ordering::Relaxed);
            Poll::Ready(Some(Ok(Frame::data(Bytes::from(vec![0; usize::try_from(PIECE).expect("it fits")])))))
        }
    }

    #[tokio::test]
    async fn all_bodies_together_are_read_at_a_walk_and_each_up_to_its_bound() {
        let clock = Arc::new(ManualClock::new(Timestamp::default()));
        let drain = Arc::new(Drain::default());
        let counts: [Arc<AtomicU64>; 2] = Default::default();
        let all = [3, 1_000].into_iter().zip(&counts).map(|(left, taken)| {
            let (drain, clock, taken) = (Arc::clone(&drain), Arc::clone(&clock), Arc::clone(taken));
            let body = Body::new(Pieces { left, taken });
            tokio::spawn(async move { drain.drop_rest(clock.as_ref(), body, 10 * PIECE).await })
        });
        let all: Vec<_> = all.collect();
        let mut times = 0;
        while all.iter().any(|one| !one.is_finished()) {
            for _ in 0..8 {
                tokio::task::yield_now().await;
            }
            let taken: u64 = counts.iter().map(|count| count.load(Ordering::Relaxed)).sum();
            assert!(taken <= times + 2, "{taken} pieces after {times} times what one takes");
            clock.advance(Duration::from_secs(1) / 64);
            times += 1;
        }
        assert_eq!(counts.map(|count| count.load(Ordering::Relaxed)), [3, 10]);
        assert!(times >= 12, "{times}");
    }
}
