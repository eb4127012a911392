//! The engine over series in memory.

use std::sync::Arc;
use std::time::Duration;

use model::{ManualClock, Timestamp};
use query::admission::Cancel;
use query::promql::notation::Cell;
use query::promql::{self, Budget, Histogram, MemorySource, Options, PromqlError, Steps};

use crate::answer::Answer;
use crate::case::When;
use crate::load::Series;

/// Adds series to those in memory.
pub fn load(source: &mut MemorySource, series: &[Series]) {
    for Series { labels, samples } in series {
        for (time, cell) in samples {
            match cell {
                Cell::Number(value) => source.push(labels, *time, *value),
                Cell::Histogram(written) => {
                    source.push_histogram(labels, *time, Histogram::clone(&written.histogram));
                }
                Cell::Nothing => {}
            }
        }
    }
}

/// The engine's answer.
pub fn ask(source: &MemorySource, query: &str, when: When, options: &Options) -> Result<Answer, PromqlError> {
    let answer = match when {
        When::Instant(at) => promql::instant(source, query, at, options),
        When::Range(start, end, step) => {
            Steps::range(start, end, step).and_then(|steps| promql::range(source, query, steps, options))
        }
    };
    answer.map(Answer::from)
}

/// Enough of everything, for scripts and oracles.
pub fn options() -> Options {
    let clock = Arc::new(ManualClock::new(Timestamp::default()));
    Options::new(Budget::new(promql::limits::SAMPLES_MAX, Duration::from_secs(60), clock, Cancel::default()))
}
