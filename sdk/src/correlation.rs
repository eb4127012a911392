//! The correlation id: one per business transaction, taken from the caller or made at the edge, carried in W3C baggage, and put on every span, log record and exemplar. It
//! comes from strangers and ends up in people's terminals, so only printable ASCII of a sane length is one.

use std::fmt;
use std::sync::Arc;

use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::FutureExt;
use opentelemetry::{Context, StringValue};

use crate::limits::CORRELATION_ID_BYTES_MAX;

/// The attribute that bears the id, and the key of its baggage.
pub const ATTRIBUTE: &str = "correlation.id";

/// The header that it is taken from and handed on in, unless the program names others.
pub const HEADER: &str = "x-correlation-id";

/// A usable id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CorrelationId(Arc<str>);

impl CorrelationId {
    /// The text as an id, without the white space around it; `None` if it is no usable one: printable ASCII without spaces, at most 128 bytes.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim_matches([' ', '\t']);
        let usable =
            (1..=CORRELATION_ID_BYTES_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        usable.then(|| Self(text.into()))
    }

    /// A new one: from the program's own maker if it has one, else sixteen random digits.
    pub fn make() -> Self {
        let made = crate::init::global()
            .and_then(|global| global.make_correlation.as_ref())
            .and_then(|make| Self::new(&make()));
        made.unwrap_or_else(|| Self(format!("{:016x}", fastrand::u64(..)).into()))
    }

    /// The id of what is going on here.
    pub fn current() -> Option<Self> {
        Context::map_current(Self::of)
    }

    /// The id of a context: the one that was put into it, or the one in its baggage.
    pub fn of(context: &Context) -> Option<Self> {
        context.get::<Self>().cloned().or_else(|| {
            // The default of a context without baggage; asking for it is cheaper than the clone above.
            let baggage = context.baggage();
            if baggage.is_empty() { None } else { Self::new(baggage.get(ATTRIBUTE)?.as_str()) }
        })
    }

    /// The context with this id.
    pub fn in_context(&self, context: &Context) -> Context {
        context.with_value(self.clone())
    }

    /// Runs a future as part of this transaction: whatever it records or calls bears the id.
    pub fn scope<F: Future>(&self, future: F) -> impl Future<Output = F::Output> {
        future.with_context(self.in_context(&Context::current()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn value(&self) -> StringValue {
        Arc::clone(&self.0).into()
    }
}

impl fmt::Display for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::KeyValue;

    use super::*;

    #[test]
    fn only_usable_texts_are_ids() {
        let long = "x".repeat(CORRELATION_ID_BYTES_MAX + 1);
        for (sent, taken) in [
            ("order-1", Some("order-1")),
            (" order-1\t", Some("order-1")),
            ("", None),
            ("two words", None),
            ("bell\u{7}", None),
            ("line\nfeed", None),
            ("\u{1b}[31mred", None),
            ("naïve", None),
            (&long, None),
            (&long[1..], Some(&long[1..])),
        ] {
            assert_eq!(CorrelationId::new(sent).as_ref().map(CorrelationId::as_str), taken, "{sent:?}");
        }
    }

    #[test]
    fn a_context_has_the_id_that_was_put_into_it_or_that_of_its_baggage() {
        let plain = Context::new();
        assert_eq!(CorrelationId::of(&plain), None);
        let baggage = plain.with_baggage([KeyValue::new(ATTRIBUTE, "from-baggage")]);
        assert_eq!(CorrelationId::of(&baggage), CorrelationId::new("from-baggage"));
        let id = CorrelationId::new("order-1").expect("usable");
        assert_eq!(CorrelationId::of(&id.in_context(&baggage)), Some(id));
        let hostile = plain.with_baggage([KeyValue::new(ATTRIBUTE, "x\u{1b}[2J")]);
        assert_eq!(CorrelationId::of(&hostile), None);
    }

    #[test]
    fn made_ids_differ_and_are_usable() {
        let (a, b) = (CorrelationId::make(), CorrelationId::make());
        assert_ne!(a, b);
        assert_eq!(CorrelationId::new(a.as_str()), Some(a));
    }
}
