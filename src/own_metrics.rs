//! Sextant watches itself: its counters go into its own store from time to time, so that its boards and rules are made of
//! the same things as everybody's.

use std::sync::Arc;
use std::time::Duration;

use collector::{Intake, Myself};
use model::Clock;
use model::stats::Stats;
use store::{DiskState, Store};

/// What is needed to do so.
pub struct OwnMetrics {
    /// Where the sizes are asked.
    pub store: Store,
    /// Where they are stored; `None` to keep them on `/metrics` alone.
    pub intake: Option<Intake>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Where everybody counts.
    pub stats: Stats,
    /// Who counts.
    pub myself: Myself,
    /// Between two looks.
    pub interval: Duration,
}

impl OwnMetrics {
    /// Goes on until `stop` resolves.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        let mut next = self.clock.monotonic();
        loop {
            self.gauge().await;
            if let Some(intake) = &self.intake
                && let Err(refusal) = intake.accept_own_metrics(&self.myself, &self.stats.readings()).await
            {
                tracing::warn!("own metrics are not stored: {refusal}");
            }
            next = next.saturating_add(self.interval).max(self.clock.monotonic());
            tokio::select! {
                () = &mut stop => return,
                () = self.clock.sleep_until(next) => {}
            }
        }
    }

    // Sizes that nobody counts along the way. The disk is asked for some of them.
    async fn gauge(&self) {
        let store = self.store.clone();
        let Ok(status) = tokio::task::spawn_blocking(move || store.status()).await else { return };
        let set = |name, help, labels: &[(&'static str, &str)], value| self.stats.gauge(name, help, labels).set(value);
        if let Some(disk) = status.disk {
            set("sextant_disk_free_bytes", "Bytes still free where the data directory is.", &[], disk.free_bytes);
            let refusing = u64::from(disk.state == DiskState::Full);
            set("sextant_disk_full", "Whether rows are refused because the disk is nearly full.", &[], refusing);
        }
        let quarantined = "Parts that are damaged and out of use.";
        set("sextant_store_quarantined_parts", quarantined, &[], status.quarantined_parts);
        set("sextant_store_quarantined_rows", "Rows of damaged parts.", &[], status.quarantined_rows);
        set("sextant_wal_segments", "Segments of the write-ahead log.", &[], status.wal_segments);
        set("sextant_wal_size_bytes", "Bytes of the write-ahead log on disk.", &[], status.wal_bytes);
        for (table, size) in &status.tables {
            let labels = [("table", table.as_str())];
            set("sextant_store_head_rows", "Rows in memory.", &labels, size.head_rows);
            set("sextant_store_head_bytes", "Bytes of the rows in memory, roughly.", &labels, size.head_bytes);
            set("sextant_store_parts", "Parts on disk.", &labels, size.parts);
            set("sextant_store_part_rows", "Rows in parts.", &labels, size.part_rows);
            set("sextant_store_part_bytes", "Bytes of parts on disk.", &labels, size.part_bytes);
            let help = "Rows that retention has deleted since the data directory was made.";
            set("sextant_store_expired_rows", help, &labels, size.expired_rows);
        }
    }
}
