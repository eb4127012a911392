//! The index narrows a search and never hides a row, whether it is there, damaged or gone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use arrow::array::RecordBatch;
use fastrand::Rng;
use model::TimeRange;
use store::schema::{column, is_attribute};
use store::text::{Home, home, tokenizer};
use store::{Narrow, Table, limits};

use crate::generate::{self, DAY, Row, SECOND, numbers};
use crate::roundtrip::{open, read, seqs, token};

#[test]
fn the_index_narrows_and_hides_nothing() {
    narrows_and_hides_nothing(5, false);
}

#[test]
fn the_index_of_merged_parts_is_as_good() {
    narrows_and_hides_nothing(6, true);
}

fn narrows_and_hides_nothing(seed: u64, merged: bool) {
    let mut random = Rng::with_seed(seed);
    let opened = open();
    let mut batches = Vec::new();
    for _ in 0..3 {
        batches.push(generate::logs(&mut random, 6_000, 30, DAY / 4));
        batches.push(generate::spans(&mut random, 3_000, DAY / 4));
    }
    batches.iter().cloned().for_each(|batch| opened.append(batch));
    let head = opened.store.snapshot();
    let opened = if merged { open() } else { opened };
    if merged {
        for pair in batches.chunks(2) {
            pair.iter().cloned().for_each(|batch| opened.append(batch));
            opened.store.flush_now().expect("the flush succeeds");
        }
        // The day is over: it is tidied.
        opened.clock.advance(Duration::from_secs(2 * 86_400));
        opened.store.tidy_now().expect("the merges succeed");
    }
    let parts = opened.flushed();
    if merged {
        assert!(parts.parts().len() <= 4, "{:?}", parts.parts());
    }
    for table in [Table::Logs, Table::Spans] {
        let oracle = Oracle::new(&read(&head, table, &Narrow::All));
        let (mut words, mut ids) = (Narrowed::default(), Narrowed::default());
        for _ in 0..250 {
            let (column, word, matching) = oracle.some_token(&mut random);
            let found = seqs(&parts, table, &token(column, word));
            assert!(matching.is_subset(&found), "{column} {word:?} in {table:?}");
            match home(column, word) {
                Home::Words => words.count(oracle.rows, matching.len(), found.len()),
                Home::Ids => ids.count(oracle.rows, matching.len(), found.len()),
                Home::Nowhere => panic!("{column} is indexed"),
            }
        }
        println!("{table:?}: words {words:?}, ids {ids:?}");
        assert!(words.asked > 50 && ids.asked > 50);
        assert!(words.rare > 10 && words.rare_rows_read * 3 < words.rare_rows_all, "words narrow: {words:?}");
        assert!(ids.rare > 10 && ids.rare_rows_read < ids.rare_rows_all, "ids narrow: {ids:?}");
    }
}

#[derive(Debug, Default)]
struct Narrowed {
    asked: usize,
    // Of tokens in at most five rows.
    rare: usize,
    rare_rows_read: usize,
    rare_rows_all: usize,
}

impl Narrowed {
    fn count(&mut self, all: usize, matching: usize, read: usize) {
        self.asked += 1;
        if matching <= 5 {
            self.rare += 1;
            self.rare_rows_read += read;
            self.rare_rows_all += all;
        }
    }
}

// Which rows hold which token, found row by row.
struct Oracle {
    rows: usize,
    all: BTreeSet<u64>,
    by_token: BTreeMap<(String, String), BTreeSet<u64>>,
    // Those of at least a hundred rows.
    common: Vec<(String, String)>,
}

impl Oracle {
    fn new(batches: &[RecordBatch]) -> Self {
        let mut by_token: BTreeMap<(String, String), BTreeSet<u64>> = BTreeMap::new();
        let of_batch = |batch: &RecordBatch| numbers(batch, column::INGEST_SEQ).into_iter().zip(generate::rows(batch));
        let rows: Vec<(u64, Row)> = batches.iter().flat_map(of_batch).collect();
        for (seq, row) in &rows {
            for (column, stored) in row.iter().filter(|(column, _)| home(column, "") != Home::Nowhere) {
                for token in tokenizer::tokens(&text_of(column, stored)) {
                    by_token.entry((column.clone(), token.into_owned())).or_default().insert(*seq);
                }
            }
        }
        let common = by_token.iter().filter(|(_, rows)| rows.len() >= 100).map(|(token, _)| token.clone()).collect();
        Self { rows: rows.len(), all: rows.into_iter().map(|(seq, _)| seq).collect(), by_token, common }
    }

    fn some_token(&self, random: &mut Rng) -> (&str, &str, &BTreeSet<u64>) {
        let common = if random.bool() { random.choice(&self.common) } else { None };
        let token = common.or_else(|| random.choice(self.by_token.keys())).expect("there are tokens");
        (&token.0, &token.1, &self.by_token[token])
    }
}

// What search compares words with.
fn text_of(column: &str, stored: &str) -> String {
    if !is_attribute(column) {
        return stored.to_owned();
    }
    let json = serde_json::from_str(stored).expect("attributes are kept as JSON");
    model::attributes::AttributeValue::from_otlp_json(&json).expect("it is OTLP's").to_text()
}

