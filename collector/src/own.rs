//! What the process says of itself as OTLP requests, so that it is stored, charted and alerted on like everybody's telemetry, with
//! `service.name` sextant: its counters, and what it did and logged.

mod metrics;
mod records;

use model::stats::Reading;
use model::{Signal, Timestamp};
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;

pub use self::records::{OwnEvent, OwnRecord, OwnSpan, OwnValue, Within};
use crate::convert::Encoding;
use crate::{Intake, Outcome, Refusal};

/// Who counts, since when.
#[derive(Clone, Debug)]
pub struct Myself {
    /// Sextant's version.
    pub version: String,
    /// Tells this server from others: `service.instance.id`.
    pub instance: String,
    /// When the counters began.
    pub started: Timestamp,
}

// What comes in here comes in by no door and is counted at none: telemetry about telemetry would never end.
impl Intake {
    /// Stores what the process has counted so far.
    pub async fn accept_own_metrics(&self, myself: &Myself, readings: &[Reading]) -> Result<Outcome, Refusal> {
        let body = metrics::request(myself, readings, self.clock().now()).encode_to_vec();
        self.accept_uncounted(Signal::Points, Encoding::Protobuf, body).await
    }

    /// Stores what the process did and logged, in at most one request of each signal.
    pub async fn accept_own_records(&self, myself: &Myself, records: Vec<OwnRecord>) -> Result<(), Refusal> {
        let (logs, spans) = records::requests(myself, records);
        for (signal, body) in [(Signal::Logs, logs), (Signal::Spans, spans)] {
            if let Some(body) = body {
                self.accept_uncounted(signal, Encoding::Protobuf, body).await?;
            }
        }
        Ok(())
    }
}

impl Myself {
    fn resource(&self) -> Resource {
        let attributes = vec![
            text("service.name", "sextant"),
            text("service.version", &self.version),
            text("service.instance.id", &self.instance),
        ];
        Resource { attributes, ..Resource::default() }
    }
}

fn scope(name: &str, myself: &Myself) -> InstrumentationScope {
    InstrumentationScope { name: name.to_owned(), version: myself.version.clone(), ..InstrumentationScope::default() }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, any_value::Value::StringValue(value.to_owned()))
}

fn attribute(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn unsigned(time: Timestamp) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or_default()
}
