//! The host by the conventions for systems: processors, memory, disks, file systems, network. Read from `/proc` when the reader collects.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Meter};

use super::procfs::{kilobytes, read, seconds};
use crate::limits::DEVICES_MAX;

pub(super) fn begin(meter: &Meter) {
    let time = meter
        .f64_observable_counter("system.cpu.time")
        .with_unit("s")
        .with_description("Time of all processors together, by what they did");
    time.with_callback(|counter| {
        for (mode, time) in processor_times(&read("/proc/stat").unwrap_or_default()) {
            counter.observe(time, &[KeyValue::new("cpu.mode", mode)]);
        }
    })
    .build();

    let count = meter
        .i64_observable_up_down_counter("system.cpu.logical.count")
        .with_unit("{cpu}")
        .with_description("Processors");
    count
        .with_callback(|counter| {
            counter.observe(std::thread::available_parallelism().map_or(1, |count| count.get() as i64), &[])
        })
        .build();

    let load = meter
        .f64_observable_gauge("system.cpu.load_average.1m")
        .with_unit("{thread}")
        .with_description("Threads that run or wait for a processor, over a minute");
    load.with_callback(|gauge| {
        if let Some(load) = read("/proc/loadavg").and_then(|text| text.split(' ').next()?.parse().ok()) {
            gauge.observe(load, &[]);
        }
    })
    .build();

    let memory = meter
        .i64_observable_up_down_counter("system.memory.usage")
        .with_unit("By")
        .with_description("Memory by what it is used for");
    memory
        .with_callback(|counter| {
            each(counter, "system.memory.state", memory_states(&read("/proc/meminfo").unwrap_or_default()))
        })
        .build();

    disks(meter);
    network(meter);
    file_systems(meter);
}

fn disks(meter: &Meter) {
    let bytes = meter
        .u64_observable_counter("system.disk.io")
        .with_unit("By")
        .with_description("Bytes read from and written to disks");
    bytes
        .with_callback(|counter| {
            by_device(
                counter,
                "system.device",
                "disk.io.direction",
                &disk_counts(&read("/proc/diskstats").unwrap_or_default(), 5, 9, 512),
            )
        })
        .build();
    let operations = meter
        .u64_observable_counter("system.disk.operations")
        .with_unit("{operation}")
        .with_description("Reads and writes of disks");
    operations
        .with_callback(|counter| {
            by_device(
                counter,
                "system.device",
                "disk.io.direction",
                &disk_counts(&read("/proc/diskstats").unwrap_or_default(), 3, 7, 1),
            )
        })
        .build();
}

fn network(meter: &Meter) {
    for (name, unit, description, receive, transmit) in [
        ("system.network.io", "By", "Bytes received and sent", 0, 8),
        ("system.network.packet.dropped", "{packet}", "Packets that were dropped", 3, 11),
        ("system.network.errors", "{error}", "Errors of interfaces", 2, 10),
    ] {
        let counter = meter.u64_observable_counter(name).with_unit(unit).with_description(description);
        counter
            .with_callback(move |counter| {
                let counts = network_counts(&read("/proc/net/dev").unwrap_or_default(), receive, transmit);
                by_device(counter, "network.interface.name", "network.io.direction", &counts);
            })
            .build();
    }
}

fn file_systems(meter: &Meter) {
    let usage = meter
        .i64_observable_up_down_counter("system.filesystem.usage")
        .with_unit("By")
        .with_description("Bytes of file systems on disks, used and free");
    usage
        .with_callback(|counter| {
            for (device, mount) in mounts(&read("/proc/self/mounts").unwrap_or_default()) {
                let Ok(space) = rustix::fs::statvfs(mount.as_str()) else { continue };
                let (all, free, available) = (space.f_blocks, space.f_bfree, space.f_bavail);
                for (state, blocks) in [
                    ("used", all.saturating_sub(free)),
                    ("free", available),
                    ("reserved", free.saturating_sub(available)),
                ] {
                    let bytes = i64::try_from(blocks.saturating_mul(space.f_frsize)).unwrap_or(i64::MAX);
                    counter.observe(
                        bytes,
                        &[
                            KeyValue::new("system.device", device.clone()),
                            KeyValue::new("system.filesystem.mountpoint", mount.clone()),
                            KeyValue::new("system.filesystem.state", state),
                        ],
                    );
                }
            }
        })
        .build();
}

fn each(counter: &dyn AsyncInstrument<i64>, key: &'static str, values: Vec<(&'static str, u64)>) {
    for (state, value) in values {
        counter.observe(i64::try_from(value).unwrap_or(i64::MAX), &[KeyValue::new(key, state)]);
    }
}

fn by_device(
    counter: &dyn AsyncInstrument<u64>,
    device_key: &'static str,
    direction_key: &'static str,
    counts: &[(String, u64, u64)],
) {
    let words = if direction_key.starts_with("disk") { ("read", "write") } else { ("receive", "transmit") };
    for (device, first, second) in counts {
        for (word, count) in [(words.0, first), (words.1, second)] {
            counter.observe(*count, &[KeyValue::new(device_key, device.clone()), KeyValue::new(direction_key, word)]);
        }
    }
}

