//! What became of the items of a request, and how that is said to its sender.
//!
//! A rejected item is counted under exactly one [`Reason`]; a [`Warning`] is about something that was kept in another form
//! than it was sent. Both remember where they were met first.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use model::Signal;

use crate::limits;

/// Why an item is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// A span's trace id is not 16 bytes, or all zero.
    TraceId,
    /// A span's own id is not 8 bytes, or all zero.
    SpanId,
    /// A span's parent id has bytes, but not 8.
    ParentSpanId,
    /// A time does not fit a signed 64-bit number of nanoseconds.
    TimeRange,
    /// A sum, histogram or exponential histogram does not say its temporality.
    Temporality,
    /// A gauge's or sum's point has no value, and no flag that says so.
    NoValue,
    /// A histogram's numbers of buckets and bounds do not fit.
    Buckets,
    /// A histogram's bounds do not ascend.
    Bounds,
    /// A metric has no name.
    MetricName,
    /// An attribute value or body is nested too deep.
    Depth,
    /// The resource, scope and metric are too large for so many items.
    Expansion,
    /// A list of attributes is too long.
    Attributes,
    /// An attribute's key is too long.
    AttributeKey,
    /// An attribute's value is too large.
    AttributeValue,
    /// A point has too many attributes.
    Labels,
    /// A point has an attribute with a value that is too large for a label.
    LabelValue,
    /// The point's series would be one too many.
    Series,
    /// It would be one too many of its metric, and the point cannot be added to others.
    MetricSeries,
    /// It is older than items of its kind are kept.
    Expired,
    /// A series of remote write names texts that the request does not have.
    LabelReference,
    /// A series of remote write has a label twice, or one without a name.
    LabelNames,
    /// A native histogram with counts that are no whole numbers, or of a schema that OTLP does not have.
    NativeHistogram,
}

impl Reason {
    /// All reasons.
    pub const ALL: [Reason; 22] = [
        Reason::TraceId,
        Reason::SpanId,
        Reason::ParentSpanId,
        Reason::TimeRange,
        Reason::Temporality,
        Reason::NoValue,
        Reason::Buckets,
        Reason::Bounds,
        Reason::MetricName,
        Reason::Depth,
        Reason::Expansion,
        Reason::Attributes,
        Reason::AttributeKey,
        Reason::AttributeValue,
        Reason::Labels,
        Reason::LabelValue,
        Reason::Series,
        Reason::MetricSeries,
        Reason::Expired,
        Reason::LabelReference,
        Reason::LabelNames,
        Reason::NativeHistogram,
    ];

