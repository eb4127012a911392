//! Fuzzing without libFuzzer, for the ordinary tests: every input of a corpus, and as many mutations as a second allows, go through
//! a target. The seed is printed; `SEED=...` repeats a run.

use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::time::{Duration, Instant};

use fastrand::Rng;

/// Mutations of one corpus.
const MUTATIONS_MAX: usize = 2_000;

/// How long one corpus is mutated: the tests of a crate are to take seconds. With `SEED` all mutations are gone through.
const TIME_MAX: Duration = Duration::from_secs(1);

/// Mutated inputs grow no longer than this, so that one stays a matter of milliseconds.
const INPUT_BYTES_MAX: usize = 16 << 10;

/// What one input may take, on a busy machine and without optimisation. Hangs take for ever.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the process may ever have taken: the other tests of its binary are in it, a bomb that went off is far above.
const MEMORY_KIB_MAX: u64 = 2 << 20;

/// What is fuzzed: a function, by the name of its corpus.
pub type Target = (&'static str, fn(&[u8]));

/// Replays the corpora of these targets.
pub fn replay(targets: &[Target]) {
    let wanted = std::env::var("SEED").ok().map(|seed| seed.parse::<u64>().expect("SEED is a number"));
    let seed = wanted.unwrap_or_else(|| fastrand::u64(..));
    println!("seed {seed} (SEED={seed} repeats it)");
    for (name, target) in targets {
        let corpus = corpus(name);
        let mut rng = Rng::with_seed(seed);
        corpus.iter().for_each(|input| run(name, *target, input));
        let (began, mut mutations) = (Instant::now(), 0);
        while mutations < MUTATIONS_MAX && (wanted.is_some() || began.elapsed() < TIME_MAX) {
            run(name, *target, &mutated(&corpus, &mut rng));
            mutations += 1;
        }
        println!("{name}: {} inputs and {mutations} mutations of them", corpus.len());
    }
    let taken = memory_kib();
    assert!(taken < MEMORY_KIB_MAX, "{taken} KiB were taken");
}

// In the order of their names, so that a seed means the same everywhere.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let mut folders = above.map(|root| root.join("tests/fuzz/corpus").join(target));
    let folder = folders.find(|folder| folder.is_dir()).expect("each target has a corpus");
    let entries = fs::read_dir(&folder).expect("a corpus is readable");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} is empty", folder.display());
    paths.iter().map(|path| fs::read(path).expect("an input is readable")).collect()
}

fn run(name: &str, target: fn(&[u8]), input: &[u8]) {
    let began = Instant::now();
    let ended = panic::catch_unwind(AssertUnwindSafe(|| target(input)));
    let took = began.elapsed();
    let shown = input.escape_ascii();
    assert!(ended.is_ok(), "{name} panics at b\"{shown}\"");
    assert!(took < PATIENCE, "{name} takes {} ms for b\"{shown}\"", took.as_millis());
}

fn mutated(corpus: &[Vec<u8>], rng: &mut Rng) -> Vec<u8> {
    let mut input = chosen(corpus, rng).to_vec();
    for _ in 0..rng.usize(1..=6) {
        mutate(&mut input, corpus, rng);
        input.truncate(INPUT_BYTES_MAX);
    }
    input
}

fn chosen<'c>(corpus: &'c [Vec<u8>], rng: &mut Rng) -> &'c [u8] {
    &corpus[rng.usize(..corpus.len())]
}

fn mutate(input: &mut Vec<u8>, corpus: &[Vec<u8>], rng: &mut Rng) {
    // Bytes that mean something in one of the formats, and numbers at the edge of others.
    const SPECIAL: &[&[u8]] = &[
        b"\0",
        b"\x7f",
        b"\x80",
        b"\xff",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"{",
        b"}",
        b"[",
        b"]",
        b"(",
        b")",
        b"\"",
        b"\\",
        b":",
        b"|",
        b"/",
        b"*",
        b"\n",
        b"\n- ",
        b"  ",
        b"{{",
        b"}}",
        b"null",
        b"-1",
        b"1e999",
        b"18446744073709551615",
        b"9223372036854775808",
        b"\\ud800",
        b" OR ",
        b" NOT ",
        "\u{301}".as_bytes(),
        "\u{1f680}".as_bytes(),
    ];
    let start = rng.usize(..=input.len());
    let end = rng.usize(start..=input.len().min(start + 64));
    match rng.u8(..7) {
        0 if start < input.len() => input[start] ^= 1 << rng.u8(..8),
        1 if start < input.len() => input[start] = rng.u8(..),
        2 => drop(input.drain(start..end)),
        3 => {
            let copy = input[start..end].repeat(rng.usize(1..8));
            input.splice(start..start, copy);
        }
        4 => input.truncate(start),
        5 => {
            let other = chosen(corpus, rng);
            let from = rng.usize(..=other.len());
            let to = rng.usize(from..=other.len());
            input.splice(start..end, other[from..to].iter().copied());
        }
        _ => drop(input.splice(start..start, SPECIAL[rng.usize(..SPECIAL.len())].iter().copied())),
    }
}

// The most that was resident; nothing where the system does not say.
fn memory_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok()).unwrap_or(0)
}
