//! What the stored rows are asked for: needles, of which only few rows are the answer, and scans, which look at all.

use anyhow::{Context as _, ensure};
use model::Signal;
use model::wire::logs::LogRow;
use model::wire::spans::SpanRow;
use tui::Client;
use tui::client::{Params, Row, RowsRequest};

/// A question to the server.
#[derive(Debug)]
pub struct Question {
    /// For people.
    pub name: &'static str,
    /// Whether only few rows are the answer.
    pub is_needle: bool,
    // Asked in turn.
    requests: Vec<(String, Params)>,
}

impl Question {
    /// Asks one of its forms, and waits for the whole answer.
    pub async fn ask(&self, client: &Client, number: usize) -> anyhow::Result<()> {
        let (path, params) = &self.requests[number % self.requests.len()];
        let answer = client.fetch(path, params).await?;
        let said = || String::from_utf8_lossy(&answer.body).chars().take(500).collect::<String>();
        ensure!(answer.status == 200, "{}: {path} answered {}: {}", self.name, answer.status, said());
        let is_partial = answer.body.windows(16).any(|piece| piece.starts_with(b"\"partial\":true"));
        ensure!(!is_partial, "{}: the answer of {path} is not complete: {}", self.name, said());
        Ok(())
    }
}

/// From long before the payload's first item until long after its last.
const START: &str = "2025-01-01T00:00:00Z";
const END: &str = "2027-01-01T00:00:00Z";

/// Rows that needles are taken from, from the whole of what is there.
const SAMPLES: usize = 8;

/// Questions about what the server has now: their needles are among it.
pub async fn choose(client: &Client, signal: Signal) -> anyhow::Result<Vec<Question>> {
    match signal {
        Signal::Logs => logs(client).await,
        Signal::Spans => spans(client).await,
        Signal::Points => points(client).await,
    }
}

fn needle(name: &'static str, requests: Vec<(String, Params)>) -> Question {
    Question { name, is_needle: true, requests }
}

fn scan(name: &'static str, path: &str, params: Params) -> Question {
    Question { name, is_needle: false, requests: vec![(path.to_owned(), params)] }
}

fn within() -> Params {
    Params::new().with("start", START).with("end", END)
}

fn search(path: &str, query: String, limit: &str) -> (String, Params) {
    (path.to_owned(), within().with("query", query).with("limit", limit))
}

async fn logs(client: &Client) -> anyhow::Result<Vec<Question>> {
    const PATH: &str = "/api/v1/logs";
    let rows = samples::<LogRow>(client, "trace_id:* correlation_id:* user.id:*", |row| &row.timestamp).await?;
    let of_each = |what: &dyn Fn(&LogRow) -> Option<String>| rows.iter().filter_map(what).collect::<Vec<String>>();
    let user = |row: &LogRow| row.attributes.get("user.id")?.as_str().map(str::to_owned);
    let ask_for = |texts: Vec<String>, limit: &str| -> Vec<(String, Params)> {
        texts.into_iter().map(|text| search(PATH, text, limit)).collect()
    };
    let correlations = of_each(&|row| row.correlation_id.as_ref().map(|id| format!("correlation_id:=\"{id}\"")));
    let traces = of_each(&|row| row.trace_id.as_ref().map(|id| format!("trace_id:=\"{id}\"")));
    let users = of_each(&|row| user(row).map(|user| format!("user.id:=\"{user}\"")));
    let histogram = |query: &str| within().with("query", query).with("buckets", "60");
    Ok(vec![
        needle("correlation id", ask_for(correlations, "100")),
        needle("trace id", ask_for(traces, "100")),
        needle("newest 5 of a user", ask_for(users, "5")),
        needle("newest 50", vec![search(PATH, String::new(), "50")]),
        needle(
            "no such id",
            vec![search(PATH, "correlation_id:=\"00000000-0000-4000-8000-000000000000\"".to_owned(), "100")],
        ),
        scan("histogram of everything", "/api/v1/logs/histogram", histogram("")),
        scan("histogram of a phrase", "/api/v1/logs/histogram", histogram("\"declined by the bank\"")),
        scan("histogram of an expression", "/api/v1/logs/histogram", histogram("/call [0-9]+7 .* took/")),
    ])
}

