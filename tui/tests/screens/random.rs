//! Random keys, resizes, pastes, times and answers, late and out of order, over random data: nothing panics, and every frame is drawn.
//! `SEXTANT_EVENTS` is how many, `SEXTANT_SEED` which; the seed is printed.

use std::time::Duration;

use fastrand::Rng;
use model::Timestamp;
use model::wire::prom::{MatrixSeries, QueryData, VectorSeries};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use serde_json::{Value, json};
use tui::app::{self, Start, State, update};
use tui::effect::{Ask, Effect, Reply, Ticket, Trouble, TroubleKind};
use tui::event::{Answer, Event, Key, Moment, News};
use tui::keymap::{self, Place};
use tui::sanitize::Safe;
use tui::screen::{self, Args};
use tui::session::Range;
use tui::theme::{Palette, Theme};

use super::{fixture, hostile};

#[test]
fn random_events_do_no_harm() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let events = number("SEXTANT_EVENTS").unwrap_or(200_000);
    let seed = number("SEXTANT_SEED").unwrap_or(0x5e57_a117);
    println!("{events} events, SEXTANT_SEED={seed}");
    // Long strings have their own test; here they would only cost time.
    let words: Vec<String> = hostile::corpus().into_iter().filter(|text| text.len() < 1_000).collect();
    let mut frames = 0;
    let mut world = Monkey::new(Rng::with_seed(seed), words);
    for event in 0..events {
        if event.is_multiple_of(2_000) {
            world.restart();
        }
        world.step();
        if world.rng.u8(..4) == 0 {
            world.draw();
            frames += 1;
        }
        assert!(world.pending.len() <= 400 && world.state.depth() <= 64);
    }
    println!("{frames} frames, {} answers", world.answers);
}

struct Monkey {
    rng: Rng,
    words: Vec<String>,
    keys: Vec<Key>,
    state: State,
    now: Moment,
    // Questions without an answer yet.
    pending: Vec<(Ticket, Ask)>,
    tail: Option<Ticket>,
    buffer: Buffer,
    answers: u64,
}

impl Monkey {
    fn new(rng: Rng, words: Vec<String>) -> Self {
        let places = screen::ALL.iter().map(|spec| Place::Screen(spec.name)).chain([Place::Prompt, Place::Help]);
        let bindings = places.flat_map(keymap::bindings);
        let keys = bindings.flat_map(|binding| binding.keys.iter().flat_map(|keys| keys.split(' ')));
        // Whoever quits has a short test.
        let keys = keys.filter_map(Key::named).filter(|key| !matches!(key, Key::Char('q') | Key::Ctrl('c')));
        let keys = keys.collect();
        let wall = Timestamp::parse(super::driver::NOW, Timestamp::default()).expect("a time");
        let now = Moment { wall, monotonic: Duration::from_secs(1) };
        let (state, _) = State::new(start(now, screen::ALL[0], Args::default(), 0));
        let buffer = Buffer::empty(Rect::new(0, 0, 80, 24));
        Self { rng, words, keys, state, now, pending: Vec::new(), tail: None, buffer, answers: 0 }
    }

    fn restart(&mut self) {
        let spec = screen::ALL[self.rng.usize(..screen::ALL.len())];
        let args = Args { filter: self.word(), id: self.word(), span: Some(self.word()) };
        let (state, effects) = State::new(start(self.now, spec, args, self.rng.u64(..)));
        self.state = state;
        self.pending.clear();
        self.tail = None;
        self.perform(effects);
    }

    fn word(&mut self) -> String {
        self.words[self.rng.usize(..self.words.len())].clone()
    }

