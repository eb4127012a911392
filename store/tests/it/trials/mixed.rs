//! Everything at once, over several lives: power cuts, kills, operations that fail, disks that are full, clocks that jump; and between
//! them appends, changes of state, flushes and merges. What was acknowledged is found, once, whenever the store answers.
//!
//! The choices are made by the seed. Which of the appends that are under way together share a commit is up to the machine's threads.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use model::{Clock, ManualClock, Timestamp};
use store::disk::SimDisk;
use store::disk::sim::{Fault, FaultKind};
use store::{Config, Setup, Store};

use super::{block_on, caught, setup};
use crate::simulate::{Known, live, writes};

const START_NANOS: i64 = 1_769_817_600_000_000_000;
const JUMPS_S: [i64; 6] = [1, -1, 3_600, -3_600, 10 * 31_536_000, -10 * 31_536_000];

// What is wrong in a life.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    Nothing,
    // After so many writing operations nothing works any more.
    PowerCut(u64),
    // One in so many writing operations fails.
    Failing(FaultKind, u8),
    // So many bytes more fit on the disk.
    Full(u64),
}

impl Trouble {
    fn any(rng: &mut Rng) -> Trouble {
        match rng.u8(0..5) {
            0 => Trouble::Nothing,
            1 => Trouble::PowerCut(rng.u64(1..150)),
            2 => Trouble::Failing(FaultKind::Io, [15, 60][rng.usize(0..2)]),
            3 => Trouble::Failing(FaultKind::NoSpace, [15, 60][rng.usize(0..2)]),
            _ => Trouble::Full(rng.u64(0..60_000)),
        }
    }

    fn begin(self, disk: &SimDisk, rng: &mut Rng) {
        match self {
            Trouble::Nothing => {}
            Trouble::PowerCut(after) => disk.inject(Fault::new(FaultKind::Io, writes).after(after)),
            Trouble::Failing(kind, one_in) => {
                let mut chance = rng.fork();
                disk.inject(Fault::new(kind, move |operation, path| {
                    writes(operation, path) && chance.u8(0..one_in) == 0
                }));
            }
            Trouble::Full(bytes) => disk.set_capacity(disk.used() + bytes),
        }
    }

    fn end(disk: &SimDisk) {
        disk.heal();
        disk.set_capacity(u64::MAX);
    }
}

/// Several lives of one disk.
pub async fn mixed(seed: u64) {
    let rng = &mut Rng::with_seed(seed);
    let config = Config {
        wal_segment_bytes: rng.u64(3_000..30_000),
        flush_bytes: rng.u64(5_000..200_000),
        reserve_bytes: [0, 4_096][rng.usize(0..2)],
        free_bytes_min: 0,
        ..Config::default()
    };
    let mut disk = SimDisk::new(seed);
    let (mut known, mut now) = (Known::default(), START_NANOS);
    for life in 0..rng.usize(2..6) {
        let trouble = Trouble::any(rng);
        trouble.begin(&disk, rng);
        let clock = Arc::new(ManualClock::new(Timestamp::from_nanos(now)));
        let of_life = Setup { clock: Arc::clone(&clock) as Arc<dyn Clock>, ..setup(&disk, &config) };
        let opened = (0..20).find_map(|_| Store::open(of_life.clone()).ok());
        if let Some(store) = opened {
            for part in 0..3 {
                let context = format!("{trouble:?}, life {life}, part {part}");
                known.check(&store, &context);
                live(&store, rng, &mut known, &format!("{life}.{part}"), 4).await;
                now += rng.i64(0..120) * 1_000_000_000;
                clock.advance(Duration::from_secs(rng.u64(0..120)));
                if rng.bool() {
                    let jump = JUMPS_S[rng.usize(0..JUMPS_S.len())] * 1_000_000_000;
                    clock.set_wall(Timestamp::from_nanos(now.saturating_add(jump)));
                }
                if rng.u8(0..3) == 0 {
                    Trouble::end(&disk);
                }
            }
            known.check(&store, &format!("{trouble:?}, the end of life {life}"));
        }
        Trouble::end(&disk);
        disk = if matches!(trouble, Trouble::PowerCut(_)) || rng.bool() { disk.crash() } else { disk.kill() };
    }
    let clock = Arc::new(ManualClock::new(Timestamp::from_nanos(now)));
    let store = Store::open(Setup { clock, ..setup(&disk, &config) }).expect("a healthy disk opens");
    known.check(&store, "the end");
    store.flush_now().expect("a healthy disk is flushed to");
    store.tidy_now().expect("a healthy disk is tidied");
    known.check(&store, "tidied");
}

#[test]
fn whatever_happens_nothing_is_lost() {
    super::run("everything at once", 10, |seed| caught(|| block_on(mixed(seed))));
}
