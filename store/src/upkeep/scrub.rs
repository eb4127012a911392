//! Looks through the parts that were there at the start, slowly, and compares their files with their checksums: damage is better found by
//! the store than by a query. What this process wrote itself it looks at when a reader has met damage in it. Called by `housekeeping`.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use super::housekeeping::Control;
use crate::StoreError;
use crate::part::{INDEX_FILE, Part, ROWS_FILE, SERIES_FILE, SUMS_FILE};
use crate::store::Core;

/// Bytes that are compared in a second: what any disk reads beside its work.
const BYTES_PER_SECOND: u64 = 8 << 20;

/// What is wrong with a part.
#[derive(Debug)]
pub(super) enum Damage {
    /// Its index or what else can be made anew from its rows.
    Mendable(StoreError),
    /// Its rows or series.
    Rows(StoreError),
}

/// What is not looked through yet.
pub(super) struct Scrub {
    // Numbers of parts; the last is next.
    left: Vec<u64>,
    next_at: Duration,
    // Parts that somebody suspected and that were whole, and when that was found.
    cleared: HashMap<u64, Duration>,
}

/// A part that was suspected and whole is not looked at again for so long: if its reader is wrong, or memory, it would be read all the time.
const CLEARED_FOR: Duration = Duration::from_secs(60);

impl Scrub {
    pub(super) fn new(core: &Core) -> Self {
        Self {
            left: core.parts().iter().map(|part| part.name().number).collect(),
            next_at: Duration::ZERO,
            cleared: HashMap::new(),
        }
    }

    // What readers have met goes first.
    fn look_at_suspects(&mut self, core: &Core, now: Duration) {
        let suspects = core.opened().take_suspects();
        self.cleared.retain(|_, at| now.saturating_sub(*at) < CLEARED_FOR);
        for number in suspects {
            if let Entry::Vacant(entry) = self.cleared.entry(number) {
                entry.insert(now);
                self.left.retain(|left| *left != number);
                self.left.push(number);
                self.next_at = Duration::ZERO;
            }
        }
    }

    /// Looks on until something damaged is found or it is time for a pause; at once until the end.
    pub(super) fn next_damaged(
        &mut self,
        core: &Core,
        control: &Control,
        at_once: bool,
    ) -> Option<(Arc<Part>, Damage)> {
        let clock = &core.setup().clock;
        self.look_at_suspects(core, clock.monotonic());
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
    // A disk that fails to read today may read tomorrow: only a wrong checksum is proof, or a file that is gone.
    let proof = |compared: Result<(), StoreError>| match compared {
        Err(error @ StoreError::Damaged { .. }) => Some(error),
        Err(error) => {
            tracing::warn!(part = %part.name(), %error, "a part cannot be compared with its checksums");
            None
        }
        Ok(()) => None,
    };
    let rows = [ROWS_FILE, SERIES_FILE].into_iter().find_map(|name| proof(part.verify_file(name)));
    if let Some(error) = rows {
        return Some(Damage::Rows(error));
    }
    let others = [INDEX_FILE, SUMS_FILE].into_iter().find_map(|name| proof(part.verify_file(name)));
    others.or_else(|| proof(part.verify_meta())).map(Damage::Mendable)
}
