//! Which parts are merged next. Pure: sizes, the partition and the time in, a choice out.
//!
//! Parts are merged only if that makes something much larger than the largest of them: by [`GROWTH_OPEN`] while the partition
//! still grows, by [`GROWTH_OVER`] once its day is over and nobody sends rows of it any more. So a row is written again at most as often as a flush's part can grow by that
//! factor before it is as large as a part may become: log_4(1 GiB / 1 MiB) = 5 times. And parts at rest are few: whichever part one looks
//! at, the eleven next smaller ones together are less than three times its size.

use model::Timestamp;

use crate::limits;
use crate::partition::Partition;

/// By how much a merge outgrows its largest part while rows still come. Less would write rows more often, more would leave
/// more parts for every query.
const GROWTH_OPEN: f64 = 4.0;

/// The same when the day is over: what is left is worth tidying, once.
const GROWTH_OVER: f64 = 1.5;

/// How long after its midnight a day still gets rows in the ordinary way.
const LATE_NANOS: i64 = 3_600_000_000_000;

const NANOS_PER_DAY: i64 = 86_400_000_000_000;

/// What the choice knows of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// Number of rows.
    pub(crate) rows: u64,
    /// Bytes of its files.
    pub(crate) bytes: u64,
}

/// A choice: places of candidates, and by what factor the merge outgrows the largest of them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Choice {
    pub(crate) places: Vec<usize>,
    pub(crate) growth: f64,
}

/// Which of these parts, all of one table and partition, to merge now; `None` if they are best left alone.
/// `is_fed`: flushes have added to them lately, whatever their day. `bytes_max`: of the part that is made.
pub(crate) fn choose(
    parts: &[Candidate],
    partition: Partition,
    now: Timestamp,
    is_fed: bool,
    bytes_max: u64,
) -> Option<Choice> {
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_unstable_by_key(|place| (parts[*place].bytes, *place));
    let wanted = if is_fed { GROWTH_OPEN } else { growth(partition, now) };
    let mut best: Option<(f64, usize, usize)> = None;
    for end in 2..=order.len() {
        // The largest is given; the more of those below it come along, the better.
        let Some((start, growth)) = window(parts, &order, end, bytes_max) else { continue };
        // Of equals the smallest: it is done soonest.
        if growth >= wanted && best.is_none_or(|(known, ..)| growth > known) {
            best = Some((growth, start, end));
        }
    }
    best.map(|(growth, start, end)| Choice { places: order[start..end].to_vec(), growth })
}

fn growth(partition: Partition, now: Timestamp) -> f64 {
    match partition {
        Partition::Day(day) => {
            let over = day.saturating_add(1).saturating_mul(NANOS_PER_DAY).saturating_add(LATE_NANOS);
            if now.as_nanos() >= over { GROWTH_OVER } else { GROWTH_OPEN }
        }
        Partition::Stray => GROWTH_OPEN,
    }
}