#[test]
fn conditions_combine() {
    let mut random = Rng::with_seed(8);
    let opened = open();
    opened.append(generate::logs(&mut random, 20_000, 30, DAY / 4));
    let head = opened.store.snapshot();
    let parts = opened.flushed();
    let oracle = Oracle::new(&read(&head, Table::Logs, &Narrow::All));
    for _ in 0..80 {
        let (a, b) = (oracle.some_token(&mut random), oracle.some_token(&mut random));
        let narrows = vec![token(a.0, a.1), token(b.0, b.1)];
        let [of_a, of_b] = [seqs(&parts, Table::Logs, &narrows[0]), seqs(&parts, Table::Logs, &narrows[1])];
        let both = seqs(&parts, Table::Logs, &Narrow::And(narrows.clone()));
        assert_eq!(both, of_a.intersection(&of_b).copied().collect());
        assert!(a.2.intersection(b.2).all(|seq| both.contains(seq)), "{a:?} and {b:?}");
        let either = seqs(&parts, Table::Logs, &Narrow::Or(narrows));
        assert_eq!(either, of_a.union(&of_b).copied().collect());
    }
    assert_eq!(seqs(&parts, Table::Logs, &Narrow::Nothing).len(), 0);
    assert_eq!(seqs(&parts, Table::Logs, &token(column::SEVERITY_NUMBER, "9")), oracle.all);
    assert_eq!(seqs(&parts, Table::Logs, &token(column::BODY, "no_such_word")).len(), 0);
}

#[test]
fn a_part_without_its_index_or_with_a_damaged_one_reads_everything() {
    let mut random = Rng::with_seed(2);
    for damage in ["remove", "cut", "flip", "empty"] {
        let opened = open();
        opened.append(generate::logs(&mut random, 3_000, 10, SECOND));
        opened.store.flush_now().expect("the flush succeeds");
        let snapshot = opened.store.snapshot();
        let path = snapshot.parts()[0].directory().join("index.bin");
        let mut bytes = std::fs::read(&path).expect("the index is there");
        let middle = bytes.len() / 2;
        match damage {
            "flip" => bytes[middle] ^= 1,
            "cut" => bytes.truncate(middle),
            _ => bytes.clear(),
        }
        std::fs::remove_file(&path).expect("the index goes");
        if damage != "remove" {
            std::fs::write(&path, bytes).expect("the index is written");
        }
        assert_eq!(seqs(&snapshot, Table::Logs, &token(column::BODY, "no_such_word")).len(), 3_000, "{damage}");
        assert!(snapshot.parts()[0].verify().is_err(), "{damage}");
    }
}

#[test]
fn exemplars_are_found_by_their_ids() {
    let mut random = Rng::with_seed(14);
    let opened = open();
    let key = opened.store.writer().series_key();
    opened.append(generate::points(&mut random, key, 30_000, 20, DAY / 4));
    let snapshot = opened.flushed();
    let all = by_seq_and_ordinal(&read(&snapshot, Table::Exemplars, &Narrow::All));
    assert!(all.len() > limits::GRANULE_ROWS);
    for row in random.choose_multiple(all.values(), 20) {
        let trace = &row[column::TRACE_ID];
        let found = by_seq_and_ordinal(&read(&snapshot, Table::Exemplars, &token(column::TRACE_ID, trace)));
        assert!(found.values().any(|other| other[column::TRACE_ID] == *trace));
    }
    let by_word = |column: &str, word: &str| {
        read(&snapshot, Table::Exemplars, &token(column, word)).iter().map(RecordBatch::num_rows).sum::<usize>()
    };
    assert_eq!(by_word("attr:Zone", "declined"), all.len(), "every block has one");
    assert_eq!(by_word("attr:Zone", "nowhere"), 0);
    assert_eq!(by_word(column::SERVICE, "orders"), all.len());
}

fn by_seq_and_ordinal(batches: &[RecordBatch]) -> BTreeMap<(u64, String), Row> {
    let of_batch = |batch: &RecordBatch| numbers(batch, column::INGEST_SEQ).into_iter().zip(generate::rows(batch));
    batches.iter().flat_map(of_batch).map(|(seq, row)| ((seq, row[column::ORDINAL].clone()), row)).collect()
}

#[test]
fn the_index_of_a_common_load_is_small() {
    let mut random = Rng::with_seed(77);
    let opened = open();
    let rows = 20_000;
    opened.append(generate::logs(&mut random, rows, 10, SECOND));
    let snapshot = opened.flushed();
    let part = &snapshot.parts()[0];
    for (name, file) in &part.meta().files {
        println!("{name}: {:.1} bytes a row", file.bytes as f64 / rows as f64);
    }
    // The filters pay for ids alone: wrong answers of theirs stay below one in a hundred.
    let mut asked = 0;
    let mut granules = 0;
    for _ in 0..400 {
        let stranger = format!("{:032x}", random.u128(..));
        asked += part.meta().granules.len();
        granules += snapshot
            .granules(Table::Logs, TimeRange::ALL, &token(column::TRACE_ID, &stranger))
            .map_or(0, |found| found.len());
    }
    println!("{granules} of {asked} granules were read for ids that nobody has");
    assert!(granules * 100 <= asked * 2);
}
