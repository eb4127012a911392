//! How long rows are kept: by age, for each signal and service, and by bytes. Decides; `upkeep` deletes, snapshots hide what is expired
//! and not yet deleted, and the collector refuses what would be expired on arrival.
//!
//! Ages are counted from a row's `timestamp` to a time that only the server's own clock moves, never data. A clock that jumps ahead is not
//! believed at once: see [`guard`].

mod guard;
mod settings;

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array as _, AsArray as _, BooleanArray, RecordBatch};
use arrow::datatypes::TimestampNanosecondType;
use model::{Clock, Signal, Timestamp};

use crate::schema::column;
use guard::Guard;
pub use settings::{Age, Ages, ServiceAges, Sizes};

/// How long rows are kept. Cheap to clone; all clones share what they know of the clock.
#[derive(Clone)]
pub struct Retention {
    rules: Option<Arc<Rules>>,
    clock: Arc<dyn Clock>,
    guard: Arc<Mutex<Guard>>,
}

/// Ages in nanoseconds, `None` for ever.
#[derive(Debug)]
struct Rules {
    signals: [Option<i64>; Signal::ALL.len()],
    // By service, in the order of their names; only those that say something about the signal.
    services: [Vec<(String, Option<i64>)>; Signal::ALL.len()],
}

/// Why a row is not taken: it is older than rows of its kind are kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is of {time}, and {signal} of before {cutoff} are no longer kept")]
pub struct Expired {
    /// The signal.
    pub signal: Signal,
    /// The row's time.
    pub time: Timestamp,
    /// What is older is not kept.
    pub cutoff: Timestamp,
}

impl Retention {
    /// As configured. `known` is the time that was believed when the store was last open.
    pub(crate) fn new(config: &crate::Config, clock: Arc<dyn Clock>, known: Option<Timestamp>) -> Retention {
        let guard = Guard::new(known.unwrap_or_else(|| clock.now()), clock.monotonic());
        let rules = Rules::new(&config.retention, &config.retention_services);
        let rules = rules.is_needed().then(|| Arc::new(rules));
        Retention { rules, clock, guard: Arc::new(Mutex::new(guard)) }
    }

    /// Whether a row that arrives now is kept at all. Asked for every row by who takes rows: a row that is refused here would be
    /// stored and shown to nobody.
    pub fn admits(&self, signal: Signal, service: Option<&str>, time: Timestamp) -> Result<(), Expired> {
        self.cutoffs().admits(signal, service, time)
    }

    /// What is expired now, to ask about many rows at one time.
    pub fn cutoffs(&self) -> Cutoffs {
        Cutoffs { now: self.believed().as_nanos(), rules: self.rules.clone() }
    }

    /// The time that ages are counted to.
    pub(crate) fn believed(&self) -> Timestamp {
        let mut guard = self.guard.lock().unwrap_or_else(PoisonError::into_inner);
        guard.observe(self.clock.now(), self.clock.monotonic())
    }

    /// The time to remember for the next start.
    pub(crate) fn to_remember(&self) -> Timestamp {
        let mut guard = self.guard.lock().unwrap_or_else(PoisonError::into_inner);
        guard.observe(self.clock.now(), self.clock.monotonic());
        guard.trusted()
    }
}

impl Rules {
    fn new(ages: &Ages, services: &std::collections::BTreeMap<String, ServiceAges>) -> Rules {
        let of_service = |signal: Signal| {
            let said = services.iter().filter_map(|(name, ages)| Some((name.clone(), ages.of(signal)?.nanos())));
            said.collect()
        };
        Rules { signals: Signal::ALL.map(|signal| ages.of(signal).nanos()), services: Signal::ALL.map(of_service) }
    }

    fn is_needed(&self) -> bool {
        let of_services = self.services.iter().flatten().map(|(_, age)| age);
        self.signals.iter().chain(of_services).any(Option::is_some)
    }

    fn age(&self, signal: Signal, service: Option<&str>) -> Option<i64> {
        let services = &self.services[signal as usize];
        let own = service.and_then(|name| services.binary_search_by(|(known, _)| known.as_str().cmp(name)).ok());
        own.map_or(self.signals[signal as usize], |place| services[place].1)
    }

    fn ages(&self, signal: Signal) -> impl Iterator<Item = Option<i64>> {
        let of_services = self.services[signal as usize].iter().map(|(_, age)| *age);
        std::iter::once(self.signals[signal as usize]).chain(of_services)
    }
}

/// What is expired at one moment.
#[derive(Clone, Debug)]
pub struct Cutoffs {
    now: i64,
    rules: Option<Arc<Rules>>,
}

// Older than nothing.
const NEVER: i64 = i64::MIN;

impl Cutoffs {
    /// Nothing expires.
    #[cfg(test)]
    pub(crate) fn none() -> Cutoffs {
        Cutoffs { now: 0, rules: None }
    }

    /// See [`Retention::admits`].
    pub fn admits(&self, signal: Signal, service: Option<&str>, time: Timestamp) -> Result<(), Expired> {
        let cutoff = self.of(signal, service);
        if time.as_nanos() >= cutoff {
            return Ok(());
        }
        Err(Expired { signal, time, cutoff: Timestamp::from_nanos(cutoff) })
    }

    /// Rows of the signal and service that are older than this are expired: what to compare the times of many rows with.
    pub fn before_which(&self, signal: Signal, service: Option<&str>) -> Timestamp {
        Timestamp::from_nanos(self.of(signal, service))
    }

