//! `</` and `>/`: a histogram without its observations above or below a number.

use super::share::{middle, share_below, without_empty_side};
use super::{Bucket, Buckets, Histogram};

/// Which side of the number stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// What is not above it.
    Below,
    /// What is above it.
    Above,
}

impl Histogram {
    /// Only the observations on one side of `cut`. Where it falls into a bucket, that is divided as quantiles divide it; the sum loses
    /// what goes as if it stood in the middle.
    #[must_use]
    pub fn trimmed(&self, kept: Kept, cut: f64) -> Self {
        let mut trim = Trim { histogram: self, kept, cut, count: 0.0, sum: self.sum, changed: false };
        let positive: Vec<(i32, f64)> = self
            .positive
            .iter()
            .map(|(index, count)| (index, trim.bucket(self.positive_bucket(index, count))))
            .collect();
        let negative: Vec<(i32, f64)> = self
            .negative
            .iter()
            .map(|(index, count)| (index, trim.bucket(self.negative_bucket(index, count))))
            .collect();
        let zero = Bucket {
            lower: -self.zero_threshold,
            upper: self.zero_threshold,
            lower_inclusive: true,
            upper_inclusive: true,
            count: self.zero_count,
        };
        let zero_count = if self.zero_count == 0.0 { 0.0 } else { trim.bucket(zero) };
        if !trim.changed {
            return self.clone();
        }
        let (count, sum) = (trim.count, if trim.count == 0.0 { 0.0 } else { trim.sum });
        Self {
            count,
            sum,
            zero_count,
            positive: Buckets::new(positive),
            negative: Buckets::new(negative),
            ..self.clone()
        }
    }
}

struct Trim<'h> {
    histogram: &'h Histogram,
    kept: Kept,
    cut: f64,
    count: f64,
    sum: f64,
    changed: bool,
}

impl Trim<'_> {
    // What stays of a bucket.
    fn bucket(&mut self, bucket: Bucket) -> f64 {
        let bucket = self.with_ends(without_empty_side(self.histogram, bucket));
        let (below, above) = self.divided(bucket);
        let (stays, goes) = match self.kept {
            Kept::Below => (below, above),
            Kept::Above => (above, below),
        };
        if goes.count != 0.0 {
            self.changed = true;
            self.sum -= goes.count * self.middle(goes);
        }
        self.count += stays.count;
        stays.count
    }

    // The lowest custom bucket begins at zero, if it ends above that.
    fn with_ends(&self, mut bucket: Bucket) -> Bucket {
        if self.histogram.is_custom()
            && bucket.lower == f64::NEG_INFINITY
            && bucket.upper > 0.0
            && bucket.upper.is_finite()
        {
            bucket.lower = 0.0;
        }
        bucket
    }

    fn divided(&self, bucket: Bucket) -> (Bucket, Bucket) {
        let none = Bucket { count: 0.0, ..bucket };
        if bucket.upper <= self.cut && (bucket.upper.is_finite() || self.kept == Kept::Below) {
            return (bucket, none);
        }
        if bucket.lower >= self.cut {
            return (none, bucket);
        }
        // Where within an endless bucket observations stand is not known: they go.
        if bucket.lower.is_infinite() || bucket.upper.is_infinite() {
            return match self.kept {
                Kept::Below => (none, bucket),
                Kept::Above => (bucket, none),
            };
        }
        let share = share_below(self.histogram, bucket, self.cut);
        (
            Bucket { upper: self.cut, count: bucket.count * share, ..bucket },
            Bucket { lower: self.cut, count: bucket.count * (1.0 - share), ..bucket },
        )
    }

    fn middle(&self, bucket: Bucket) -> f64 {
        let (lower, upper) = (bucket.lower, bucket.upper);
        match (lower.is_infinite(), upper.is_infinite()) {
            (true, true) => 0.0,
            (true, false) => upper,
            (false, true) => lower,
            (false, false) if lower <= 0.0 && upper >= 0.0 => (lower + upper) / 2.0,
            (false, false) => middle(self.histogram, bucket),
        }
    }
}
