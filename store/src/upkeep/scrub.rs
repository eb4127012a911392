//! Looks through the parts that were there at the start, slowly, and compares their files with their checksums: damage is better found by
//! the store than by a query. What this process wrote itself it does not read again. Called by `housekeeping`.

use std::sync::Arc;
use std::time::Duration;

use super::housekeeping::Control;
use crate::StoreError;
use crate::part::{INDEX_FILE, Part, ROWS_FILE, SERIES_FILE};
use crate::store::Core;

/// Bytes that are compared in a second: what any disk reads beside its work.
const BYTES_PER_SECOND: u64 = 8 << 20;

/// What is wrong with a part.
#[derive(Debug)]
pub(super) enum Damage {
    /// Its index, which can be made anew.
    Index,
    /// Its rows or series.
    Rows(StoreError),
}

/// What is not looked through yet.
pub(super) struct Scrub {
    // Numbers of parts; the last is next.
    left: Vec<u64>,
    next_at: Duration,
}

impl Scrub {
    pub(super) fn new(core: &Core) -> Self {
        Self { left: core.parts().iter().map(|part| part.name().number).collect(), next_at: Duration::ZERO }
    }

    /// Looks on until something damaged is found or it is time for a pause; at once until the end.
    pub(super) fn next_damaged(
        &mut self,
        core: &Core,
        control: &Control,
        at_once: bool,
    ) -> Option<(Arc<Part>, Damage)> {
        let clock = &core.setup().clock;
        while control.merges() && (at_once || clock.monotonic() >= self.next_at) {
            let number = self.left.pop()?;
            let Some(part) = core.parts().iter().find(|part| part.name().number == number).cloned() else { continue };
            self.next_at = clock.monotonic() + Duration::from_secs(part.bytes() / BYTES_PER_SECOND);
            if let Some(damage) = damage(&part) {
                return Some((part, damage));
            }
        }
        None
    }
}

/// What is wrong with a part, if anything is for certain.
pub(super) fn damage(part: &Part) -> Option<Damage> {
    for name in [ROWS_FILE, SERIES_FILE] {
        match part.verify_file(name) {
            // A disk that fails to read today may read tomorrow: that is no proof.
            Err(error @ StoreError::Damaged { .. }) => return Some(Damage::Rows(error)),
            Err(error) => tracing::warn!(part = %part.name(), %error, "a part cannot be compared with its checksum"),
            Ok(()) => {}
        }
    }
    match part.verify_file(INDEX_FILE) {
        Err(StoreError::Damaged { .. }) => Some(Damage::Index),
        // It is gone, and will not come back.
        Err(StoreError::Disk { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Some(Damage::Index),
        _ => None,
    }
}
