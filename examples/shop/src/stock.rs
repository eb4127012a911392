//! What is on the shelves: a few items, some of them in a warehouse far away. In memory; it fills up again by itself.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What the load generator can order: the name, its price in cents, and whether it lies in the far warehouse.
pub(crate) const ITEMS: [(&str, u64, Warehouse); 5] = [
    ("lantern", 1_990, Warehouse::Near),
    ("kettle", 3_450, Warehouse::Near),
    ("compass", 2_725, Warehouse::Near),
    ("almanac", 1_200, Warehouse::Near),
    ("sextant", 24_900, Warehouse::Far),
];

/// A delivery comes when fewer than this many are left.
const LOW: u32 = 10;
/// The size of a delivery, and of the stock at the start.
const DELIVERY: u32 = 60;

/// Where an item lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Warehouse {
    Near,
    /// Takes its time to answer, realistically enough for a slow trace.
    Far,
}

impl Warehouse {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Near => "near",
            Self::Far => "far",
        }
    }

    /// How long a reservation takes this time.
    pub(crate) fn answer_time(self) -> Duration {
        Duration::from_millis(match self {
            Self::Near => fastrand::u64(4..20),
            Self::Far => fastrand::u64(250..600),
        })
    }
}

/// How many of each item are left.
#[derive(Debug)]
pub(crate) struct Stock(Mutex<BTreeMap<&'static str, u32>>);

/// What became of a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reservation {
    Reserved {
        left: u32,
        delivered: bool,
    },
    /// Only so many are there; 0 too for an item nobody knows.
    Short {
        left: u32,
    },
}

impl Stock {
    pub(crate) fn full() -> Self {
        Self(Mutex::new(ITEMS.iter().map(|(item, ..)| (*item, DELIVERY)).collect()))
    }

    pub(crate) fn reserve(&self, item: &str, quantity: u32) -> Reservation {
        let mut levels = self.lock();
        let Some(level) = levels.get_mut(item) else { return Reservation::Short { left: 0 } };
        let Some(left) = level.checked_sub(quantity) else { return Reservation::Short { left: *level } };
        let delivered = left < LOW;
        *level = if delivered { left + DELIVERY } else { left };
        Reservation::Reserved { left: *level, delivered }
    }

    /// Puts back what was reserved for an order that failed.
    pub(crate) fn release(&self, item: &str, quantity: u32) {
        if let Some(level) = self.lock().get_mut(item) {
            *level = level.saturating_add(quantity);
        }
    }

    /// The level of every item.
    pub(crate) fn levels(&self) -> Vec<(&'static str, u32)> {
        self.lock().iter().map(|(item, level)| (*item, *level)).collect()
    }

    /// Nothing in here panics half-way through a change, so what a poisoned lock guards is whole.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The warehouse an item lies in; an unknown item is looked for nearby.
pub(crate) fn warehouse(item: &str) -> Warehouse {
    ITEMS.iter().find(|(name, ..)| *name == item).map_or(Warehouse::Near, |(.., warehouse)| *warehouse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stock_runs_low_fills_up_and_is_never_oversold() {
        let stock = Stock::full();
        assert_eq!(stock.reserve("kettle", 61), Reservation::Short { left: 60 });
        assert_eq!(stock.reserve("kettle", 50), Reservation::Reserved { left: 10, delivered: false });
        assert_eq!(stock.reserve("kettle", 11), Reservation::Short { left: 10 });
        assert_eq!(stock.reserve("kettle", 1), Reservation::Reserved { left: 69, delivered: true });
        stock.release("kettle", 1);
        assert_eq!(stock.reserve("kettle", 0), Reservation::Reserved { left: 70, delivered: false });
        assert_eq!(stock.reserve("unicorn", 1), Reservation::Short { left: 0 });
        assert!(stock.levels().contains(&("lantern", 60)));
    }
}
