//! Never a full disk: what is done when free space runs out. Far ahead, rows of least worth go, of signals that have a bound of bytes;
//! then appends are refused; and for the day on which all of it is full anyway there is a reserve to give up. Called by `housekeeping`.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use model::Signal;
use model::stats::{Gauge, Stats};

use super::expiry::oldest_first;
use crate::disk::{Disk, remove_if_there};
use crate::layout;
use crate::part::Part;
use crate::schema::Table;
use crate::store::Core;

/// Bytes of the reserve that are written at a time.
const RESERVE_PIECE: usize = 1 << 20;

/// What is next to go.
#[derive(Debug)]
pub(super) enum Step {
    /// The part's rows of little worth.
    Shed(Arc<Part>),
    /// All of the part.
    Remove(Arc<Part>),
}

/// What is remembered about space.
pub(super) struct Space {
    // Parts in which nothing is left that could be shed.
    shed: HashSet<u64>,
    free: Gauge,
}

impl Space {
    pub(super) fn new(stats: &Stats) -> Self {
        let free = stats.gauge("sextant_store_free_bytes", "Bytes free where the data directory is", &[]);
        Self { shed: HashSet::new(), free }
    }

    /// Looks how much is free, and keeps the reserve while there is room for it.
    pub(super) fn look(&mut self, core: &Core) {
        let setup = core.setup();
        let Some(free) = core.free_bytes() else { return };
        self.free.set(free);
        let reserve = setup.config.reserve_bytes;
        if free >= setup.config.free_bytes_min.saturating_add(reserve.saturating_mul(2)) {
            keep_reserve(setup.disk.as_ref(), &setup.directory, reserve);
        }
    }

    /// What is to go now; `None` if there is room enough, or nothing that may go.
    pub(super) fn next_step(&mut self, core: &Core) -> Option<Step> {
        let (config, now) = (&core.setup().config, core.setup().clock.now());
        let free = core.free_bytes()?;
        // What a snapshot still holds will be free.
        if free.saturating_add(core.retired_bytes()) >= config.nearly_full_bytes() {
            return None;
        }
        let bounded = || Signal::ALL.into_iter().filter(|signal| config.retention_bytes.of(*signal).is_some());
        let parts: Vec<Arc<Part>> = bounded().flat_map(|signal| oldest_first(core, signal, now)).collect();
        for table in [Table::Logs, Table::Spans] {
            // What is left of the part is written beside it before it goes.
            let sheds = |part: &&Arc<Part>| {
                part.table() == table && part.bytes() < free && !self.shed.contains(&part.name().number)
            };
            if let Some(part) = parts.iter().find(sheds) {
                return Some(Step::Shed(Arc::clone(part)));
            }
        }
        // A neighbour that fills the disk must not cost everything: half of what a signal may take it keeps.
        let over_half = |signal: &Signal| {
            let bytes: u64 =
                parts.iter().filter(|part| part.table().signal() == *signal).map(|part| part.bytes()).sum();
            config.retention_bytes.of(*signal).is_some_and(|limit| bytes > limit / 2)
        };
        let oldest =
            bounded().filter(over_half).filter_map(|signal| oldest_first(core, signal, now).into_iter().next());
        oldest.min_by_key(|part| part.meta().time_max).map(Step::Remove)
    }

    /// Nothing more can be shed of a part.
    pub(super) fn was_shed(&mut self, part: &Part) {
        self.shed.insert(part.name().number);
    }

    /// Forgets parts that are gone.
    pub(super) fn forget(&mut self, core: &Core) {
        let parts = core.parts();
        self.shed.retain(|number| parts.iter().any(|part| part.name().number == *number));
    }
}

// Makes the reserve if it is not there, or not as large as it should be.
fn keep_reserve(disk: &dyn Disk, directory: &Path, bytes: u64) {
    let path = directory.join(layout::RESERVE);
    if disk.open(&path).map_or(0, |file| file.len()) == bytes {
        return;
    }
    let made = remove_if_there(disk, &path).and_then(|()| {
        if bytes == 0 {
            return Ok(());
        }
        let mut file = disk.create(&path)?;
        // No zeros: some file systems keep none.
        let piece: Vec<u8> = (0..RESERVE_PIECE).map(|place| (place % 251) as u8 + 1).collect();
        let mut left = bytes;
        while left > 0 {
            let len = piece.len().min(usize::try_from(left).unwrap_or(piece.len()));
            file.append(&piece[..len])?;
            left -= len as u64;
        }
        file.sync()
    });
    if let Err(error) = made {
        tracing::warn!(path = %path.display(), %error, "cannot reserve space for a full disk");
        let _ = remove_if_there(disk, &path);
    }
}
