//! Trials of faults by seed: the same seed makes the same rows, the same damage and the same moment. Each answers what did not hold, so that a
//! campaign can run thousands and name the seeds; the tests beside them run a few (`TRIALS=1000 SEED=5` runs as many, from that seed on).
//!
//! What has to hold is in `simulate`: what was acknowledged is found, once, or known to be missing; and nothing else is.

mod files;
mod log;
mod mixed;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use store::disk::SimDisk;
use store::{Batch, Config, Receipt, Setup, Store};

/// Where the store of a trial is.
pub const DIRECTORY: &str = "/data";

/// How a trial ended: what did not hold.
pub type Trial = Result<(), String>;

/// Fails unless it holds.
pub fn ensure(holds: bool, what: impl FnOnce() -> String) -> Trial {
    if holds { Ok(()) } else { Err(what()) }
}

/// Runs a trial that is written with assertions.
pub fn caught(trial: impl FnOnce()) -> Trial {
    catch_unwind(AssertUnwindSafe(trial)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
    })
}

/// So many trials of one kind, with the seeds from `SEED` on (0). All of them run; the first failures are told.
pub fn run(name: &str, usual: u64, trial: impl Fn(u64) -> Trial) {
    let number = |variable| std::env::var(variable).ok().and_then(|text| text.parse().ok());
    let (first, count) = (number("SEED").unwrap_or(0), number("TRIALS").unwrap_or(usual));
    let failed: Vec<String> = (first..first + count)
        .filter_map(|seed| trial(seed).err().map(|error| format!("{name}, seed {seed}: {error}")))
        .take(5)
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    println!("{name}: {count} trials");
}

/// What a trial's store is opened with.
pub fn setup(disk: &SimDisk, config: &Config) -> Setup {
    crate::crash::setup(Arc::new(disk.clone()), Path::new(DIRECTORY), config.clone())
}

/// Opens it, or says why that did not work.
pub fn open(disk: &SimDisk, config: &Config) -> Result<Store, String> {
    Store::open(setup(disk, config)).map_err(|error| format!("it does not open: {error}"))
}

/// Appends from outside of a runtime.
pub fn append(store: &Store, batch: Batch) -> Result<Receipt, String> {
    block_on(store.writer().append(batch)).map_err(|error| format!("it does not append: {error}"))
}

/// Waits for something the store does.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}