    fn step(&mut self) {
        let event = match self.rng.u8(..100) {
            0..55 => Event::Key(self.keys[self.rng.usize(..self.keys.len())]),
            55..60 => Event::Key(Key::Char(self.rng.char(..))),
            60..66 => {
                // Time goes on, and now and then the wall clock jumps.
                self.now.monotonic += Duration::from_millis(self.rng.u64(..3_000));
                let jump = if self.rng.u8(..20) == 0 { self.rng.i64(..) / 4 } else { self.rng.i64(..3_000_000_000) };
                self.now.wall = self.now.wall.saturating_add(jump);
                Event::Tick(self.now)
            }
            66..70 => self.resize(),
            70..72 => Event::Paste(self.word()),
            72..77 => match self.news() {
                Some(event) => event,
                None => return,
            },
            _ => match self.answer() {
                Some(event) => event,
                None => return,
            },
        };
        let effects = update(&mut self.state, event);
        self.perform(effects);
    }

    fn resize(&mut self) -> Event {
        let (width, height) = match self.rng.u8(..4) {
            0 => (self.rng.u16(..70), self.rng.u16(..30)),
            1 => (80, 24),
            2 => (self.rng.u16(60..130), self.rng.u16(18..50)),
            _ => (self.rng.u16(100..260), self.rng.u16(18..70)),
        };
        self.buffer = Buffer::empty(Rect::new(0, 0, width, height));
        Event::Resize(width, height)
    }

    fn news(&mut self) -> Option<Event> {
        let ticket = match self.rng.u8(..10) {
            0 => Ticket(self.rng.u64(..500)),
            _ => self.tail?,
        };
        let rows = (0..self.rng.usize(..20)).map(|_| self.typed(LOG)).collect();
        let ended = (self.rng.u8(..10) == 0).then(|| self.trouble());
        let notice = (self.rng.u8(..10) == 0).then(|| Safe::line(&self.word()));
        Some(Event::Tail(News {
            ticket,
            rows,
            not_shown: self.rng.u64(..3) * self.rng.u64(..1_000_000),
            notice,
            ended,
        }))
    }

    // Of any question that is open, or of none.
    fn answer(&mut self) -> Option<Event> {
        if self.pending.is_empty() {
            return None;
        }
        let (ticket, ask) = self.pending.swap_remove(self.rng.usize(..self.pending.len()));
        let outcome = match self.rng.u8(..10) {
            0 => Err(self.trouble()),
            1 => fixture::empty(&ask),
            2 => fixture::shop(&ask),
            3 => fixture::wide(&ask),
            4 => fixture::partial(&ask),
            5 => {
                let word = self.word();
                hostile::poisoned_reply(&ask, &word)
            }
            // The answer to another question.
            6 => fixture::shop(&Ask::Status),
            _ => Ok(self.reply(&ask)),
        };
        self.answers += 1;
        Some(Event::Answer(Answer { ticket, outcome }))
    }

    fn trouble(&mut self) -> Trouble {
        use TroubleKind::{Garbled, Lost, Missing, Refused, Slow, Unknown, Wrong};
        let kind = [Lost, Slow, Refused, Wrong, Missing, Unknown, Garbled][self.rng.usize(..7)];
        let mut trouble = Trouble::new(kind, self.word());
        trouble.hint = self.rng.bool().then(|| Safe::line(&self.word()));
        trouble.position = self.rng.bool().then(|| self.rng.usize(..200));
        trouble
    }

