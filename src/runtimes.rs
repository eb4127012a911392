//! The server's threads: those that receive, and those that answer and do everything else. `server` says who works on which.
//!
//! Of the tasks that are ready a runtime runs one after the other, and does not know a question from the next piece of somebody's upload.
//! Between threads the system decides, and lets go first who has slept.

use std::io;

use anyhow::Context as _;
use tokio::runtime::{Builder, Handle, Runtime};

/// Tasks that a thread runs before it looks at sockets and timers. While uploads keep it busy, each is up to a tenth of a millisecond, and a
/// small request waits as long to be seen at all; a look costs a microsecond. Tokio's own number is 61.
const TASKS_BETWEEN_LOOKS: u32 = 4;

/// The runtime that answers, stores and tells.
pub fn answering() -> io::Result<Runtime> {
    build("answering")
}

/// The runtime that receives. It may be dropped inside the other one: what it still does is cut off.
pub struct Receiving(Option<Runtime>);

impl Receiving {
    /// With as many threads as there are cores.
    pub fn start() -> anyhow::Result<Self> {
        let runtime = build("receiving").context("cannot start the threads that receive")?;
        Ok(Self(Some(runtime)))
    }

    /// To spawn with.
    pub fn handle(&self) -> &Handle {
        self.0.as_ref().expect("it is there until dropped").handle()
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

fn build(name: &str) -> io::Result<Runtime> {
    Builder::new_multi_thread().thread_name(name).event_interval(TASKS_BETWEEN_LOOKS).enable_all().build()
}