    /// The word of the counters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Reason::TraceId => "invalid_trace_id",
            Reason::SpanId => "invalid_span_id",
            Reason::ParentSpanId => "invalid_parent_span_id",
            Reason::TimeRange => "time_out_of_range",
            Reason::Temporality => "temporality_unspecified",
            Reason::NoValue => "no_value",
            Reason::Buckets => "bucket_count_mismatch",
            Reason::Bounds => "bounds_not_ascending",
            Reason::MetricName => "metric_name_empty",
            Reason::Depth => "nested_too_deep",
            Reason::Expansion => "expanded_too_large",
            Reason::Attributes => "too_many_attributes",
            Reason::AttributeKey => "attribute_key_too_long",
            Reason::AttributeValue => "attribute_value_too_large",
            Reason::Labels => "too_many_labels",
            Reason::LabelValue => "label_value_too_large",
            Reason::Series => "too_many_series",
            Reason::MetricSeries => "too_many_series_of_metric",
            Reason::Expired => "older_than_retention",
            Reason::LabelReference => "label_reference",
            Reason::LabelNames => "label_names",
            Reason::NativeHistogram => "native_histogram_form",
        }
    }

    /// What is wrong.
    pub const fn what(self) -> &'static str {
        match self {
            Reason::TraceId => "trace_id is not 16 bytes or is all zero",
            Reason::SpanId => "span_id is not 8 bytes or is all zero",
            Reason::ParentSpanId => "parent_span_id is neither empty nor 8 bytes",
            Reason::TimeRange => "a time lies after the year 2262",
            Reason::Temporality => "aggregation_temporality is unspecified",
            Reason::NoValue => "the point has neither as_int nor as_double",
            Reason::Buckets => {
                "bucket_counts must have one entry more than explicit_bounds, or both be empty; or spans and counts of a native histogram do not fit"
            }
            Reason::Bounds => "explicit_bounds do not ascend strictly",
            Reason::MetricName => "the metric has no name",
            Reason::Depth => "an attribute value is nested too deep",
            Reason::Attributes => {
                "an item, its resource or its scope has more attributes than collector.attributes_max"
            }
            Reason::AttributeKey => "an attribute's key is longer than collector.attribute_key_bytes_max",
            Reason::AttributeValue => "an attribute's value is larger than collector.attribute_value_bytes_max",
            Reason::Labels => "the point has more attributes than collector.labels_max",
            Reason::LabelValue => "the point has an attribute with a value larger than collector.label_value_bytes_max",
            Reason::Series => "its series would be one more than collector.series_max",
            Reason::MetricSeries => {
                "its series would be one more than collector.series_per_metric_max, and its value cannot be added to that of others"
            }
            Reason::Expired => "its time is older than store.retention keeps items of its signal and service",
            Reason::LabelReference => "the series names texts that the request does not have",
            Reason::LabelNames => "the series has a label twice, or one without a name",
            Reason::NativeHistogram => {
                "the native histogram has fractional counts, or a schema other than -53 and -4 to 8"
            }
            Reason::Expansion => "resource, scope and metric take too much memory when every item carries them",
        }
    }

    /// What its sender can do.
    pub const fn remedy(self) -> &'static str {
        match self {
            Reason::TraceId | Reason::SpanId => "send the ids of the span's context",
            Reason::ParentSpanId => "leave it empty for a root span",
            Reason::TimeRange => "send nanoseconds since 1970 (not picoseconds, not a negative number)",
            Reason::Temporality => "send delta or cumulative",
            Reason::NoValue => "set the value, or the flag NO_RECORDED_VALUE",
            Reason::Buckets => "send the counts of all buckets, the last one without a bound",
            Reason::Bounds => "sort the bounds, without repetition or NaN",
            Reason::MetricName => "name the metric",
            Reason::Depth => "flatten the value, or send it as text",
            Reason::Attributes | Reason::Labels => "send fewer attributes, or raise the limit",
            Reason::AttributeKey => "keep what differs in the value, not in the key",
            Reason::AttributeValue => "shorten the value, send it as the body of a log record, or raise the limit",
            Reason::LabelValue => "send such texts in a log record or span, or raise the limit",
            Reason::Expired => "check the sender's clock and queue, or raise store.retention",
            Reason::LabelReference => "send symbols for all labels_refs",
            Reason::LabelNames => "send each label once, with a name",
            Reason::NativeHistogram => "send histograms with whole counts, at a resolution of at most 2^(1/256)",
            Reason::Series | Reason::MetricSeries => {
                "keep ids and other endless values out of metric attributes, or raise the limit"
            }
            Reason::Expansion => "shorten the resource attributes, or send fewer items per request",
        }
    }
}

/// What was kept in another form than it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Warning {
    /// A log record's or exemplar's trace or span id has the wrong length: kept without it.
    IgnoredId,
    /// `string_value_strindex` or `key_strindex`, which only profiles may use: read as absent.
    StringIndex,
    /// A metric without data: there is nothing to keep.
    MetricWithoutData,
    /// JSON: the name of an enumeration's value instead of its number.
    EnumName,
    /// JSON: a key in snake_case whose form in lowerCamelCase is known. It is ignored like every unknown key.
    SnakeCaseKey,
    /// JSON: a key for the second time in one object, or two fields of which there can be one.
    RepeatedKey,
    /// JSON: an integer beyond 64 bits that is a whole double: kept as that.
    IntegerAsDouble,
    /// The point's series would be one too many of its metric: it is part of the metric's overflow series.
    SeriesFolded,
}

impl Warning {
    /// All warnings.
    pub const ALL: [Warning; 8] = [
        Warning::IgnoredId,
        Warning::StringIndex,
        Warning::MetricWithoutData,
        Warning::EnumName,
        Warning::SnakeCaseKey,
        Warning::RepeatedKey,
        Warning::IntegerAsDouble,
        Warning::SeriesFolded,
    ];

