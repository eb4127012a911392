//! The official SDK's two places to hang something in: a finished span and an emitted record are encoded and offered to their queue. When a span begins it gets the
//! correlation id of its context.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::trace::Span as _;
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogProcessor, SdkLogRecord};
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};

use crate::correlation::{ATTRIBUTE, CorrelationId};
use crate::export::queue::Queue;
use crate::export::tally::{Loss, REPORT, Tally};
use crate::export::{Signal, encode};
use crate::limits::ITEM_BYTES_MAX;
use crate::redact::Redaction;

thread_local! {
    /// Scope and item are written here and copied into the queue, so that its lock is held for a copy and not for the encoding, and nothing is allocated for them.
    static SCRATCH: RefCell<(Vec<u8>, Vec<u8>)> = RefCell::default();
}

/// What a thread keeps for its next item.
const SCRATCH_KEPT: usize = 16 << 10;

/// Takes one signal's items.
pub(crate) struct Intake {
    pub(crate) signal: Signal,
    pub(crate) queue: Arc<Queue>,
    pub(crate) tally: Arc<Tally>,
    pub(crate) redaction: Redaction,
}

impl fmt::Debug for Intake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Intake").field("signal", &self.signal).finish_non_exhaustive()
    }
}

impl Intake {
    fn take(&self, always: bool, write: impl FnOnce(&mut Vec<u8>, &mut Vec<u8>)) {
        if !always && !self.queue.has_room() {
            self.tally.lost(self.signal, Loss::QueueFull, 1);
            return;
        }
        let taken = SCRATCH.try_with(|scratch| match scratch.try_borrow_mut() {
            Ok(mut scratch) => {
                let (scope, item) = &mut *scratch;
                self.write(scope, item, always, write);
            }
            // Somebody's `Display` records telemetry while it is being recorded.
            Err(_) => self.write(&mut Vec::new(), &mut Vec::new(), always, write),
        });
        if taken.is_err() {
            // The thread is ending.
            self.tally.lost(self.signal, Loss::Unsent, 1);
        }
    }

    fn write(
        &self,
        scope: &mut Vec<u8>,
        item: &mut Vec<u8>,
        always: bool,
        write: impl FnOnce(&mut Vec<u8>, &mut Vec<u8>),
    ) {
        scope.clear();
        item.clear();
        write(scope, item);
        if scope.len() + item.len() > ITEM_BYTES_MAX {
            self.tally.lost(self.signal, Loss::TooLarge, 1);
        } else if always {
            self.queue.put_in(scope, item);
        } else if !self.queue.offer(scope, item) {
            self.tally.lost(self.signal, Loss::QueueFull, 1);
        }
        for scratch in [scope, item] {
            if scratch.capacity() > SCRATCH_KEPT {
                *scratch = Vec::new();
            }
        }
    }
}

/// For spans.
#[derive(Debug)]
pub(crate) struct Spans(pub(crate) Intake);

impl SpanProcessor for Spans {
    fn on_start(&self, span: &mut Span, context: &Context) {
        if let Some(id) = CorrelationId::of(context) {
            span.set_attribute(KeyValue::new(ATTRIBUTE, id.value()));
        }
    }

    fn on_end(&self, span: SpanData) {
        if !span.span_context.is_sampled() {
            return;
        }
        self.0.take(false, |scope, item| {
            encode::scope(scope, &span.instrumentation_scope, None, &self.0.redaction);
            encode::span(item, &span, &self.0.redaction);
        });
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    // The guard stops the pumps.
    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// For log records.
#[derive(Debug)]
pub(crate) struct Logs(pub(crate) Intake);

impl LogProcessor for Logs {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        let correlation = CorrelationId::current();
        let correlation = correlation.as_ref().map(CorrelationId::as_str);
        self.0.take(record.event_name() == Some(REPORT), |out, item| {
            encode::scope(out, scope, record.target().map(|target| &**target), &self.0.redaction);
            encode::log(item, record, correlation, &self.0.redaction);
        });
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}
