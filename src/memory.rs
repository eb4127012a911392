//! How much memory the process may take and how much it has: the limits of its cgroup and machine, and a look at itself a
//! few times a second.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use model::memory::Memory;
use store::Store;

use crate::config::Config;

/// Between two looks. At the speed at which two cores convert and write, some MiB can be taken in between; a look takes microseconds.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// Merges that were paused go on when memory has been plenty for so long, and caches are told to forget no more often.
const LULL: Duration = Duration::from_secs(10);

/// Below this nothing useful runs: the program itself, the connections and one small request need about half of it.
pub const LIMIT_MIN: u64 = 64 << 20;

/// The limit in bytes: as configured, else three quarters of what the cgroup allows, else half of the machine's memory. The
/// rest is for the kernel's share of sockets and files, and on a machine for its other processes.
pub fn limit(config: &Config) -> u64 {
    if config.memory_bytes_max > 0 {
        return config.memory_bytes_max;
    }
    let machine = machine().unwrap_or(u64::MAX);
    match cgroup(Path::new("/")) {
        Some(allowed) if allowed < machine => (allowed / 4 * 3).max(LIMIT_MIN),
        _ => (machine / 2).max(LIMIT_MIN),
    }
}

/// Lowers what the crates' own settings allow so that all of them together stay within `memory_bytes_max`.
pub fn fit(config: &mut Config) {
    let limit = config.memory_bytes_max;
    let store = &mut config.store;
    store.head_bytes_max = store.head_bytes_max.min(limit / 8);
    store.cache_bytes_max = store.cache_bytes_max.min(limit / 8);
    store.merged_bytes_max = store.merged_bytes_max.min(limit / 4);
    // What is written at a time is there up to six times meanwhile: as chunks, joined, in order, as pages, compressed, as an index.
    store.flush_bytes = store.flush_bytes.min(limit / 32);
    let collector = &mut config.collector;
    // A request of the greatest size is there about five times before it is stored: its bytes, decoded, as columns, for the log.
    collector.request_bytes_max = collector.request_bytes_max.min(limit / 16);
    collector.in_flight_bytes_max = collector.in_flight_bytes_max.min(limit / 8);
    collector.connection_bytes_max = collector.connection_bytes_max.min(limit / 8);
    collector.series_max = collector.series_max.min(limit / 512);
    // As the defaults have it, no metric takes more than a tenth of what all may have.
    collector.series_per_metric_max = collector.series_per_metric_max.min(limit / 5_120);
}

/// Looks at this process from now on, for as long as it lives.
pub fn watch(memory: &Memory) -> anyhow::Result<()> {
    let page = rustix::param::page_size() as u64;
    let look = move || resident(&std::fs::read_to_string("/proc/self/statm").ok()?, page);
    if let Some(bytes) = look() {
        memory.saw(bytes);
    } else {
        tracing::warn!("/proc/self/statm cannot be read: the memory limit counts requests in flight alone");
        return Ok(());
    }
    let memory = memory.clone();
    // A thread of its own: when the runtime has too much to do is when it matters.
    let thread = std::thread::Builder::new().name("memory".to_owned()).spawn(move || {
        loop {
            if let Some(bytes) = look() {
                memory.saw(bytes);
            }
            std::thread::sleep(LOOK_INTERVAL);
        }
    });
    thread.map(drop).context("cannot start the thread that watches memory")
}

