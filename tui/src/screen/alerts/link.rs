//! An alert's links are paths of the API; here they become places of the dashboard.

use model::{TimeRange, Timestamp};

use crate::screen::{Args, Destination};
use crate::session::Range;

/// A path of the API and its parameters, decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Link {
    path: String,
    params: Vec<(String, String)>,
}

impl Link {
    /// Reads a path, with or without a server before it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let path = match text.find("/api/v1/") {
            Some(at) => &text[at..],
            None => return None,
        };
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        };
        let params = query.split('&').filter(|pair| !pair.is_empty()).map(pair).collect();
        Some(Self { path: decoded(path), params })
    }

    /// The trace, if it is a link to one.
    pub(super) fn trace_id(&self) -> Option<String> {
        self.path.strip_prefix("/api/v1/traces/").filter(|id| !id.is_empty()).map(str::to_owned)
    }

    /// Where that is in the dashboard.
    pub(super) fn destination(&self) -> Option<Destination> {
        let filter = self.param("query").unwrap_or_default().to_owned();
        let (screen, args) = match self.path.as_str() {
            "/api/v1/logs" => ("logs", Args { filter, ..Args::default() }),
            "/api/v1/spans" | "/api/v1/traces" => ("traces", Args { filter, ..Args::default() }),
            "/api/v1/query" | "/api/v1/query_range" => ("metrics", Args { filter, ..Args::default() }),
            _ => ("trace", Args { id: self.trace_id()?, ..Args::default() }),
        };
        Some(Destination { screen, args, range: self.range() })
    }

    fn range(&self) -> Option<Range> {
        let moment = |name| Timestamp::parse(self.param(name)?, Timestamp::default()).ok();
        let (start, end) = (moment("start")?, moment("end")?);
        (start < end).then_some(Range::Fixed(TimeRange { start, end }))
    }

    fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Where a rule's own question is asked.
pub(super) fn of_query(kind: &str, query: &str) -> Option<Destination> {
    // What is counted stands before the pipe.
    let filter = query.split('|').next().unwrap_or_default().trim().to_owned();
    let (screen, filter) = match kind {
        "" | "prometheus" => ("metrics", query.to_owned()),
        "logs" => ("logs", filter),
        "traces" => ("traces", filter),
        _ => return None,
    };
    Some(Destination { screen, args: Args { filter, ..Args::default() }, range: None })
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = |at: usize| char::from(*after.get(at)?).to_digit(16);
        match (*first, hex(0), hex(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                rest = &after[2..];
                continue;
            }
            (b'+', ..) => bytes.push(b' '),
            (other, ..) => bytes.push(other),
        }
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_screens() {
        let path = "/api/v1/logs?query=service%3Apayments+severity%3A%3E%3Derror&start=2026-01-31T14%3A00%3A00Z&end=2026-01-31T14:05:00Z";
        let destination = Link::parse(path).and_then(|link| link.destination()).expect("a place");
        assert_eq!(
            (destination.screen, destination.args.filter.as_str()),
            ("logs", "service:payments severity:>=error")
        );
        assert!(matches!(destination.range, Some(Range::Fixed(_))));
        for (path, screen) in [
            ("http://127.0.0.1:3300/api/v1/traces/0af7", Some("trace")),
            ("/api/v1/spans?query=x", Some("traces")),
            ("/api/v1/query_range?query=up&start=1&end=0", Some("metrics")),
            ("/api/v1/traces/", None),
            ("/api/v1/none", None),
            ("javascript:alert(1)", None),
            ("", None),
            ("/api/v1/logs?%", Some("logs")),
            ("/api/v1/logs?query=%zz%f", Some("logs")),
        ] {
            let found = Link::parse(path).and_then(|link| link.destination());
            assert_eq!(found.map(|destination| destination.screen), screen, "{path}");
        }
    }

    #[test]
    fn rules_lead_to_their_question() {
        for (kind, query, screen, filter) in [
            ("", "up == 0", "metrics", "up == 0"),
            ("logs", "severity:error | stats count() as n | where n > 3", "logs", "severity:error"),
            ("traces", "status:error", "traces", "status:error"),
        ] {
            let found = of_query(kind, query).expect("a place");
            assert_eq!((found.screen, found.args.filter.as_str()), (screen, filter));
        }
    }
}
