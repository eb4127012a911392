//! W3C trace context, W3C baggage and the correlation id between processes: over HTTP headers, and over whatever maps of texts a queue has for its messages.
//!
//! What comes in is from strangers. Baggage is bounded by entries and bytes, an entry with control characters is left out, and so is a `tracestate` that is too long.

use std::collections::{BTreeMap, HashMap};

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;
use opentelemetry::baggage::{Baggage, BaggageExt, KeyValueMetadata};
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};

use crate::correlation::{ATTRIBUTE, CorrelationId};
use crate::init::global;
use crate::limits::{BAGGAGE_BYTES_MAX, BAGGAGE_ENTRIES_MAX, TRACESTATE_BYTES_MAX};

/// Which of the two are spoken; `OTEL_PROPAGATORS` says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Propagators {
    pub(crate) trace_context: bool,
    pub(crate) baggage: bool,
}

impl Default for Propagators {
    fn default() -> Self {
        Self { trace_context: true, baggage: true }
    }
}

/// The propagator that `init` installs for the whole process.
#[derive(Debug, Default)]
pub(crate) struct Propagator {
    of: Propagators,
    trace_context: TraceContextPropagator,
    baggage: BaggagePropagator,
    fields: Vec<String>,
}

impl Propagator {
    pub(crate) fn new(of: Propagators) -> Self {
        let names = [(of.trace_context, "traceparent"), (of.trace_context, "tracestate"), (of.baggage, "baggage")];
        let fields = names.iter().filter(|(spoken, _)| *spoken).map(|(_, name)| (*name).to_owned()).collect();
        Self { of, fields, ..Self::default() }
    }
}

impl TextMapPropagator for Propagator {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        if self.of.trace_context {
            self.trace_context.inject_context(context, injector);
        }
        if self.of.baggage {
            match CorrelationId::of(context) {
                None => self.baggage.inject_context(context, injector),
                Some(id) => {
                    // The official propagator writes what is in the context, and the id need not be there as baggage.
                    let others = context.baggage().iter().filter(|(key, _)| key.as_str() != ATTRIBUTE);
                    let others = others.map(|(key, (value, metadata))| {
                        KeyValueMetadata::new(key.clone(), value.clone(), metadata.clone())
                    });
                    let own = KeyValueMetadata::new(ATTRIBUTE, id.value(), "");
                    // The own one first: the number of entries is bounded.
                    self.baggage
                        .inject_context(&Context::new().with_baggage(std::iter::once(own).chain(others)), injector);
                }
            }
        }
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        let bounded = Bounded(extractor);
        let mut context = if self.of.trace_context {
            self.trace_context.extract_with_context(context, &bounded)
        } else {
            context.clone()
        };
        if self.of.baggage && bounded.get("baggage").is_some() {
            let extracted = self.baggage.extract_with_context(&Context::new(), &bounded);
            let harmless = extracted.baggage().iter().take(BAGGAGE_ENTRIES_MAX).filter(|(key, (value, metadata))| {
                is_harmless(key.as_str()) && is_harmless(value.as_str()) && is_harmless(metadata.as_str())
            });
            let entries = harmless
                .map(|(key, (value, metadata))| KeyValueMetadata::new(key.clone(), value.clone(), metadata.clone()));
            let baggage: Baggage = entries.collect();
            if let Some(id) = baggage.get(ATTRIBUTE).and_then(|id| CorrelationId::new(id.as_str())) {
                context = id.in_context(&context);
            }
            if !baggage.is_empty() {
                context = context.with_baggage(baggage);
            }
        }
        context
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&self.fields)
    }
}

fn is_harmless(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

/// What somebody sent, without what is too long.
struct Bounded<'a>(&'a dyn Extractor);

impl Extractor for Bounded<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        let bytes_max = match key {
            "baggage" => BAGGAGE_BYTES_MAX,
            "tracestate" => TRACESTATE_BYTES_MAX,
            _ => usize::MAX,
        };
        self.0.get(key).filter(|value| value.len() <= bytes_max)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys()
    }
}

/// What a caller sent along: its trace, its baggage, and its correlation id, which a header of its own may say as well and then says so first.
pub fn extract(headers: &HeaderMap) -> Context {
    let context = extract_from(&Incoming(headers));
    let names = global().map_or(&[][..], |global| &global.correlation_headers);
    let said = names.iter().find_map(|name| CorrelationId::new(headers.get(name)?.to_str().ok()?));
    match said {
        Some(id) => id.in_context(&context),
        None => context,
    }
}

/// Tells a callee which trace, baggage and correlation id it is called with.
pub fn inject(context: &Context, headers: &mut HeaderMap) {
    inject_into(context, &mut Outgoing(headers));
    if let Some(name) = global().and_then(|global| global.correlation_headers.first())
        && let Some(value) = CorrelationId::of(context).and_then(|id| HeaderValue::from_str(id.as_str()).ok())
    {
        headers.insert(name.clone(), value);
    }
}

/// What a message says of where it came from; a new trace begins if it says nothing.
pub fn extract_from(extractor: &dyn Extractor) -> Context {
    opentelemetry::global::get_text_map_propagator(|propagator| {
        propagator.extract_with_context(&Context::new(), extractor)
    })
}

/// Has a message say where it comes from.
pub fn inject_into(context: &Context, injector: &mut dyn Injector) {
    opentelemetry::global::get_text_map_propagator(|propagator| propagator.inject_context(context, injector));
}

struct Incoming<'a>(&'a HeaderMap);

