//! The thread for what may take long and can wait: retention, room on the disk, merging parts, and removing what nothing needs. One thing at a time, so that it
//! never takes more than one core and one merge's memory; flushes go on beside it.
//!
//! Whatever it does is published in one step or not at all. Pausing and stopping take effect at the next granule.

use std::collections::{BTreeMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use model::stats::{Counter, Gauge, Seconds, Stats};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::expiry::Expiry;
use super::scrub::{Damage, Scrub, damage};
use super::space::{Space, Step};
use super::{BACKOFF_MAX, BACKOFF_MIN, Flushable as _, LOOK_EVERY, span_of};
use crate::StoreError;
use crate::merge::{Candidate, Choice, Job, Keep, Merged, choose, merge};
use crate::part::{Part, PartName, Place};
use crate::partition::Partition;
use crate::schema::Table;
use crate::store::Core;

/// The running thread.
#[derive(Debug)]
pub(crate) struct Housekeeping {
    requests: UnboundedSender<Request>,
    thread: Mutex<Option<JoinHandle<()>>>,
    control: Arc<Control>,
}

// Read at every granule by what is under way.
#[derive(Debug, Default)]
pub(super) struct Control {
    stopped: AtomicBool,
    paused: AtomicBool,
}

#[derive(Debug)]
enum Request {
    /// Look now.
    Look,
    /// Do all there is to do, say how it went.
    Tidy(mpsc::Sender<Result<(), StoreError>>),
    /// End.
    Stop,
}

impl Housekeeping {
    /// Starts the thread.
    pub(crate) fn start(core: Arc<Core>) -> Result<Housekeeping, StoreError> {
        let (requests, received) = unbounded_channel();
        let path = core.setup().directory.clone();
        let failed = |source| StoreError::Disk { operation: "start a thread for", path: path.clone(), source };
        let control = Arc::new(Control::default());
        let worker = Worker::new(core, Arc::clone(&control));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(failed)?;
        let thread = std::thread::Builder::new()
            .name("housekeeping".to_owned())
            .spawn(move || runtime.block_on(worker.run(received)))
            .map_err(failed)?;
        Ok(Housekeeping { requests, thread: Mutex::new(Some(thread)), control })
    }

    /// Does everything there is to do now. Blocks until that is done.
    pub(crate) fn tidy_now(&self) -> Result<(), StoreError> {
        let (reply, answer) = mpsc::channel();
        let closed = || StoreError::Closed { reason: "its housekeeping has ended".to_owned() };
        self.requests.send(Request::Tidy(reply)).map_err(|_| closed())?;
        answer.recv().map_err(|_| closed())?
    }

    /// Stops merging, or goes on.
    pub(crate) fn pause(&self, paused: bool) {
        self.control.paused.store(paused, Ordering::Relaxed);
    }

    /// Ends the thread. A merge that is under way ends without a result.
    pub(crate) fn stop(&self) {
        self.control.stopped.store(true, Ordering::Relaxed);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let _ = self.requests.send(Request::Stop);
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the housekeeping thread ended by a panic");
        }
    }
}

impl Control {
    /// Whether parts may be written anew.
    pub(super) fn merges(&self) -> bool {
        !self.stopped.load(Ordering::Relaxed) && !self.paused.load(Ordering::Relaxed)
    }

    /// An error if what is under way is to end.
    pub(super) fn goes_on(&self) -> Result<(), StoreError> {
        if self.merges() {
            return Ok(());
        }
        Err(StoreError::Closed { reason: "merging was paused or stopped".to_owned() })
    }
}

struct Worker {
    core: Arc<Core>,
    control: Arc<Control>,
    counters: BTreeMap<Table, Counters>,
    gauges: Gauges,
    // Parts that no merge can read: they are left alone.
    unreadable: HashSet<u64>,
    scrub: Scrub,
    expiry: Expiry,
    space: Space,
    // After a failure: how long it waits, and until when.
    backoff: Duration,
    retry_at: Duration,
}

impl Worker {
    fn new(core: Arc<Core>, control: Arc<Control>) -> Self {
        let stats = &core.setup().stats;
        let counters = Table::ALL.into_iter().map(|table| (table, Counters::new(stats, table))).collect();
        Self {
            gauges: Gauges::new(stats),
            expiry: Expiry::new(stats),
            space: Space::new(stats),
            scrub: Scrub::new(&core),
            core,
            control,
            counters,
            unreadable: HashSet::new(),
            backoff: Duration::ZERO,
            retry_at: Duration::ZERO,
        }
    }

