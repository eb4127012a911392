//! What is counted of scraping. Jobs are named by the operator: there are as many as the file has.

use std::time::Duration;

use model::stats::{Gauge, Seconds, Stats};

use super::harvest::LeftOut;

/// The families.
#[derive(Clone, Debug)]
pub(super) struct ScrapeStats {
    stats: Stats,
    seconds: Seconds,
    /// Scrapes under way.
    pub(super) under_way: Gauge,
}

impl ScrapeStats {
    pub(super) fn new(stats: Stats) -> Self {
        let seconds = stats.seconds("sextant_scrape_seconds", "Time of a scrape, from its start to its samples.", &[]);
        let under_way = stats.gauge("sextant_scrapes_under_way", "Scrapes under way.", &[]);
        Self { stats, seconds, under_way }
    }

    /// Counts a scrape that begins.
    pub(super) fn begun(&self, job: &str) {
        self.add("sextant_scrapes_total", "Scrapes, failed and lost ones included.", &[("job", job)], 1);
    }

    /// Counts what a scrape gave.
    pub(super) fn scraped(&self, job: &str, samples: u64, took: Duration) {
        self.seconds.observe(took);
        self.add("sextant_scrape_samples_total", "Samples that targets gave.", &[("job", job)], samples);
    }

    /// Counts one that failed, besides.
    pub(super) fn failed(&self, job: &str, reason: &'static str) {
        let labels = [("job", job), ("reason", reason)];
        self.add("sextant_scrapes_failed_total", "Scrapes that gave nothing, by reason.", &labels, 1);
    }

    /// Counts one whose samples are not stored, besides.
    pub(super) fn lost(&self, job: &str, reason: &'static str, samples: u64) {
        let labels = [("job", job), ("reason", reason)];
        self.add("sextant_scrapes_lost_total", "Scrapes that the store did not take, by reason.", &labels, 1);
        self.add(
            "sextant_scrape_lost_samples_total",
            "Samples of scrapes that the store did not take.",
            &labels,
            samples,
        );
    }

    /// Counts samples that are not stored although their lines are right.
    pub(super) fn left_out(&self, job: &str, left_out: LeftOut) {
        for (reason, count) in [
            ("duplicate", left_out.duplicates),
            ("out_of_order", left_out.out_of_order),
            ("too_far_ahead", left_out.ahead),
        ] {
            if count > 0 {
                let help = "Samples of targets that are not stored although they can be read, by reason.";
                self.add("sextant_scrape_left_out_samples_total", help, &[("job", job), ("reason", reason)], count);
            }
        }
    }

    /// Counts moments at which a target should have been scraped and was not.
    pub(super) fn skipped(&self, job: &str, count: i64) {
        if count > 0 {
            let help = "Moments that passed while the scrape before was under way.";
            self.add("sextant_scrapes_skipped_total", help, &[("job", job)], count.unsigned_abs());
        }
    }

    /// Counts a list of targets that could not be read.
    pub(super) fn discovery_failed(&self, job: &str, by: &'static str) {
        let help = "Lists of targets that could not be read.";
        self.add("sextant_scrape_discovery_failures_total", help, &[("by", by), ("job", job)], 1);
    }

    /// Counts a look at the configuration.
    pub(super) fn reloaded(&self, outcome: &'static str) {
        self.add("sextant_scrape_reloads_total", "Times the prometheus.yml was read anew.", &[("outcome", outcome)], 1);
    }

    /// Shows how many targets there are.
    pub(super) fn targets(&self, job: &str, active: u64, dropped: u64, bad: u64) {
        for (state, count) in [("active", active), ("dropped", dropped), ("bad", bad)] {
            let labels = [("job", job), ("state", state)];
            self.stats.gauge("sextant_scrape_targets", "Targets by state.", &labels).set(count);
        }
    }

    fn add(&self, name: &'static str, help: &'static str, labels: &[(&'static str, &str)], count: u64) {
        self.stats.counter(name, help, labels).add(count);
    }
}
