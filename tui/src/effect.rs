//! What the dashboard wants done outside of itself, and what comes back: [`update`](crate::app::update) gives effects, the runtime does
//! them and turns what came of them into events.

use std::collections::BTreeMap;

use model::TimeRange;
use model::Timestamp;
use model::wire::Page;
use model::wire::alerts::{Alerts, Notifications, Rules};
use model::wire::correlate::Correlation;
use model::wire::counts::{Histogram, Services};
use model::wire::logs::LogRow;
use model::wire::prom::{Metadata, QueryData};
use model::wire::spans::SpanRow;
use model::wire::status::Status;
use model::wire::traces::Trace;

use crate::client::{ClientError, Kind};
use crate::dashboard::shelf::Boards;
use crate::sanitize::Safe;

/// Something to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Ask the server. The answer carries the ticket; what `replaces` asked for is not wanted any more.
    Fetch {
        /// Of this question.
        ticket: Ticket,
        /// Of the question that this one makes obsolete.
        replaces: Option<Ticket>,
        /// The question.
        ask: Ask,
    },
    /// Nobody waits for this answer any more.
    Forget(Ticket),
    /// Follow the logs that match.
    Tail {
        /// Of this tail.
        ticket: Ticket,
        /// In the filter language; empty for everything.
        query: String,
        /// The `ingest_seq` to go on behind; with the next record if absent.
        cursor: Option<u64>,
    },
    /// Follow no more.
    StopTail(Ticket),
    /// Put a text on the clipboard, by OSC 52.
    Copy(Safe),
    /// End.
    Quit,
}

/// A question's number: the generation of an answer. An answer whose ticket nobody waits for any more is late and is ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// A question to the server.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// What runs and how far it is.
    Status,
    /// Every service with rate, errors and durations.
    Services {
        /// In which time.
        range: TimeRange,
        /// Numbers of a sparkline.
        steps: usize,
    },
    /// Pending and firing alerts.
    Alerts,
    /// Rules by group.
    Rules,
    /// What waits to be delivered.
    Notifications,
    /// Log records.
    Logs(Rows),
    /// Spans.
    Spans(Rows),
    /// Log records over time, by severity.
    LogHistogram(Buckets),
    /// Spans over time, by status.
    SpanHistogram(Buckets),
    /// One trace, assembled.
    Trace {
        /// 32 hexadecimal digits.
        id: String,
    },
    /// Everything about one id.
    Correlate {
        /// A trace id or correlation id.
        id: String,
    },
    /// A PromQL expression at one moment.
    Query {
        /// The expression.
        expression: String,
        /// When.
        at: Timestamp,
    },
    /// A PromQL expression over time.
    QueryRange {
        /// The expression.
        expression: String,
        /// In which time.
        range: TimeRange,
        /// Nanoseconds between two values.
        step_ns: i64,
    },
    /// The values of a Prometheus label.
    LabelValues {
        /// The label.
        label: String,
    },
    /// The values of a Prometheus label, of some series in some time.
    ValuesOf {
        /// The label.
        label: String,
        /// The series; all of them if absent.
        selector: Option<String>,
        /// In which time.
        range: TimeRange,
    },
    /// The names of labels of some series.
    LabelNames {
        /// The series.
        selector: String,
    },
    /// Every metric with its type, unit and meaning.
    Metadata,
    /// The boards. Not the server is asked: they are compiled in, or files.
    Boards,
}

/// Which rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    /// In the filter language; empty for everything.
    pub query: String,
    /// In which time.
    pub range: TimeRange,
    /// At most so many.
    pub limit: usize,
    /// Oldest first.
    pub ascending: bool,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// Which rows to count, into how many buckets.
#[derive(Clone, Debug, PartialEq)]
pub struct Buckets {
    /// In the filter language; empty for everything.
    pub query: String,
    /// In which time.
    pub range: TimeRange,
    /// How many.
    pub buckets: usize,
}

impl Ask {
    /// Whether a server that does not know the path is only older than this program.
    pub fn may_be_unknown(&self) -> bool {
        matches!(
            self,
            Self::Services { .. }
                | Self::Alerts
                | Self::Rules
                | Self::Notifications
                | Self::LogHistogram(_)
                | Self::SpanHistogram(_)
        )
    }
}