// The most parts before `end` in the order of sizes that may be merged at once: where they begin, and the growth.
fn window(parts: &[Candidate], order: &[usize], end: usize, bytes_max: u64) -> Option<(usize, f64)> {
    let largest = parts[order[end - 1]];
    let (mut rows, mut bytes, mut start) = (largest.rows, largest.bytes, end - 1);
    while start > 0 && end - start < limits::MERGE_PARTS_MAX {
        let next = parts[order[start - 1]];
        if rows + next.rows > bytes_max / limits::MERGED_ROW_BYTES || bytes + next.bytes > bytes_max {
            break;
        }
        (rows, bytes, start) = (rows + next.rows, bytes + next.bytes, start - 1);
    }
    (end - start >= 2).then(|| (start, bytes as f64 / largest.bytes.max(1) as f64))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use fastrand::Rng;

    use super::*;

    const MIB: u64 = 1 << 20;
    const BYTES_MAX: u64 = 1 << 30;
    const ROWS_MAX: u64 = BYTES_MAX / limits::MERGED_ROW_BYTES;

    fn part(bytes: u64) -> Candidate {
        Candidate { rows: bytes.div_ceil(60), bytes }
    }

    fn at(day: i64, hours: i64) -> Timestamp {
        Timestamp::from_nanos(day * NANOS_PER_DAY + hours * 3_600_000_000_000)
    }

    #[test]
    fn choices() {
        let today = (Partition::Day(10), at(10, 12));
        let over = (Partition::Day(10), at(11, 2));
        let full = BYTES_MAX;
        for (sizes, (partition, now), expected) in [
            (vec![], today, None),
            (vec![5], today, None),
            (vec![5, 5, 5], today, None),
            (vec![5, 5, 5, 5], today, Some(vec![0, 1, 2, 3])),
            (vec![5, 5, 5], over, Some(vec![0, 1, 2])),
            // The large one would be written again for nothing.
            (vec![5, 100, 5, 5, 5], today, Some(vec![0, 2, 3, 4])),
            (vec![100, 5, 5], over, Some(vec![1, 2])),
            (vec![100, 5], over, None),
            // A day that has ended but may still get rows.
            (vec![5, 5, 5], (Partition::Day(10), at(11, 0)), None),
            (vec![5, 5, 5], (Partition::Stray, at(11, 2)), None),
            (vec![5, 5, 5, 5], (Partition::Stray, at(11, 2)), Some(vec![0, 1, 2, 3])),
            // Parts as large as parts may be are left alone.
            (vec![full / 2, full / 2 + 1, full / 2 + 1, full / 2 + 1], over, None),
            (vec![full, full, 7, 7, 7, 7], over, Some(vec![2, 3, 4, 5])),
            (vec![0, 0], over, None),
        ] {
            let parts: Vec<Candidate> = sizes.iter().map(|bytes| Candidate { rows: 1, bytes: *bytes }).collect();
            assert_eq!(
                choose(&parts, partition, now, true, BYTES_MAX),
                choose(&parts, partition, today.1, false, BYTES_MAX),
                "{sizes:?}"
            );
            let chosen = choose(&parts, partition, now, false, BYTES_MAX).map(|mut choice| {
                choice.places.sort_unstable();
                choice.places
            });
            assert_eq!(chosen, expected, "{sizes:?}");
        }
        let many: Vec<Candidate> = (0..100).map(|_| Candidate { rows: ROWS_MAX / 5, bytes: 10 }).collect();
        let choice = choose(&many, Partition::Day(10), at(10, 12), false, BYTES_MAX).expect("five of them fit");
        assert_eq!(choice.places.len(), 5);
        let many: Vec<Candidate> = (0..100).map(|_| Candidate { rows: 1, bytes: 10 }).collect();
        let choice = choose(&many, Partition::Day(10), at(10, 12), false, BYTES_MAX).expect("there are many");
        assert_eq!(choice.places.len(), limits::MERGE_PARTS_MAX);
    }

    struct Outcome {
        flushed: u64,
        merged: u64,
        most: usize,
        left: usize,
    }

    // Days of flushes, merging whatever the policy says after each.
    fn simulate(days: i64, flushes: i64, size: impl Fn(&mut Rng) -> u64, late: f64, seed: u64) -> Outcome {
        let mut rng = Rng::with_seed(seed);
        let mut partitions: BTreeMap<i64, Vec<Candidate>> = BTreeMap::new();
        let mut outcome = Outcome { flushed: 0, merged: 0, most: 0, left: 0 };
        let tidy = |partitions: &mut BTreeMap<i64, Vec<Candidate>>, now: Timestamp, outcome: &mut Outcome| {
            for (day, parts) in partitions {
                while let Some(choice) = choose(parts, Partition::Day(*day), now, false, BYTES_MAX) {
                    assert!((2..=limits::MERGE_PARTS_MAX).contains(&choice.places.len()));
                    let chosen: Vec<Candidate> = choice.places.iter().map(|place| parts[*place]).collect();
                    let sum = Candidate {
                        rows: chosen.iter().map(|part| part.rows).sum(),
                        bytes: chosen.iter().map(|part| part.bytes).sum(),
                    };
                    assert!(sum.rows <= ROWS_MAX && sum.bytes <= BYTES_MAX);
                    let mut place = 0;
                    parts.retain(|_| (!choice.places.contains(&place), place += 1).0);
                    parts.push(sum);
                    outcome.merged += sum.bytes;
                }
            }
        };
        for day in 0..days {
            for flush in 0..flushes {
                let bytes = size(&mut rng);
                outcome.flushed += bytes;
                partitions.entry(day).or_default().push(part(bytes));
                if day > 0 && rng.f64() < late {
                    let late_bytes = bytes / 50 + 1;
                    outcome.flushed += late_bytes;
                    partitions.entry(day - 1).or_default().push(part(late_bytes));
                }
                tidy(
                    &mut partitions,
                    Timestamp::from_nanos(day * NANOS_PER_DAY + flush * (NANOS_PER_DAY / flushes)),
                    &mut outcome,
                );
                outcome.most = partitions.values().map(Vec::len).max().unwrap_or(0).max(outcome.most);
            }
        }
        tidy(&mut partitions, at(days + 1, 0), &mut outcome);
        outcome.left = partitions.values().map(Vec::len).max().unwrap_or(0);
        outcome
    }

    #[test]
    fn rows_are_written_few_times_and_parts_are_few() {
        type Size = fn(&mut Rng) -> u64;
        // A name, flushes a day, bytes of a flush's part, how often rows come a day late; bounds of the amplification, of parts at any
        // time, and of parts of a day that is over beyond those that are as large as parts may be.
        let loads: [(&str, i64, Size, f64, f64, usize, usize); 5] = [
            ("idle, 5 minutes", 288, |rng| rng.u64(2_000..20_000), 0.0, 6.0, 24, 4),
            ("steady, 5 minutes", 288, |rng| rng.u64(MIB..3 * MIB), 0.0, 5.0, 24, 4),
            ("steady, rows a day late", 288, |rng| rng.u64(MIB..3 * MIB), 0.5, 5.0, 24, 6),
            ("bursts", 288, |rng| 1 << rng.u32(12..23), 0.2, 6.0, 30, 6),
            ("full load, 30 seconds", 2_880, |rng| rng.u64(6 * MIB..10 * MIB), 0.1, 4.0, 120, 6),
        ];
        for (name, flushes, size, late, amplification_max, most_max, left_max) in loads {
            for seed in 0..3 {
                let outcome = simulate(3, flushes, size, late, seed);
                let amplification = outcome.merged as f64 / outcome.flushed as f64;
                // Rows of 60 bytes: what a part may become is bounded by its rows.
                let full = BYTES_MAX.min(60 * ROWS_MAX);
                let of_full_size = (outcome.flushed / 3).div_ceil(full / 2) as usize;
                println!(
                    "{name}, seed {seed}: {:.1} MiB a day, each byte written {:.2} times after its flush; parts of a partition: {} at most, {} at the end",
                    outcome.flushed as f64 / MIB as f64 / 3.0,
                    amplification,
                    outcome.most,
                    outcome.left,
                );
                assert!(amplification <= amplification_max, "{name}, seed {seed}: {amplification}");
                assert!(outcome.most <= most_max + of_full_size, "{name}, seed {seed}: {}", outcome.most);
                assert!(outcome.left <= left_max + of_full_size, "{name}, seed {seed}: {}", outcome.left);
            }
        }
    }
}