impl Extractor for Incoming<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

struct Outgoing<'a>(&'a mut HeaderMap);

impl Injector for Outgoing<'_> {
    fn set(&mut self, key: &str, value: String) {
        // A tracestate that came in odd is not worth failing a request for.
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(key), HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }
}

/// The headers of a message, in the shape that a queue's client has them. The official traits know `HashMap<String, String>` only.
pub(crate) struct Pairs<'a, M>(pub(crate) &'a M);

/// See [`Pairs`].
pub(crate) struct PairsMut<'a, M>(pub(crate) &'a mut M);

/// A map of texts that a message carries.
pub trait TextMap {
    /// The value under a key.
    fn text(&self, key: &str) -> Option<&str>;
    /// The keys.
    fn text_keys(&self) -> Vec<&str>;
    /// Sets a value.
    fn set_text(&mut self, key: &str, value: String);
}

macro_rules! text_map {
    ($map:ident) => {
        impl TextMap for $map<String, String> {
            fn text(&self, key: &str) -> Option<&str> {
                self.get(key).map(String::as_str)
            }

            fn text_keys(&self) -> Vec<&str> {
                self.keys().map(String::as_str).collect()
            }

            fn set_text(&mut self, key: &str, value: String) {
                self.insert(key.to_owned(), value);
            }
        }
    };
}

text_map!(HashMap);
text_map!(BTreeMap);

impl<M: TextMap> Extractor for Pairs<'_, M> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.text(key)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.text_keys()
    }
}

impl<M: TextMap> Injector for PairsMut<'_, M> {
    fn set(&mut self, key: &str, value: String) {
        self.0.set_text(key, value);
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::TraceContextExt;

    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn through(propagators: Propagators, incoming: &[(&str, &str)]) -> (Context, BTreeMap<String, String>) {
        let incoming: BTreeMap<String, String> =
            incoming.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let propagator = Propagator::new(propagators);
        let context = propagator.extract_with_context(&Context::new(), &Pairs(&incoming));
        let mut outgoing = BTreeMap::new();
        propagator.inject_context(&context, &mut PairsMut(&mut outgoing));
        (context, outgoing)
    }

    #[test]
    fn a_context_survives_the_wire() {
        let (context, outgoing) = through(
            Propagators::default(),
            &[("traceparent", PARENT), ("baggage", "tenant=acme,correlation.id=order-1")],
        );
        assert_eq!(context.span().span_context().trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(CorrelationId::of(&context), CorrelationId::new("order-1"));
        assert_eq!(outgoing["traceparent"], PARENT);
        let mut entries: Vec<_> = outgoing["baggage"].split(',').collect();
        entries.sort_unstable();
        assert_eq!(entries, ["correlation.id=order-1", "tenant=acme"]);
    }

    #[test]
    fn only_what_the_environment_asks_for_is_spoken() {
        let sent = [("traceparent", PARENT), ("baggage", "correlation.id=order-1")];
        for (trace_context, baggage) in [(true, false), (false, true), (false, false)] {
            let (context, outgoing) = through(Propagators { trace_context, baggage }, &sent);
            assert_eq!(context.span().span_context().is_valid(), trace_context);
            assert_eq!(CorrelationId::of(&context).is_some(), baggage);
            assert_eq!(
                (outgoing.contains_key("traceparent"), outgoing.contains_key("baggage")),
                (trace_context, baggage)
            );
        }
    }

    #[test]
    fn hostile_baggage_is_bounded_and_sanitised() {
        let many: Vec<String> = (0..500).map(|number| format!("k{number}=v")).collect();
        let huge = format!("correlation.id=order-1,big={}", "x".repeat(BAGGAGE_BYTES_MAX));
        for (sent, entries, id) in [
            (many.join(","), BAGGAGE_ENTRIES_MAX, None),
            (huge, 0, None),
            ("correlation.id=%1B%5B2Jowned,a=1".to_owned(), 1, None),
            ("correlation.id=two%20words,a=1".to_owned(), 2, None),
            (format!("correlation.id={},a=1", "x".repeat(200)), 2, None),
            ("correlation.id=order%2D1".to_owned(), 1, Some("order-1")),
            ("a=x%0d%0aset-cookie:x,b=2".to_owned(), 1, None),
            (",,,=,;;==,%,%zz=%zz".to_owned(), 1, None),
        ] {
            let (context, outgoing) = through(Propagators::default(), &[("baggage", &sent)]);
            assert!(context.baggage().len() <= entries, "{}: {:?}", &sent[..sent.len().min(60)], context.baggage());
            assert_eq!(
                CorrelationId::of(&context).as_ref().map(CorrelationId::as_str),
                id,
                "{}",
                &sent[..sent.len().min(60)]
            );
            let baggage = outgoing.get("baggage").map_or("", String::as_str);
            assert!(
                baggage.len() <= 3 * BAGGAGE_BYTES_MAX
                    && baggage.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' '),
                "{baggage:?}"
            );
        }
    }

    #[test]
    fn nonsense_begins_a_new_trace() {
        for parent in
            ["", "00-zero-zero-01", "00-00000000000000000000000000000000-b7ad6b7169203331-01", &"0".repeat(100_000)]
        {
            let (context, _) =
                through(Propagators::default(), &[("traceparent", parent), ("tracestate", &"a=b,".repeat(10_000))]);
            assert!(!context.span().span_context().is_valid(), "{}", &parent[..parent.len().min(60)]);
        }
    }
}