async fn spans(client: &Client) -> anyhow::Result<Vec<Question>> {
    const PATH: &str = "/api/v1/spans";
    let rows = samples::<SpanRow>(client, "", |row| &row.timestamp).await?;
    let traces = rows.iter().map(|row| (format!("/api/v1/traces/{}", row.trace_id), within())).collect();
    let ids = rows.iter().map(|row| search(PATH, format!("span_id:=\"{}\"", row.span_id), "10")).collect();
    let histogram = |query: &str| within().with("query", query).with("buckets", "60");
    Ok(vec![
        needle("trace", traces),
        needle("span id", ids),
        needle("newest 20 errors", vec![search(PATH, "status:error".to_owned(), "20")]),
        needle("newest 20 of a service, slow", vec![search(PATH, "service:payments duration:>500ms".to_owned(), "20")]),
        scan("histogram of everything", "/api/v1/spans/histogram", histogram("")),
        scan("services: rates and quantiles", "/api/v1/services", within().with("steps", "30")),
    ])
}

async fn points(client: &Client) -> anyhow::Result<Vec<Question>> {
    // The same minutes whatever there is besides: others may have more points, not these.
    const MOMENT: &str = "2026-01-01T06:00:30Z";
    let at = |query: &str| ("/api/v1/query".to_owned(), Params::new().with("query", query).with("time", MOMENT));
    let range = |query: &str| {
        let minutes = Params::new().with("start", "2026-01-01T06:00:00Z").with("end", "2026-01-01T06:20:00Z");
        minutes.with("step", "60s").with("query", query)
    };
    let few = r#"{__name__=~"queue_saturation.*",job=~".*payments",http_route="/api/payments"}"#;
    let (path, params) = at(few);
    let found: serde_json::Value = client.get(&path, &params).await?;
    ensure!(found["data"]["result"].as_array().is_some_and(|series| !series.is_empty()), "there is no series {few}");
    let rates = r#"sum by (job) (rate(http_server_requests_total[5m]))"#;
    let quantile = r#"histogram_quantile(0.99, sum by (le) (rate({__name__=~".*_bucket"}[5m])))"#;
    Ok(vec![
        needle("few series at a moment", vec![at(few)]),
        needle("values of a label", vec![("/api/v1/label/job/values".to_owned(), within())]),
        scan("rates over 20 minutes", "/api/v1/query_range", range(rates)),
        scan("quantile over 20 minutes", "/api/v1/query_range", range(quantile)),
    ])
}

// Rows that match, far from each other.
async fn samples<R: Row>(client: &Client, query: &str, time: impl Fn(&R) -> &String) -> anyhow::Result<Vec<R>> {
    let one = async |end: &str, ascending: bool| -> anyhow::Result<R> {
        let request = RowsRequest {
            query: query.to_owned(),
            start: Some(START.to_owned()),
            end: Some(end.to_owned()),
            limit: Some("1".to_owned()),
            ascending,
            cursor: None,
        };
        let (rows, _) = client.rows::<R>(&request).await?.collect().await?;
        rows.into_iter().next().context("there are no rows to take needles from")
    };
    let nanos = |row: &R| -> anyhow::Result<i64> {
        let parsed = model::Timestamp::parse(time(row), model::Timestamp::from_nanos(0));
        Ok(parsed.map_err(|error| anyhow::anyhow!("a row's time is none: {error}"))?.as_nanos())
    };
    let (first, last) = (nanos(&one(END, true).await?)?, nanos(&one(END, false).await?)?);
    let mut rows = Vec::new();
    for sample in 1..=SAMPLES as i64 {
        let end = model::Timestamp::from_nanos(first + (last - first) / SAMPLES as i64 * sample + 1);
        rows.push(one(&end.to_string(), false).await?);
    }
    Ok(rows)
}
