//! Counts, histograms and services over made-up rows: in the head, in parts, and in parts whose index is gone. Each answer must
//! be the one that is found by looking at every row.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::wire::counts::Service;
use model::{ManualClock, TimeRange, Timestamp};
use query::Config;
use query::admission::Cancel;
use query::counts::Buckets;
use query::counts::histogram::histogram;
use query::counts::services::services;
use query::search::budget::Budget;
use query::search::stats::{CountQuery, Counted};
use query::search::{self};
use store::Table;

use crate::naive::{Field, Query, Row, Value, lookup, matches, text};
use crate::oracle::{Composer, Counts, Places, World, seed, some_hours};
use crate::world::{Log, Maker, append, log_batch, now, open};

const COUNTS: usize = 250;
const HISTOGRAMS: usize = 120;
const SERVICES: usize = 40;

fn budget() -> Budget {
    Budget::new(&Config::default(), Arc::new(ManualClock::new(now())), Cancel::default())
}

#[test]
fn counts_are_those_of_the_oracle() {
    let seed = seed();
    let mut maker = Maker { random: fastrand::Rng::with_seed(seed) };
    let places = Places::fill(&mut maker);
    let (mut groups, mut samples) = (0, 0);
    for number in 0..COUNTS {
        let asked = Asked::make(&mut maker, &places.world, number);
        let expected = asked.expected(&places.world);
        groups += expected.len();
        let group = maker.random.usize(0..expected.len().max(1));
        let group = expected.get(group).map(|(group, _)| (group, asked.newest(&places.world, group, 3)));
        samples += group.as_ref().map_or(0, |(_, newest)| newest.len());
        for (snapshot, place) in places.snapshots() {
            let context = || format!("seed {seed}, count {number} over {place}: {asked:?}");
            let count = CountQuery::parse(&asked.text, asked.table, now());
            let count = count.unwrap_or_else(|error| panic!("{error}: {}", context()));
            let counted = count.run(&snapshot, asked.range, &mut budget()).expect("the count runs");
            let Counted { groups, partial, .. } = counted;
            assert_eq!((&groups, partial), (&expected, None), "{}", context());
            let Some((group, newest)) = &group else { continue };
            let found = count.samples(group, &snapshot, asked.range, 3, &mut budget()).expect("the search runs");
            let found: Vec<Sample> = found.into_iter().map(|s| (s.timestamp, s.trace_id, s.service)).collect();
            assert_eq!(found, *newest, "{group:?}, {}", context());
        }
    }
    assert!(groups > 5 * COUNTS && samples > COUNTS, "only {groups} groups and {samples} samples");
}

type Labels = Vec<(String, String)>;
type Sample = (String, Option<String>, Option<String>);

#[derive(Debug)]
struct Asked {
    table: Table,
    query: Query,
    by: Vec<(String, Field)>,
    condition: Option<(&'static str, f64)>,
    range: TimeRange,
    text: String,
}

impl Asked {
    fn make(maker: &mut Maker, world: &World, number: usize) -> Self {
        let table = maker.pick(&[Table::Logs, Table::Spans]);
        let mut counts = Counts::default();
        let mut composer = Composer { maker, rows: world.rows(table), table, counts: &mut counts };
        // Many filters find little: every third is the one that finds everything.
        let query = if number.is_multiple_of(3) { Query::Everything } else { composer.query(number) };
        let mut by: Vec<(String, Field)> = Vec::new();
        for _ in 0..composer.maker.random.usize(0..4) {
            let row = composer.row();
            let kind = composer.maker.pick(&["any", "any", "severity", "duration or time"]);
            let field = composer.field(kind, row);
            let label = label(&field);
            if !by.iter().any(|(known, _)| *known == label) {
                by.push((label, field));
            }
        }
        let condition = (maker.random.bool()).then(|| {
            let sign = maker.pick(&[">", ">=", "<", "<=", "==", "!="]);
            (sign, maker.pick(&[-1.0, 0.0, 1.0, 1.5, 2.0, 3.0, 10.0, 100.0]))
        });
        let range = if maker.random.bool() { some_hours(maker) } else { TimeRange::ALL };
        let mut text = format!("{} | stats count() as n", query.text());
        if !by.is_empty() {
            let fields: Vec<String> = by.iter().map(|(_, field)| written(field)).collect();
            text.push_str(&format!(" by ({})", fields.join(", ")));
        }
        if let Some((sign, with)) = condition {
            text.push_str(&format!(" | where n {sign} {with}"));
        }
        Self { table, query, by, condition, range, text }
    }

