//! Functions of ranges with `anchored` or `smoothed`: nothing is extrapolated, because the ends of the range are known.

/// The samples in a range and beside it: before its start as far as a selector looks back, and with `smoothed` as far after its end.
#[derive(Clone, Copy, Debug)]
pub struct Extended<'a> {
    /// When the range begins; a sample at this very time is not in it.
    pub start: i64,
    /// When it ends.
    pub end: i64,
    /// Times of the samples, ascending.
    pub times: &'a [i64],
    /// Values of the samples.
    pub values: &'a [f64],
    /// Whether the values at the ends are interpolated.
    pub smoothed: bool,
}

impl Extended<'_> {
    /// What the function with this name gives.
    pub fn apply(self, name: &str) -> Option<f64> {
        let (first, last) = self.ends()?;
        match name {
            "changes" => {
                Some(pairs(&self.values[first..], |before, now| before != now && !(before.is_nan() && now.is_nan())))
            }
            "resets" => Some(pairs(&self.values[first..], |before, now| now < before)),
            "delta" => self.growth(first, last, false),
            "increase" => self.growth(first, last, true),
            "rate" => self.growth(first, last, true).map(|growth| growth / ((self.end - self.start) as f64 / 1000.0)),
            _ => None,
        }
    }

    // The sample at the start of the range or the last before it, or else the first there is; and the last of the range, or with
    // `smoothed` the first behind it.
    fn ends(self) -> Option<(usize, usize)> {
        let last = self.times.len().checked_sub(1)?;
        let first = self.times[..last].partition_point(|time| *time <= self.start).saturating_sub(1);
        Some((first, self.times[..last].partition_point(|time| *time < self.end)))
    }

    fn growth(self, first: usize, last: usize, counter: bool) -> Option<f64> {
        // Nothing in the range.
        if self.times[last] <= self.start {
            return None;
        }
        let sample = |index: usize| (self.times[index], self.values[index]);
        let mut left = self.values[first];
        if self.smoothed && self.times[first] < self.start && first < last {
            let (mut before, next) = (sample(first), sample(first + 1));
            // A counter that begins anew does so at once.
            if counter && next.1 < before.1 {
                before.1 = 0.0;
            }
            left = interpolated(before, next, self.start);
        }
        let mut right = self.values[last];
        if self.smoothed && last > 0 && self.times[last] > self.end {
            let (before, mut next) = (sample(last - 1), sample(last));
            if counter && next.1 < before.1 {
                next.1 += before.1;
            }
            right = interpolated(before, next, self.end);
        }
        let mut growth = right - left;
        if counter {
            let between = self.values.get(first + 1..last).unwrap_or_default();
            let mut before = left;
            for value in between.iter().copied().chain([right]) {
                if value < before {
                    growth += before;
                }
                before = value;
            }
        }
        Some(growth)
    }
}

fn pairs(values: &[f64], counts: impl Fn(f64, f64) -> bool) -> f64 {
    values.windows(2).filter(|pair| counts(pair[0], pair[1])).count() as f64
}

/// The value on the line between two samples at a time between theirs.
pub fn interpolated(before: (i64, f64), after: (i64, f64), at: i64) -> f64 {
    before.1 + (after.1 - before.1) * ((at - before.0) as f64 / (after.0 - before.0) as f64)
}