    // An answer of random data, by its JSON.
    fn reply(&mut self, ask: &Ask) -> Reply {
        match ask {
            Ask::Status => Reply::Status(Box::new(self.typed(STATUS))),
            Ask::Services { .. } => Reply::Services(self.typed(&["services", "partial", "reason"])),
            Ask::Alerts => Reply::Alerts(self.typed(&["alerts"])),
            Ask::Logs(_) => Reply::Logs(model::wire::Page { rows: self.rows(LOG), meta: self.typed(META) }),
            Ask::Spans(_) => Reply::Spans(model::wire::Page { rows: self.rows(SPAN), meta: self.typed(META) }),
            Ask::LogHistogram(_) | Ask::SpanHistogram(_) => {
                Reply::Histogram(self.typed(&["start", "end", "step_ns", "series", "total", "partial", "reason"]))
            }
            Ask::Trace { .. } => Reply::Trace(Box::new(self.typed(TRACE))),
            Ask::Correlate { .. } => Reply::Correlation(Box::new(self.typed(CORRELATION))),
            Ask::Rules => Reply::Rules(self.typed(&["groups"])),
            Ask::Notifications => Reply::Notifications(self.typed(&["queued", "dead"])),
            Ask::Query { .. } | Ask::QueryRange { .. } => Reply::Query(self.numbers()),
            Ask::ValuesOf { .. } | Ask::LabelNames { .. } => {
                Reply::Values((0..self.rng.usize(..700)).map(|_| self.word()).collect())
            }
            other => match fixture::shop(other) {
                Ok(reply) => reply,
                Err(_) => Reply::Values(Vec::new()),
            },
        }
    }

    // Series whose times and values may be anything.
    fn numbers(&mut self) -> QueryData {
        let sample = |monkey: &mut Self, at: usize| {
            let now = monkey.now.wall.as_nanos() as f64 / 1e9;
            let time = match monkey.rng.u8(..30) {
                0 => f64::from_bits(monkey.rng.u64(..)),
                _ => now - 1_000.0 + at as f64 * 5.0,
            };
            let value = match monkey.rng.u8(..12) {
                0 => monkey.word(),
                1 => ["NaN", "+Inf", "-Inf", "-0", "1e308", "-1e308", "5e-324"][monkey.rng.usize(..7)].to_owned(),
                2 => f64::from_bits(monkey.rng.u64(..)).to_string(),
                _ => (monkey.rng.f64() * 1e4).to_string(),
            };
            (time, value)
        };
        let count = self.rng.usize(..12) * self.rng.usize(1..8);
        let metric = |monkey: &mut Self| [("job".to_owned(), monkey.word()), (monkey.word(), monkey.word())].into();
        match self.rng.u8(..8) {
            0 => QueryData::Scalar(sample(self, 0)),
            1 => QueryData::String(sample(self, 0)),
            2..4 => QueryData::Vector(
                (0..count)
                    .map(|_| VectorSeries { metric: metric(self), value: Some(sample(self, 0)), histogram: None })
                    .collect(),
            ),
            _ => {
                let points = self.rng.usize(..200);
                let series = |monkey: &mut Self| MatrixSeries {
                    metric: metric(monkey),
                    values: (0..points).map(|at| sample(monkey, at)).collect(),
                    histograms: Vec::new(),
                };
                QueryData::Matrix((0..count).map(|_| series(self)).collect())
            }
        }
    }

    fn rows<R: serde::de::DeserializeOwned>(&mut self, keys: &[&str]) -> Vec<R> {
        (0..self.rng.usize(..40)).map(|_| self.typed(keys)).collect()
    }

    fn typed<T: serde::de::DeserializeOwned>(&mut self, keys: &[&str]) -> T {
        let value = self.object(keys);
        serde_json::from_value(value).expect("every key has a value of its type")
    }

    fn object(&mut self, keys: &[&str]) -> Value {
        let mut map = serde_json::Map::new();
        for key in keys {
            // Any key may be absent.
            if self.rng.u8(..8) != 0 {
                let value = self.value(key);
                map.insert((*key).to_owned(), value);
            }
        }
        Value::Object(map)
    }