/// The first line of `/proc/stat`.
fn processor_times(stat: &str) -> Vec<(&'static str, f64)> {
    let modes = ["user", "nice", "system", "idle", "iowait", "interrupt", "softirq", "steal"];
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu ")).unwrap_or_default();
    let ticks = line.split_ascii_whitespace().filter_map(|ticks| ticks.parse().ok());
    modes.into_iter().zip(ticks.map(seconds)).collect()
}

/// `/proc/meminfo` by the states that the conventions have.
fn memory_states(meminfo: &str) -> Vec<(&'static str, u64)> {
    let of = |name| kilobytes(meminfo, name);
    let (Some(all), Some(free)) = (of("MemTotal"), of("MemFree")) else { return Vec::new() };
    let (buffers, cached) = (of("Buffers").unwrap_or(0), of("Cached").unwrap_or(0) + of("SReclaimable").unwrap_or(0));
    vec![
        ("used", all.saturating_sub(free + buffers + cached)),
        ("free", free),
        ("buffers", buffers),
        ("cached", cached),
    ]
}

/// `/proc/diskstats`: of each whole disk two of its counters, each so many bytes.
fn disk_counts(diskstats: &str, read: usize, written: usize, factor: u64) -> Vec<(String, u64, u64)> {
    let disks = diskstats.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let name = *fields.get(2)?;
        let count = |field: usize| fields.get(field)?.parse::<u64>().ok().map(|count| count.saturating_mul(factor));
        let counts = (count(read)?, count(written)?);
        (is_disk(name) && counts != (0, 0)).then(|| (name.to_owned(), counts.0, counts.1))
    });
    disks.take(DEVICES_MAX).collect()
}

// Partitions are counted in their disk, and what is made of disks in these.
fn is_disk(name: &str) -> bool {
    let whole = ["sd", "vd", "xvd", "hd"]
        .iter()
        .any(|kind| name.strip_prefix(kind).is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_lowercase())));
    whole || (name.starts_with("nvme") || name.starts_with("mmcblk")) && !name.contains('p')
}

/// `/proc/net/dev`: of each interface but the loopback two of its counters.
fn network_counts(dev: &str, received: usize, sent: usize) -> Vec<(String, u64, u64)> {
    let interfaces = dev.lines().filter_map(|line| {
        let (name, counters) = line.split_once(':')?;
        let count = |field: usize| counters.split_ascii_whitespace().nth(field)?.parse().ok();
        let name = name.trim();
        (name != "lo").then_some((name.to_owned(), count(received)?, count(sent)?))
    });
    interfaces.take(DEVICES_MAX).collect()
}

/// `/proc/self/mounts`: device and place of what is on a disk, each device once.
fn mounts(mounts: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for line in mounts.lines() {
        let mut fields = line.split(' ');
        let (Some(device), Some(place)) = (fields.next(), fields.next()) else { continue };
        let on_disk =
            device.starts_with("/dev/") && !device.starts_with("/dev/loop") || (place == "/" && device == "overlay");
        if on_disk && found.len() < DEVICES_MAX && found.iter().all(|(known, _)| known != device) {
            // Spaces and the like stand as octal numbers.
            found.push((device.to_owned(), place.replace("\\040", " ")));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_taken_apart() {
        let times = processor_times("cpu  100 0 50 1000 5 0 1 2 0 0\ncpu0 1 1 1 1\n");
        assert_eq!(times.len(), 8);
        assert_eq!((times[0], times[3]), (("user", 1.0), ("idle", 10.0)));
        let memory = memory_states("MemTotal: 10 kB\nMemFree: 2 kB\nBuffers: 1 kB\nCached: 3 kB\n");
        assert_eq!(memory, [("used", 4096), ("free", 2048), ("buffers", 1024), ("cached", 3072)]);
        let disks = "   8  0 sda 10 0 4 0 20 0 6 0 0 0 0\n 8 1 sda1 1 0 1 0 1 0 1 0\n 259 0 nvme0n1 1 0 2 0 3 0 4 0\n 7 0 loop0 1 0 1 0 1 0 1 0\n";
        assert_eq!(disk_counts(disks, 5, 9, 512), [("sda".to_owned(), 2048, 3072), ("nvme0n1".to_owned(), 1024, 2048)]);
        let network = "Inter-| Receive\n face |bytes\n    lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n  eth0: 7 1 2 3 0 0 0 0 9 1 4 5 0 0 0 0\n";
        assert_eq!(network_counts(network, 0, 8), [("eth0".to_owned(), 7, 9)]);
        assert_eq!(network_counts(network, 3, 11), [("eth0".to_owned(), 3, 5)]);
        let mounted =
            "proc /proc proc rw\n/dev/sda1 / ext4 rw\n/dev/sda1 /again ext4 rw\n/dev/sdb /my\\040disk xfs rw\n";
        assert_eq!(
            mounts(mounted),
            [("/dev/sda1".to_owned(), "/".to_owned()), ("/dev/sdb".to_owned(), "/my disk".to_owned())]
        );
        for nothing in ["", "nonsense\n", ":::\n"] {
            assert!(
                processor_times(nothing).is_empty() && memory_states(nothing).is_empty() && mounts(nothing).is_empty()
            );
            assert!(disk_counts(nothing, 5, 9, 1).is_empty() && network_counts(nothing, 0, 8).is_empty());
        }
    }
}
