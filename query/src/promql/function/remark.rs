//! What is remarkable about a window or a group: functions note it, the evaluator says it with name and place.

use crate::promql::histogram::{Combined, Histogram, Incompatible};

/// What to say, each at most once.
#[derive(Clone, Debug, Default)]
pub struct Remarks(Vec<Remark>);

/// One remark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remark {
    /// Numbers and histograms where only one of them can be.
    Mixed,
    /// Histograms were left out of a range with both.
    IgnoredInRange,
    /// A counter was wanted, and histograms are a gauge.
    NotCounter,
    /// A gauge was wanted, and histograms are a counter.
    NotGauge,
    /// Exponential and custom buckets.
    MixedSchemas,
    /// Custom bounds were left out.
    Reconciled(During),
    /// One histogram came after a reset, the other surely not.
    Collision(During),
}

/// What was done with the histograms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum During {
    /// `+`
    Addition,
    /// `-`
    Subtraction,
    /// A sum or mean of several.
    Aggregation,
}

impl Remarks {
    /// Notes a remark.
    pub fn note(&mut self, remark: Remark) {
        if !self.0.contains(&remark) {
            self.0.push(remark);
        }
    }

    /// Takes them out.
    pub fn take(&mut self) -> Vec<Remark> {
        std::mem::take(&mut self.0)
    }

    /// Notes what it took to combine two histograms, and gives what became of them.
    pub fn combined(
        &mut self,
        combined: Result<Combined, Incompatible>,
        during: During,
    ) -> Result<Histogram, Incompatible> {
        let combined = combined?;
        if combined.reconciled {
            self.note(Remark::Reconciled(during));
        }
        if combined.collided {
            self.note(Remark::Collision(during));
        }
        Ok(combined.histogram)
    }
}

impl During {
    /// Its word in messages.
    pub fn word(self) -> &'static str {
        match self {
            During::Addition => "addition",
            During::Subtraction => "subtraction",
            During::Aggregation => "aggregation",
        }
    }
}
