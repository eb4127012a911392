//! What Sextant does and logs goes into its own store, as spans and log records of the service `sextant`: a bounded number of them, taken
//! where `tracing` hands them on, and stored once a second. What the storing itself says is never taken.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use collector::{Intake, Myself, OwnEvent, OwnRecord, OwnSpan, OwnValue, Within};
use model::stats::Stats;
use model::{Clock, SpanId, SystemClock, Timestamp, TraceId};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// Records that wait to be stored. In a second of great trouble there are hundreds; more of them say the same.
const WAITING_MAX: usize = 1_000;

/// Between two times of storing.
const INTERVAL: Duration = Duration::from_secs(1);

/// Bytes of one field. Paths and chains of errors fit; longer ones are cut.
const FIELD_BYTES_MAX: usize = 4 << 10;

/// Crates whose records are taken. Libraries log for their own developers.
const CRATES: [&str; 5] = ["sextant", "collector", "query", "store", "model"];

/// What is recorded, and not yet stored.
#[derive(Debug)]
pub struct Recorded {
    records: Receiver<OwnRecord>,
    // Since somebody looked.
    dropped: Arc<AtomicU64>,
}

/// A layer that records, from this level on, and where it puts what it records.
pub fn recorder<S>(level: LevelFilter) -> (impl Layer<S>, Recorded)
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let (sender, records) = sync_channel(WAITING_MAX);
    let dropped = Arc::<AtomicU64>::default();
    let recorder = Recorder { sender, dropped: Arc::clone(&dropped), clock: Arc::new(SystemClock::new()) };
    let targets = Targets::new().with_targets(CRATES.map(|name| (name, level)));
    // Whatever storing them says of it would be stored, and so on.
    let targets = targets.with_target(module_path!(), LevelFilter::OFF);
    (recorder.with_filter(targets), Recorded { records, dropped })
}

/// Where records are stored, and as whose.
pub struct Own {
    /// Where.
    pub intake: Intake,
    /// Whose.
    pub myself: Myself,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Where it is counted what was not stored.
    pub stats: Stats,
}

impl Recorded {
    /// Stores what is recorded until `stop` resolves, and what is there then.
    pub async fn run(self, own: Own, stop: impl Future<Output = ()>) {
        let Own { intake, myself, clock, stats } = own;
        let help = "Log records and spans of Sextant itself that were not stored: too many at once, or the store refused them.";
        let dropped = stats.counter("sextant_own_records_dropped_total", help, &[]);
        tokio::pin!(stop);
        loop {
            let next = clock.monotonic() + INTERVAL;
            let stopped = tokio::select! {
                () = &mut stop => true,
                () = clock.sleep_until(next) => false,
            };
            let records: Vec<OwnRecord> = self.records.try_iter().collect();
            let count = records.len() as u64;
            dropped.add(self.dropped.swap(0, Ordering::Relaxed));
            if let Err(refusal) = intake.accept_own_records(&myself, records).await {
                dropped.add(count);
                tracing::debug!("own records are not stored: {refusal}");
            }
            if stopped {
                return;
            }
        }
    }
}

struct Recorder {
    sender: SyncSender<OwnRecord>,
    dropped: Arc<AtomicU64>,
    clock: Arc<dyn Clock>,
}

// What is known of a span that has not ended.
struct Open {
    itself: Within,
    parent: Option<SpanId>,
    started: Timestamp,
    fields: Fields,
    error: Option<String>,
}

