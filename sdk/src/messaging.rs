//! Messages through queues, whatever client carries them: who sends puts the trace, baggage and correlation id into the message's headers, who receives goes on with them; both
//! with spans and metrics by the conventions for messaging.

use std::sync::OnceLock;

use opentelemetry::metrics::Counter;
use opentelemetry::trace::{FutureExt, SpanKind};
use opentelemetry::{Context, KeyValue};

use crate::correlation::CorrelationId;
use crate::http::exchange::{Exchange, Failure};
use crate::init::global;
use crate::metrics::{DURATION_BOUNDS_S, Histogram, histogram};
use crate::propagate::{Pairs, PairsMut, TextMap, extract_from, inject_into};

struct Instruments {
    sent: Counter<u64>,
    consumed: Counter<u64>,
    send: Histogram,
    process: Histogram,
}

fn instruments() -> Option<&'static Instruments> {
    static INSTRUMENTS: OnceLock<Instruments> = OnceLock::new();
    let meter = &global()?.meter;
    let counter =
        |name, description| meter.u64_counter(name).with_unit("{message}").with_description(description).build();
    let duration = |name, description| {
        let duration = histogram(meter, name).with_unit("s").with_description(description);
        duration.with_boundaries(DURATION_BOUNDS_S).build()
    };
    Some(INSTRUMENTS.get_or_init(|| Instruments {
        sent: counter("messaging.client.sent.messages", "Messages that were sent, or were to be"),
        consumed: counter("messaging.client.consumed.messages", "Messages that were received"),
        send: duration("messaging.client.operation.duration", "Duration of sending messages"),
        process: duration("messaging.process.duration", "Duration of working on messages"),
    }))
}

/// A queue, topic or stream.
#[derive(Clone, Debug)]
pub struct Channel {
    attributes: Vec<KeyValue>,
    destination: &'static str,
}

impl Channel {
    /// Of a system like `nats` or `kafka`, with the destination's name.
    pub fn new(system: &'static str, destination: &'static str) -> Self {
        let attributes =
            vec![KeyValue::new("messaging.system", system), KeyValue::new("messaging.destination.name", destination)];
        Self { attributes, destination }
    }

    /// Whoever receives as this group.
    pub fn consumer_group(mut self, group: &'static str) -> Self {
        self.attributes.push(KeyValue::new("messaging.consumer.group.name", group));
        self
    }

    /// Sends a message: `send` gets its headers, which say where it comes from.
    pub async fn send<M, T, E, F>(&self, mut headers: M, send: impl FnOnce(M) -> F) -> Result<T, E>
    where
        M: TextMap,
        E: std::fmt::Display,
        F: Future<Output = Result<T, E>>,
    {
        let Some(instruments) = instruments() else { return send(headers).await };
        let mut exchange = self.begin("send", SpanKind::Producer, Context::current(), &instruments.send);
        inject_into(&exchange.context, &mut PairsMut(&mut headers));
        let sent = send(headers).with_context(exchange.context.clone()).await;
        instruments.sent.add(1, &self.counted(&sent));
        end(&mut exchange, &sent);
        sent
    }

    /// Works on a message inside the trace and with the correlation id that its headers name; where they name none, both begin here.
    pub async fn process<M, T, E>(&self, headers: &M, work: impl Future<Output = Result<T, E>>) -> Result<T, E>
    where
        M: TextMap,
        E: std::fmt::Display,
    {
        let Some(instruments) = instruments() else { return work.await };
        let parent = extract_from(&Pairs(headers));
        let id = CorrelationId::of(&parent).unwrap_or_else(CorrelationId::make);
        let mut exchange = self.begin("process", SpanKind::Consumer, id.in_context(&parent), &instruments.process);
        instruments.consumed.add(1, &self.attributes);
        let done = work.with_context(exchange.context.clone()).await;
        end(&mut exchange, &done);
        done
    }

    fn begin(
        &self,
        operation: &'static str,
        kind: SpanKind,
        parent: Context,
        duration: &'static Histogram,
    ) -> Exchange {
        let mut attributes = self.attributes.clone();
        attributes.push(KeyValue::new("messaging.operation.name", operation));
        attributes.push(KeyValue::new("messaging.operation.type", operation));
        Exchange::begin(
            format!("{operation} {}", self.destination),
            kind,
            parent,
            attributes.clone(),
            attributes,
            duration,
        )
    }

    fn counted<T, E>(&self, result: &Result<T, E>) -> Vec<KeyValue> {
        let mut attributes = self.attributes.clone();
        if result.is_err() {
            attributes.push(KeyValue::new("error.type", "error"));
        }
        attributes
    }
}

fn end<T, E: std::fmt::Display>(exchange: &mut Exchange, result: &Result<T, E>) {
    match result {
        Ok(_) => exchange.end([], None),
        Err(error) => exchange.end([], Some(Failure { kind: "error".into(), description: &error.to_string() })),
    }
}
