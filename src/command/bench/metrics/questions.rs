//! The eight queries of a dashboard.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::Value;
use tui::Client;
use tui::client::Params;

use super::payload::BEGIN_MILLIS;

/// A query.
#[derive(Debug)]
pub struct Question {
    /// For people.
    pub name: &'static str,
    path: &'static str,
    params: Params,
}

/// What came back.
#[derive(Debug)]
pub struct Answered {
    /// How long it took until it was there as a whole.
    pub took: Duration,
    /// Series or values in it.
    pub series: usize,
}

impl Question {
    /// Asks.
    pub async fn ask(&self, client: &Client) -> anyhow::Result<Answered> {
        let began = Instant::now();
        let answer = client.fetch(self.path, &self.params).await?;
        let took = began.elapsed();
        let said = || String::from_utf8_lossy(&answer.body).chars().take(500).collect::<String>();
        ensure!(answer.status == 200, "{}: {} answered {}: {}", self.name, client.url(), answer.status, said());
        let read: Value = serde_json::from_slice(&answer.body).with_context(|| format!("{} is no JSON", said()))?;
        let found = read["data"]["result"].as_array().or(read["data"].as_array());
        let series = found.with_context(|| format!("{}: {} is no list", self.name, said()))?.len();
        ensure!(series > 0, "{}: {} answered with nothing", self.name, client.url());
        Ok(Answered { took, series })
    }
}

/// All of them, over samples of so many hours.
pub fn all(hours: u64, interval_s: u64) -> Vec<Question> {
    let begin = BEGIN_MILLIS / 1_000;
    let end = begin + hours * 3_600 - interval_s;
    let over = |name, query: &str, start: u64| {
        let times = Params::new().with("start", start.to_string()).with("end", end.to_string()).with("step", "60");
        Question { name, path: "/api/v1/query_range", params: times.with("query", query) }
    };
    let now = |name, query: &str| {
        let params = Params::new().with("query", query).with("time", end.to_string());
        Question { name, path: "/api/v1/query", params }
    };
    let values = Params::new().with("start", begin.to_string()).with("end", end.to_string());
    vec![
        over("one metric, all hours", r#"queue_depth{queue="queue-1"}"#, begin),
        over("rate summed by label, all hours", "sum by (job) (rate(http_requests_total[5m]))", begin),
        over(
            "histogram_quantile, all hours",
            "histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))",
            begin,
        ),
        now("topk", "topk(10, http_requests_total)"),
        over(
            "regex matcher, one hour",
            r#"sum by (job) (queue_depth{instance=~"host-[0-9]*[369]:9100"})"#,
            end - 3_600,
        ),
        now("count of series", r#"count({__name__=~".+"})"#),
        Question { name: "label values", path: "/api/v1/label/instance/values", params: values },
        now("subquery", r#"max_over_time(sum by (job) (rate(http_requests_total{code="500"}[5m]))[1h:1m])"#),
    ]
}
