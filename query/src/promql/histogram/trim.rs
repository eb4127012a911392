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
    /// Only the observations on one side of `cut`. Where it falls into a bucket, that is divided as quantiles divide it. If anything goes, the
    /// sum is that of what stays, each observation taken to be in the middle of what stays of its bucket.
    #[must_use]
    pub fn trimmed(&self, kept: Kept, cut: f64) -> Self {
        let mut trim = Trim { histogram: self, kept, cut, count: 0.0, sum: 0.0, changed: false };
        let mut side = |buckets: &Buckets, of: &dyn Fn(i32, f64) -> Bucket| {
            Buckets::new(
                buckets.iter().map(|(index, count)| (index, trim.bucket(of(index, count)))).collect::<Vec<_>>(),
            )
        };
        let positive = side(&self.positive, &|index, count| self.positive_bucket(index, count));
        let negative = side(&self.negative, &|index, count| self.negative_bucket(index, count));
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
        Self { count: trim.count, sum: trim.sum, zero_count, positive, negative, ..self.clone() }
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
        let Some((count, middle)) = self.stays(bucket).filter(|(count, _)| *count != 0.0) else {
            self.changed |= bucket.count != 0.0;
            return 0.0;
        };
        self.changed |= count != bucket.count;
        self.count += count;
        self.sum += count * middle;
        count
    }

    // How much of a bucket stays, and where its middle is.
    fn stays(&self, bucket: Bucket) -> Option<(f64, f64)> {
        let cut = self.cut;
        let keeps_all = match self.kept {
            Kept::Below => cut == f64::INFINITY,
            Kept::Above => cut == f64::NEG_INFINITY,
        };
        match (bucket.lower.is_finite(), bucket.upper.is_finite()) {
            _ if keeps_all => Some((bucket.count, 0.0)),
            // Endless buckets cannot be divided: they are all on one side, or nowhere.
            (_, false) if self.kept == Kept::Below => None,
            (false, false) => None,
            (true, false) => (cut < f64::INFINITY).then(|| (bucket.count, bucket.lower.max(cut))),
            // The lowest bucket begins at zero if it ends above that; what lies further down is not known.
            (false, true) if bucket.upper > 0.0 && (self.kept == Kept::Below || cut >= 0.0) => {
                self.divided(Bucket { lower: 0.0, ..bucket })
            }
            (false, true) if self.kept == Kept::Below && bucket.upper <= 0.0 => {
                (cut > f64::NEG_INFINITY).then(|| (bucket.count, bucket.upper.min(cut)))
            }
            (false, true) => None,
            (true, true) => self.divided(without_empty_side(self.histogram, bucket)),
        }
    }

    fn divided(&self, bucket: Bucket) -> Option<(f64, f64)> {
        let cut = self.cut;
        let stays = match self.kept {
            Kept::Below if bucket.upper <= cut => bucket,
            Kept::Above if bucket.lower >= cut => bucket,
            Kept::Below if bucket.lower >= cut => return None,
            Kept::Above if bucket.upper <= cut => return None,
            Kept::Below => {
                Bucket { upper: cut, count: bucket.count * share_below(self.histogram, bucket, cut), ..bucket }
            }
            Kept::Above => {
                let share = 1.0 - share_below(self.histogram, bucket, cut);
                Bucket { lower: cut, count: bucket.count * share, ..bucket }
            }
        };
        // What is left of the zero bucket is spread evenly, as it was.
        let is_zero = bucket.lower <= 0.0 && bucket.upper >= 0.0;
        let middle = if is_zero { (stays.lower + stays.upper) / 2.0 } else { middle(self.histogram, stays) };
        Some((stays.count, middle))
    }
}
