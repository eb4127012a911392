//! Damage in the files of parts, in the manifest and in the checkpoint of state: whatever is shown is right, what is not shown is known to be
//! missing, what can be made anew is, and a file that somebody puts back is used again.

use std::path::{Path, PathBuf};

use fastrand::Rng;
use model::TimeRange;
use store::disk::{Disk as _, SimDisk};
use store::{Config, Narrow, Projection, StateChange, Store, StoreError, Table};

use super::{DIRECTORY, Trial, append, block_on, ensure, open};
use crate::generate::{self, DAY, Row, sorted_rows};

/// One file is damaged, under a running store or between two starts.
pub fn trial(seed: u64) -> Trial {
    let random = &mut Rng::with_seed(seed);
    let config = Config { reserve_bytes: 0, ..Config::default() };
    let mut disk = SimDisk::new(seed);
    let mut store = open(&disk, &config)?;
    fill(&store, random)?;
    let expected = Table::ALL.map(|table| Seen::all(&store, table).map(|seen| seen.rows));
    let expected: Vec<Vec<Row>> = expected.into_iter().collect::<Result<_, _>>()?;
    // Every part has these.
    let files = files(&disk);
    let victim = files[random.usize(..files.len())].clone();
    let whole = disk.contents(&victim).ok_or("the file is gone")?;
    if random.bool() {
        harm(&disk, &victim, whole.clone(), random);
        check_running(&store, &expected, random).map_err(|error| format!("{}: {error}", victim.display()))?;
    } else {
        drop(store);
        disk = disk.kill();
        harm(&disk, &victim, whole.clone(), random);
    }
    // Another start, at which it is found if it was not yet.
    disk = disk.copy();
    store = open(&disk, &config).map_err(|error| format!("{}: {error}", victim.display()))?;
    // Damage is told once, by whatever meets it.
    let _ = store.tidy_now();
    store.tidy_now().map_err(|error| format!("{}: it does not get tidy: {error}", victim.display()))?;
    let missing = check_settled(&store, &expected).map_err(|error| format!("{}: {error}", victim.display()))?;
    let of_rows = ["rows.parquet", "series.parquet", "meta.json"].iter().any(|name| victim.ends_with(name));
    ensure(missing == 0 || of_rows, || format!("{missing} rows are lost for {}", victim.display()))?;

    drop(store);
    disk = if random.bool() { disk.kill() } else { disk.crash() };
    store = open(&disk, &config)?;
    ensure(check_settled(&store, &expected)? == missing, || "another start finds something else".to_owned())?;
    ensure(store.state("t").len() == 1, || "the state is lost".to_owned())?;
    if missing > 0 {
        drop(store);
        disk = disk.kill();
        disk.replace(&victim, whole);
        store = open(&disk, &config)?;
        let left = check_settled(&store, &expected)?;
        ensure(left == 0, || format!("{} was put back, and {left} rows are missing", victim.display()))?;
    }
    // And it goes on.
    append(&store, generate::logs(random, 5, 5, DAY / 2))?;
    store.flush_now().map_err(|error| error.to_string())?;
    let logs = Seen::all(&store, Table::Logs)?.rows.len();
    ensure(logs >= 5, || "what came later is not there".to_owned())
}

// Parts of every table, perhaps merged, and perhaps rows that are in none yet.
fn fill(store: &Store, random: &mut Rng) -> Trial {
    let failed = |error: StoreError| error.to_string();
    store.pause_merges(true);
    let key = store.writer().series_key();
    for _ in 0..random.usize(1..4) {
        let rows = random.usize(20..250);
        append(store, generate::logs(random, rows, 12, DAY / 2))?;
        append(store, generate::spans(random, rows, DAY / 2))?;
        append(store, generate::points(random, key, rows, 9, DAY / 2))?;
        store.flush_now().map_err(failed)?;
    }
    let change = StateChange { table: "t".to_owned(), key: b"k".to_vec(), value: Some(b"v".to_vec()) };
    block_on(store.writer().change_state(vec![change])).map_err(failed)?;
    if random.bool() {
        append(store, generate::spans(random, 20, DAY / 2))?;
    }
    store.pause_merges(false);
    if random.bool() { store.tidy_now().map_err(failed) } else { Ok(()) }
}

// All files that are there to be damaged.
fn files(disk: &SimDisk) -> Vec<PathBuf> {
    let data = Path::new(DIRECTORY);
    let mut found = vec![data.join("manifest.json"), data.join("manifest.copy")];
    let mut folders = vec![data.join("parts"), data.join("state")];
    while let Some(folder) = folders.pop() {
        for entry in disk.list(&folder).unwrap_or_default() {
            if entry.is_dir { folders.push(entry.path) } else { found.push(entry.path) }
        }
    }
    found.sort();
    found
}

