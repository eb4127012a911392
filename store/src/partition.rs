//! Into which partition a row goes: one per UTC day, and one for rows whose time is out of all bounds. Pure: the flush asks.

use std::fmt;
use std::str::FromStr;

use model::Timestamp;

use crate::limits;

/// What a part's rows have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Partition {
    /// Rows of one UTC day, counted from the Unix epoch.
    Day(i64),
    /// Rows of any time: pruned by the part's bounds alone, and no measure of how old the data is.
    Stray,
}

/// Assigns rows to partitions for one flush: by their day, but for those more than a day in the future or before 1970, and
/// for all but the latest [`limits::FLUSH_DAYS_MAX`] days when there are more. Those are stray.
#[derive(Debug)]
pub(crate) struct Partitioner {
    future: i64,
    earliest_day: i64,
}

impl Partitioner {
    /// For rows with these times, flushed at `now`.
    pub(crate) fn new(times: impl Iterator<Item = i64>, now: Timestamp) -> Self {
        let future = now.saturating_add(limits::FUTURE_NANOS_MAX).as_nanos();
        // Kept in descending order; there are few of them, and mostly one.
        let mut days: Vec<i64> = Vec::new();
        for time in times.filter(|time| *time <= future) {
            let day = Timestamp::from_nanos(time).day();
            if let Err(place) = days.binary_search_by(|known| day.cmp(known)) {
                days.insert(place, day);
                days.truncate(limits::FLUSH_DAYS_MAX);
            }
        }
        Self { future, earliest_day: days.last().copied().unwrap_or(i64::MIN) }
    }

    /// The partition of a row with this time.
    pub(crate) fn partition(&self, time: i64) -> Partition {
        let day = Timestamp::from_nanos(time).day();
        // Nothing was measured before 1970, and the very first days that can be written have no midnight that can.
        if time > self.future || day < self.earliest_day.max(0) { Partition::Stray } else { Partition::Day(day) }
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Partition::Day(day) => {
                let midnight = Timestamp::from_nanos(day.saturating_mul(NANOS_PER_DAY)).to_string();
                f.write_str(&midnight[..DATE_LEN])
            }
            Partition::Stray => f.write_str(STRAY),
        }
    }
}

impl FromStr for Partition {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if text == STRAY {
            return Ok(Partition::Stray);
        }
        if text.len() != DATE_LEN {
            return Err(());
        }
        let midnight = Timestamp::parse(&format!("{text}T00:00:00Z"), Timestamp::MIN).map_err(|_| ())?;
        Ok(Partition::Day(midnight.day()))
    }
}

const STRAY: &str = "stray";
const DATE_LEN: usize = "2026-01-31".len();
const NANOS_PER_DAY: i64 = 86_400_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(day: i64, nanos: i64) -> i64 {
        day * NANOS_PER_DAY + nanos
    }

    #[test]
    fn names_read_back() {
        for (partition, name) in [
            (Partition::Day(0), "1970-01-01"),
            (Partition::Day(20_484), "2026-01-31"),
            (Partition::Day(-1), "1969-12-31"),
            (Partition::Stray, "stray"),
        ] {
            assert_eq!(partition.to_string(), name);
            assert_eq!(name.parse(), Ok(partition));
        }
        for name in ["", "2026-1-31", "2026-13-01", "today"] {
            assert_eq!(name.parse::<Partition>(), Err(()), "{name}");
        }
    }

    #[test]
    fn far_days_and_the_future_are_stray() {
        let now = Timestamp::from_nanos(at(100, 5));
        let times: Vec<i64> = (90..=101).map(|day| at(day, 5)).collect();
        let partitioner = Partitioner::new(times.iter().copied(), now);
        let partitions: Vec<Partition> = times.iter().map(|time| partitioner.partition(*time)).collect();
        assert_eq!(partitions[..4], [Partition::Stray; 4]);
        assert_eq!(partitions[4..], (94..=101).map(Partition::Day).collect::<Vec<_>>());
        assert_eq!(partitioner.partition(at(101, 6)), Partition::Stray);
    }

    #[test]
    fn old_rows_have_their_day_while_there_are_few_days() {
        let now = Timestamp::from_nanos(at(20_000, 0));
        let times = [at(3, 1), at(20_000, -1)];
        let partitioner = Partitioner::new(times.into_iter(), now);
        assert_eq!(partitioner.partition(times[0]), Partition::Day(3));
        assert_eq!(partitioner.partition(times[1]), Partition::Day(19_999));
        assert_eq!(partitioner.partition(i64::MAX), Partition::Stray);
    }

    #[test]
    fn every_time_has_a_partition_whose_name_reads_back() {
        for time in [i64::MIN, -1, 0, 1, i64::MAX] {
            for now in [i64::MIN, 0, i64::MAX] {
                let partition = Partitioner::new([time].into_iter(), Timestamp::from_nanos(now)).partition(time);
                assert_eq!(partition.to_string().parse(), Ok(partition), "{time} at {now}");
            }
        }
    }
}
