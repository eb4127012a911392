//! The tokio runtime that `init` is called in, if any: what tokio's stable metrics say of it.

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;
use tokio::runtime::Handle;

pub(super) fn begin(meter: &Meter) {
    let Ok(handle) = Handle::try_current() else { return };
    let gauge = |name: &'static str, unit: &'static str, description: &'static str, of: fn(&Handle) -> usize| {
        let handle = handle.clone();
        let gauge = meter.u64_observable_gauge(name).with_unit(unit).with_description(description);
        gauge.with_callback(move |gauge| gauge.observe(of(&handle) as u64, &[])).build();
    };
    gauge("tokio.workers", "{thread}", "Threads that run tasks", |handle| handle.metrics().num_workers());
    gauge("tokio.alive_tasks", "{task}", "Tasks that have not ended", |handle| handle.metrics().num_alive_tasks());
    gauge("tokio.global_queue_depth", "{task}", "Tasks that wait for any worker", |handle| {
        handle.metrics().global_queue_depth()
    });

    let busy = handle.clone();
    let time = meter
        .f64_observable_counter("tokio.worker.busy_time")
        .with_unit("s")
        .with_description("Time that each worker spent on tasks; a second each second is saturation");
    time.with_callback(move |counter| {
        let metrics = busy.metrics();
        for worker in 0..metrics.num_workers() {
            counter.observe(metrics.worker_total_busy_duration(worker).as_secs_f64(), &[number(worker)]);
        }
    })
    .build();

    let parks = meter
        .u64_observable_counter("tokio.worker.parks")
        .with_unit("{park}")
        .with_description("Times that each worker found nothing to do");
    parks
        .with_callback(move |counter| {
            let metrics = handle.metrics();
            for worker in 0..metrics.num_workers() {
                counter.observe(metrics.worker_park_count(worker), &[number(worker)]);
            }
        })
        .build();
}

fn number(worker: usize) -> KeyValue {
    KeyValue::new("tokio.worker", i64::try_from(worker).unwrap_or(i64::MAX))
}