    fn matching<'w>(&self, world: &'w World) -> Vec<(i64, u64, &'w dyn Row)> {
        let mut rows = world.rows(self.table);
        rows.retain(|(time, _, row)| self.range.contains(Timestamp::from_nanos(*time)) && matches(&self.query, *row));
        rows
    }

    fn values(&self, row: &dyn Row) -> Vec<String> {
        self.by
            .iter()
            .map(|(_, field)| lookup(row, field).map(|value| value_text(&value)).unwrap_or_default())
            .collect()
    }

    fn labels(&self, values: &[String]) -> Labels {
        let labels = self.by.iter().zip(values).filter(|(_, value)| !value.is_empty());
        labels.map(|((label, _), value)| (label.clone(), value.clone())).collect()
    }

    fn expected(&self, world: &World) -> Vec<(Labels, u64)> {
        let mut groups: BTreeMap<Vec<String>, u64> = BTreeMap::new();
        if self.by.is_empty() {
            groups.insert(Vec::new(), 0);
        }
        for (_, _, row) in self.matching(world) {
            *groups.entry(self.values(row)).or_default() += 1;
        }
        groups.retain(|_, count| {
            let count = *count as f64;
            self.condition.is_none_or(|(sign, with)| match sign {
                ">" => count > with,
                ">=" => count >= with,
                "<" => count < with,
                "<=" => count <= with,
                "==" => count == with,
                _ => count != with,
            })
        });
        groups.into_iter().map(|(values, count)| (self.labels(&values), count)).collect()
    }

    fn newest(&self, world: &World, group: &Labels, most: usize) -> Vec<Sample> {
        let mut rows = self.matching(world);
        rows.retain(|(_, _, row)| self.labels(&self.values(*row)) == *group);
        rows.sort_by_key(|(time, seq, _)| std::cmp::Reverse((*time, *seq)));
        let sample = |(time, _, row): (i64, u64, &dyn Row)| {
            let column = |name: &str| row.column(name).map(|value| text(&value));
            (Timestamp::from_nanos(time).to_string(), column("trace_id"), column("service"))
        };
        rows.into_iter().take(most).map(sample).collect()
    }
}

fn written(field: &Field) -> String {
    match field {
        Field::Default => "body".to_owned(),
        field => field.text().trim_end_matches(':').to_owned(),
    }
}

fn label(field: &Field) -> String {
    let (prefix, name) = match field {
        Field::Default => ("", "body"),
        Field::Column(name) => ("", *name),
        Field::Any(name) => ("", name.as_str()),
        Field::Record(name) => ("attr_", name.as_str()),
        Field::Resource(name) => ("res_", name.as_str()),
        Field::Scope(name) => ("scope_", name.as_str()),
    };
    format!("{prefix}{}", name.replace(|c: char| !c.is_ascii_alphanumeric(), "_"))
}

fn value_text(value: &Value) -> String {
    match value {
        Value::Time(nanos) => Timestamp::from_nanos(*nanos).to_string(),
        Value::Duration(nanos) => nanos.to_string(),
        value => text(value),
    }
}

#[test]
fn histograms_are_those_of_the_oracle() {
    let seed = seed();
    let mut maker = Maker { random: fastrand::Rng::with_seed(seed) };
    let places = Places::fill(&mut maker);
    let mut total = 0;
    for number in 0..HISTOGRAMS {
        let table = maker.pick(&[Table::Logs, Table::Spans]);
        let mut counts = Counts::default();
        let rows = places.world.rows(table);
        let query = match number % 3 {
            0 => Query::Everything,
            _ => Composer { maker: &mut maker, rows: rows.clone(), table, counts: &mut counts }.query(number),
        };
        let range = some_hours(&mut maker);
        let by_step = || Buckets::by_step(range, 1_234_567_890_123, 1_000);
        let buckets = match maker.random.u8(0..4) {
            0 => by_step().expect("few buckets"),
            _ => Buckets::by_number(range, maker.pick(&[1, 7, 60, 1_000])),
        };
        let mut expected: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
        for (time, _, row) in rows.into_iter().filter(|(_, _, row)| matches(&query, *row)) {
            if range.contains(Timestamp::from_nanos(time)) {
                let series = expected.entry(kind(table, row)).or_insert_with(|| vec![0; buckets.count()]);
                series[bucket(range, buckets.step(), buckets.count(), time)] += 1;
                total += 1;
            }
        }
        for (snapshot, place) in places.snapshots() {
            let plan = search::parse(&query.text(), table, now()).expect("the oracle writes queries");
            let found = histogram(table, &plan, buckets, &snapshot, &mut budget()).expect("the count runs");
            let keys = if table == Table::Logs { &LEVELS[..] } else { &STATUSES[..] };
            let named = expected.iter().map(|(kind, counts)| (keys[*kind], counts.clone()));
            let series = found.series.iter().map(|series| (series.key.as_str(), series.counts.clone()));
            let context = format!("seed {seed}, histogram {number} over {place}: {} {buckets:?}", query.text());
            assert_eq!(series.collect::<Vec<_>>(), named.collect::<Vec<_>>(), "{context}");
            assert_eq!(found.total, expected.values().flatten().sum::<u64>(), "{context}");
            assert_eq!((found.start, found.end), (range.start.to_string(), range.end.to_string()), "{context}");
            assert!(!found.partial, "{context}");
        }
    }
    assert!(total > 50 * HISTOGRAMS, "only {total} rows were counted");
}