    /// The word of the counters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Warning::IgnoredId => "ignored_id",
            Warning::StringIndex => "string_index",
            Warning::MetricWithoutData => "metric_without_data",
            Warning::EnumName => "enum_name",
            Warning::SnakeCaseKey => "snake_case_key",
            Warning::RepeatedKey => "repeated_key",
            Warning::IntegerAsDouble => "integer_as_double",
            Warning::SeriesFolded => "series_folded",
        }
    }

    /// What was done, and what its sender can do.
    pub const fn what(self) -> &'static str {
        match self {
            Warning::IgnoredId => "kept without a trace_id or span_id of wrong length (send 16 and 8 bytes, or none)",
            Warning::StringIndex => "string indexes were read as absent (only profiles may use them)",
            Warning::MetricWithoutData => {
                "metrics without data were skipped (send a metric with its points or not at all)"
            }
            Warning::EnumName => {
                "names of enumerated values were read as their numbers (OTLP/JSON has the numbers only)"
            }
            Warning::SnakeCaseKey => "keys in snake_case were ignored (OTLP/JSON has them in lowerCamelCase)",
            Warning::RepeatedKey => "of a key that stands twice in one object the last was taken (send it once)",
            Warning::IntegerAsDouble => {
                "integers beyond 64 bits were read as the doubles that they are (send them as doubles)"
            }
            Warning::SeriesFolded => {
                "points of series beyond collector.series_per_metric_max were added up in the metric's overflow series (keep ids and other endless values out of metric attributes, or raise the limit)"
            }
        }
    }
}

/// How often, and where first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Noted {
    /// How often.
    pub count: u64,
    /// The first place in the request, in OTLP's words.
    pub first: String,
}

/// Counts by kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally<K> {
    by: BTreeMap<K, Noted>,
}

impl<K> Default for Tally<K> {
    fn default() -> Self {
        Self { by: BTreeMap::new() }
    }
}

impl<K: Ord + Copy> Tally<K> {
    /// Counts `amount` more; `place` is asked for only the first time.
    pub fn note(&mut self, kind: K, amount: u64, place: impl FnOnce() -> String) {
        if amount == 0 {
            return;
        }
        let noted = self.by.entry(kind).or_insert_with(|| Noted { count: 0, first: place() });
        noted.count += amount;
    }

    /// All counts together.
    pub fn total(&self) -> u64 {
        self.by.values().map(|noted| noted.count).sum()
    }

    /// How often this kind was met.
    pub fn count(&self, kind: K) -> u64 {
        self.by.get(&kind).map_or(0, |noted| noted.count)
    }

    /// Every kind that was met, in the order of its definition.
    pub fn iter(&self) -> impl Iterator<Item = (K, &Noted)> {
        self.by.iter().map(|(kind, noted)| (*kind, noted))
    }

    /// Whether nothing was met.
    pub fn is_empty(&self) -> bool {
        self.by.is_empty()
    }
}

/// What became of the items of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Items in the columns.
    pub accepted: u64,
    /// Items that were added to one of those.
    pub folded: u64,
    /// Items that are neither.
    pub rejected: Tally<Reason>,
    /// Items kept in another form than they were sent.
    pub warnings: Tally<Warning>,
    /// Points of series beyond a limit, by metric.
    pub limited: Limited,
    /// The same by the service that sent it.
    pub services: Services,
    /// Of remote write: what its answer counts.
    pub written: Written,
}

/// What a request of remote write has added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Samples.
    pub samples: u64,
    /// Native histograms.
    pub histograms: u64,
    /// Exemplars.
    pub exemplars: u64,
}

/// What became of a request's items by the service that sent them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Services {
    by: BTreeMap<String, OfService>,
    open: Option<Open>,
}

/// The items of one service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OfService {
    /// Items in the columns.
    pub accepted: u64,
    /// Items that were added to one of those.
    pub folded: u64,
    /// Items that are neither.
    pub rejected: Vec<(Reason, u64)>,
}

// The service whose items are at hand, and the counts when they began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Open {
    name: String,
    accepted: u64,
    folded: u64,
    rejected: Vec<(Reason, u64)>,
}

impl Services {
    /// Every service of the request; the one without a name is empty.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &OfService)> {
        self.by.iter().map(|(name, of)| (name.as_str(), of))
    }
}

impl Outcome {
    /// What is noted from here on is `service`'s.
    pub fn begin(&mut self, service: &str) {
        self.settle();
        let rejected = self.rejected.iter().map(|(reason, noted)| (reason, noted.count)).collect();
        let (name, accepted, folded) = (service.to_owned(), self.accepted, self.folded);
        self.services.open = Some(Open { name, accepted, folded, rejected });
    }

