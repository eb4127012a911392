//! What a process has used, as the kernel counts it.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;

/// Processor time of a process with all its threads, those that ended included.
pub fn processor_time(id: u32) -> anyhow::Result<Duration> {
    read(&format!("/proc/{id}/stat"))
}

/// Processor time of the threads that live, in nanoseconds where [`processor_time`] counts hundredths of a second: for what takes less than that.
pub fn processor_time_of_living(id: u32) -> anyhow::Result<Duration> {
    let path = format!("/proc/{id}/task");
    let mut time = Duration::ZERO;
    for task in std::fs::read_dir(&path).with_context(|| format!("cannot list {path}"))? {
        // A thread that has ended meanwhile.
        let Ok(text) = std::fs::read_to_string(task?.path().join("schedstat")) else { continue };
        let nanoseconds = text.split_ascii_whitespace().next().and_then(|field| field.parse().ok());
        time += Duration::from_nanos(nanoseconds.with_context(|| format!("{path} is not understood"))?);
    }
    Ok(time)
}

/// Processor time of the calling thread.
pub fn own_thread_time() -> anyhow::Result<Duration> {
    read("/proc/thread-self/stat")
}

/// Processor time of the threads that live, by their names.
pub fn thread_times(id: u32) -> anyhow::Result<BTreeMap<String, Duration>> {
    let path = format!("/proc/{id}/task");
    let mut times: BTreeMap<String, Duration> = BTreeMap::new();
    for task in std::fs::read_dir(&path).with_context(|| format!("cannot list {path}"))? {
        let task = task?.path();
        // A thread that has ended meanwhile.
        let Ok(name) = std::fs::read_to_string(task.join("comm")) else { continue };
        let Ok(time) = read(&task.join("stat").to_string_lossy()) else { continue };
        *times.entry(name.trim_end().to_owned()).or_default() += time;
    }
    Ok(times)
}

/// The most memory that a process has held, in KiB.
pub fn peak_memory_kib(id: u32) -> anyhow::Result<u64> {
    memory_kib(id, "VmHWM")
}

/// The memory that a process holds now, in KiB.
pub fn resident_memory_kib(id: u32) -> anyhow::Result<u64> {
    memory_kib(id, "VmRSS")
}

fn memory_kib(id: u32, what: &str) -> anyhow::Result<u64> {
    let path = format!("/proc/{id}/status");
    let status = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(':'));
    let number = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
    number.with_context(|| format!("{path} does not say {what}"))
}

fn read(path: &str) -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    let ticks = ticks(&stat).with_context(|| format!("{path} is not understood"))?;
    Ok(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
}

// User and system time, the fields 14 and 15. The name in front of them may hold spaces and brackets.
fn ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_what_this_process_used() {
        assert_eq!(ticks("1 (a ) b) S 1 2 3 4 5 6 7 8 9 10 70 8 0 0"), Some(78));
        let id = std::process::id();
        assert!(processor_time(id).is_ok_and(|time| time < Duration::from_secs(100_000)));
        assert!(processor_time_of_living(id).is_ok_and(|time| time > Duration::ZERO));
        assert!(own_thread_time().is_ok());
        assert!(thread_times(id).is_ok_and(|times| !times.is_empty()));
        assert!(resident_memory_kib(id).is_ok_and(|kib| kib > 0));
        assert!(peak_memory_kib(id).is_ok_and(|kib| kib > 0));
    }
}
