//! A time range cut into pieces of equal width.

use model::TimeRange;

/// Pieces of a range, from its start on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buckets {
    range: TimeRange,
    step: u64,
    count: usize,
}

impl Buckets {
    /// So many pieces, or as many as the range has nanoseconds. The last one also takes the nanoseconds, fewer than there are
    /// pieces, that the division leaves.
    pub fn by_number(range: TimeRange, number: usize) -> Self {
        let width = width(range);
        let count = number.min(usize::try_from(width).unwrap_or(usize::MAX));
        Self { range, step: (width / (count as u64).max(1)).max(1), count }
    }

    /// Pieces of this width; `None` if they are more than `most`. The last one ends with the range and may be narrower. A single
    /// nanosecond more is no piece of its own: ranges up to now include this moment.
    pub fn by_step(range: TimeRange, step: u64, most: usize) -> Option<Self> {
        let step = step.max(1);
        let width = width(range);
        let rest = width % step;
        let count = width / step + u64::from(rest > 1 || (rest == 1 && width == 1));
        usize::try_from(count).ok().filter(|count| *count <= most).map(|count| Self { range, step, count })
    }

    /// The whole range.
    pub fn range(&self) -> TimeRange {
        self.range
    }

    /// Width of a piece in nanoseconds.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// How many pieces there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The piece that a moment of the range lies in.
    pub fn place(&self, nanos: i64) -> usize {
        let distance = i128::from(nanos) - i128::from(self.range.start.as_nanos());
        let place = u64::try_from(distance).unwrap_or(0) / self.step;
        usize::try_from(place).unwrap_or(usize::MAX).min(self.count.saturating_sub(1))
    }

    /// Width of the piece at a place, in nanoseconds.
    pub fn width(&self, place: usize) -> u64 {
        let before = self.step.saturating_mul(place as u64);
        if place + 1 == self.count { width(self.range).saturating_sub(before) } else { self.step }
    }
}

/// Nanoseconds of a range.
pub fn width(range: TimeRange) -> u64 {
    u64::try_from(i128::from(range.end.as_nanos()) - i128::from(range.start.as_nanos())).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use model::Timestamp;

    use super::*;

    fn range(start: i64, end: i64) -> TimeRange {
        TimeRange { start: Timestamp::from_nanos(start), end: Timestamp::from_nanos(end) }
    }

    #[test]
    fn cuts_a_range_into_pieces() {
        let by_number = |start, end, number| Buckets::by_number(range(start, end), number);
        let by_step = |start, end, step| Buckets::by_step(range(start, end), step, 100).expect("few pieces");
        for (buckets, widths) in [
            (by_number(0, 100, 4), vec![25, 25, 25, 25]),
            (by_number(-50, 53, 4), vec![25, 25, 25, 28]),
            (by_number(0, 3, 60), vec![1, 1, 1]),
            (by_number(5, 5, 60), vec![]),
            (by_step(0, 100, 25), vec![25, 25, 25, 25]),
            (by_step(0, 101, 25), vec![25, 25, 25, 26]),
            (by_step(0, 102, 25), vec![25, 25, 25, 25, 2]),
            (by_step(0, 20, 25), vec![20]),
            (by_step(7, 8, 25), vec![1]),
            (by_step(7, 8, 1), vec![1]),
            (by_step(7, 10, 1), vec![1, 1, 1]),
            (by_step(5, 5, 25), vec![]),
        ] {
            assert_eq!(
                (0..buckets.count()).map(|place| buckets.width(place)).collect::<Vec<_>>(),
                widths,
                "{buckets:?}"
            );
            let (start, end) = (buckets.range().start.as_nanos(), buckets.range().end.as_nanos());
            let mut found = vec![0; widths.len()];
            (start..end).for_each(|nanos| found[buckets.place(nanos)] += 1);
            assert_eq!(found, widths, "{buckets:?}");
        }
        assert_eq!(Buckets::by_step(range(0, 102), 25, 4), None);
        let all = Buckets::by_number(TimeRange::ALL, 60);
        assert_eq!((all.place(i64::MIN), all.place(0), all.place(i64::MAX)), (0, 30, 59));
    }
}
