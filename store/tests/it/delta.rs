//! Totals of deltas over flushes, merges, failing disks, kills and power cuts, compared with those that a naive reader makes of all points
//! that the store shows: nothing counts twice, nothing is lost, and nothing begins anew.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array as _, AsArray as _};
use arrow::datatypes::{Int64Type, TimestampNanosecondType, UInt64Type};
use fastrand::Rng;
use model::names::OVERFLOW_SCOPE;
use model::{TimeRange, Timestamp};
use store::delta::{Total, TotalValue};
use store::disk::SimDisk;
use store::disk::sim::{Fault, FaultKind, Operation};
use store::schema::{
    PointColumns, PointRow, PointValue, ResourceRow, ScopeRow, SeriesKey, SeriesRow, column, metric_type,
};
use store::{Batch, Config, Narrow, Projection, Store, Table};

use crate::crash::setup;
use crate::trials::{self, block_on, caught};

const DELTA: i32 = 1;
/// 2026-01-31T23:50:00Z: what follows is in two days.
const BEGIN: i64 = 1_769_903_400_000_000_000;
const SECOND: i64 = 1_000_000_000;

fn open(disk: &SimDisk) -> Option<Store> {
    // The log has many segments, and parts are merged early.
    let config = Config { wal_segment_bytes: 10_000, reserve_bytes: 0, ..Config::default() };
    Store::open(setup(Arc::new(disk.clone()), Path::new("/data"), config)).ok()
}

// Of these series the last is an overflow series.
const KINDS: u8 = 4;
const OVERFLOW: u8 = 3;
/// As in the store's limits: a point that lies further before the last one begins anew.
const BACK: i64 = 60 * SECOND;

// Points of one number each: a sum, a histogram, an exponential one or a sum of many senders, by the number of their series.
fn batch(key: SeriesKey, points: &[(u8, i64, u64)]) -> Batch {
    let mut columns = PointColumns::new(key);
    for (kind, time, value) in points {
        let counts = [*value, 0];
        let (metric_type, value) = match *kind {
            0 | OVERFLOW => (metric_type::SUM, PointValue::Int(*value as i64)),
            1 => {
                let (sum, bounds) = (Some(0.5), &[1.0][..]);
                let of = PointValue::Histogram {
                    count: *value,
                    sum,
                    min: None,
                    max: None,
                    bucket_counts: &counts,
                    explicit_bounds: bounds,
                };
                (metric_type::HISTOGRAM, of)
            }
            _ => {
                let of = PointValue::ExponentialHistogram {
                    count: *value,
                    sum: None,
                    min: None,
                    max: None,
                    scale: 3,
                    zero_count: 0,
                    zero_threshold: 0.0,
                    positive: Some((7, &counts)),
                    negative: None,
                };
                (metric_type::EXPONENTIAL_HISTOGRAM, of)
            }
        };
        let series = columns.series(&SeriesRow {
            resource: ResourceRow::default(),
            scope: ScopeRow { name: if *kind == OVERFLOW { OVERFLOW_SCOPE } else { "" }, ..ScopeRow::default() },
            metric: "m",
            description: "",
            unit: "",
            metadata: &[],
            metric_type,
            temporality: DELTA,
            monotonic: true,
            attributes: &[],
        });
        let timestamp = Timestamp::from_nanos(*time);
        let start_timestamp = Some(timestamp.saturating_add(-SECOND));
        columns.push(&PointRow { series, timestamp, derived_times: 0, start_timestamp, flags: 0, value }, &[]);
    }
    columns.finish()
}

fn number(total: &Total) -> u64 {
    match &total.value {
        TotalValue::Int(value) => *value as u64,
        TotalValue::Histogram(total) => {
            assert_eq!(total.counts, [total.count, 0]);
            total.count
        }
        TotalValue::Exponential(total) => {
            assert_eq!(total.positive, BTreeMap::from([(7, total.count)]));
            total.count
        }
        TotalValue::Double(value) => panic!("{value} is no whole number"),
    }
}

// Series, time, value, and the total with its time if it counts.
type Shown = (u64, i64, u64, Option<(u64, i64)>);

