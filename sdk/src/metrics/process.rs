//! This process by the conventions for processes: processor time, memory, threads, open files, its age. Read from `/proc` when the reader collects.

use std::time::Instant;

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

use super::procfs::{kilobytes, number, process_stat, read};

pub(super) fn begin(meter: &Meter) {
    let started = Instant::now();
    let uptime =
        meter.f64_observable_gauge("process.uptime").with_unit("s").with_description("Time since the service started");
    uptime.with_callback(move |gauge| gauge.observe(started.elapsed().as_secs_f64(), &[])).build();

    let time = meter
        .f64_observable_counter("process.cpu.time")
        .with_unit("s")
        .with_description("Processor time used by the process");
    time.with_callback(|counter| {
        if let Some((user, system, _)) = stat() {
            counter.observe(user, &[KeyValue::new("cpu.mode", "user")]);
            counter.observe(system, &[KeyValue::new("cpu.mode", "system")]);
        }
    })
    .build();

    for (name, description, field) in [
        ("process.memory.usage", "Memory of the process that is in the machine's memory", "VmRSS"),
        ("process.memory.virtual", "Address space of the process", "VmSize"),
    ] {
        let memory = meter.i64_observable_up_down_counter(name).with_unit("By").with_description(description);
        memory
            .with_callback(move |counter| {
                observe(counter, read("/proc/self/status").and_then(|text| kilobytes(&text, field)))
            })
            .build();
    }

    let threads = meter
        .i64_observable_up_down_counter("process.thread.count")
        .with_unit("{thread}")
        .with_description("Threads of the process");
    threads.with_callback(|counter| observe(counter, stat().map(|(_, _, threads)| threads))).build();

    let files =
        meter.i64_observable_up_down_counter("process.unix.file_descriptor.count").with_unit("{file_descriptor}");
    files
        .with_description("Files and sockets that the process has open")
        .with_callback(|counter| observe(counter, open_files()))
        .build();

    let switches = meter
        .u64_observable_counter("process.context_switches")
        .with_unit("{context_switch}")
        .with_description("Times that the process gave up a core, or had to");
    switches
        .with_callback(|counter| {
            let status = read("/proc/self/status").unwrap_or_default();
            for (field, kind) in
                [("voluntary_ctxt_switches", "voluntary"), ("nonvoluntary_ctxt_switches", "involuntary")]
            {
                if let Some(count) = number(&status, field) {
                    counter.observe(count, &[KeyValue::new("process.context_switch_type", kind)]);
                }
            }
        })
        .build();
}

fn stat() -> Option<(f64, f64, u64)> {
    process_stat(&read("/proc/self/stat")?)
}

fn open_files() -> Option<u64> {
    // The folder is open while it is counted.
    u64::try_from(std::fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1)).ok()
}

fn observe(counter: &dyn opentelemetry::metrics::AsyncInstrument<i64>, value: Option<u64>) {
    if let Some(value) = value.and_then(|value| i64::try_from(value).ok()) {
        counter.observe(value, &[]);
    }
}
