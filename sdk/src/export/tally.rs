//! What was sent and what was lost, by signal and reason; and whether the collector is there. Says both on stderr, once for each time that the collector is away, and in a log
//! record when it is back. The counts are metrics too, by the conventions for SDKs: see `register`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use opentelemetry::logs::{LogRecord as _, Logger as _, Severity};
use opentelemetry::metrics::Meter;
use opentelemetry::{Context, Key, KeyValue};
use opentelemetry_sdk::logs::SdkLogger;

use super::Signal;
use super::queue::Queue;
use crate::limits::{REPORT_AGAIN, TELL_AGAIN};
use crate::say::say;

/// Why something was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// The queue was full.
    QueueFull,
    /// One item alone was larger than any may be.
    TooLarge,
    /// The collector said no, to some items or to a whole request.
    Rejected,
    /// The collector was not there: for too long, or when the service ended. For metrics: this once, the counts go on.
    Unsent,
}

impl Loss {
    const ALL: [Self; 4] = [Self::QueueFull, Self::TooLarge, Self::Rejected, Self::Unsent];

    const fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::TooLarge => "too_large",
            Self::Rejected => "rejected",
            Self::Unsent => "unsent",
        }
    }
}

/// The event name of the record about losses.
pub(crate) const REPORT: &str = "sextant_sdk.lost";

#[derive(Debug, Default)]
pub(crate) struct Tally {
    sent: [AtomicU64; 3],
    lost: [[AtomicU64; 4]; 3],
    collector: Mutex<Collector>,
    /// Where the record about losses goes, once the logs are set up.
    pub(crate) log: OnceLock<SdkLogger>,
}

#[derive(Debug, Default)]
struct Collector {
    away: bool,
    told: Option<Instant>,
    /// Whether the line about its being away was printed, so that one says that it is back.
    told_away: bool,
    told_refusal: Option<Instant>,
    /// What of the losses was reported, by signal, and when.
    reported: [u64; 3],
    last_report: Option<Instant>,
}

impl Tally {
    pub(crate) fn sent(&self, signal: Signal, items: usize) {
        self.sent[signal as usize].fetch_add(items as u64, Ordering::Relaxed);
    }

    pub(crate) fn lost(&self, signal: Signal, why: Loss, items: usize) {
        self.lost[signal as usize][why as usize].fetch_add(items as u64, Ordering::Relaxed);
    }