/// What a server answered, by what was asked.
#[derive(Clone, Debug)]
pub enum Reply {
    /// To [`Ask::Status`].
    Status(Box<Status>),
    /// To [`Ask::Services`].
    Services(Services),
    /// To [`Ask::Alerts`].
    Alerts(Alerts),
    /// To [`Ask::Rules`].
    Rules(Rules),
    /// To [`Ask::Notifications`].
    Notifications(Notifications),
    /// To [`Ask::Logs`].
    Logs(Page<LogRow>),
    /// To [`Ask::Spans`].
    Spans(Page<SpanRow>),
    /// To [`Ask::LogHistogram`] and [`Ask::SpanHistogram`].
    Histogram(Histogram),
    /// To [`Ask::Trace`].
    Trace(Box<Trace>),
    /// To [`Ask::Correlate`].
    Correlation(Box<Correlation>),
    /// To [`Ask::Query`] and [`Ask::QueryRange`].
    Query(QueryData),
    /// To [`Ask::LabelValues`], [`Ask::ValuesOf`] and [`Ask::LabelNames`].
    Values(Vec<String>),
    /// To [`Ask::Metadata`].
    Names(Names),
    /// To [`Ask::Boards`].
    Boards(Boards),
}

/// Every metric by its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names(pub BTreeMap<String, Vec<Metadata>>);

/// A type that one kind of reply brings.
pub trait FromReply: Sized {
    /// What the reply brings; `None` if it is the reply to another question.
    fn from_reply(reply: Reply) -> Option<Self>;
}

macro_rules! from_reply {
    ($($variant:ident => $type:ty),+ $(,)?) => {$(
        impl FromReply for $type {
            fn from_reply(reply: Reply) -> Option<Self> {
                match reply {
                    Reply::$variant(value) => Some(value),
                    _ => None,
                }
            }
        }
    )+};
}

from_reply!(
    Status => Box<Status>,
    Services => Services,
    Alerts => Alerts,
    Rules => Rules,
    Notifications => Notifications,
    Logs => Page<LogRow>,
    Spans => Page<SpanRow>,
    Histogram => Histogram,
    Trace => Box<Trace>,
    Correlation => Box<Correlation>,
    Query => QueryData,
    Values => Vec<String>,
    Names => Names,
    Boards => Boards,
);

/// Why there is no answer, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What the dashboard does about it.
    pub kind: TroubleKind,
    /// One sentence.
    pub sentence: Safe,
    /// What to try.
    pub hint: Option<Safe>,
    /// Where in the filter the mistake is, in characters from 0.
    pub position: Option<usize>,
}

/// The cases that are treated differently; the word for people is [`TroubleKind::label`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TroubleKind {
    /// There is no server: the banner says so, and it is asked again.
    Lost,
    /// The server did not answer in time, or its answer broke off.
    Slow,
    /// The server will not answer now.
    Refused,
    /// What was asked for is wrong: the filter, for instance.
    Wrong,
    /// What was asked for does not exist.
    Missing,
    /// This server does not know the question.
    Unknown,
    /// The answer makes no sense.
    Garbled,
}

impl TroubleKind {
    /// The word before the sentence.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Lost => "NO SERVER",
            Self::Slow => "NO ANSWER",
            Self::Refused => "REFUSED",
            Self::Wrong => "MISTAKE",
            Self::Missing => "NOT FOUND",
            Self::Unknown => "NOT OFFERED",
            Self::Garbled => "BAD ANSWER",
        }
    }
}

impl Trouble {
    /// A trouble with one sentence.
    pub fn new(kind: TroubleKind, sentence: impl std::fmt::Display) -> Self {
        Self { kind, sentence: Safe::of(sentence), hint: None, position: None }
    }

    /// What became of `ask`, for people: the error with its causes.
    pub fn of(ask: &Ask, error: &ClientError) -> Self {
        let kind = match error {
            ClientError::Unreachable { .. } => TroubleKind::Lost,
            ClientError::Timeout { .. } | ClientError::CutOff { .. } => TroubleKind::Slow,
            ClientError::BadAnswer { .. } | ClientError::TooLarge { .. } => TroubleKind::Garbled,
            ClientError::BadUrl { .. } | ClientError::BadToken => TroubleKind::Wrong,
            ClientError::Refused { .. } => match error.kind() {
                Kind::NotFound if ask.may_be_unknown() => TroubleKind::Unknown,
                Kind::NotFound => TroubleKind::Missing,
                Kind::WrongUse => TroubleKind::Wrong,
                Kind::Unavailable | Kind::BadAnswer => TroubleKind::Refused,
            },
        };
        let mut trouble = Self::new(kind, sentence(error));
        if kind == TroubleKind::Unknown {
            trouble.hint = Some(Safe::from_static("this server is older than the dashboard; update it"));
        } else {
            trouble.hint = error.hint().map(|hint| Safe::line(&hint));
        }
        trouble.position = error.refusal().and_then(|refusal| refusal.position);
        trouble
    }
}

fn sentence(error: &ClientError) -> String {
    use std::error::Error as _;
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Some libraries repeat the source in their own text.
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