fn harm(disk: &SimDisk, path: &Path, mut bytes: Vec<u8>, random: &mut Rng) {
    let place = random.usize(..bytes.len().max(1));
    match random.u8(0..10) {
        0 => {
            disk.remove(path).expect("it is there");
            return;
        }
        1..=2 => bytes.truncate(place),
        3..=4 => {
            let sector = place / 512 * 512..(place / 512 * 512 + 512).min(bytes.len());
            let filling = bytes[sector.start] ^ 0x55;
            bytes[sector].fill(filling);
        }
        _ => bytes[place] ^= 1 << random.u8(0..8),
    }
    disk.replace(path, bytes);
}

// What can be read of a table.
struct Seen {
    rows: Vec<Row>,
    // Rows of granules that say that they are damaged.
    damaged: usize,
}

impl Seen {
    fn all(store: &Store, table: Table) -> Result<Seen, String> {
        Seen::of(store, table, &Narrow::All)
    }

    fn of(store: &Store, table: Table, narrow: &Narrow) -> Result<Seen, String> {
        let (mut batches, mut damaged) = (Vec::new(), 0);
        let granules = store.snapshot().granules(table, TimeRange::ALL, narrow).map_err(|error| error.to_string())?;
        for granule in granules {
            match granule.read(&Projection::All) {
                Ok(batch) => batches.push(batch),
                Err(StoreError::Damaged { .. }) => damaged += granule.rows(),
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(Seen { rows: sorted_rows(&batches), damaged })
    }
}

// Whether all of `some`, sorted, are among `all`, sorted, as often.
fn is_part_of(some: &[Row], all: &[Row]) -> bool {
    let mut all = all.iter();
    some.iter().all(|row| all.any(|known| known == row))
}

fn missing(store: &Store, table: Table) -> usize {
    store.snapshot().missing(table, TimeRange::ALL).map(|part| part.rows as usize).sum()
}

// Damage that nobody has looked for yet.
fn check_running(store: &Store, expected: &[Vec<Row>], random: &mut Rng) -> Trial {
    for (table, expected) in Table::ALL.into_iter().zip(expected) {
        let seen = Seen::all(store, table)?;
        let (found, known) = (seen.rows.len(), seen.damaged + missing(store, table));
        ensure(is_part_of(&seen.rows, expected), || format!("{table:?}: a row that was never sent"))?;
        ensure(found + known >= expected.len(), || format!("{table:?}: {found} of {} rows, {known}", expected.len()))?;
        // A search by an id is as good: it misses nothing but what is damaged.
        let Some(row) = expected.get(random.usize(..expected.len().max(1))) else { continue };
        let Some(id) = row.get("trace_id") else { continue };
        let narrow = Narrow::Token { column: "trace_id".to_owned(), token: id.clone() };
        let matches = |rows: &[Row]| rows.iter().filter(|row| row.get("trace_id") == Some(id)).count();
        let by_id = Seen::of(store, table, &narrow)?;
        ensure(is_part_of(&by_id.rows, expected), || format!("{table:?}: a search finds what was never sent"))?;
        let (by_id, all) = (matches(&by_id.rows) + by_id.damaged + missing(store, table), matches(expected));
        ensure(by_id >= all, || format!("{table:?}: a search finds {by_id} of {all} rows"))?;
    }
    Ok(())
}

// Damage that was dealt with. Answers how many rows are missing.
fn check_settled(store: &Store, expected: &[Vec<Row>]) -> Result<usize, String> {
    let mut all_missing = 0;
    for (table, expected) in Table::ALL.into_iter().zip(expected) {
        let seen = Seen::all(store, table)?;
        let missing = missing(store, table);
        ensure(seen.damaged == 0, || format!("{table:?}: {} rows are still found damaged", seen.damaged))?;
        ensure(is_part_of(&seen.rows, expected), || format!("{table:?}: a row that was never sent"))?;
        let (found, all) = (seen.rows.len(), expected.len());
        ensure(found + missing == all, || {
            format!("{table:?}: {found} of {all} rows, {missing} are said to be missing")
        })?;
        all_missing += missing;
    }
    for part in store.snapshot().parts() {
        part.verify().map_err(|error| format!("a part in use is damaged: {error}"))?;
    }
    Ok(all_missing)
}

#[test]
fn damaged_files_are_found_and_answers_are_right() {
    super::run("damaged files", 20, trial);
}
