//! What notifications count; see `/metrics`.

use std::time::Duration;

use model::stats::{Counter, Gauge, Seconds, Stats};

use super::group::Endpoint;

/// Counters of the notifications. Cheap to clone.
#[derive(Clone, Debug)]
pub struct NotifyStats {
    /// Alerts of which somebody has to be told.
    pub alerts: Gauge,
    /// Groups of them.
    pub groups: Gauge,
    /// Notifications that wait.
    pub queued: Gauge,
    /// Bytes of their bodies.
    pub queued_bytes: Gauge,
    /// Dead letters that are kept.
    pub dead_letters: Gauge,
    /// Commits that failed.
    pub commit_failures: Counter,
    delay: Seconds,
    stats: Stats,
}

impl NotifyStats {
    /// The counters of this registry.
    pub fn new(stats: &Stats) -> Self {
        let gauge = |name, help| stats.gauge(name, help, &[]);
        Self {
            alerts: gauge("sextant_notifications_alerts", "Alerts that somebody has to be told of."),
            groups: gauge("sextant_notifications_groups", "Groups of alerts, each of one webhook."),
            queued: gauge("sextant_notifications_queued", "Notifications that wait to be delivered."),
            queued_bytes: gauge("sextant_notifications_queued_bytes", "Bytes of notifications that wait."),
            dead_letters: gauge("sextant_notifications_dead_letters", "Notifications that were given up and are kept."),
            commit_failures: stats.counter(
                "sextant_notifications_commit_failures_total",
                "Decisions that the store did not take at first.",
                &[],
            ),
            delay: stats.seconds(
                "sextant_notifications_delay_seconds",
                "Time from the decision to notify until the receiver had it.",
                &[],
            ),
            stats: stats.clone(),
        }
    }

    /// A notification arrived, so long after it was decided.
    pub fn delivered(&self, endpoint: &Endpoint, nanos: i64) {
        const HELP: &str = "Notifications that their receiver has taken.";
        self.count("sextant_notifications_delivered_total", HELP, endpoint, None);
        self.delay.observe(Duration::from_nanos(u64::try_from(nanos).unwrap_or(0)));
    }

    /// An attempt failed.
    pub fn failed(&self, endpoint: &Endpoint, kind: &'static str) {
        const HELP: &str = "Attempts to deliver a notification that failed.";
        self.count("sextant_notifications_failed_attempts_total", HELP, endpoint, Some(kind));
    }

    /// A notification was given up.
    pub fn dead(&self, endpoint: &Endpoint, kind: &'static str) {
        const HELP: &str = "Notifications that were given up.";
        self.count("sextant_notifications_dead_total", HELP, endpoint, Some(kind));
    }

    /// A group was not looked at because too much waits for its receiver.
    pub fn postponed(&self, endpoint: &Endpoint) {
        const HELP: &str = "Looks at a group that were put off because too much waits for its receiver.";
        self.count("sextant_notifications_postponed_total", HELP, endpoint, None);
    }

    /// Transitions that nobody will be told of.
    pub fn lost(&self, reason: &'static str, count: u64) {
        if count > 0 {
            const HELP: &str = "Transitions that were left out because there were too many.";
            self.stats.counter("sextant_notifications_lost_total", HELP, &[("reason", reason)]).add(count);
            tracing::error!(reason, count, "transitions of alerts are left out");
        }
    }

    fn count(&self, name: &'static str, help: &'static str, endpoint: &Endpoint, reason: Option<&'static str>) {
        let mut labels = vec![("receiver", endpoint.receiver.as_str())];
        labels.extend(reason.map(|reason| ("reason", reason)));
        self.stats.counter(name, help, &labels).add(1);
    }
}