// How many points count.
fn check(store: &Store, context: &str) -> usize {
    let wanted =
        [column::INGEST_SEQ, column::SERIES_ID, column::TIMESTAMP, column::VALUE_INT, column::COUNT, column::TOTAL];
    let projection = Projection::Columns(wanted.map(str::to_owned).to_vec());
    let overflow = overflow_id(store);
    // By number.
    let mut points: BTreeMap<u64, Shown> = BTreeMap::new();
    for granule in store.snapshot().granules(Table::Points, TimeRange::ALL, &Narrow::All).expect("granules") {
        let rows = granule.read(&projection).expect("rows");
        let u64s = |name: &str| rows[name].as_primitive::<UInt64Type>();
        let times = rows[column::TIMESTAMP].as_primitive::<TimestampNanosecondType>();
        let ints = rows[column::VALUE_INT].as_primitive::<Int64Type>();
        let totals = rows.column_by_name(column::TOTAL).and_then(|totals| totals.as_binary_opt::<i32>());
        for row in 0..rows.num_rows() {
            let value = if ints.is_valid(row) { ints.value(row) as u64 } else { u64s(column::COUNT).value(row) };
            let total = totals.filter(|totals| totals.is_valid(row)).map(|totals| totals.value(row));
            let total = total.map(|bytes| Total::decode(bytes).expect("a total"));
            let total = total.map(|total| (number(&total), total.last));
            let point = (u64s(column::SERIES_ID).value(row), times.value(row), value, total);
            assert!(points.insert(u64s(column::INGEST_SEQ).value(row), point).is_none(), "{context}: shown twice");
        }
    }
    let mut known: HashMap<u64, (u64, i64)> = HashMap::new();
    for (seq, (series, time, value, total)) in &points {
        let expected = match known.get(series) {
            None => Some((*value, *time)),
            Some((_, last)) if *series == overflow && last - time > BACK => Some((*value, *time)),
            Some((total, last)) if *series == overflow => Some((total + value, *last.max(time))),
            Some((_, last)) if time <= last => None,
            Some((total, _)) => Some((total + value, *time)),
        };
        assert_eq!(*total, expected, "{context}: point {seq}");
        known.extend(expected.map(|expected| (*series, expected)));
    }
    points.values().filter(|(.., total)| total.is_some()).count()
}

fn overflow_id(store: &Store) -> u64 {
    let batch = batch(store.writer().series_key(), &[(OVERFLOW, BEGIN, 1)]);
    batch.shared[column::SERIES_ID].as_primitive::<UInt64Type>().value(0)
}

async fn lives(seed: u64) {
    let rng = &mut Rng::with_seed(seed);
    let mut disk = SimDisk::new(seed);
    let mut now = BEGIN;
    let mut sent: Vec<Vec<(u8, i64, u64)>> = Vec::new();
    for life in 0..4 {
        let mut chance = rng.fork();
        let writes = |operation| {
            matches!(operation, Operation::Append | Operation::Sync | Operation::Create | Operation::Rename)
        };
        if rng.bool() {
            disk.inject(Fault::new(FaultKind::Io, move |operation, _| writes(operation) && chance.u8(0..40) == 0));
        }
        let Some(store) = (0..20).find_map(|_| open(&disk)) else {
            disk = disk.kill();
            continue;
        };
        check(&store, &format!("life {life}"));
        for step in 0..30 {
            let points = match rng.u8(0..8) {
                // Sent again, though it was stored, or was refused.
                0 if !sent.is_empty() => sent[rng.usize(0..sent.len())].clone(),
                1 => vec![(rng.u8(0..KINDS), now - rng.i64(0..300) * SECOND, 1_000)],
                _ => {
                    let count = rng.usize(1..6);
                    let next = |now: &mut i64, rng: &mut Rng| {
                        *now += rng.i64(1..40) * SECOND;
                        (rng.u8(0..KINDS), *now, rng.u64(1..9))
                    };
                    (0..count).map(|_| next(&mut now, rng)).collect()
                }
            };
            let _ = store.writer().append(batch(store.writer().series_key(), &points)).await;
            sent.push(points);
            match rng.u8(0..10) {
                0..2 => drop(store.flush_now()),
                2 => drop(store.tidy_now()),
                _ => {}
            }
            if rng.u8(0..5) == 0 {
                check(&store, &format!("life {life}, step {step}"));
            }
        }
        disk.heal();
        disk = match rng.u8(0..3) {
            0 => disk.crash(),
            1 => disk.kill(),
            _ => {
                drop(store.close());
                drop(store);
                disk
            }
        };
    }
    disk.heal();
    let store = open(&disk).expect("a healthy disk opens");
    let counted = check(&store, "the end");
    store.flush_now().expect("a healthy disk is flushed to");
    store.tidy_now().expect("parts are merged");
    assert_eq!(check(&store, "flushed and merged"), counted);
    assert!(counted > 20, "{counted} points counted");
}

#[test]
fn totals_are_those_of_all_points_whatever_happens() {
    trials::run("deltas", 25, |seed| caught(|| block_on(lives(seed))));
}