    /// All that was lost of a signal.
    pub(crate) fn lost_of(&self, signal: Signal) -> u64 {
        self.lost[signal as usize].iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// The collector did not answer, or told to come again.
    pub(crate) fn collector_is_away(&self, endpoint: &str, why: &str) {
        let mut collector = self.collector.lock().unwrap_or_else(PoisonError::into_inner);
        let first = !std::mem::replace(&mut collector.away, true);
        if first && collector.told.is_none_or(|told| told.elapsed() >= TELL_AGAIN) {
            collector.told = Some(Instant::now());
            collector.told_away = true;
            drop(collector);
            say(&format!(
                "no telemetry gets to {endpoint}: {why}; it waits in memory, within bounds, and the service goes on"
            ));
        }
    }

    /// The collector will not have something, whatever is tried.
    pub(crate) fn refused(&self, signal: Signal, endpoint: &str, why: &str) {
        let mut collector = self.collector.lock().unwrap_or_else(PoisonError::into_inner);
        if collector.told_refusal.is_none_or(|told| told.elapsed() >= TELL_AGAIN) {
            collector.told_refusal = Some(Instant::now());
            drop(collector);
            say(&format!("{endpoint} does not take {}: {why}; they are lost, and the service goes on", signal.items()));
        }
    }

    /// The collector has answered. Reports what was lost meanwhile.
    pub(crate) fn collector_is_there(&self, endpoint: &str) {
        let mut collector = self.collector.lock().unwrap_or_else(PoisonError::into_inner);
        let back = std::mem::take(&mut collector.away);
        let told_away = back && std::mem::take(&mut collector.told_away);
        let lost = Signal::ALL.map(|signal| self.lost_of(signal));
        // One that comes and goes all day is told of on stderr now and then, and in a record whenever it has cost something.
        let tell = told_away || collector.told.is_none_or(|told| told.elapsed() >= TELL_AGAIN);
        let report = back || tell || collector.last_report.is_none_or(|last| last.elapsed() >= REPORT_AGAIN);
        let new = lost != collector.reported;
        if !(told_away || new && report) {
            return;
        }
        let before = std::mem::replace(&mut collector.reported, lost);
        collector.last_report = Some(Instant::now());
        if tell {
            collector.told = Some(Instant::now());
        }
        drop(collector);
        let since: [u64; 3] = std::array::from_fn(|signal| lost[signal] - before[signal]);
        let told = losses(&since);
        if tell {
            say(&match (back, &told) {
                (true, Some(told)) => format!("telemetry gets to {endpoint} again; lost meanwhile: {told}"),
                (true, None) => format!("telemetry gets to {endpoint} again; nothing was lost"),
                (false, told) => format!("telemetry was lost: {}", told.as_deref().unwrap_or("none")),
            });
        }
        if let Some(told) = told {
            self.record(&since, &told);
        }
    }

    /// A record about what was lost since the last one, for the last request.
    pub(crate) fn report_at_the_end(&self) {
        let mut collector = self.collector.lock().unwrap_or_else(PoisonError::into_inner);
        let lost = Signal::ALL.map(|signal| self.lost_of(signal));
        let since: [u64; 3] = std::array::from_fn(|signal| lost[signal] - collector.reported[signal]);
        // Where the collector is away nobody would get it; stderr has it then.
        let Some(told) = losses(&since).filter(|_| !collector.away) else { return };
        collector.reported = lost;
        drop(collector);
        self.record(&since, &told);
    }

    /// The last word, at the end of the service.
    pub(crate) fn say_what_stayed(&self) {
        let collector = self.collector.lock().unwrap_or_else(PoisonError::into_inner);
        let lost = Signal::ALL.map(|signal| self.lost_of(signal));
        let since: [u64; 3] = std::array::from_fn(|signal| lost[signal] - collector.reported[signal]);
        if let Some(told) = losses(&since) {
            say(&format!("the service ends and telemetry is lost: {told}"));
        }
    }

    fn record(&self, since: &[u64; 3], told: &str) {
        let Some(logger) = self.log.get() else { return };
        let mut record = logger.create_log_record();
        record.set_event_name(REPORT);
        record.set_severity_number(Severity::Warn);
        record.set_severity_text("WARN");
        record.set_body(format!("telemetry was lost: {told}").into());
        for (signal, key) in [
            (Signal::Traces, "lost.spans"),
            (Signal::Metrics, "lost.metric_points"),
            (Signal::Logs, "lost.log_records"),
        ] {
            record.add_attribute(Key::new(key), i64::try_from(since[signal as usize]).unwrap_or(i64::MAX));
        }
        // The official reader's thread, which this may be, suppresses telemetry in its own context.
        let _plain = Context::new().attach();
        logger.emit(record);
    }

    /// Counts, queues and losses as metrics, under the names that the conventions have for SDKs.
    pub(crate) fn register(self: &Arc<Self>, meter: &Meter, queues: [(Signal, Arc<Queue>); 2]) {
        for (signal, name) in [
            (Signal::Traces, "otel.sdk.exporter.span.exported"),
            (Signal::Metrics, "otel.sdk.exporter.metric_data_point.exported"),
            (Signal::Logs, "otel.sdk.exporter.log.exported"),
        ] {
            let tally = Arc::clone(self);
            let counter = meter
                .u64_observable_counter(name)
                .with_description("Items that were sent, and with error.type those that were lost, and why");
            counter
                .with_callback(move |counter| {
                    counter.observe(tally.sent[signal as usize].load(Ordering::Relaxed), &[]);
                    for loss in Loss::ALL {
                        let lost = tally.lost[signal as usize][loss as usize].load(Ordering::Relaxed);
                        if lost > 0 {
                            counter.observe(lost, &[KeyValue::new("error.type", loss.as_str())]);
                        }
                    }
                })
                .build();
        }
        for (signal, queue) in queues {
            let name = if signal == Signal::Traces {
                "otel.sdk.processor.span.queue.size"
            } else {
                "otel.sdk.processor.log.queue.size"
            };
            let gauge =
                meter.i64_observable_up_down_counter(name).with_description("Items that wait for the collector");
            gauge
                .with_callback(move |gauge| gauge.observe(i64::try_from(queue.size().0).unwrap_or(i64::MAX), &[]))
                .build();
        }
    }
}

fn losses(of: &[u64; 3]) -> Option<String> {
    let told: Vec<String> = Signal::ALL
        .iter()
        .filter(|signal| of[**signal as usize] > 0)
        .map(|signal| format!("{} {}", of[*signal as usize], signal.items()))
        .collect();
    (!told.is_empty()).then(|| told.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_told_by_signal() {
        assert_eq!(losses(&[0, 0, 0]), None);
        assert_eq!(losses(&[3, 0, 1]).as_deref(), Some("3 spans, 1 log records"));
    }

    #[test]
    fn every_loss_is_counted_once_and_reported_once() {
        let tally = Tally::default();
        tally.collector_is_away("http://c", "connection refused");
        for loss in Loss::ALL {
            tally.lost(Signal::Traces, loss, 2);
        }
        tally.sent(Signal::Traces, 5);
        assert_eq!((tally.lost_of(Signal::Traces), tally.lost_of(Signal::Logs)), (8, 0));
        tally.collector_is_there("http://c");
        let reported = |tally: &Tally| tally.collector.lock().expect("whole").reported;
        assert_eq!(reported(&tally), [8, 0, 0]);
        tally.lost(Signal::Logs, Loss::QueueFull, 1);
        tally.collector_is_there("http://c");
        assert_eq!(reported(&tally), [8, 0, 0], "not again so soon");
        tally.collector_is_away("http://c", "connection refused");
        tally.collector_is_there("http://c");
        assert_eq!(reported(&tally), [8, 0, 1], "but whenever it comes back");
    }
}