    fn value(&mut self, key: &str) -> Value {
        let count = self.rng.usize(..12);
        let many =
            |monkey: &mut Self, keys: &[&str]| (0..count).map(|_| monkey.object(keys)).collect::<Vec<_>>().into();
        match key {
            "timestamp" | "start" | "end" | "created" | "next_attempt" | "lastEvaluation" | "last_seen"
            | "activeAt" | "firedAt" | "end_timestamp" | "observed_timestamp" => match self.rng.u8(..8) {
                0 => json!(self.word()),
                1 => json!(Timestamp::from_nanos(self.rng.i64(..)).to_string()),
                _ => json!(self.now.wall.saturating_add(-self.rng.i64(..900_000_000_000)).to_string()),
            },
            "ingest_seq" | "offset_ns" | "duration_ns" | "step_ns" | "total" | "p50_ns" | "p95_ns" | "requests"
            | "errors_u" | "attempts" | "log_errors" | "count" => match self.rng.u8(..6) {
                0 => json!(u64::MAX),
                1 => json!(0),
                _ => json!(self.rng.u64(..1_000_000_000)),
            },
            "errors" | "depth" => json!(self.rng.usize(..6)),
            "rate" | "error_share" => json!(self.rng.f64() * 1e6 - 10.0),
            "rates" => json!((0..count * 5).map(|_| self.rng.f64() * 100.0 - 1.0).collect::<Vec<_>>()),
            "counts" => json!((0..count * 20).map(|_| self.rng.u64(..) >> self.rng.u8(..64)).collect::<Vec<_>>()),
            "severity_number" => json!(self.rng.i32(-3..30)),
            "severity" => json!(["trace", "debug", "info", "warn", "error", "fatal", "odd"][self.rng.usize(..7)]),
            "status" => json!(["ok", "error", "unset", "7"][self.rng.usize(..4)]),
            "state" => json!(["firing", "pending", "odd"][self.rng.usize(..3)]),
            "partial" | "missing_parent" | "clock_skew" => json!(self.rng.bool()),
            "span_id" | "parent_span_id" => json!(format!("{:016x}", self.rng.u8(..8))),
            "attributes" | "resource" => self.nested(0),
            "body" => {
                if self.rng.bool() {
                    json!(self.word())
                } else {
                    self.nested(0)
                }
            }
            "value" if self.rng.bool() => json!(self.rng.f64().to_string()),
            "labels" | "annotations" => {
                json!({"alertname": self.word(), "service": self.word(), "summary": self.word()})
            }
            "services" if count.is_multiple_of(2) => many(self, SERVICE),
            "services" => json!([]),
            "names" => json!([self.word(), self.word()]),
            "series" => many(self, &["key", "counts"]),
            "key" => json!(["fatal", "error", "warn", "info", "ok", "unset", "odd"][self.rng.usize(..7)]),
            "spans" => many(self, TRACE_SPAN),
            "logs" => many(self, LOG),
            "exemplars" => many(self, &["timestamp", "metric", "service", "trace_id", "span_id", "attributes"]),
            "alerts" => many(self, &["labels", "annotations", "state", "activeAt", "firedAt", "value", "samples"]),
            "samples" => many(self, &["timestamp", "service", "text", "trace_id", "span_id"]),
            "events" => many(self, &["timestamp", "name", "attributes"]),
            "groups" => many(self, &["name", "file", "rules", "interval", "evaluationTime", "lastEvaluation"]),
            "rules" => (0..count)
                .map(|at| {
                    let mut rule = self.object(RULE);
                    rule["type"] = json!(if at.is_multiple_of(2) { "alerting" } else { "recording" });
                    rule
                })
                .collect::<Vec<_>>()
                .into(),
            "interval" | "evaluationTime" | "duration" | "keepFiringFor" => json!(self.rng.f64() * 1e6 - 10.0),
            "health" => json!(["ok", "err", "unknown", "odd"][self.rng.usize(..4)]),
            "queued" | "dead" => {
                many(self, &["receiver", "status", "attempts", "created", "next_attempt", "last_error"])
            }
            "links" => many(self, &["trace_id", "span_id", "attributes"]),
            "counters" => {
                json!({"sextant_ingest_accepted_items_total": self.rng.u64(..), self.word(): self.rng.u64(..)})
            }
            "tables" => json!({self.word(): {"parts": self.rng.u64(..), "part_bytes": self.rng.u64(..)}}),
            "wal" => json!({"segments": 1, "bytes": self.rng.u64(..)}),
            _ => json!(self.word()),
        }
    }