    async fn run(mut self, mut requests: UnboundedReceiver<Request>) {
        let clock = Arc::clone(&self.core.setup().clock);
        loop {
            let look_at = clock.monotonic() + LOOK_EVERY;
            let request = tokio::select! {
                request = requests.recv() => request.unwrap_or(Request::Stop),
                () = clock.sleep_until(look_at) => Request::Look,
            };
            match request {
                Request::Look => {
                    // Counted and logged where it happened; a later look tries again.
                    let _ = self.tidy(false);
                }
                Request::Tidy(reply) => {
                    let _ = reply.send(self.tidy(true));
                }
                Request::Stop => return,
            }
        }
    }

    // All there is to do. Who asks for it does not wait for a failure to be old enough.
    fn tidy(&mut self, at_once: bool) -> Result<(), StoreError> {
        self.core.remove_retired();
        self.space.look(&self.core);
        let mut result = Ok(());
        if at_once || self.core.setup().clock.monotonic() >= self.retry_at {
            // Each is done whatever became of the one before.
            result = result.and(self.expire());
            result = result.and(self.make_room());
            result = result.and(self.rewrite_mixed());
            result = result.and(self.merge_all());
        }
        result = result.and(self.scrub(at_once));
        if result.is_err() && self.core.setup().clock.monotonic() >= self.retry_at {
            self.back_off();
        }
        self.core.remove_retired();
        self.space.forget(&self.core);
        self.gauges.set(&self.core, self.control.paused.load(Ordering::Relaxed));
        result
    }

    fn back_off(&mut self) -> Duration {
        self.backoff = (self.backoff * 2).clamp(BACKOFF_MIN, BACKOFF_MAX);
        self.retry_at = self.core.setup().clock.monotonic() + self.backoff;
        self.backoff
    }

    // Whatever goes as a whole. Not paused with the merges: it takes no time and no room.
    fn expire(&mut self) -> Result<(), StoreError> {
        let removed = self.expiry.remove_expired(&self.core).and_then(|()| self.expiry.remove_excess(&self.core));
        removed.inspect_err(|error| {
            tracing::error!(error = error as &dyn std::error::Error, "retention could not remove parts");
        })
    }

    // While the disk is nearly full.
    fn make_room(&mut self) -> Result<(), StoreError> {
        while let Some(step) = self.space.next_step(&self.core).filter(|_| self.control.merges()) {
            match step {
                Step::Remove(part) => self.expiry.remove(&self.core, part.table(), &[part])?,
                Step::Shed(part) => self.shed(&part)?,
            }
            self.core.remove_retired();
        }
        Ok(())
    }

    fn shed(&mut self, part: &Arc<Part>) -> Result<(), StoreError> {
        self.space.was_shed(part);
        let goes_on = || self.control.goes_on();
        let keep = match Keep::valuable(&self.core.retention().cutoffs(), part, &goes_on) {
            Ok(Some(keep)) if keep.count_dropped(part, &goes_on).is_ok_and(|dropped| dropped > 0) => keep,
            // What cannot be read is left to the merges to say.
            _ => return Ok(()),
        };
        if let Some(merged) = self.rewrite(std::slice::from_ref(part), &keep)? {
            tracing::warn!(part = %part.name(), rows = merged.dropped, "the disk is nearly full: rows of little worth were removed");
            merged.part.iter().for_each(|part| self.space.was_shed(part));
        }
        Ok(())
    }

    // Parts with rows of services that are kept less long than others.
    fn rewrite_mixed(&mut self) -> Result<(), StoreError> {
        let cutoffs = self.core.retention().cutoffs();
        while let Some((part, keep)) = self.expiry.next_mixed(&self.core, &cutoffs, &self.control)? {
            if let Some(Merged { part: Some(part), .. }) = self.rewrite(&[part], &keep)? {
                self.expiry.looked_through(&cutoffs, &part);
            }
        }
        Ok(())
    }

    fn merge_all(&mut self) -> Result<(), StoreError> {
        while self.control.merges() {
            let Some(parts) = self.next_merge() else { break };
            let keep = Keep::unexpired(&self.core.retention().cutoffs(), &parts);
            if let Err(error) = &keep {
                self.leave_alone(&parts, error);
            }
            self.rewrite(&parts, &keep?)?;
        }
        Ok(())
    }

