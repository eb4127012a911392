//! 2,000 made-up queries over made-up rows: in the head, in parts, and in parts whose index is gone. Each answer must be the
//! one that the oracle finds by looking at every row.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use model::{ManualClock, TimeRange, Timestamp};
use query::Config;
use query::admission::Cancel;
use query::search::budget::Budget;
use query::search::execute::{Hit, Order, Search};
use query::search::{self};
use store::{Granule, Snapshot, Store, Table};

use crate::naive::{Field, Form, Literal, Query, Row, Sign, Value, lookup, matches, number, text, unquoted, words_of};
use crate::world::{Log, Maker, Span, append, log_batch, now, open, span_batch};

const QUERIES: usize = 2_000;
const BATCHES: usize = 8;

pub struct World {
    pub logs: Vec<(u64, Log)>,
    pub spans: Vec<(u64, Span)>,
}

/// The same rows in the head, in parts, and in parts whose index is gone.
pub struct Places {
    pub world: World,
    stores: [Store; 3],
    _directories: [tempfile::TempDir; 3],
}

/// One seed, so that a change and not chance turns the test red; others by the variable.
pub fn seed() -> u64 {
    let seed = std::env::var("SEXTANT_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    eprintln!("SEXTANT_SEED={seed}");
    seed
}

#[test]
fn answers_are_those_of_the_oracle() {
    let seed = seed();
    let mut maker = Maker { random: fastrand::Rng::with_seed(seed) };
    let places = Places::fill(&mut maker);
    let mut counts = Counts::default();
    for number in 0..QUERIES {
        let asked = Asked::make(&mut maker, &places.world, number, &mut counts);
        let expected = asked.expected(&places.world);
        counts.answers += 1;
        counts.non_empty += usize::from(!expected.0.is_empty());
        for (snapshot, place) in places.snapshots() {
            let found = asked.run(&snapshot);
            assert_eq!(found, expected, "seed {seed}, query {number} over {place}: {asked:?}");
        }
    }
    counts.print_and_check();
}

impl Places {
    pub fn fill(maker: &mut Maker) -> Self {
        let directories = [(); 3].map(|()| tempfile::tempdir().expect("a directory"));
        let stores = directories.each_ref().map(|directory| open(directory.path()));
        let world = World::fill(maker, &stores);
        stores[1].flush_now().expect("flushed");
        stores[2].flush_now().expect("flushed");
        remove_indexes(directories[2].path());
        let snapshots = stores.each_ref().map(Store::snapshot);
        assert!(snapshots[0].parts().is_empty() && snapshots[1].parts().len() >= 4, "rows are where they should be");
        Self { world, stores, _directories: directories }
    }

    pub fn snapshots(&self) -> [(Snapshot, &'static str); 3] {
        let names = ["the head", "parts", "parts without index"];
        std::array::from_fn(|place| (self.stores[place].snapshot(), names[place]))
    }
}

impl World {
    // The same rows with the same numbers in every store.
    fn fill(maker: &mut Maker, stores: &[Store; 3]) -> Self {
        let mut world = World { logs: Vec::new(), spans: Vec::new() };
        for batch in 0..BATCHES {
            let (logs, spans) = (maker.logs(100), maker.spans(50));
            let first = stores.each_ref().map(|store| append(store, log_batch(&logs)));
            assert!(first.iter().all(|seq| *seq == first[0]));
            world.logs.extend((first[0]..).zip(logs));
            let first = stores.each_ref().map(|store| append(store, span_batch(&spans)));
            assert!(first.iter().all(|seq| *seq == first[0]));
            world.spans.extend((first[0]..).zip(spans));
            // Several parts for each day.
            if batch % 4 == 3 {
                stores[1].flush_now().expect("flushed");
                stores[2].flush_now().expect("flushed");
            }
        }
        world
    }

    pub fn rows(&self, table: Table) -> Vec<(i64, u64, &dyn Row)> {
        match table {
            Table::Logs => self.logs.iter().map(|(seq, log)| (log.time, *seq, log as &dyn Row)).collect(),
            _ => self.spans.iter().map(|(seq, span)| (span.start, *seq, span as &dyn Row)).collect(),
        }
    }
}

#[derive(Debug)]
struct Asked {
    table: Table,
    query: Query,
    text: String,
    range: TimeRange,
    order: Order,
    limit: usize,
}

impl Asked {
    fn make(maker: &mut Maker, world: &World, number: usize, counts: &mut Counts) -> Self {
        let table = maker.pick(&[Table::Logs, Table::Spans]);
        let query = Composer { maker, rows: world.rows(table), table, counts }.query(number);
        let range = match maker.random.u8(0..4) {
            0 => some_hours(maker),
            1 => TimeRange { start: back(maker), end: Timestamp::MAX },
            _ => TimeRange::ALL,
        };
        let order = maker.pick(&[Order::Ascending, Order::Descending]);
        let limit = maker.pick(&[1, 7, 100, 100_000]);
        Self { table, text: query.text(), query, range, order, limit }
    }

    // Numbers of the rows in their order, and whether there are more.
    fn expected(&self, world: &World) -> (Vec<u64>, bool) {
        let rows = world.rows(self.table).into_iter();
        let rows = rows.filter(|(time, ..)| self.range.contains(Timestamp::from_nanos(*time)));
        let matching = rows.filter(|(_, _, row)| matches(&self.query, *row));
        let mut keys: Vec<(i64, u64)> = matching.map(|(time, seq, _)| (time, seq)).collect();
        keys.sort_unstable();
        if self.order == Order::Descending {
            keys.reverse();
        }
        let more = keys.len() > self.limit;
        keys.truncate(self.limit);
        (keys.into_iter().map(|(_, seq)| seq).collect(), more)
    }

    fn run(&self, snapshot: &Snapshot) -> (Vec<u64>, bool) {
        let plan = search::parse(&self.text, self.table, now()).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        let clock = Arc::new(ManualClock::new(now()));
        let mut budget = Budget::new(&Config::default(), clock, Cancel::default());
        let search = Search {
            table: self.table,
            plan,
            range: self.range,
            order: self.order,
            limit: self.limit,
            after: None,
            seqs: (0, u64::MAX),
        };
        let found = search.run(snapshot, &mut budget).expect("the search runs");
        assert_eq!(found.partial, None);
        // Handed over while it looks, the answer is the same.
        let mut streamed = Vec::new();
        let mut next = |_: &[Granule], hits: &[Hit]| {
            streamed.extend_from_slice(hits);
            ControlFlow::Continue(())
        };
        let end = search.stream(snapshot, &mut budget, &mut next).expect("the search streams");
        assert_eq!((&streamed, end.more, end.partial), (&found.hits, found.more, None), "{self:?}");
        assert_eq!((end.last, end.warnings), (found.hits.last().copied(), found.warnings), "{self:?}");
        (found.hits.iter().map(|hit| hit.seq).collect(), found.more)
    }
}

fn back(maker: &mut Maker) -> Timestamp {
    now().saturating_add(-maker.random.i64(0..30) * 3_600_000_000_000)
}

/// A range of whole hours that may have rows.
pub fn some_hours(maker: &mut Maker) -> TimeRange {
    let (one, other) = (back(maker), back(maker));
    TimeRange { start: one.min(other), end: one.max(other) }
}

/// Writes queries whose terms are taken from rows, so that they find something.
pub struct Composer<'a, 'r> {
    pub maker: &'a mut Maker,
    pub rows: Vec<(i64, u64, &'r dyn Row)>,
    pub table: Table,
    pub counts: &'a mut Counts,
}

const TERMS: [&str; 17] = [
    "word",
    "word*",
    "phrase",
    "/regex/",
    "field:word",
    "field:phrase",
    "field:=exact",
    "field:pre*",
    "field:/regex/",
    "field:*",
    ":>",
    ":>=",
    ":<",
    ":<=",
    ":[..]",
    "severity",
    "duration or time",
];

impl<'r> Composer<'_, 'r> {
    pub fn query(&mut self, number: usize) -> Query {
        let row = self.row();
        match number % 8 {
            0 if number.is_multiple_of(32) => {
                self.counts.add("empty");
                Query::Everything
            }
            0 | 1 => self.term(number / 8, row),
            2 => {
                let word = self.maker.random.bool();
                self.counts.add(if word { "AND" } else { "juxtaposition" });
                Query::And(vec![self.term(number / 8, row), self.any_term(row)], word)
            }
            3 => {
                self.counts.add("OR");
                let other = self.row();
                Query::Or(vec![self.term(number / 8, row), self.any_term(other)])
            }
            4 => {
                let dash = self.maker.random.bool();
                self.counts.add(if dash { "-" } else { "NOT" });
                Query::Not(Box::new(self.term(number / 8, row)), dash)
            }
            _ => self.nested(row, 3),
        }
    }

    fn nested(&mut self, row: &'_ dyn Row, depth: usize) -> Query {
        if depth == 0 {
            return self.any_term(row);
        }
        match self.maker.random.u8(0..6) {
            0 => {
                self.counts.add("NOT");
                let other = self.row();
                // Of another row: what is left is seldom nothing.
                Query::Not(Box::new(self.nested(other, depth - 1)), false)
            }
            1 | 2 => {
                self.counts.add("OR");
                self.counts.add("parentheses");
                let other = self.row();
                Query::Or(vec![self.nested(row, depth - 1), self.nested(other, depth - 1)])
            }
            3 | 4 => {
                self.counts.add("AND");
                self.counts.add("parentheses");
                Query::And(vec![self.nested(row, depth - 1), self.nested(row, depth - 1)], true)
            }
            _ => self.any_term(row),
        }
    }

    pub fn row(&mut self) -> &'r dyn Row {
        self.rows[self.maker.random.usize(0..self.rows.len())].2
    }

    fn any_term(&mut self, row: &dyn Row) -> Query {
        let number = self.maker.random.usize(0..TERMS.len());
        self.term(number, row)
    }

    // A term of the form with this number that the row passes, if the row has a field for it.
    fn term(&mut self, number: usize, row: &dyn Row) -> Query {
        let kind = TERMS[number % TERMS.len()];
        for _ in 0..50 {
            let field = self.field(kind, row);
            let Some(value) = lookup(row, &field) else { continue };
            let Some(form) = self.form(kind, &field, &value) else { continue };
            self.counts.add(kind);
            self.counts.add_field(&field, &form);
            return Query::Term(field, form);
        }
        self.counts.add("field:*");
        Query::Term(Field::Column("timestamp"), Form::Exists)
    }

    pub fn field(&mut self, kind: &str, row: &dyn Row) -> Field {
        let logs = self.table == Table::Logs;
        match kind {
            "word" | "word*" | "phrase" | "/regex/" => return Field::Default,
            "severity" if logs => return Field::Column("severity"),
            "severity" => return Field::Column(self.maker.pick(&["status", "kind"])),
            "duration or time" if self.maker.random.u8(0..3) > 0 => {
                let columns = if logs { ["timestamp", "observed_timestamp"] } else { ["duration", "end_timestamp"] };
                return Field::Column(self.maker.pick(&columns));
            }
            _ => {}
        }
        let key = |attributes: &crate::world::Attributes, random: &mut fastrand::Rng| match attributes.len() {
            0 => "missing".to_owned(),
            count => attributes[random.usize(0..count)].0.clone(),
        };
        let random = &mut self.maker.random;
        match random.u8(0..10) {
            0..=2 => {
                let record = key(row.attributes(), random);
                // A name that is a column's means the column.
                let column = !logs && record == "status";
                if column { Field::Record(record) } else { Field::Any(record) }
            }
            3 => Field::Record(key(row.attributes(), random)),
            4 => Field::Any(match key(&row.envelope().resource, random) {
                key if key == "status" => "code".to_owned(),
                key => key,
            }),
            5 => Field::Resource(key(&row.envelope().resource, random)),
            6 => match random.u8(0..3) {
                0 => Field::Scope(self.maker.pick(&["name", "version"]).to_owned()),
                _ => Field::Scope(key(&row.envelope().scope, random)),
            },
            _ if logs => Field::Column(self.maker.pick(&[
                "service",
                "severity_text",
                "severity_number",
                "event_name",
                "trace_id",
                "span_id",
                "correlation_id",
                "flags",
                "body",
                "scope_name",
                "resource_schema_url",
            ])),
            _ => Field::Column(self.maker.pick(&[
                "service",
                "status_message",
                "kind",
                "status",
                "trace_id",
                "span_id",
                "parent_span_id",
                "correlation_id",
                "name",
                "clock_skew",
                "duration_ns",
            ])),
        }
    }

    fn form(&mut self, kind: &str, field: &Field, value: &Value) -> Option<Form> {
        let ordered = matches!(value, Value::Time(_) | Value::Duration(_));
        match kind {
            "field:*" => Some(Form::Exists),
            ":>" => Some(Form::Compare(Sign::Greater, self.literal(field, value, -1)?)),
            ":>=" => Some(Form::Compare(Sign::GreaterOrEqual, self.literal(field, value, 0)?)),
            ":<" => Some(Form::Compare(Sign::Less, self.literal(field, value, 1)?)),
            ":<=" => Some(Form::Compare(Sign::LessOrEqual, self.literal(field, value, 0)?)),
            ":[..]" => Some(Form::Range(self.literal(field, value, -1)?, self.literal(field, value, 1)?)),
            "duration or time" => {
                let known = matches!(value, Value::Time(_) | Value::Duration(_));
                let literal = self.literal(field, value, 0)?;
                let written = known || matches!(literal.value, Value::Time(_) | Value::Duration(_));
                let sign = self.maker.pick(&[Sign::Greater, Sign::GreaterOrEqual, Sign::Less, Sign::LessOrEqual]);
                written.then_some(Form::Compare(sign, literal))
            }
            "severity" => match (value, self.maker.random.u8(0..3)) {
                (Value::Severity(_), 0) => Some(Form::Words(text(value).to_uppercase())),
                (Value::Severity(_), 1) => Some(Form::Compare(Sign::GreaterOrEqual, self.literal(field, value, 0)?)),
                (Value::Severity(_), _) => Some(Form::Compare(
                    self.maker.pick(&[Sign::Greater, Sign::Less, Sign::LessOrEqual]),
                    self.literal(field, value, 0)?,
                )),
                _ => Some(Form::Words(text(value))),
            },
            _ if ordered => None,
            "field:=exact" => Some(Form::Exact(text(value))),
            "/regex/" | "field:/regex/" => self.regex(&text(value)),
            "word" | "field:word" => {
                let words = words_of(&text(value));
                let word = self.one(&words)?;
                // A single number of a longer text would be compared as a number.
                let whole = matches!(value, Value::Int(_) | Value::Double(_));
                Some(Form::Words(if whole { text(value) } else { word })).filter(has_words)
            }
            "phrase" | "field:phrase" => self.phrase(value),
            "word*" | "field:pre*" => self.prefix(value),
            other => panic!("no form {other}"),
        }
    }

    // Something near the value, to this side of it.
    fn literal(&mut self, field: &Field, value: &Value, side: i64) -> Option<Literal> {
        let steps = self.maker.random.i64(0..3) * side;
        let written = |text: String, value: Value| Some(Literal { text, value });
        match value {
            Value::Int(value) => {
                let value = value + i128::from(steps);
                written(value.to_string(), Value::Int(value))
            }
            Value::Double(value) if value.is_finite() => {
                let value = value + steps as f64 / 2.0;
                let text = format!("{value:?}");
                number(&text).and_then(|value| written(text, value))
            }
            Value::Time(nanos) => {
                let nanos = nanos + steps * 1_000;
                written(Timestamp::from_nanos(nanos).to_string(), Value::Time(nanos))
            }
            Value::Duration(nanos) => {
                let nanos = (nanos + steps * 1_000).max(0);
                written(format!("{nanos}ns"), Value::Duration(nanos))
            }
            Value::Severity(_) => {
                let word = text(value);
                written(word.clone(), Value::Text(word))
            }
            Value::Text(text) if matches!(field, Field::Column(_)) && *field != Field::Column("body") => {
                debug_assert!(!text.contains('\u{0}'));
                None
            }
            Value::Text(text) if text.ends_with("ms") => {
                let millis: i64 = text.strip_suffix("ms")?.parse().ok()?;
                let millis = (millis + steps).max(0);
                written(format!("{millis}ms"), Value::Duration(millis * 1_000_000))
            }
            Value::Text(text) if text.ends_with('Z') && text.len() == 30 => {
                let nanos = Timestamp::parse(text, Timestamp::default()).ok()?.as_nanos() + steps * 1_000;
                written(Timestamp::from_nanos(nanos).to_string(), Value::Time(nanos))
            }
            _ => None,
        }
    }

    fn phrase(&mut self, value: &Value) -> Option<Form> {
        if matches!(value, Value::Int(_) | Value::Double(_)) {
            return Some(Form::Words(text(value))).filter(has_words);
        }
        let words = words_of(&text(value));
        if words.len() < 2 {
            return None;
        }
        let start = self.maker.random.usize(0..words.len() - 1);
        let end = self.maker.random.usize(start + 2..=words.len());
        let between = self.maker.pick(&[" ", "-", ", ", "."]);
        Some(Form::Words(words[start..end].join(between))).filter(has_words)
    }

    fn prefix(&mut self, value: &Value) -> Option<Form> {
        let whole = match value {
            Value::Int(_) | Value::Double(_) => text(value),
            _ => {
                let words = words_of(&text(value));
                let start = self.maker.random.usize(0..words.len().max(1));
                words.get(start..)?.iter().take(2).cloned().collect::<Vec<_>>().join("-")
            }
        };
        let length = whole.chars().count();
        let cut: String = whole.chars().take(self.maker.random.usize(1..=length.max(1))).collect();
        let written = unquoted(&cut, true) && !words_of(&cut).is_empty();
        written.then_some(Form::Prefix(cut))
    }

    fn regex(&mut self, text: &str) -> Option<Form> {
        let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
        let word = regex::escape(self.maker.pick(words.get(..).filter(|words| !words.is_empty())?));
        let pattern = match self.maker.random.u8(0..6) {
            0 => format!("^{}", regex::escape(text)),
            1 => format!("{word}|nothing of the kind"),
            2 => format!("(?i){}", word.to_uppercase()),
            3 => format!("{word}.*$"),
            4 => r"\d+".to_owned(),
            _ => word,
        };
        Some(Form::Regex(pattern))
    }

    fn one(&mut self, words: &[String]) -> Option<String> {
        (!words.is_empty()).then(|| self.maker.pick(words))
    }
}

fn has_words(form: &Form) -> bool {
    matches!(form, Form::Words(text) if !words_of(text).is_empty())
}

#[derive(Debug, Default)]
pub struct Counts {
    forms: BTreeMap<&'static str, usize>,
    answers: usize,
    non_empty: usize,
}

impl Counts {
    fn add(&mut self, form: &'static str) {
        *self.forms.entry(form).or_default() += 1;
    }

    fn add_field(&mut self, field: &Field, form: &Form) {
        let place = match field {
            Field::Default => "no field",
            Field::Column(_) => "column",
            Field::Any(key) if key.contains([' ', ':']) => "\"quoted field\"",
            Field::Any(_) => "attribute",
            Field::Record(_) => "attr.",
            Field::Resource(_) => "res.",
            Field::Scope(_) => "scope.",
        };
        self.add(place);
        if let Form::Compare(_, literal) | Form::Range(literal, _) = form {
            self.add(match literal.value {
                Value::Int(_) | Value::Double(_) => "number",
                Value::Duration(_) => "duration",
                Value::Time(_) => "time",
                _ => "severity compared",
            });
        }
    }

    fn print_and_check(&self) {
        println!("{} answers, {} of them not empty; {:?}", self.answers, self.non_empty, self.forms);
        let forms = TERMS.iter().copied().chain([
            "empty",
            "AND",
            "juxtaposition",
            "OR",
            "NOT",
            "-",
            "parentheses",
            "no field",
            "column",
            "attribute",
            "\"quoted field\"",
            "attr.",
            "res.",
            "scope.",
            "number",
            "duration",
            "time",
            "severity compared",
        ]);
        for form in forms {
            let count = self.forms.get(form).copied().unwrap_or_default();
            assert!(count >= 50, "{form} was asked only {count} times");
        }
        assert!(
            self.non_empty * 2 >= self.answers,
            "{} of {} answers are empty",
            self.answers - self.non_empty,
            self.answers
        );
    }
}

fn remove_indexes(directory: &Path) {
    let mut removed = 0;
    let mut folders = vec![directory.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().is_some_and(|name| name == "index.bin") {
                std::fs::remove_file(path).expect("removed");
                removed += 1;
            }
        }
    }
    assert!(removed > 0, "there was no index to remove");
}