    fn nested(&mut self, depth: u8) -> Value {
        let mut map = serde_json::Map::new();
        for _ in 0..self.rng.usize(..5) {
            let value = match self.rng.u8(..6) {
                0 if depth < 8 => self.nested(depth + 1),
                1 => json!([self.word(), 1, null, true]),
                2 => json!(self.rng.f64()),
                3 => Value::Null,
                _ => json!(self.word()),
            };
            map.insert(self.word(), value);
        }
        Value::Object(map)
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Fetch { ticket, replaces, ask } => {
                    // Now and then a late answer comes all the same.
                    if self.rng.u8(..4) != 0 {
                        self.pending.retain(|(known, _)| Some(*known) != replaces);
                    }
                    self.pending.push((ticket, ask));
                    if self.pending.len() > 300 {
                        self.pending.drain(..100);
                    }
                }
                Effect::Forget(ticket) if self.rng.bool() => self.pending.retain(|(known, _)| *known != ticket),
                Effect::Tail { ticket, .. } => self.tail = Some(ticket),
                Effect::StopTail(ticket) if self.tail == Some(ticket) => self.tail = None,
                Effect::Copy(text) => assert!(!text.as_str().contains(tui::sanitize::is_hostile)),
                _ => {}
            }
        }
        if self.state.has_ended() {
            self.restart();
        }
    }

    fn draw(&mut self) {
        app::draw(&mut self.state, &mut self.buffer);
        let hostile = self.buffer.content.iter().find(|cell| cell.symbol().contains(tui::sanitize::is_hostile));
        assert!(hostile.is_none(), "{hostile:?}");
    }
}

const RULE: &[&str] = &[
    "name",
    "query",
    "state",
    "duration",
    "keepFiringFor",
    "labels",
    "annotations",
    "health",
    "lastError",
    "evaluationTime",
    "lastEvaluation",
];

const LOG: &[&str] = &[
    "timestamp",
    "ingest_seq",
    "service",
    "trace_id",
    "span_id",
    "correlation_id",
    "severity",
    "severity_number",
    "severity_text",
    "body",
    "event_name",
    "attributes",
    "resource",
    "odd",
];
const SPAN: &[&str] = &[
    "timestamp",
    "ingest_seq",
    "service",
    "trace_id",
    "span_id",
    "parent_span_id",
    "correlation_id",
    "name",
    "kind",
    "duration_ns",
    "end_timestamp",
    "status",
    "status_message",
    "clock_skew",
    "events",
    "links",
    "attributes",
    "resource",
];
const TRACE_SPAN: &[&str] = &[
    "depth",
    "missing_parent",
    "offset_ns",
    "timestamp",
    "ingest_seq",
    "service",
    "trace_id",
    "span_id",
    "name",
    "duration_ns",
    "end_timestamp",
    "status",
    "clock_skew",
    "events",
    "attributes",
];
const TRACE: &[&str] = &["trace_id", "start", "end", "duration_ns", "errors", "spans", "partial", "reason"];
const CORRELATION: &[&str] =
    &["id", "kind", "start", "end", "spans", "logs", "exemplars", "alerts", "partial", "reason"];
const SERVICE: &[&str] =
    &["service", "requests", "errors", "rate", "error_share", "p50_ns", "p95_ns", "rates", "log_errors", "last_seen"];
const META: &[&str] = &["cursor", "partial", "reason", "hint"];
const STATUS: &[&str] = &["version", "mode", "started", "ingest_seq", "durability", "wal", "tables", "counters"];

fn start(now: Moment, screen: &'static screen::Spec, args: Args, seed: u64) -> Start {
    let palette = Palette::ALL[(seed % 3) as usize];
    let theme = Theme { palette, ascii: seed.is_multiple_of(5) };
    Start {
        now,
        size: (80, 24),
        theme,
        url: "http://localhost".to_owned(),
        seed,
        range: Range::default(),
        screen,
        args,
    }
}
