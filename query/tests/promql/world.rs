//! A store with points, and its API asked without a socket.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use http_body_util::BodyExt as _;
use model::names::{ORIGIN, ORIGIN_PROMETHEUS};
use model::stats::Stats;
use model::{ManualClock, Timestamp, TraceId};
use query::Config;
use query::api::{ApiState, Server, router};
use serde_json::Value;
use store::disk::RealDisk;
use store::schema::{
    ExemplarRow, PointColumns, PointRow, PointValue, ResourceRow, ScopeRow, SeriesRow, ValueRef, metric_type,
};
use store::{Batch, Setup, Store};
use tower::ServiceExt as _;

/// OTLP's numbers of temporality.
pub const DELTA: i32 = 1;
pub const CUMULATIVE: i32 = 2;

/// A metric of one resource, as a test describes it.
#[derive(Clone, Debug)]
pub struct Metric<'a> {
    pub name: &'a str,
    pub unit: &'a str,
    pub help: &'a str,
    pub kind: u8,
    pub temporality: i32,
    pub monotonic: bool,
    pub service: &'a str,
    pub resource: &'a [(&'a str, &'a str)],
    pub scope: &'a str,
    /// Whether the name is Prometheus's already.
    pub exact: bool,
    pub attributes: &'a [(&'a str, &'a str)],
}

impl<'a> Metric<'a> {
    pub fn gauge(name: &'a str) -> Self {
        Self {
            name,
            unit: "",
            help: "",
            kind: metric_type::GAUGE,
            temporality: 0,
            monotonic: false,
            service: "",
            resource: &[],
            scope: "",
            exact: false,
            attributes: &[],
        }
    }

    pub fn counter(name: &'a str) -> Self {
        Self { kind: metric_type::SUM, temporality: CUMULATIVE, monotonic: true, ..Self::gauge(name) }
    }

    pub fn histogram(name: &'a str) -> Self {
        Self { kind: metric_type::HISTOGRAM, temporality: CUMULATIVE, ..Self::gauge(name) }
    }

    pub fn summary(name: &'a str) -> Self {
        Self { kind: metric_type::SUMMARY, ..Self::gauge(name) }
    }
}

/// An exemplar: seconds, value, trace. It carries an order's id besides.
pub type Exemplar = (f64, f64, Option<[u8; 16]>);

/// A point: seconds, flags, value.
pub type Point<'a> = (f64, u32, PointValue<'a>);

pub struct World {
    store: Store,
    router: Router,
    flushing: bool,
    _directory: tempfile::TempDir,
}

impl World {
    /// An empty store at 1000 seconds after the Unix epoch.
    pub fn new() -> Self {
        Self::with(Config::default())
    }

    /// The same with other settings.
    pub fn with(config: Config) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_000_000)));
        let setup = Setup {
            directory: directory.path().to_owned(),
            config: store::Config::default(),
            clock: clock.clone(),
            disk: Arc::new(RealDisk),
            stats: Stats::new(),
        };
        let store = Store::open(setup).expect("a store opens");
        let server = Arc::new(Server::new("1.2.3", Timestamp::default()));
        let state = ApiState::new(store.clone(), clock, Stats::new(), config, server);
        Self { store, router: router(state), flushing: false, _directory: directory }
    }

    /// A store that flushes the head after each request, so that queries find parts only.
    pub fn flushing() -> Self {
        Self { flushing: true, ..Self::new() }
    }

    /// Commits one request with these points of one metric.
    pub async fn send(&self, metric: &Metric<'_>, points: &[Point<'_>]) {
        self.append(self.batch(metric, points, &[])).await;
    }

    /// Commits one point with these exemplars.
    pub async fn send_with_exemplars(
        &self,
        metric: &Metric<'_>,
        seconds: f64,
        value: PointValue<'_>,
        exemplars: &[Exemplar],
    ) {
        self.append(self.batch(metric, &[(seconds, 0, value)], exemplars)).await;
    }

    async fn append(&self, batch: Batch) {
        self.store.writer().append(batch).await.expect("committed");
        if self.flushing {
            self.store.flush_now().expect("the head is flushed");
        }
    }

    fn batch(&self, metric: &Metric<'_>, points: &[Point<'_>], exemplars: &[Exemplar]) -> Batch {
        let mut columns = PointColumns::new(self.store.writer().series_key());
        let attributes: Vec<(&str, ValueRef<'_>)> =
            metric.attributes.iter().map(|(key, value)| (*key, ValueRef::String(value))).collect();
        let service = Some(("service.name", metric.service)).filter(|(_, name)| !name.is_empty());
        let resource = service.iter().chain(metric.resource).map(|(key, value)| (*key, ValueRef::String(value)));
        let resource: Vec<(&str, ValueRef<'_>)> = resource.collect();
        let origin = [(ORIGIN, ValueRef::String(ORIGIN_PROMETHEUS))];
        let origins = usize::from(metric.exact);
        let series = columns.series(&SeriesRow {
            resource: ResourceRow { attributes: &resource, ..ResourceRow::default() },
            scope: ScopeRow { name: metric.scope, attributes: &origin[..origins], ..ScopeRow::default() },
            metric: metric.name,
            description: metric.help,
            unit: metric.unit,
            metadata: &[],
            metric_type: metric.kind,
            temporality: metric.temporality,
            monotonic: metric.monotonic,
            attributes: &attributes,
        });
        let order = [("order.id", ValueRef::String("o-17"))];
        let exemplars: Vec<ExemplarRow<'_>> = exemplars
            .iter()
            .map(|(seconds, value, trace)| ExemplarRow {
                timestamp: Timestamp::from_nanos((seconds * 1e9) as i64),
                derived_times: 0,
                value: PointValue::Double(*value),
                trace_id: trace.and_then(|bytes| TraceId::from_slice(&bytes)),
                span_id: None,
                correlation_id: None,
                attributes: &order,
            })
            .collect();
        for (seconds, flags, value) in points {
            let row = PointRow {
                series,
                timestamp: Timestamp::from_nanos((seconds * 1e9) as i64),
                derived_times: 0,
                start_timestamp: None,
                flags: *flags,
                value: *value,
            };
            columns.push(&row, &exemplars);
        }
        columns.finish()
    }

    /// Asks with GET.
    pub async fn get(&self, path: &str) -> (StatusCode, Value) {
        self.ask(Request::get(path).body(Body::empty()).expect("a request")).await
    }

    /// Asks with a form.
    pub async fn post(&self, path: &str, form: &str) -> (StatusCode, Value) {
        let request = Request::post(path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.ask(request.body(Body::from(form.to_owned())).expect("a request")).await
    }

    async fn ask(&self, request: Request<Body>) -> (StatusCode, Value) {
        let response = self.router.clone().oneshot(request).await.expect("the router answers");
        let status = response.status();
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or_else(|_| panic!("no JSON: {body:?}")))
    }

    /// The data of a query that succeeds.
    pub async fn query(&self, expression: &str, at: f64) -> Value {
        let (status, mut answer) = self.get(&format!("/api/v1/query?time={at}&query={}", encode(expression))).await;
        assert_eq!(status, StatusCode::OK, "{expression}: {answer}");
        answer["data"]["result"].take()
    }
}

/// For a URL.
pub fn encode(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