const LEVELS: [&str; 7] = ["fatal", "error", "warn", "info", "debug", "trace", "unspecified"];
const STATUSES: [&str; 3] = ["error", "ok", "unset"];

// The place of the row's kind among the keys.
fn kind(table: Table, row: &dyn Row) -> usize {
    let (keys, column) = if table == Table::Logs { (&LEVELS[..], "severity") } else { (&STATUSES[..], "status") };
    let word = row.column(column).map(|value| text(&value));
    keys.iter().position(|key| Some(*key) == word.as_deref()).unwrap_or(keys.len() - 1)
}

// The last bucket that begins at the moment or before.
fn bucket(range: TimeRange, step: u64, count: usize, time: i64) -> usize {
    let begins = |place: usize| range.start.as_nanos() + (step as i64) * place as i64;
    (0..count).rev().find(|place| begins(*place) <= time).expect("the moment lies in the range")
}

#[test]
fn services_are_those_of_the_oracle() {
    let seed = seed();
    let mut maker = Maker { random: fastrand::Rng::with_seed(seed) };
    let places = Places::fill(&mut maker);
    let mut requests = 0;
    for number in 0..SERVICES {
        let range = some_hours(&mut maker);
        let buckets = Buckets::by_number(range, maker.pick(&[1, 7, 30, 240]));
        let expected = expected_services(&places.world, range, buckets);
        requests += expected.iter().map(|service| service.requests).sum::<u64>();
        for (snapshot, place) in places.snapshots() {
            let context = format!("seed {seed}, services {number} over {place}: {buckets:?}");
            let found = services(buckets, now(), &snapshot, &mut budget()).expect("the count runs");
            assert_eq!((found.partial, found.reason), (false, None), "{context}");
            assert_eq!(found.services.len(), expected.len(), "{context}");
            for (found, expected) in found.services.into_iter().zip(&expected) {
                let quantiles = [found.p50_ns, found.p95_ns, found.p99_ns];
                for (found, exact) in quantiles.into_iter().zip([expected.p50_ns, expected.p95_ns, expected.p99_ns]) {
                    let near = found.zip(exact).is_none_or(|(found, exact)| found.abs_diff(exact) <= exact / 100);
                    assert!(near && found.is_some() == exact.is_some(), "{found:?} for {exact:?}, {context}");
                }
                let [p50_ns, p95_ns, p99_ns] = quantiles;
                assert_eq!(found, Service { p50_ns, p95_ns, p99_ns, ..expected.clone() }, "{context}");
            }
        }
    }
    assert!(requests > 50 * SERVICES as u64, "only {requests} requests were counted");
}