impl Recorder {
    // Never waits: who logs has work to do.
    fn send(&self, record: OwnRecord) {
        if self.sender.try_send(record).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl<S> Layer<S> for Recorder
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let parent = span.parent().and_then(|parent| parent.extensions().get::<Open>().map(|open| open.itself));
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let trace = parent.map_or_else(|| random(TraceId::from_slice, [0; TraceId::LEN]), |parent| parent.trace);
        span.extensions_mut().insert(Open {
            itself: Within { trace, span: random(SpanId::from_slice, [0; SpanId::LEN]) },
            parent: parent.map(|parent| parent.span),
            started: self.clock.now(),
            fields,
            error: None,
        });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(open) = span.extensions_mut().get_mut::<Open>()
        {
            values.record(&mut open.fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let metadata = event.metadata();
        let within = context.event_span(event).and_then(|span| {
            let mut extensions = span.extensions_mut();
            let open = extensions.get_mut::<Open>()?;
            if *metadata.level() == Level::ERROR {
                open.error.get_or_insert_with(|| fields.message.clone());
            }
            Some(open.itself)
        });
        self.send(OwnRecord::Event(OwnEvent {
            time: self.clock.now(),
            severity: severity(metadata),
            target: metadata.target(),
            message: fields.message,
            fields: fields.others,
            within,
        }));
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let Some(open) = span.extensions_mut().remove::<Open>() else { return };
        let metadata = span.metadata();
        self.send(OwnRecord::Span(OwnSpan {
            itself: open.itself,
            parent: open.parent,
            name: metadata.name(),
            target: metadata.target(),
            fields: open.fields.others,
            times: (open.started, self.clock.now()),
            error: open.error,
        }));
    }
}

// By the numbers of OpenTelemetry's log data model, "Field: SeverityNumber".
fn severity(metadata: &Metadata<'_>) -> (&'static str, i32) {
    let level = *metadata.level();
    let number = match level {
        Level::ERROR => 17,
        Level::WARN => 13,
        Level::INFO => 9,
        Level::DEBUG => 5,
        _ => 1,
    };
    (level.as_str(), number)
}

fn random<T, const LENGTH: usize>(id: fn(&[u8]) -> Option<T>, mut bytes: [u8; LENGTH]) -> T {
    loop {
        fastrand::fill(&mut bytes);
        // All zero is no id.
        if let Some(id) = id(&bytes) {
            return id;
        }
    }
}

// The message, and the other fields.
#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, OwnValue)>,
}

impl Fields {
    fn add(&mut self, field: &Field, value: OwnValue) {
        match (field.name(), value) {
            ("message", OwnValue::Text(text)) => self.message = text,
            (name, value) => self.others.push((name, value)),
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, OwnValue::Text(cut(value.to_owned())));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, OwnValue::Integer(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, i64::try_from(value).map_or_else(|_| OwnValue::Text(value.to_string()), OwnValue::Integer));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, OwnValue::Double(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, OwnValue::Flag(value));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let chain: Vec<String> =
            std::iter::successors(Some(value), |error| error.source()).map(ToString::to_string).collect();
        self.add(field, OwnValue::Text(cut(chain.join(": "))));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(field, OwnValue::Text(cut(format!("{value:?}"))));
    }
}

fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(FIELD_BYTES_MAX));
    text
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    fn recorded(level: LevelFilter, say: impl FnOnce()) -> (Vec<OwnRecord>, u64) {
        let (layer, recorded) = recorder(level);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), say);
        (recorded.records.try_iter().collect(), recorded.dropped.load(Ordering::Relaxed))
    }

    #[test]
    fn events_know_the_span_they_were_said_in_and_errors_mark_it() {
        let (records, _) = recorded(LevelFilter::INFO, || {
            let merge =
                tracing::info_span!(target: "store::upkeep", "merge", table = "logs", rows = tracing::field::Empty);
            let _merge = merge.enter();
            let _index = tracing::info_span!(target: "store::text", "index").entered();
            merge.record("rows", 7_u64);
            tracing::error!(target: "store", retry_s = 3, "it failed");
            tracing::debug!(target: "store", "too quiet");
            tracing::error!(target: "hyper", "a library's");
            tracing::error!("of the storing itself");
        });
        let [OwnRecord::Event(event), OwnRecord::Span(index), OwnRecord::Span(merge)] = records.as_slice() else {
            panic!("{records:?}")
        };
        assert_eq!((event.message.as_str(), event.severity), ("it failed", ("ERROR", 17)));
        assert_eq!(event.fields, [("retry_s", OwnValue::Integer(3))]);
        assert_eq!(event.within, Some(index.itself), "the innermost");
        assert_eq!(
            (index.name, index.parent, index.itself.trace),
            ("index", Some(merge.itself.span), merge.itself.trace)
        );
        assert_eq!(index.error.as_deref(), Some("it failed"));
        let fields = [("table", OwnValue::Text("logs".to_owned())), ("rows", OwnValue::Integer(7))];
        assert_eq!((merge.parent, merge.fields.as_slice()), (None, fields.as_slice()));
        assert!(merge.error.is_none() && merge.times.0 <= merge.times.1);
    }

    #[test]
    fn there_are_never_more_than_fit_and_what_does_not_is_counted() {
        let (records, dropped) = recorded(LevelFilter::INFO, || {
            for number in 0..WAITING_MAX + 5 {
                tracing::info!(target: "query", text = "é".repeat(FIELD_BYTES_MAX), number, "again");
            }
        });
        assert_eq!((records.len(), dropped), (WAITING_MAX, 5));
        let OwnRecord::Event(first) = &records[0] else { panic!("{:?}", records[0]) };
        let OwnValue::Text(text) = &first.fields[0].1 else { panic!("{first:?}") };
        assert_eq!(text.len(), FIELD_BYTES_MAX);
        assert!(recorded(LevelFilter::OFF, || tracing::error!(target: "store", "silence")).0.is_empty());
    }
}
