//! Where attackers live: a runtime of their own, whose threads give way to the server and to the healthy client, as attackers
//! on another machine would. What they cost here is no fault of the server.

use anyhow::Context as _;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

const NICE: i32 = 15;

/// A runtime that gives way.
#[derive(Debug)]
pub struct Attackers(Option<Runtime>);

impl Attackers {
    /// None yet.
    pub fn new() -> anyhow::Result<Self> {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(2).thread_name("attackers").enable_all().on_thread_start(|| {
            // Of this thread alone. Where it is not allowed, attackers are a little louder.
            let _ = rustix::process::setpriority_process(None, NICE);
        });
        Ok(Self(Some(builder.build().context("cannot start the attackers' runtime")?)))
    }

    /// One more.
    pub fn spawn<T: Send + 'static>(&self, attack: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.0.as_ref().expect("it is there until dropped").spawn(attack)
    }
}

impl Drop for Attackers {
    fn drop(&mut self) {
        // A runtime may not wait for its threads inside another one.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