/// Pauses merges while memory is short: each holds a granule of every part it reads, and can begin again later. Has caches forgotten then: what
/// queries remember must not keep requests out. Until `stop`.
pub async fn spare(memory: Memory, store: Store, stop: impl Future<Output = ()>) {
    let watching = async {
        let mut ticks = tokio::time::interval(LOOK_INTERVAL);
        let mut paused = false;
        let mut plenty_since = None;
        let mut forgotten: Option<tokio::time::Instant> = None;
        loop {
            let now = ticks.tick().await;
            // A merge takes much at once. Begun in each lull of a server that has enough to do, it would be given up again and again.
            plenty_since = memory.has_plenty().then(|| plenty_since.unwrap_or(now));
            let wanted = match plenty_since {
                Some(since) => paused && now.duration_since(since) < LULL,
                None => paused || memory.is_short(),
            };
            if wanted != paused {
                paused = wanted;
                store.pause_merges(paused);
            }
            if memory.is_short() && forgotten.is_none_or(|at| now.duration_since(at) >= LULL) {
                forgotten = Some(now);
                let memory = memory.clone();
                // Nobody waits for it.
                drop(tokio::task::spawn_blocking(move || memory.forget_caches()));
            }
        }
    };
    tokio::select! {
        () = watching => {}
        () = stop => {}
    }
}

fn resident(statm: &str, page: u64) -> Option<u64> {
    Some(statm.split_ascii_whitespace().nth(1)?.parse::<u64>().ok()?.saturating_mul(page))
}

fn machine() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

// The smallest limit of this process's cgroups and of those above them, of either version.
fn cgroup(root: &Path) -> Option<u64> {
    let own = std::fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    let limits = own.lines().filter_map(|line| {
        let mut fields = line.splitn(3, ':');
        let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        let memory = controllers.split(',').any(|controller| controller == "memory");
        let (base, file) = match controllers {
            "" => ("sys/fs/cgroup", "memory.max"),
            _ if memory => ("sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            _ => return None,
        };
        smallest_above(&root.join(base), path.trim_start_matches('/'), file)
    });
    limits.min()
}

fn smallest_above(base: &Path, path: &str, file: &str) -> Option<u64> {
    let mut directory: PathBuf = base.join(path);
    let mut smallest = None;
    loop {
        let text = std::fs::read_to_string(directory.join(file)).unwrap_or_default();
        // "max", or no number at all, is no limit.
        if let Ok(limit) = text.trim().parse::<u64>() {
            smallest = Some(smallest.map_or(limit, |known: u64| known.min(limit)));
        }
        if directory == base || !directory.pop() {
            return smallest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_limits_of_both_versions_of_cgroups() {
        let root = tempfile::tempdir().expect("a directory");
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
            std::fs::write(path, text).expect("a file");
        };
        assert_eq!(cgroup(root.path()), None);
        write("proc/self/cgroup", "0::/a/b\n");
        write("sys/fs/cgroup/a/memory.max", "536870912\n");
        write("sys/fs/cgroup/a/b/memory.max", "max\n");
        assert_eq!(cgroup(root.path()), Some(512 << 20), "of the one above");
        write("sys/fs/cgroup/a/b/memory.max", "1024\n");
        assert_eq!(cgroup(root.path()), Some(1024));
        write("proc/self/cgroup", "11:cpu:/a\n5:memory:/c\n0::/\n");
        write("sys/fs/cgroup/memory/c/memory.limit_in_bytes", "2048\n");
        assert_eq!(cgroup(root.path()), Some(2048));
    }

    #[test]
    fn settings_are_fitted_into_the_limit() {
        let mut config = Config { memory_bytes_max: 400 << 20, ..Config::default() };
        let limit = limit(&config);
        fit(&mut config);
        assert_eq!(
            (limit, config.store.head_bytes_max, config.store.flush_bytes),
            (400 << 20, 50 << 20, (400 << 20) / 32)
        );
        assert_eq!(config.store.merged_bytes_max, 100 << 20);
        assert_eq!((config.collector.request_bytes_max, config.collector.in_flight_bytes_max), (25 << 20, 50 << 20));
        assert_eq!(config.collector.check(), Ok(()));
        let large = Config { memory_bytes_max: 64 << 30, ..Config::default() };
        let mut fitted = large.clone();
        fit(&mut fitted);
        assert_eq!(fitted, large);
        assert_eq!(resident("1000 300 20 1 0 1 0", 4096), Some(300 * 4096));
    }
}