    /// Nothing more comes.
    pub fn settle(&mut self) {
        let Some(open) = self.services.open.take() else { return };
        let of = self.services.by.entry(open.name).or_default();
        of.accepted += self.accepted - open.accepted;
        of.folded += self.folded - open.folded;
        for (reason, noted) in self.rejected.iter() {
            let before = open.rejected.iter().find(|(known, _)| *known == reason).map_or(0, |(_, count)| *count);
            let more = noted.count - before;
            match of.rejected.iter_mut().find(|(known, _)| *known == reason) {
                Some((_, count)) => *count += more,
                None if more > 0 => of.rejected.push((reason, more)),
                None => {}
            }
        }
    }
}

/// What becomes of a point whose series would be one too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fate {
    /// It is part of its metric's overflow series.
    Folded,
    /// It is rejected, because of its metric.
    OfMetric,
    /// It is rejected, because there are too many of all.
    OfAll,
}

impl Fate {
    /// All of them.
    pub const ALL: [Fate; 3] = [Fate::Folded, Fate::OfMetric, Fate::OfAll];

    /// That of points that are rejected for this reason, if it is about their series.
    pub fn of(reason: Reason) -> Option<Self> {
        match reason {
            Reason::MetricSeries => Some(Fate::OfMetric),
            Reason::Series => Some(Fate::OfAll),
            _ => None,
        }
    }

    /// The word of the counters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Fate::Folded => "folded",
            Fate::OfMetric => Reason::MetricSeries.as_str(),
            Fate::OfAll => Reason::Series.as_str(),
        }
    }
}

/// Points of series beyond a limit, by metric.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limited {
    by: BTreeMap<String, [u64; Fate::ALL.len()]>,
    others: [u64; Fate::ALL.len()],
}

impl Limited {
    /// Counts a point.
    pub fn note(&mut self, metric: &str, fate: Fate) {
        let end = metric.char_indices().nth(limits::NAME_ECHO_CHARS_MAX).map_or(metric.len(), |(end, _)| end);
        let name = &metric[..end];
        if let Some(counts) = self.by.get_mut(name) {
            counts[fate as usize] += 1;
        } else if self.by.len() < limits::METRICS_NAMED_MAX {
            self.by.entry(name.to_owned()).or_default()[fate as usize] += 1;
        } else {
            self.others[fate as usize] += 1;
        }
    }

    /// Every metric that was limited, and last, without a name, all further ones.
    pub fn iter(&self) -> impl Iterator<Item = (Option<&str>, [u64; Fate::ALL.len()])> {
        let others = (self.others.iter().sum::<u64>() > 0).then_some((None, self.others));
        self.by.iter().map(|(name, counts)| (Some(name.as_str()), *counts)).chain(others)
    }

    // For people: those with the most points; nothing where one is named anyway.
    fn named(&self) -> Option<String> {
        let mut metrics: Vec<(&String, u64)> =
            self.by.iter().map(|(name, counts)| (name, counts.iter().sum())).collect();
        if metrics.len() < 2 {
            return None;
        }
        metrics.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
        let rest: u64 = metrics.iter().skip(limits::REASONS_NAMED_MAX).map(|(_, count)| *count).sum();
        let rest = rest + self.others.iter().sum::<u64>();
        let named = metrics.iter().take(limits::REASONS_NAMED_MAX).map(|(name, count)| format!("{name:?} {count}"));
        let mut text = format!("points of series beyond a limit by metric: {}", named.collect::<Vec<_>>().join(", "));
        if rest > 0 {
            // Writing into a String cannot fail.
            let _ = write!(text, ", others {rest}");
        }
        Some(text)
    }
}

/// OTLP's `partial_success`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartialSuccess {
    /// Exactly how many items are not stored.
    pub rejected: u64,
    /// Why, and what to do; bounded.
    pub message: String,
}

impl Outcome {
    /// What the answer says of it; `None`, so that the field stays unset, if all went well.
    pub fn partial_success(&self, signal: Signal) -> Option<PartialSuccess> {
        if self.rejected.is_empty() && self.warnings.is_empty() {
            return None;
        }
        let rejected = self.rejected.total();
        let mut message = String::new();
        if rejected > 0 {
            // Writing into a String cannot fail.
            let all = self.accepted + self.folded + rejected;
            let _ = write!(message, "{rejected} of {all} {} rejected: ", items(signal));
            message.push_str(&self.reasons());
        }
        for (warning, noted) in self.warnings.iter() {
            if !message.is_empty() {
                message.push_str("; ");
            }
            let _ = write!(message, "warning, {} times: {}, first {}", noted.count, warning.what(), noted.first);
        }
        if let Some(named) = self.limited.named() {
            let _ = write!(message, "; {named}");
        }
        truncate(&mut message, limits::PARTIAL_TEXT_BYTES_MAX);
        Some(PartialSuccess { rejected, message })
    }

