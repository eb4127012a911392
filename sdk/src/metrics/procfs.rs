//! Small files below `/proc`, read whole and taken apart. What is not there, or is no longer what it was, is nothing.

use std::fs::File;
use std::io::Read;

use crate::limits::PROC_BYTES_MAX;

/// Ticks of the processor a second, as `/proc` counts them: fixed at 100 for everything that is not the kernel.
const TICKS_PER_SECOND: f64 = 100.0;

/// A file's text.
pub(super) fn read(path: &str) -> Option<String> {
    let mut text = String::new();
    File::open(path).ok()?.take(PROC_BYTES_MAX).read_to_string(&mut text).ok()?;
    Some(text)
}

/// Ticks as seconds.
pub(super) fn seconds(ticks: u64) -> f64 {
    ticks as f64 / TICKS_PER_SECOND
}

/// `/proc/self/stat`: times in user and system mode in seconds, and threads.
pub(super) fn process_stat(text: &str) -> Option<(f64, f64, u64)> {
    // The second field is the program's name, in which anything may stand.
    let after = text.rsplit_once(')')?.1;
    let field = |number: usize| after.split_ascii_whitespace().nth(number - 3)?.parse::<u64>().ok();
    Some((seconds(field(14)?), seconds(field(15)?), field(20)?))
}

/// `Name:  123 kB` lines, as in `/proc/self/status` and `/proc/meminfo`, in bytes.
pub(super) fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_ascii_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

/// A number after a word, as in `ctxt 5` or `voluntary_ctxt_switches:\t5`.
pub(super) fn number(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.trim_start_matches([':', '\t', ' ']).parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_taken_apart() {
        let stat = "12 (a) b) S 1 12 12 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 7 0 100 1000 200";
        assert_eq!(process_stat(stat), Some((2.5, 0.5, 7)));
        assert_eq!(process_stat("nonsense"), None);
        assert_eq!(kilobytes("VmPeak:\t 9 kB\nVmRSS:\t  3 kB\n", "VmRSS"), Some(3072));
        assert_eq!(kilobytes("VmRSS: many kB", "VmRSS"), None);
        assert_eq!(number("voluntary_ctxt_switches:\t5\nx 1", "voluntary_ctxt_switches"), Some(5));
        assert_eq!(read("/proc/nothing/of/that/name"), None);
    }
}
