//! Where attackers live: a runtime of their own, whose threads run when the server and the healthy clients leave a core idle, and
//! give it back at once: attackers on other machines would take none of the server's time but what it spends on them.

use std::process::{Command, Stdio};

use anyhow::Context as _;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

/// A runtime that gives way.
#[derive(Debug)]
pub struct Attackers(Option<Runtime>);

impl Attackers {
    /// None yet.
    pub fn new() -> anyhow::Result<Self> {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(2).thread_name("attackers").enable_all().on_thread_start(give_way);
        Ok(Self(Some(builder.build().context("cannot start the attackers' runtime")?)))
    }

    /// One more.
    pub fn spawn<T: Send + 'static>(&self, attack: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.0.as_ref().expect("it is there until dropped").spawn(attack)
    }
}

// This thread alone becomes one of SCHED_IDLE, which a thread that wakes replaces at once. A low priority is not enough: such a
// thread keeps the core for the rest of its slice, milliseconds. Where it cannot be had, attackers are a little louder.
fn give_way() {
    let thread = rustix::thread::gettid().as_raw_pid().to_string();
    let mut chrt = Command::new("chrt");
    let _ = chrt.args(["--idle", "--pid", "0", &thread]).stdout(Stdio::null()).stderr(Stdio::null()).status();
}

impl Drop for Attackers {
    fn drop(&mut self) {
        // A runtime may not wait for its threads inside another one.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
