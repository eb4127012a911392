//! Every service that sent spans or logs in a time range: rate, errors and duration of its requests, its logs, and when it was
//! last seen. Requests are spans of kind server or consumer, and root spans.

use std::collections::BTreeMap;

use arrow::array::{AsArray as _, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{Int32Type, TimestampNanosecondType, UInt64Type};
use arrow::error::ArrowError;
use model::wire::counts::{Service, Services};
use model::{TimeRange, Timestamp};
use store::schema::column;
use store::{Snapshot, Table};

use crate::counts::Buckets;
use crate::counts::buckets::width;
use crate::counts::sketch::Sketch;
use crate::limits::{SERVICES_MAX, SERVICES_NAMES_BYTES_MAX};
use crate::rows::columns::{Ids, Numbers};
use crate::search::budget::{Budget, Partial};
use crate::search::execute::SearchError;
use crate::search::fields;
use crate::search::plan::{Field, Plan};
use crate::search::scan::{Collect, Scan, unreadable};
use crate::search::values::{Texts, texts};

/// The services of the buckets' range, with rates in each bucket. What lies after `now` brought no requests yet: the rate of the
/// whole range is that of the part before.
pub fn services(
    buckets: Buckets,
    now: Timestamp,
    snapshot: &Snapshot,
    budget: &mut Budget,
) -> Result<Services, SearchError> {
    let service = Field::Column(fields::column(Table::Spans, "service").expect("every table has services"));
    let mut tally = Tally::new(buckets, &service);
    let mut partial = tally.scan(Table::Spans, snapshot, budget)?;
    if !partial.as_ref().is_some_and(|partial| partial.is_cut) {
        let of_logs = tally.scan(Table::Logs, snapshot, budget)?;
        partial = partial.or(of_logs);
    }
    let too_many = tally.left_out.then(|| {
        format!("there are more than {SERVICES_MAX} services, or their names are very long: some are left out")
    });
    let reason = partial.map(|partial| partial.reason).or(too_many);
    let seconds = seconds(width(until(buckets.range(), now)));
    let mut counts = tally.counts;
    let services = tally.places.into_iter().map(|(name, place)| {
        let counts = std::mem::take(&mut counts[place]);
        counts.service(name, seconds, buckets)
    });
    Ok(Services {
        start: buckets.range().start.to_string(),
        end: buckets.range().end.to_string(),
        step_ns: buckets.step(),
        services: services.collect(),
        partial: reason.is_some(),
        reason,
    })
}

// OTLP's numbers: kinds of spans, the status of a span that failed, severities from error on.
const SERVER: i32 = 2;
const CONSUMER: i32 = 5;
const FAILED: i32 = 2;
const ERRORS: std::ops::RangeInclusive<i32> = 17..=24;

// The part of the range that has passed; all of it if none has.
fn until(range: TimeRange, now: Timestamp) -> TimeRange {
    // What happens at this very moment has happened.
    let passed = now.saturating_add(1);
    if passed > range.start { TimeRange { end: range.end.min(passed), ..range } } else { range }
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

// What is known of one service.
#[derive(Debug, Default)]
struct Counts {
    // By bucket: requests, and those of them with errors. Empty before the first request.
    requests: Vec<(u64, u64)>,
    durations: Sketch,
    logs: u64,
    log_errors: u64,
    last_seen: Option<i64>,
}

impl Counts {
    fn service(mut self, name: String, seconds_in_range: f64, buckets: Buckets) -> Service {
        self.requests.resize(buckets.count(), (0, 0));
        let (requests, errors) =
            self.requests.iter().fold((0, 0), |(requests, errors), step| (requests + step.0, errors + step.1));
        let steps = self.requests.iter().enumerate();
        Service {
            service: name,
            requests,
            errors,
            rate: ratio(requests as f64, seconds_in_range),
            error_share: ratio(errors as f64, requests as f64),
            p50_ns: self.durations.quantile(50),
            p95_ns: self.durations.quantile(95),
            p99_ns: self.durations.quantile(99),
            rates: steps.map(|(place, step)| ratio(step.0 as f64, seconds(buckets.width(place)))).collect(),
            error_shares: self.requests.iter().map(|step| ratio(step.1 as f64, step.0 as f64)).collect(),
            logs: self.logs,
            log_errors: self.log_errors,
            last_seen: self.last_seen.map(|nanos| Timestamp::from_nanos(nanos).to_string()).unwrap_or_default(),
        }
    }
}

fn ratio(of: f64, to: f64) -> f64 {
    if to > 0.0 { of / to } else { 0.0 }
}

struct Tally<'a> {
    table: Table,
    buckets: Buckets,
    service: &'a Field,
    // Places in `counts`.
    places: BTreeMap<String, usize>,
    counts: Vec<Counts>,
    bytes: usize,
    // Whether services were left out because there were too many.
    left_out: bool,
}

impl<'a> Tally<'a> {
    fn new(buckets: Buckets, service: &'a Field) -> Self {
        let table = Table::Spans;
        Self { table, buckets, service, places: BTreeMap::new(), counts: Vec::new(), bytes: 0, left_out: false }
    }

    // Counts the rows of a table; answers why some may not be counted.
    fn scan(&mut self, table: Table, snapshot: &Snapshot, budget: &mut Budget) -> Result<Option<Partial>, SearchError> {
        self.table = table;
        let columns: &[&str] = match table {
            Table::Logs => &[column::SEVERITY_NUMBER],
            _ => &[column::KIND, column::PARENT_SPAN_ID, column::STATUS_CODE, column::DURATION_NS],
        };
        let scan = Scan::new(table, &Plan::Everything, self.buckets.range(), (0, u64::MAX));
        let scan = scan.reading(columns.iter().copied()).reading_field(self.service);
        // Newest first: services that still run are among those that are kept, and in an answer that ends early.
        let granules = scan.newest_first(snapshot)?;
        Ok(scan.run(snapshot, &granules, self, budget)?.partial)
    }

    fn place(&mut self, name: &str) -> Option<usize> {
        if let Some(place) = self.places.get(name) {
            return Some(*place);
        }
        if self.counts.len() == SERVICES_MAX || self.bytes + name.len() > SERVICES_NAMES_BYTES_MAX {
            self.left_out = true;
            return None;
        }
        self.bytes += name.len();
        self.places.insert(name.to_owned(), self.counts.len());
        self.counts.push(Counts::default());
        Some(self.counts.len() - 1)
    }

    fn each_row(&mut self, rows: &BooleanBuffer, names: &Texts, times: &[i64], count: impl Fn(&mut Counts, usize)) {
        // Names are looked up once a batch.
        let mut known: Vec<Option<Option<usize>>> = vec![None; names.distinct()];
        for row in rows.set_indices() {
            let code = names.code(row);
            let place = *known[code as usize].get_or_insert_with(|| self.place(names.text(code)));
            let Some(place) = place else { continue };
            let counts = &mut self.counts[place];
            counts.last_seen = counts.last_seen.max(Some(times[row]));
            count(counts, row);
        }
    }

    fn take_columns(&mut self, batch: &RecordBatch, rows: &BooleanBuffer) -> Result<(), ArrowError> {
        let names = texts(self.table, self.service, batch, rows)?;
        let times = batch[column::TIMESTAMP].as_primitive::<TimestampNanosecondType>().values();
        if self.table == Table::Logs {
            let severities: Numbers<Int32Type> = Numbers::of(batch, column::SEVERITY_NUMBER)?;
            self.each_row(rows, &names, times, |counts, row| {
                counts.logs += 1;
                counts.log_errors += u64::from(ERRORS.contains(&severities.number(row)));
            });
            return Ok(());
        }
        let kinds: Numbers<Int32Type> = Numbers::of(batch, column::KIND)?;
        let statuses: Numbers<Int32Type> = Numbers::of(batch, column::STATUS_CODE)?;
        let durations: Numbers<UInt64Type> = Numbers::of(batch, column::DURATION_NS)?;
        let parents = Ids::of(batch, column::PARENT_SPAN_ID);
        let buckets = self.buckets;
        self.each_row(rows, &names, times, |counts, row| {
            if !matches!(kinds.number(row), SERVER | CONSUMER) && parents.get(row).is_some() {
                return;
            }
            if counts.requests.is_empty() {
                counts.requests.resize(buckets.count(), (0, 0));
            }
            let step = &mut counts.requests[buckets.place(times[row])];
            step.0 += 1;
            step.1 += u64::from(statuses.number(row) == FAILED);
            counts.durations.add(durations.number(row));
        });
        Ok(())
    }
}

impl Collect for Tally<'_> {
    fn take(&mut self, _granule: usize, batch: &RecordBatch, rows: &BooleanBuffer) -> Result<(), SearchError> {
        self.take_columns(batch, rows).map_err(unreadable(self.table, "count by service"))
    }
}