fn expected_services(world: &World, range: TimeRange, buckets: Buckets) -> Vec<Service> {
    let inside = |time: i64| range.contains(Timestamp::from_nanos(time));
    let name = |row: &dyn Row| row.column("service").map(|value| text(&value)).unwrap_or_default();
    let spans: Vec<_> = world.spans.iter().map(|(_, span)| span).filter(|span| inside(span.start)).collect();
    let logs: Vec<_> = world.logs.iter().map(|(_, log)| log).filter(|log| inside(log.time)).collect();
    let of_spans = spans.iter().map(|span| name(*span));
    let mut names: Vec<String> = of_spans.chain(logs.iter().map(|log| name(*log))).collect();
    names.sort();
    names.dedup();
    let one = |service: String| {
        let spans: Vec<_> = spans.iter().filter(|span| name(**span) == service).collect();
        let logs: Vec<_> = logs.iter().filter(|log| name(**log) == service).collect();
        let requests: Vec<_> =
            spans.iter().filter(|span| span.kind == 2 || span.kind == 5 || span.parent.is_none()).collect();
        let mut durations: Vec<u64> = requests.iter().map(|span| (span.end - span.start).max(0) as u64).collect();
        durations.sort_unstable();
        let quantile =
            |percent: usize| (!durations.is_empty()).then(|| durations[(durations.len() * percent).div_ceil(100) - 1]);
        let mut steps = vec![(0_u32, 0_u32); buckets.count()];
        for span in &requests {
            let step = &mut steps[bucket(range, buckets.step(), buckets.count(), span.start)];
            step.0 += 1;
            step.1 += u32::from(span.status == 2);
        }
        let errors = requests.iter().filter(|span| span.status == 2).count();
        let seen = spans.iter().map(|span| span.start).chain(logs.iter().map(|log| log.time)).max();
        let share = |of: f64, to: f64| if to > 0.0 { of / to } else { 0.0 };
        let seconds = |nanos: i64| nanos as f64 / 1e9;
        let last = buckets.count().saturating_sub(1);
        let width = |place: usize| {
            let end = range.end.as_nanos() - range.start.as_nanos();
            let (step, place_start) = (buckets.step() as i64, buckets.step() as i64 * place as i64);
            if place == last { end - place_start } else { step }
        };
        Service {
            service,
            requests: requests.len() as u64,
            errors: errors as u64,
            rate: share(requests.len() as f64, seconds(range.end.as_nanos() - range.start.as_nanos())),
            error_share: share(errors as f64, requests.len() as f64),
            p50_ns: quantile(50),
            p95_ns: quantile(95),
            p99_ns: quantile(99),
            rates: steps
                .iter()
                .enumerate()
                .map(|(place, step)| share(f64::from(step.0), seconds(width(place))))
                .collect(),
            error_shares: steps.iter().map(|step| share(f64::from(step.1), f64::from(step.0))).collect(),
            logs: logs.len() as u64,
            log_errors: logs.iter().filter(|log| (17..=24).contains(&log.severity_number)).count() as u64,
            last_seen: Timestamp::from_nanos(seen.expect("the service was seen")).to_string(),
        }
    };
    names.into_iter().map(one).collect()
}

#[test]
fn counts_have_a_bound_and_say_when_they_are_not_whole() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = open(directory.path());
    let mut maker = Maker { random: fastrand::Rng::with_seed(1) };
    let mut few = maker.logs(100);
    few.iter_mut().enumerate().for_each(|(n, log)| log.event_name = format!("event {n}"));
    append(&store, log_batch(&few));
    let count = |text: &str, config: &Config| {
        let count = CountQuery::parse(text, Table::Logs, now()).expect("a count");
        let mut budget = Budget::new(config, Arc::new(ManualClock::new(now())), Cancel::default());
        count.run(&store.snapshot(), TimeRange::ALL, &mut budget)
    };
    let config = Config::default();
    let counted = count("| stats count() as n by (event_name, nowhere)", &config).expect("counted");
    assert_eq!((counted.groups.len(), counted.partial), (100, None));
    assert_eq!(counted.warnings, ["no row looked at has the field `nowhere`"]);
    let mut many: Vec<Log> = (0..110).flat_map(|_| maker.logs(100)).collect();
    many.iter_mut().enumerate().for_each(|(n, log)| log.event_name = format!("event {n}"));
    append(&store, log_batch(&many));
    let error = count("| stats count() as n by (event_name)", &config).expect_err("too many groups");
    assert_eq!(error.to_string(), "the count has too many groups: more than 10000, or their values are very long");
    let counted = count("| stats count() as n | where n > 11000", &config).expect("counted");
    assert_eq!(counted.groups, [(Vec::new(), 11_100)]);
    let counted = count("nothing_of_the_kind | stats count() as n | where n == 0", &config).expect("counted");
    assert_eq!(counted.groups, [(Vec::new(), 0)]);
    let config = Config { scanned_rows_max: 50, ..config };
    let counted = count("| stats count() as n by (nowhere)", &config).expect("counted");
    let partial = counted.partial.expect("the budget is spent after one chunk");
    assert!(partial.reason.starts_with("the query looked at "), "{}", partial.reason);
    let few_or_many = counted.groups[0].1;
    assert!([100, 11_000].contains(&few_or_many), "{few_or_many}");
}
