//! How many messages wait in an outbox, as the relay has seen it at its last look.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use sextant_sdk::opentelemetry::KeyValue;
use sextant_sdk::opentelemetry::metrics::Meter;

/// The number, which nobody knows while another instance's relay has its turn.
#[derive(Debug)]
pub(super) struct Pending(AtomicI64);

const UNKNOWN: i64 = -1;

impl Pending {
    pub(super) fn is(&self, messages: i64) {
        self.0.store(messages, Ordering::Relaxed);
    }

    pub(super) fn is_unknown(&self) {
        self.is(UNKNOWN);
    }
}

/// Observes it for as long as somebody has it.
pub(super) fn observe(meter: &Meter, namespace: &'static str) -> Arc<Pending> {
    let pending = Arc::new(Pending(AtomicI64::new(UNKNOWN)));
    let weak = Arc::downgrade(&pending);
    let gauge = meter.u64_observable_gauge("shop.outbox.pending").with_unit("{message}");
    gauge
        .with_description("Messages that were committed and are to be published")
        .with_callback(move |gauge| {
            let pending = weak.upgrade().map(|pending| u64::try_from(pending.0.load(Ordering::Relaxed)));
            if let Some(Ok(messages)) = pending {
                gauge.observe(messages, &[KeyValue::new("db.namespace", namespace)]);
            }
        })
        .build();
    pending
}
