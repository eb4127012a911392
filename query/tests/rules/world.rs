//! A store on a simulated disk, a clock that the test moves, rule files in a folder, and a receiver that only remembers.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use model::stats::Stats;
use model::{ManualClock, SpanId, Timestamp, TraceId};
use query::Config;
use query::api::{ApiState, Server, router};
use query::rules::alert::Alert;
use query::rules::reload::LoadError;
use query::rules::{self, Receiver, Rules};
use serde_json::Value;
use store::disk::SimDisk;
use store::schema::{
    LogColumns, LogRow, PointColumns, PointRow, PointValue, ResourceRow, ScopeRow, SeriesRow, ValueRef, metric_type,
};
use store::{Setup, StateChange, Store, StoreError};
use tower::ServiceExt as _;

/// The wall clock's first second.
pub const START: i64 = 1_000_000;

/// What a receiver was handed, in the order it came: `Down{job="a"} firing`.
#[derive(Clone, Default)]
pub struct Told(Arc<Mutex<Vec<Alert>>>);

impl Told {
    pub fn alerts(&self) -> Vec<Alert> {
        self.0.lock().expect("no holder panics").clone()
    }

    /// The state and the start of every alert so far, without repetitions.
    pub fn words(&self) -> Vec<String> {
        let mut words: Vec<String> = Vec::new();
        for alert in self.alerts() {
            let state = if alert.ends_at.is_some() { "resolved" } else { "firing" };
            let since = alert.starts_at / 1_000_000_000 - START;
            let word = format!("{} {state} since {since}", alert.labels["alertname"]);
            if words.last() != Some(&word) {
                words.push(word);
            }
        }
        words
    }
}

impl Receiver for Told {
    fn changes(&self, alerts: &[Alert]) -> Vec<StateChange> {
        let change = |alert: &Alert| StateChange {
            table: "told".to_owned(),
            key: format!("{:016x} {} {}", alert.fingerprint(), alert.starts_at, alert.ends_at.is_some()).into_bytes(),
            value: Some(serde_json::to_vec(alert).expect("an alert is JSON")),
        };
        alerts.iter().map(change).collect()
    }

    fn accept(&self, alerts: Vec<Alert>) {
        self.0.lock().expect("no holder panics").extend(alerts);
    }

    fn last_sent(&self, _: u64) -> Option<Timestamp> {
        None
    }

    fn firing(&self) -> Vec<Alert> {
        Vec::new()
    }
}

pub struct World {
    pub disk: SimDisk,
    pub clock: Arc<ManualClock>,
    pub told: Told,
    pub folder: Arc<tempfile::TempDir>,
    pub store: Store,
    pub stats: Stats,
}

