//! How busy this process is, for its heartbeats: requests under way, and its share of the machine's processors.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};

use super::instance::Load;

/// Ticks of the processor a second, as `/proc` counts them: fixed at 100 for everything that is not the kernel.
const TICKS_PER_SECOND: f64 = 100.0;

/// The requests under way in this process.
#[derive(Clone, Debug, Default)]
pub(crate) struct UnderWay(Arc<AtomicU64>);

impl UnderWay {
    /// Counts those of these routes.
    pub(crate) fn counted(&self, routes: Router) -> Router {
        let this = self.clone();
        routes.layer(from_fn(move |request: Request, next: Next| {
            let this = this.clone();
            async move {
                let _under_way = One::new(this);
                next.run(request).await
            }
        }))
    }

    fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One of them, until it is dropped, which is when its caller gives up, too.
struct One(UnderWay);

impl One {
    fn new(all: UnderWay) -> Self {
        all.0.fetch_add(1, Ordering::Relaxed);
        Self(all)
    }
}

impl Drop for One {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Looks at the load again and again.
#[derive(Debug)]
pub(crate) struct Meter {
    under_way: UnderWay,
    /// When it was last looked at, and the processor time by then.
    last: (Instant, f64),
}

impl Meter {
    pub(crate) fn new(under_way: UnderWay) -> Self {
        Self { under_way, last: (Instant::now(), processor_s().unwrap_or_default()) }
    }

    /// The load since it was last asked.
    pub(crate) fn read(&mut self) -> Load {
        let now = (Instant::now(), processor_s().unwrap_or_default());
        let seconds = now.0.duration_since(self.last.0).as_secs_f64();
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let cpu = (now.1 - self.last.1) / seconds.max(0.001) / processors as f64;
        self.last = now;
        Load { cpu: cpu.clamp(0.0, 1.0), active: self.under_way.now() }
    }
}

/// Processor time of this process so far; `None` where there is no `/proc`.
fn processor_s() -> Option<f64> {
    processor_s_of(&std::fs::read_to_string("/proc/self/stat").ok()?)
}

fn processor_s_of(stat: &str) -> Option<f64> {
    // The second field is the program's name, in which anything may stand.
    let after = stat.rsplit_once(')')?.1;
    let mut fields = after.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some((ticks()? + ticks()?) as f64 / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_that_of_user_and_system() {
        let stat = "12 (a) b) S 1 12 12 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 7 0 100 1000 200";
        assert_eq!(processor_s_of(stat), Some(3.0));
        assert_eq!(processor_s_of("nonsense"), None);
        let load = Meter::new(UnderWay::default()).read();
        assert!((0.0..=1.0).contains(&load.cpu) && load.active == 0, "{load:?}");
    }
}