    /// Why items are rejected, for people; empty if none is.
    pub fn rejection(&self) -> String {
        let mut text = self.reasons();
        if let Some(named) = self.limited.named() {
            let _ = write!(text, "; {named}");
        }
        truncate(&mut text, limits::PARTIAL_TEXT_BYTES_MAX);
        text
    }

    // The most frequent reasons, so that the bound hides the rare ones.
    fn reasons(&self) -> String {
        let mut reasons: Vec<(Reason, &Noted)> = self.rejected.iter().collect();
        reasons.sort_by_key(|(reason, noted)| (std::cmp::Reverse(noted.count), *reason));
        let named = reasons.iter().take(limits::REASONS_NAMED_MAX).map(|(reason, noted)| {
            format!("{} because {} (first {}): {}", noted.count, reason.what(), noted.first, reason.remedy())
        });
        let mut text = named.collect::<Vec<String>>().join("; ");
        let unnamed: u64 = reasons.iter().skip(limits::REASONS_NAMED_MAX).map(|(_, noted)| noted.count).sum();
        if unnamed > 0 {
            let _ = write!(text, "; {unnamed} for other reasons");
        }
        text
    }
}

/// Cuts a text to `bytes_max` bytes, visibly and between characters.
pub fn truncate(text: &mut String, bytes_max: usize) {
    const CUT: &str = "...";
    if text.len() > bytes_max {
        text.truncate(text.floor_char_boundary(bytes_max.saturating_sub(CUT.len())));
        text.push_str(CUT);
    }
}

fn items(signal: Signal) -> &'static str {
    match signal {
        Signal::Logs => "log records",
        Signal::Spans => "spans",
        Signal::Points => "data points",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_counted_for_the_service_that_sent_them() {
        let mut outcome = Outcome::default();
        for (service, accepted, rejected) in [("a", 2, 1), ("b", 1, 0), ("a", 3, 2), ("", 0, 0)] {
            outcome.begin(service);
            outcome.accepted += accepted;
            outcome.rejected.note(Reason::SpanId, rejected, String::new);
        }
        outcome.settle();
        let counted: Vec<_> = outcome.services.iter().collect();
        let (a, b) = (&counted[1], &counted[2]);
        assert_eq!(counted.len(), 3, "the one that sent nothing asked as well");
        assert_eq!((a.0, a.1.accepted, a.1.rejected.clone()), ("a", 5, vec![(Reason::SpanId, 3)]));
        assert_eq!((b.0, b.1.accepted, b.1.rejected.is_empty()), ("b", 1, true));
    }

    #[test]
    fn says_nothing_when_all_went_well() {
        let outcome = Outcome { accepted: 3, ..Outcome::default() };
        assert_eq!(outcome.partial_success(Signal::Logs), None);
    }

    #[test]
    fn counts_exactly_and_names_the_most_frequent() {
        let mut outcome = Outcome { accepted: 1, ..Outcome::default() };
        for (position, reason) in Reason::ALL.into_iter().enumerate() {
            outcome.rejected.note(reason, position as u64 + 1, || format!("place {position}"));
        }
        let partial = outcome.partial_success(Signal::Points).expect("items were rejected");
        assert_eq!(partial.rejected, 253);
        assert!(partial.message.starts_with("253 of 254 data points rejected: 22 because "), "{}", partial.message);
        assert!(partial.message.contains("(first place 21)"), "{}", partial.message);
        assert!(partial.message.ends_with("; 153 for other reasons"), "{}", partial.message);
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        for (bytes_max, expected) in [(9, "aüüüü"), (8, "aüü..."), (7, "aü..."), (3, "...")] {
            let mut text = "aüüüü".to_owned();
            truncate(&mut text, bytes_max);
            assert_eq!(text, expected);
        }
    }

    #[test]
    fn warns_without_rejecting() {
        let mut outcome = Outcome { accepted: 2, ..Outcome::default() };
        outcome.warnings.note(Warning::IgnoredId, 1, || "here".to_owned());
        outcome.warnings.note(Warning::IgnoredId, 1, || "there".to_owned());
        let partial = outcome.partial_success(Signal::Logs).expect("there is a warning");
        assert_eq!(partial.rejected, 0);
        assert!(partial.message.starts_with("warning, 2 times: kept without"), "{}", partial.message);
        assert!(partial.message.ends_with("first here"), "{}", partial.message);
    }
}
