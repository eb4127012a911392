//! What a body comes to: samples with their series, who is alive, what was left out, or why nothing is to be kept. Words only.

use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::exposition::{Kind, Malformed};
use super::labels::LabelSet;

/// What is said of a family of metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Family {
    /// What it is.
    pub kind: Kind,
    /// What it means.
    pub help: Box<str>,
    /// Its unit.
    pub unit: Box<str>,
}

/// A series as it is stored. Known by its labels alone.
#[derive(Clone, Debug)]
pub struct Series {
    /// Name and labels.
    pub labels: LabelSet,
    /// Its family.
    pub family: Arc<Family>,
}

impl PartialEq for Series {
    fn eq(&self, other: &Self) -> bool {
        self.labels == other.labels
    }
}

impl Eq for Series {}

impl Hash for Series {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.labels.hash(state);
    }
}

/// Series that have samples in one scrape and end with the first scrape in which they have none.
pub type Alive = HashSet<Arc<Series>>;

/// A sample to be stored.
#[derive(Clone, Debug)]
pub struct Taken {
    /// Whose.
    pub series: Arc<Series>,
    /// The value.
    pub value: f64,
    /// When.
    pub millis: i64,
    /// An example of what was counted.
    pub exemplar: Option<TakenExemplar>,
}

/// An exemplar to be stored.
#[derive(Clone, Debug, PartialEq)]
pub struct TakenExemplar {
    /// Its labels.
    pub labels: LabelSet,
    /// The value.
    pub value: f64,
    /// When.
    pub millis: i64,
}

/// What a body came to.
#[derive(Debug, Default)]
pub struct Harvest {
    /// To be stored.
    pub samples: Vec<Taken>,
    /// Samples of the body.
    pub scraped: u64,
    /// Those that relabelling left.
    pub kept: u64,
    /// Series that the scrape before did not have.
    pub added: u64,
    /// Who is alive.
    pub alive: Alive,
    /// Samples that are not stored although their lines are right.
    pub left_out: LeftOut,
}

/// Samples that are not stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Of a series that was there already.
    pub duplicates: u64,
    /// Whose time is before that of the sample before.
    pub out_of_order: u64,
    /// Whose time has yet to come.
    pub ahead: u64,
}

/// Why a body fails its scrape.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A line is wrong.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// There are too many samples.
    #[error("sample_limit exceeded: {kept} samples after relabelling, limit {limit}")]
    Samples {
        /// How many there are.
        kept: u64,
        /// How many there may be.
        limit: u64,
    },
    /// It would take too much memory.
    #[error("line {line}: there are more than {max} {what}")]
    TooMany {
        /// From 1.
        line: usize,
        /// How many there may be.
        max: u64,
        /// Of what.
        what: &'static str,
    },
    /// A series has too many labels, or too long ones.
    #[error("line {line}: {limit} exceeded: {what} of {series:?}")]
    Labels {
        /// From 1.
        line: usize,
        /// The limit's name.
        limit: &'static str,
        /// What there is.
        what: String,
        /// The metric's name.
        series: String,
    },
}

impl Fault {
    /// The word of the counters.
    pub fn reason(&self) -> &'static str {
        match self {
            Fault::Malformed(_) => "malformed",
            Fault::Samples { .. } => "sample_limit",
            Fault::TooMany { .. } => "too_many_samples",
            Fault::Labels { .. } => "label_limit",
        }
    }
}