    // Looks for damage before a query does.
    fn scrub(&mut self, at_once: bool) -> Result<(), StoreError> {
        while let Some((part, damage)) = self.scrub.next_damaged(&self.core, &self.control, at_once) {
            match damage {
                Damage::Mendable(error) => {
                    tracing::warn!(part = %part.name(), error = &error as &dyn std::error::Error, "a part is damaged beside its rows, and made anew from them");
                    self.mend(part)?;
                }
                Damage::Rows(error) => self.quarantine(&part, &error)?,
            }
        }
        Ok(())
    }

    fn mend(&mut self, part: Arc<Part>) -> Result<(), StoreError> {
        let sources = [part.unchecked()];
        let keep = Keep::unexpired(&self.core.retention().cutoffs(), &sources)?;
        self.rewrite_from(&sources, &[part], &keep).map(|_| ())
    }

    fn quarantine(&mut self, part: &Arc<Part>, error: &StoreError) -> Result<(), StoreError> {
        let rows = part.rows();
        tracing::error!(part = %part.name(), rows, error = error as &dyn std::error::Error, "a part is damaged and taken out of use; its files are kept");
        self.core.quarantine(part)
    }

    // Of all tables and partitions, the merge that does most for what it costs.
    fn next_merge(&self) -> Option<Vec<Arc<Part>>> {
        let now = self.core.setup().clock.now();
        let room = self
            .core
            .free_bytes()
            .map_or(u64::MAX, |free| free.saturating_sub(self.core.setup().config.free_bytes_min));
        let mut groups: BTreeMap<(Table, Partition), Vec<Arc<Part>>> = BTreeMap::new();
        for part in self.core.parts().iter().filter(|part| !self.unreadable.contains(&part.name().number)) {
            let PartName { table, partition, .. } = *part.name();
            groups.entry((table, partition)).or_default().push(Arc::clone(part));
        }
        let mut best: Option<(f64, Vec<Arc<Part>>)> = None;
        for ((table, partition), parts) in groups {
            let is_fed = self.core.is_fed(table, partition);
            let candidate = |part: &Arc<Part>| Candidate { rows: part.rows(), bytes: part.bytes() };
            let candidates: Vec<Candidate> = parts.iter().map(candidate).collect();
            let bytes = |choice: &Choice| choice.places.iter().map(|place| candidates[*place].bytes).sum::<u64>();
            // A merge needs as much room as it frees afterwards.
            let bytes_max = self.core.setup().config.merged_bytes_max;
            if let Some(choice) =
                choose(&candidates, partition, now, is_fed, bytes_max).filter(|choice| bytes(choice) < room)
                && best.as_ref().is_none_or(|(growth, _)| choice.growth > *growth)
            {
                best = Some((choice.growth, choice.places.iter().map(|place| Arc::clone(&parts[*place])).collect()));
            }
        }
        best.map(|(_, parts)| parts)
    }

    // `None` if it was told to end.
    fn rewrite(&mut self, parts: &[Arc<Part>], keep: &Keep) -> Result<Option<Merged>, StoreError> {
        self.rewrite_from(parts, parts, keep)
    }

    // `sources` are read, and `parts`, which they are, replaced.
    fn rewrite_from(
        &mut self,
        sources: &[Arc<Part>],
        parts: &[Arc<Part>],
        keep: &Keep,
    ) -> Result<Option<Merged>, StoreError> {
        let clock = Arc::clone(&self.core.setup().clock);
        let (table, started) = (parts[0].table(), clock.monotonic());
        let rows: u64 = parts.iter().map(|part| part.rows()).sum();
        let merge = || tracing::info_span!("merge", table = table.as_str(), parts = parts.len(), rows);
        let _span = span_of(usize::try_from(rows).unwrap_or(usize::MAX), merge).entered();
        self.gauges.running.set(1);
        // As with a flush: a defect that some rows bring to light must not end the rest.
        let attempt = AssertUnwindSafe(|| self.merge_and_publish(sources, parts, keep));
        let result = catch_unwind(attempt).unwrap_or_else(|_| Err(StoreError::Panicked { operation: "merge parts" }));
        self.gauges.running.set(0);
        // A look that finds much to merge takes long.
        self.gauges.set(&self.core, self.control.paused.load(Ordering::Relaxed));
        let now = clock.monotonic();
        let counters = &self.counters[&table];
        match result {
            Ok(merged) => {
                (self.backoff, self.retry_at) = (Duration::ZERO, Duration::ZERO);
                counters.count(parts, &merged, now.saturating_sub(started));
                self.expiry.count(table, merged.dropped);
                Ok(Some(merged))
            }
            // Not a failure: it was told to.
            Err(StoreError::Closed { .. }) if !self.control.merges() => Ok(None),
            Err(error) => {
                counters.failures.add(1);
                let retry_s = self.back_off().as_secs();
                tracing::error!(
                    table = table.as_str(),
                    error = &error as &dyn std::error::Error,
                    retry_s,
                    "a merge failed, its parts stay as they are"
                );
                self.leave_alone(parts, &error);
                Err(error)
            }
        }
    }

