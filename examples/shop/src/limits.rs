//! Every bound of the shop, with its reason. The shop is a guest on somebody's laptop: it stays gentle.

use std::time::Duration;

/// Most orders a second the load generator places. Above it the demo stops being gentle: each order is about seven
/// spans, eight log records and three requests.
pub(crate) const ORDERS_PER_SECOND_MAX: f64 = 50.0;

/// Most orders of the load generator under way at once. If the services hang, further orders are skipped, not queued.
pub(crate) const ORDERS_IN_FLIGHT_MAX: usize = 32;

/// Largest request body a service reads. An order is some 100 bytes.
pub(crate) const BODY_BYTES_MAX: usize = 16 * 1024;

/// A call to the next service, whole. Longer than the slowest warehouse and bank together.
pub(crate) const UPSTREAM_TIMEOUT: Duration = Duration::from_secs(5);

/// How long requests under way may take to finish once the service was asked to stop.
pub(crate) const DRAIN_MAX: Duration = Duration::from_secs(3);

/// How long the last flush may take. Together with [`DRAIN_MAX`] it bounds the time to exit.
pub(crate) const FLUSH_MAX: Duration = Duration::from_secs(2);

/// One export request to the collector, its retries included. Short, so that a collector that is away costs a batch
/// and not the patience of whoever presses Ctrl-C.
pub(crate) const EXPORT_TIMEOUT: Duration = Duration::from_millis(1_500);

/// Spans and log records wait this long for company: a person who has just started the demo wants to see data now.
pub(crate) const BATCH_DELAY: Duration = Duration::from_millis(500);

/// Time between two exports of metrics, the SDK's and the exemplars'.
pub(crate) const METRIC_INTERVAL: Duration = Duration::from_secs(2);
