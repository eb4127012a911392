//! The thread that everything leaves by, and its runtime. Whatever the service's own runtime does, is, or has become, telemetry goes out; and a flush blocks nobody but who
//! asked for it, even inside a runtime with one thread.

use std::io;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tracing::dispatcher::{Dispatch, with_default};

use super::pump::{Order, Pump};

/// The running thread.
#[derive(Debug)]
pub(crate) struct ExportThread {
    pub(crate) handle: Handle,
    pumps: Vec<mpsc::UnboundedSender<Order>>,
    /// Dropped to end the thread.
    _end: oneshot::Sender<()>,
}

impl ExportThread {
    /// Starts the thread, without pumps.
    pub(crate) fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel::<()>();
        std::thread::Builder::new().name("sextant-sdk".to_owned()).spawn(move || {
            // What hyper says about exporting must not become telemetry to export.
            with_default(&Dispatch::none(), || {
                let _ = runtime.block_on(ended);
                // Connections that will not close are left to the system.
                runtime.shutdown_timeout(Duration::ZERO);
            });
        })?;
        Ok(Self { handle, pumps: Vec::new(), _end: end })
    }

    /// Has a pump run.
    pub(crate) fn pump(&mut self, with: impl FnOnce(mpsc::UnboundedReceiver<Order>) -> Pump) {
        let (orders, receiver) = mpsc::unbounded_channel();
        self.handle.spawn(with(receiver).run());
        self.pumps.push(orders);
    }

    /// Sends what waits. Whether all of it was dealt with in that time.
    pub(crate) fn flush(&self, within: Duration) -> bool {
        self.order(within, Order::Flush)
    }

    /// Sends what waits, gives up what is left then, and ends the pumps.
    pub(crate) fn stop(&self, within: Duration) -> bool {
        let by = Instant::now() + within;
        // The pumps end by then; the rest is for their last words.
        self.order(within + Duration::from_millis(200), |done| Order::Stop { by, done })
    }

    fn order(&self, within: Duration, order: impl Fn(std::sync::mpsc::SyncSender<()>) -> Order) -> bool {
        let deadline = std::time::Instant::now() + within;
        let (done, all_done) = sync_channel(self.pumps.len());
        let told = self.pumps.iter().filter(|pump| pump.send(order(done.clone())).is_ok()).count();
        drop(done);
        (0..told).all(|_| all_done.recv_timeout(deadline.saturating_duration_since(std::time::Instant::now())).is_ok())
    }
}
