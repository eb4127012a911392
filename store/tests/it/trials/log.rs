//! Damage in the write-ahead log: it costs the records it touches and no other, whatever comes behind them, and it is said and kept.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use fastrand::Rng;
use model::Signal;
use store::disk::{Disk as _, SimDisk};
use store::{Config, StateChange, Store, Table};

use super::{DIRECTORY, Trial, append, block_on, ensure, open, setup};
use crate::crash::{shown, table_of};
use crate::sample;

// What one record of the log holds, and where it is.
struct Record {
    segment: PathBuf,
    place: Range<usize>,
    rows: Vec<(Table, String)>,
    state: Option<String>,
}

const SEGMENT_HEADER: usize = 64;

/// Bits flip or a sector is wiped in one segment.
pub fn trial(seed: u64) -> Trial {
    let random = &mut Rng::with_seed(seed);
    let config = Config { wal_segment_bytes: random.u64(2_000..20_000), reserve_bytes: 0, ..Config::default() };
    let mut disk = SimDisk::new(seed);
    let mut records = Vec::new();
    for life in 0..random.usize(1..4) {
        let store = open(&disk, &config)?;
        for number in 0..random.usize(2..12) {
            records.push(write(&store, &disk, random, &format!("{life}.{number}"))?);
        }
        drop(store);
        disk = if random.bool() { disk.kill() } else { disk.crash() };
    }
    let mut segments: Vec<PathBuf> = records.iter().map(|record| record.segment.clone()).collect();
    segments.dedup();
    let victim = segments[random.usize(..segments.len())].clone();
    let mut bytes = disk.contents(&victim).ok_or("the segment is gone")?;
    let place = random.usize(..bytes.len());
    let hit = if random.u8(0..4) == 0 {
        let sector = place / 512 * 512..(place / 512 * 512 + 512).min(bytes.len());
        bytes[sector.clone()].fill(random.choice([0, 0xff]).unwrap_or(0));
        sector
    } else {
        bytes[place] ^= 1 << random.u8(0..8);
        place..place + 1
    };
    disk.replace(&victim, bytes.clone());
    let is_hit =
        |record: &Record| record.segment == victim && record.place.start < hit.end && hit.start < record.place.end;

    let of_start = setup(&disk, &config);
    let store = Store::open(of_start.clone()).map_err(|error| format!("it does not start: {error}"))?;
    let lost = check(&store, &records, is_hit)?;
    let damaged = of_start.stats.counter("sextant_wal_damaged_total", "", &[]).get();
    let copy = Path::new(DIRECTORY).join("wal/damaged").join(victim.file_name().ok_or("a name")?);
    // Only the last record cannot be told from one that was never whole.
    let last = records.last().is_some_and(is_hit);
    ensure(lost == 0 || last || damaged > 0, || format!("{lost} records are lost and nothing is said"))?;
    ensure(damaged == 0 || disk.contents(&copy) == Some(bytes), || "the damaged segment is not kept".to_owned())?;

    // It goes on, and stays as it was found.
    let added = write(&store, &disk, random, "later")?;
    drop(store);
    let disk = if random.bool() { disk.kill() } else { disk.crash() };
    let store = open(&disk, &config)?;
    records.push(added);
    let again = check(&store, &records, is_hit)?;
    ensure(again == lost, || format!("{lost} records were lost at first, and {again} later"))
}

fn write(store: &Store, disk: &SimDisk, random: &mut Rng, name: &str) -> Result<Record, String> {
    let before = newest(disk);
    let (mut rows, mut state) = (Vec::new(), None);
    if random.u8(0..5) == 0 {
        let change = StateChange { table: "t".to_owned(), key: name.into(), value: Some(name.into()) };
        block_on(store.writer().change_state(vec![change])).map_err(|error| error.to_string())?;
        state = Some(name.to_owned());
    } else {
        let signal = Signal::ALL[random.usize(0..3)];
        let ids: Vec<String> = (0..random.usize(1..6)).map(|row| format!("{name}-{row}")).collect();
        append(store, sample::batch(random, signal, store.writer().series_key(), &ids))?;
        rows = ids.into_iter().map(|id| (table_of(signal), id)).collect();
    }
    let (segment, end) = newest(disk).ok_or("nothing was written")?;
    let start = before.filter(|(known, _)| *known == segment).map_or(SEGMENT_HEADER, |(_, end)| end);
    Ok(Record { segment, place: start..end, rows, state })
}

// The newest segment and its length.
fn newest(disk: &SimDisk) -> Option<(PathBuf, usize)> {
    let files = disk.list(&Path::new(DIRECTORY).join("wal")).ok()?;
    let newest = files.into_iter().rfind(|entry| !entry.is_dir)?;
    Some((newest.path, newest.len as usize))
}

// Everything is there, once, but for records that are hit; answers how many are not.
fn check(store: &Store, records: &[Record], is_hit: impl Fn(&Record) -> bool) -> Result<usize, String> {
    let shown: BTreeMap<(Table, String), Vec<u64>> = shown(store);
    let state = store.state("t");
    let mut lost = 0;
    let mut known = 0;
    for record in records {
        let found = record.rows.iter().filter(|row| shown.get(*row).is_some_and(|seqs| seqs.len() == 1)).count();
        let kept = record.state.as_ref().is_none_or(|key| state.contains_key(key.as_bytes()));
        let whole = found == record.rows.len() && kept;
        ensure(whole || found == 0, || format!("{found} rows of {:?}", record.rows))?;
        ensure(whole || is_hit(record), || {
            format!("{:?} {:?} at {:?} is lost and was not hit", record.rows, record.state, record.place)
        })?;
        lost += usize::from(!whole);
        known += found;
    }
    ensure(known == shown.len(), || "something is shown that was never sent".to_owned())?;
    Ok(lost)
}

#[test]
fn damage_in_the_log_costs_only_what_it_touches() {
    super::run("damage in the log", 60, trial);
}