impl World {
    pub fn new() -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(START * 1000)));
        let folder = Arc::new(tempfile::tempdir().expect("a folder"));
        Self::on(SimDisk::new(7), clock, Told::default(), folder)
    }

    fn on(disk: SimDisk, clock: Arc<ManualClock>, told: Told, folder: Arc<tempfile::TempDir>) -> Self {
        let stats = Stats::new();
        let setup = Setup {
            directory: Path::new("/data").to_owned(),
            config: store::Config::default(),
            clock: clock.clone(),
            disk: Arc::new(disk.clone()),
            stats: stats.clone(),
        };
        let store = Store::open(setup).expect("a store opens");
        Self { disk, clock, told, folder, store, stats }
    }

    /// The next process, after this one was killed.
    pub fn killed(self) -> Self {
        let disk = self.disk.kill();
        // The store of a dead process writes nothing more.
        drop(self.store);
        let next = Self::on(disk, self.clock, self.told, self.folder);
        // Like the notifications, the receiver takes up what was made durable for it.
        let durable = next.store.state("told").into_values();
        let durable = durable.map(|alert| serde_json::from_slice::<Alert>(&alert).expect("an alert"));
        let known = next.told.alerts();
        let is_known = |one: &Alert| {
            let same =
                |other: &Alert| other.starts_at == one.starts_at && other.ends_at.is_some() == one.ends_at.is_some();
            known.iter().any(|other| other.labels == one.labels && same(other))
        };
        let mut unknown: Vec<Alert> = durable.filter(|alert| !is_known(alert)).collect();
        unknown.sort_by_key(|alert| alert.ends_at.unwrap_or(alert.starts_at));
        next.told.accept(unknown);
        next
    }

    /// Writes a rule file.
    pub fn file(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).expect("written");
    }

    pub async fn rules(&self) -> Rules {
        self.try_rules().await.expect("the rules are right")
    }

    pub async fn try_rules(&self) -> Result<Rules, LoadError> {
        let files = vec![self.folder.path().join("*.yml").display().to_string()];
        let external_labels = [("region".to_owned(), "eu".to_owned())].into();
        let setup = rules::Setup {
            config: rules::Config { files, external_labels, ..rules::Config::default() },
            query: Config::default(),
            store: self.store.clone(),
            clock: self.clock.clone(),
            stats: self.stats.clone(),
            receiver: Arc::new(self.told.clone()),
            external_url: "http://sextant.test".to_owned(),
        };
        Rules::open(setup).await
    }

    /// Moves the clock to this second after the start and evaluates everything there.
    pub async fn at(&self, rules: &Rules, second: i64) {
        self.go(second);
        rules.evaluate(self.time(second)).await;
    }

    pub fn go(&self, second: i64) {
        let now = model::Clock::now(self.clock.as_ref()).as_nanos();
        let by = self.time(second).as_nanos() - now;
        self.clock.advance(Duration::from_nanos(u64::try_from(by).expect("time goes on")));
    }

    pub fn time(&self, second: i64) -> Timestamp {
        Timestamp::from_millis((START + second) * 1000)
    }

    /// Commits a point of a gauge.
    pub async fn gauge(&self, name: &str, labels: &[(&str, &str)], second: i64, value: f64) {
        self.try_gauge(name, labels, second, value).await.expect("committed");
    }

    /// The same on a disk that may fail.
    pub async fn try_gauge(
        &self,
        name: &str,
        labels: &[(&str, &str)],
        second: i64,
        value: f64,
    ) -> Result<(), StoreError> {
        let mut columns = PointColumns::new(self.store.writer().series_key());
        let attributes: Vec<_> = labels.iter().map(|(key, value)| (*key, ValueRef::String(value))).collect();
        let series = columns.series(&SeriesRow {
            resource: ResourceRow::default(),
            scope: ScopeRow::default(),
            metric: name,
            description: "",
            unit: "",
            metadata: &[],
            metric_type: metric_type::GAUGE,
            temporality: 0,
            monotonic: false,
            attributes: &attributes,
        });
        let timestamp = self.time(second);
        let value = PointValue::Double(value);
        let row = PointRow { series, timestamp, derived_times: 0, start_timestamp: None, flags: 0, value };
        columns.push(&row, &[]);
        self.store.writer().append(columns.finish()).await.map(drop)
    }

    /// Commits a point of an exponential histogram with so many observations in each bucket: up to 2, up to 4 and so on.
    pub async fn histogram(&self, name: &str, labels: &[(&str, &str)], second: i64, counts: &[u64]) {
        let mut columns = PointColumns::new(self.store.writer().series_key());
        let attributes: Vec<_> = labels.iter().map(|(key, value)| (*key, ValueRef::String(value))).collect();
        let series = columns.series(&SeriesRow {
            resource: ResourceRow::default(),
            scope: ScopeRow::default(),
            metric: name,
            description: "",
            unit: "",
            metadata: &[],
            metric_type: metric_type::EXPONENTIAL_HISTOGRAM,
            temporality: 2,
            monotonic: false,
            attributes: &attributes,
        });
        let value = PointValue::ExponentialHistogram {
            count: counts.iter().sum(),
            sum: Some(counts.iter().sum::<u64>() as f64 * 1.5),
            min: None,
            max: None,
            scale: 0,
            zero_count: 0,
            zero_threshold: 0.0,
            positive: Some((0, counts)),
            negative: None,
        };
        let timestamp = self.time(second);
        let row = PointRow { series, timestamp, derived_times: 0, start_timestamp: None, flags: 0, value };
        columns.push(&row, &[]);
        self.store.writer().append(columns.finish()).await.expect("committed");
    }

    /// Commits a log record of severity error that belongs to a trace.
    pub async fn error(&self, service: &str, body: &str, second: i64, trace: u8) {
        let mut columns = LogColumns::default();
        let attributes = [("service.name", ValueRef::String(service))];
        let resource = ResourceRow { attributes: &attributes, ..ResourceRow::default() };
        let envelope = columns.envelopes.push(&resource, &ScopeRow::default());
        columns.push(
            &LogRow {
                envelope,
                timestamp: self.time(second),
                observed_timestamp: self.time(second),
                trace_id: TraceId::from_slice(&[trace; 16]),
                span_id: SpanId::from_slice(&[trace; 8]),
                severity_number: 17,
                severity_text: "ERROR",
                body: Some(ValueRef::String(body)),
                ..LogRow::default()
            },
            &[],
        );
        self.store.writer().append(columns.finish()).await.expect("committed");
    }

    pub fn router(&self, rules: Option<&Rules>) -> Router {
        let server = Arc::new(Server::new("1.2.3", Timestamp::default()));
        let state =
            ApiState::new(self.store.clone(), self.clock.clone(), self.stats.clone(), Config::default(), server);
        router(match rules {
            Some(rules) => state.with_rules(rules.clone()),
            None => state,
        })
    }

    pub async fn get(&self, rules: Option<&Rules>, path: &str) -> (StatusCode, Value) {
        let request = Request::get(path).body(Body::empty()).expect("a request");
        let response = self.router(rules).oneshot(request).await.expect("the router answers");
        let status = response.status();
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or_else(|_| panic!("no JSON: {body:?}")))
    }

    /// Label sets and values of an instant query: `{__name__="up"} 1`.
    pub async fn query(&self, expr: &str, second: i64) -> Vec<String> {
        let time = START + second;
        let path = format!("/api/v1/query?time={time}&query={}", encode(expr));
        let (status, answer) = self.get(None, &path).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let series = answer["data"]["result"].as_array().expect("a vector");
        let shown = series.iter().map(|series| {
            let labels = series["metric"].as_object().expect("labels");
            let labels = labels.iter().map(|(name, value)| format!("{name}={value}"));
            format!("{} {}", labels.collect::<Vec<_>>().join(","), series["value"][1].as_str().expect("a value"))
        });
        shown.collect()
    }

    /// The transitions that the log search finds, oldest first: `Down firing`, with their ids.
    pub async fn history(&self) -> Vec<(String, String)> {
        let path = format!("/api/v1/logs?format=json&order=asc&limit=1000&start={START}&end=2000000&query={}", {
            encode("service:=sextant event_name:alert*")
        });
        let (status, answer) = self.get(None, &path).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let rows = answer["rows"].as_array().expect("rows").iter();
        let shown = rows.map(|row| {
            let attributes = &row["attributes"];
            let state = row["event_name"].as_str().expect("an event").trim_start_matches("alert.").to_owned();
            let name = attributes["alertname"].as_str().expect("a name");
            (format!("{name} {state}"), attributes["alert.transition_id"].as_str().expect("an id").to_owned())
        });
        shown.collect()
    }
}

/// For a URL.
pub fn encode(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
