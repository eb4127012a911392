//! What retention deletes: parts that are wholly expired, rows of services that are kept less long than others, and the oldest parts of a
//! signal that takes more bytes than it may. Called by `housekeeping`.

use std::collections::HashMap;
use std::sync::Arc;

use model::stats::{Counter, Stats};
use model::{Signal, Timestamp};

use super::housekeeping::Control;
use crate::StoreError;
use crate::merge::Keep;
use crate::part::Part;
use crate::partition::Partition;
use crate::retention::Cutoffs;
use crate::schema::Table;
use crate::store::Core;

/// What expiry remembers, and counts.
pub(super) struct Expiry {
    // By number of a part, how many ages had passed its newest row when it was last looked through.
    looked_through: HashMap<u64, usize>,
    removed: Vec<(Table, Counter)>,
}

impl Expiry {
    pub(super) fn new(stats: &Stats) -> Self {
        let removed = Table::ALL.into_iter().map(|table| {
            let help = "Rows deleted by retention";
            (table, stats.counter("sextant_store_expired_rows_total", help, &[("table", table.as_str())]))
        });
        Self { looked_through: HashMap::new(), removed: removed.collect() }
    }

    /// Deletes parts of which every row is expired.
    pub(super) fn remove_expired(&mut self, core: &Core) -> Result<(), StoreError> {
        let cutoffs = core.retention().cutoffs();
        for table in Table::ALL {
            let is_expired = |part: &&Arc<Part>| part.meta().time_max < cutoffs.certain(table.signal());
            let parts = core.parts();
            let expired: Vec<Arc<Part>> =
                parts.iter().filter(|part| part.table() == table).filter(is_expired).cloned().collect();
            self.remove(core, table, &expired)?;
        }
        for (table, rows) in core.forget_quarantined(&cutoffs)? {
            self.count(table, rows);
            tracing::info!(table = table.as_str(), rows, "retention removed a damaged part");
        }
        Ok(())
    }

    /// Deletes the oldest parts of signals that take more bytes than they may.
    pub(super) fn remove_excess(&mut self, core: &Core) -> Result<(), StoreError> {
        let now = core.setup().clock.now();
        for signal in Signal::ALL {
            let Some(limit) = core.setup().config.retention_bytes.of(signal) else { continue };
            for part in excess(oldest_first(core, signal, now), limit) {
                self.remove(core, part.table(), &[part])?;
            }
        }
        Ok(())
    }

    /// Deletes parts, as retention says.
    pub(super) fn remove(&mut self, core: &Core, table: Table, parts: &[Arc<Part>]) -> Result<(), StoreError> {
        if parts.is_empty() {
            return Ok(());
        }
        let rows = parts.iter().map(|part| part.rows()).sum();
        core.replace(table, parts, Vec::new(), rows)?;
        self.count(table, rows);
        tracing::info!(table = table.as_str(), parts = parts.len(), rows, "retention removed parts");
        Ok(())
    }

    /// Rows of a table are gone.
    pub(super) fn count(&self, table: Table, rows: u64) {
        self.removed.iter().filter(|(of, _)| *of == table).for_each(|(_, counter)| counter.add(rows));
    }

    /// A part some of whose rows are expired for good reason to write it anew: another service's age has passed its newest row.
    pub(super) fn next_mixed(
        &mut self,
        core: &Core,
        cutoffs: &Cutoffs,
        control: &Control,
    ) -> Result<Option<(Arc<Part>, Keep)>, StoreError> {
        let parts = core.parts();
        self.looked_through.retain(|number, _| parts.iter().any(|part| part.name().number == *number));
        for part in parts.iter() {
            let (signal, number) = (part.table().signal(), part.name().number);
            let passed = cutoffs.passed(signal, part.meta().time_max);
            let before = self.looked_through.get(&number).copied().unwrap_or(0);
            if !cutoffs.by_service(signal) || passed <= before || !control.merges() {
                continue;
            }
            let keep = Keep::unexpired(cutoffs, std::slice::from_ref(part))?;
            let dropped = keep.count_dropped(part, &|| control.goes_on())?;
            self.looked_through.insert(number, passed);
            if dropped > 0 {
                return Ok(Some((Arc::clone(part), keep)));
            }
        }
        Ok(None)
    }

    /// A part was written anew without its expired rows.
    pub(super) fn looked_through(&mut self, cutoffs: &Cutoffs, part: &Part) {
        let passed = cutoffs.passed(part.table().signal(), part.meta().time_max);
        self.looked_through.insert(part.name().number, passed);
    }
}

/// The parts of a signal, the oldest first. What is stray says little about its age: it is at most as new as now.
pub(super) fn oldest_first(core: &Core, signal: Signal, now: Timestamp) -> Vec<Arc<Part>> {
    let mut parts: Vec<Arc<Part>> =
        core.parts().iter().filter(|part| part.table().signal() == signal).cloned().collect();
    parts.sort_by_key(|part| {
        let newest = part.meta().time_max;
        let newest = if part.name().partition == Partition::Stray { newest.min(now.as_nanos()) } else { newest };
        (newest, part.name().number)
    });
    parts
}

// The first of these that have to go so that the others take no more than `limit` bytes.
fn excess(parts: Vec<Arc<Part>>, limit: u64) -> impl Iterator<Item = Arc<Part>> {
    let mut bytes: u64 = parts.iter().map(|part| part.bytes()).sum();
    parts.into_iter().take_while(move |part| {
        let is_too_much = bytes > limit;
        bytes = bytes.saturating_sub(part.bytes());
        is_too_much
    })
}