    fn merge_and_publish(&self, sources: &[Arc<Part>], parts: &[Arc<Part>], keep: &Keep) -> Result<Merged, StoreError> {
        let setup = self.core.setup();
        let name = PartName { number: self.core.next_part_number(), ..parts[0].name().clone() };
        let table = name.table;
        let job = Job {
            place: Place {
                disk: &setup.disk,
                clock: &setup.clock,
                data_directory: &setup.directory,
                opened: self.core.opened(),
            },
            name,
            parts: sources,
            keep,
            goes_on: &|| self.control.goes_on(),
        };
        let merged = merge(&job)?;
        self.core.replace(table, parts, merged.part.iter().cloned().collect(), merged.dropped)?;
        Ok(merged)
    }

    // A part that cannot be read would make every merge fail that it is chosen for: it is not chosen again. Only a wrong checksum
    // proves that it is damaged; a read that failed may have been the disk's whim.
    fn leave_alone(&mut self, parts: &[Arc<Part>], error: &StoreError) {
        match error {
            StoreError::Damaged { path, .. } => {
                for part in parts.iter().filter(|part| path.starts_with(part.directory())) {
                    self.unreadable.insert(part.name().number);
                    if let Some(Damage::Rows(proof)) = damage(part) {
                        // If it cannot be said in the manifest now, the next start finds it again.
                        let _ = self.quarantine(part, &proof);
                    }
                }
            }
            StoreError::Panicked { .. } | StoreError::Columns { .. } => {
                self.unreadable.extend(parts.iter().map(|part| part.name().number));
            }
            _ => {}
        }
    }
}

struct Counters {
    seconds: Seconds,
    failures: Counter,
    parts: Counter,
    rows: Counter,
    bytes_read: Counter,
    bytes: Counter,
}

impl Counters {
    fn new(stats: &Stats, table: Table) -> Self {
        let labels: &[(&str, &str)] = &[("table", table.as_str())];
        let counter = |name, help| stats.counter(name, help, labels);
        Self {
            seconds: stats.seconds("sextant_merge_seconds", "Time to merge and publish parts", labels),
            failures: counter("sextant_merge_failures_total", "Merges that failed and are tried again"),
            parts: counter("sextant_merge_parts_total", "Parts replaced by merges"),
            rows: counter("sextant_merge_rows_total", "Rows written by merges"),
            bytes_read: counter("sextant_merge_read_bytes_total", "Bytes of parts replaced by merges"),
            bytes: counter("sextant_merge_bytes_total", "Bytes of parts written by merges"),
        }
    }

    fn count(&self, parts: &[Arc<Part>], merged: &Merged, took: Duration) {
        self.seconds.observe(took);
        self.parts.add(parts.len() as u64);
        self.bytes_read.add(parts.iter().map(|part| part.bytes()).sum());
        self.rows.add(merged.part.as_ref().map_or(0, |part| part.rows()));
        self.bytes.add(merged.part.as_ref().map_or(0, |part| part.bytes()));
    }
}

struct Gauges {
    running: Gauge,
    paused: Gauge,
    cached: [Gauge; 3],
}

impl Gauges {
    fn new(stats: &Stats) -> Self {
        let gauge = |name, help| stats.gauge(name, help, &[]);
        let cached = |of| {
            stats.gauge("sextant_store_cache_bytes", "Bytes of what stays in memory of parts' files.", &[("of", of)])
        };
        Self {
            running: gauge("sextant_merge_running", "Merges under way"),
            paused: gauge("sextant_merge_paused", "Whether merging is paused"),
            cached: ["footers", "indexes", "checksums"].map(cached),
        }
    }

    fn set(&self, core: &Core, paused: bool) {
        self.paused.set(u64::from(paused));
        self.cached.iter().zip(core.opened().bytes()).for_each(|(gauge, bytes)| gauge.set(bytes));
    }
}