    /// The same as a number.
    pub(crate) fn of(&self, signal: Signal, service: Option<&str>) -> i64 {
        self.rules.as_ref().map_or(NEVER, |rules| self.before(rules.age(signal, service)))
    }

    /// Rows of the signal that are older than this are expired, whatever their service.
    pub(crate) fn certain(&self, signal: Signal) -> i64 {
        let Some(rules) = &self.rules else { return NEVER };
        rules.ages(signal).map(|age| self.before(age)).min().unwrap_or(NEVER)
    }

    /// Rows of the signal that are not older than this are not expired, whatever their service.
    pub(crate) fn possible(&self, signal: Signal) -> i64 {
        let Some(rules) = &self.rules else { return NEVER };
        rules.ages(signal).map(|age| self.before(age)).max().unwrap_or(NEVER)
    }

    /// How many different cutoffs have passed a time: what it is worth looking again for.
    pub(crate) fn passed(&self, signal: Signal, time: i64) -> usize {
        self.rules.as_ref().map_or(0, |rules| rules.ages(signal).filter(|age| self.before(*age) > time).count())
    }

    /// Whether services of the signal have ages of their own.
    pub(crate) fn by_service(&self, signal: Signal) -> bool {
        self.rules.as_ref().is_some_and(|rules| !rules.services[signal as usize].is_empty())
    }

    /// Which of these rows, with columns `timestamp` and `service`, are not expired.
    pub(crate) fn mask(&self, signal: Signal, rows: &RecordBatch) -> BooleanArray {
        let services = rows.column_by_name(column::SERVICE).and_then(|services| services.as_string_opt::<i32>());
        let service = |row: usize| services.filter(|all| all.is_valid(row)).map(|all| all.value(row));
        let times = rows[column::TIMESTAMP].as_primitive::<TimestampNanosecondType>().values();
        times.iter().enumerate().map(|(row, time)| Some(*time >= self.of(signal, service(row)))).collect()
    }

    fn before(&self, age: Option<i64>) -> i64 {
        age.map_or(NEVER, |age| self.now.saturating_sub(age))
    }
}

#[cfg(test)]
mod tests {
    use model::ManualClock;

    use super::*;
    use crate::Config;

    const DAY: i64 = 86_400_000_000_000;

    fn at(days: i64) -> Timestamp {
        Timestamp::from_nanos(days * DAY)
    }

    fn retention(text: &str) -> Retention {
        let config: Config = serde_json::from_str(text).expect("settings");
        Retention::new(&config, Arc::new(ManualClock::new(at(1_000))), None)
    }

    #[test]
    fn a_service_may_keep_longer_or_shorter() {
        let retention = retention(
            r#"{"retention": {"logs": "30d", "spans": "7d"},
                "retention_services": {"audit": {"logs": "none"}, "noisy": {"logs": "1d", "points": "12h"}}}"#,
        );
        for (signal, service, age_days, admitted) in [
            (Signal::Logs, None, 30, true),
            (Signal::Logs, None, 31, false),
            (Signal::Logs, Some("other"), 31, false),
            (Signal::Logs, Some("audit"), 999, true),
            (Signal::Logs, Some("noisy"), 1, true),
            (Signal::Logs, Some("noisy"), 2, false),
            (Signal::Spans, Some("noisy"), 7, true),
            (Signal::Spans, Some("audit"), 8, false),
            (Signal::Points, Some("other"), 5_000, true),
            (Signal::Points, Some("noisy"), 1, false),
            (Signal::Logs, None, -10, true),
        ] {
            let answer = retention.admits(signal, service, at(1_000 - age_days));
            assert_eq!(answer.is_ok(), admitted, "{signal} of {service:?}, {age_days} days old");
        }
        let error = retention.admits(Signal::Logs, None, at(1)).expect_err("it is old").to_string();
        assert_eq!(
            error,
            "it is of 1970-01-02T00:00:00.000000000Z, and logs of before 1972-08-28T00:00:00.000000000Z are no longer kept"
        );
        let cutoffs = retention.cutoffs();
        assert_eq!((cutoffs.certain(Signal::Logs), cutoffs.possible(Signal::Logs)), (NEVER, 999 * DAY));
        assert_eq!((cutoffs.certain(Signal::Spans), cutoffs.possible(Signal::Spans)), (993 * DAY, 993 * DAY));
        assert_eq!((cutoffs.passed(Signal::Logs, 900 * DAY), cutoffs.passed(Signal::Logs, 980 * DAY)), (2, 1));
    }

    #[test]
    fn nothing_expires_unless_it_is_said() {
        let retention = retention("{}");
        assert_eq!(retention.admits(Signal::Logs, None, Timestamp::MIN), Ok(()));
        assert_eq!(retention.cutoffs().possible(Signal::Logs), Cutoffs::none().possible(Signal::Logs));
    }

    #[test]
    fn settings_that_mean_nothing_are_refused() {
        for text in [
            r#"{"retention": {"logs": "soon"}}"#,
            r#"{"retention": {"logs": "0d"}}"#,
            r#"{"retention": {"traces": "1d"}}"#,
            r#"{"retention_services": {"a": {"logs": ""}}}"#,
        ] {
            assert!(serde_json::from_str::<Config>(text).is_err(), "{text}");
        }
    }
}
