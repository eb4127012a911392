//! What the alert campaigns share: gauges that make alerts, the rule over them, and what the log says of their transitions.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use model::wire::alerts::Alerts;
use model::wire::logs::LogRow;
use model::wire::prom::Response;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use serde_json::Value;
use tui::Client;
use tui::client::{Params, RowsRequest};

use crate::binary::Server;
use crate::load::{Answer, Door};
use crate::otlp::{Request, text};
use crate::receiver::Call;

/// The alert's name.
pub const ALERT: &str = "Alarm";

/// Evaluated every second; an alarm fires when it has been raised for a second.
pub const RULES: &str = "\
groups:
  - name: alarms
    interval: 1s
    rules:
      - alert: Alarm
        expr: campaign_alarm > 0
        for: 1s
        labels: {severity: page}
        annotations: {summary: 'alarm {{ $labels.id }} has the value {{ $value }}'}
";

/// Raises (1) or clears (0) an alarm. Waits until that is acknowledged.
pub async fn set(server: &Server, id: &str, value: i64) -> anyhow::Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let point = NumberDataPoint {
        time_unix_nano: u64::try_from(now.as_nanos())?,
        attributes: vec![text("id", id)],
        value: Some(number_data_point::Value::AsInt(value)),
        ..NumberDataPoint::default()
    };
    let data = Some(metric::Data::Gauge(Gauge { data_points: vec![point] }));
    let metrics = vec![Metric { name: "campaign.alarm".to_owned(), data, ..Metric::default() }];
    let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
    let resource = Some(Resource { attributes: vec![text("service.name", "campaign")], ..Resource::default() });
    let resource_metrics = vec![ResourceMetrics { resource, scope_metrics, ..ResourceMetrics::default() }];
    let request = Request::Points(ExportMetricsServiceRequest { resource_metrics });
    match Door::http(&server.url("otlp_http"))?.send(request).await? {
        Answer::Stored => Ok(()),
        answer => bail!("alarm {id} could not be set to {value}: {answer:?}"),
    }
}

/// The transitions of each alarm as the log tells them, oldest first: `pending`, `firing`, `resolved`. One that was
/// written twice, under the same transition id, counts once.
pub async fn history(client: &Client) -> anyhow::Result<BTreeMap<String, Vec<String>>> {
    let request = RowsRequest {
        query: format!("service:=sextant attr.alertname:={ALERT}"),
        start: Some("-1h".to_owned()),
        end: Some("+1h".to_owned()),
        limit: Some("none".to_owned()),
        ascending: true,
        ..RowsRequest::default()
    };
    let mut rows = client.rows::<LogRow>(&request).await.context("cannot ask for the history")?;
    let (mut known, mut history) = (BTreeSet::new(), BTreeMap::<String, Vec<String>>::new());
    while let Some(row) = rows.next().await? {
        let name = row.event_name.as_str();
        let Some(transition) = name.strip_prefix("alert.") else { continue };
        let text = |key: &str| row.attributes.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        if known.insert(text("alert.transition_id")) {
            history.entry(text("alert.labels.id")).or_default().push(transition.to_owned());
        }
    }
    Ok(history)
}

/// Since when each pending or firing alarm has been active.
pub async fn active(client: &Client) -> anyhow::Result<BTreeMap<String, String>> {
    let answer = client.get::<Response<Alerts>>("/api/v1/alerts", &Params::new()).await;
    let alerts = answer.context("cannot ask for the alerts")?.data.context("an answer without data")?;
    let active =
        alerts.alerts.into_iter().filter_map(|alert| Some((alert.labels.get("id")?.clone(), alert.active_at?)));
    Ok(active.collect())
}

/// One alarm in one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Which alarm.
    pub id: String,
    /// `firing` or `resolved`.
    pub status: String,
    /// Since when it has been firing.
    pub starts_at: String,
    /// The call's idempotency key.
    pub key: String,
}

/// What calls told, alarm by alarm, in the order in which they came.
pub fn told<'a>(calls: impl IntoIterator<Item = &'a Call>) -> Vec<Told> {
    let mut told = Vec::new();
    for call in calls {
        for alert in call.body["alerts"].as_array().into_iter().flatten() {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            told.push(Told {
                id: text(&alert["labels"]["id"]),
                status: text(&alert["status"]),
                starts_at: text(&alert["startsAt"]),
                key: call.key.clone(),
            });
        }
    }
    told
}

/// Asks again and again until the answer is right or patience ends; gives the last answer either way.
pub async fn settled<T>(
    patience: Duration,
    mut ask: impl AsyncFnMut() -> anyhow::Result<T>,
    is_right: impl Fn(&T) -> bool,
) -> anyhow::Result<T> {
    let deadline = tokio::time::Instant::now() + patience;
    loop {
        let answer = ask().await?;
        if is_right(&answer) || tokio::time::Instant::now() > deadline {
            return Ok(answer);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
