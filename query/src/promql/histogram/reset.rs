//! Whether a counter of histograms has begun anew.

use std::sync::Arc;

use super::{Hint, Histogram};

impl Histogram {
    /// Whether there was a reset between `before` and this. Where nothing is known, the two are compared: a counter never falls, in
    /// no bucket.
    pub fn is_reset_after(&self, before: &Self) -> bool {
        match self.hint {
            Hint::Reset => true,
            Hint::NotReset => false,
            Hint::Unknown | Hint::Gauge => self.has_fallen_from(before),
        }
    }

    fn has_fallen_from(&self, before: &Self) -> bool {
        if self.count < before.count || self.is_custom() != before.is_custom() {
            return true;
        }
        if self.is_custom() {
            let bounds = self.common_bounds(before);
            let (now, before) = (self.with_bounds(&bounds), before.with_bounds(&bounds));
            return before.positive.iter().any(|(index, count)| now.positive.get(index) < count);
        }
        // Who counts on makes buckets coarser or the zero bucket wider, never the reverse.
        if self.schema > before.schema || self.zero_threshold < before.zero_threshold {
            return true;
        }
        let (zero_count, threshold) = before.zero_up_to(self.zero_threshold);
        if threshold != self.zero_threshold || self.zero_count < zero_count {
            return true;
        }
        let inside = |index: i32| before.reach(index).0 < threshold;
        let steps = before.schema - self.schema;
        let fell = |now: &super::Buckets, before: &super::Buckets| {
            before.without(inside).coarser(steps).iter().any(|(index, count)| now.get(index) < count)
        };
        fell(&self.positive, &before.positive) || fell(&self.negative, &before.negative)
    }

    /// The same where it stands behind another sample than the one it was compared with: nothing is known of resets any more.
    pub fn compared_anew(self: &Arc<Self>) -> Arc<Self> {
        match self.hint {
            Hint::Unknown | Hint::Gauge => Arc::clone(self),
            Hint::Reset | Hint::NotReset => Arc::new(Self { hint: Hint::Unknown, ..Self::clone(self) }),
        }
    }

    /// The same with what a storage knows that has seen `before`, the sample before it: whether the count went on.
    #[must_use]
    pub fn after(self, before: Option<&Self>) -> Self {
        if matches!(self.hint, Hint::Gauge | Hint::Reset) {
            return self;
        }
        let goes_on = before.is_some_and(|before| {
            before.hint != Hint::Gauge
                && before.schema == self.schema
                && before.zero_threshold == self.zero_threshold
                && before.bounds == self.bounds
                && !Self { hint: Hint::Unknown, ..self.clone() }.is_reset_after(before)
        });
        Self { hint: if goes_on { Hint::NotReset } else { Hint::Unknown }, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::histogram::Buckets;

    #[test]
    fn a_fall_anywhere_is_a_reset() {
        let histogram = |count: f64, buckets: &[(i32, f64)]| Histogram {
            count,
            positive: Buckets::new(buckets.iter().copied()),
            ..Histogram::default()
        };
        let before = histogram(3.0, &[(0, 1.0), (1, 2.0)]);
        for (now, expected) in [
            (histogram(3.0, &[(0, 1.0), (1, 2.0)]), false),
            (histogram(2.0, &[(0, 1.0), (1, 2.0)]), true),
            (histogram(4.0, &[(0, 2.0), (1, 2.0)]), false),
            (histogram(4.0, &[(1, 4.0)]), true),
            (Histogram { schema: 1, ..histogram(9.0, &[]) }, true),
            (Histogram { schema: -1, ..histogram(3.0, &[(0, 1.0), (1, 2.0)]) }, false),
            (Histogram { schema: -1, ..histogram(3.0, &[(1, 3.0)]) }, true),
            (Histogram { zero_threshold: 1.0, zero_count: 1.0, ..histogram(3.0, &[(1, 2.0)]) }, false),
            (Histogram { zero_threshold: 0.7, zero_count: 1.0, ..histogram(3.0, &[(1, 2.0)]) }, true),
            (Histogram { hint: Hint::NotReset, ..histogram(0.0, &[]) }, false),
            (Histogram { hint: Hint::Reset, ..histogram(9.0, &[(0, 9.0), (1, 9.0)]) }, true),
        ] {
            assert_eq!(now.is_reset_after(&before), expected, "{now:?}");
        }
    }
}
