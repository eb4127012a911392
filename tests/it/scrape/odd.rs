//! Odd answers, one to a target: a real Prometheus and the server take and refuse the same ones, and make the same series of those they take.

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::routing::get;
use tui::Client;
use tui::client::Params;

use super::{PATIENCE, configure, data, debian, place};
use crate::harness::until;

/// In Prometheus's own format.
const TEXTS: &[&str] = &[
    "a\t1\n",
    "a {b=\"c\"} 1\n",
    "a{ b=\"c\"} 1\n",
    "a{b =\"c\"} 1\n",
    "a{b= \"c\"} 1\n",
    "a{b=\"c\" } 1\n",
    "a{b=\"c\",} 1\n",
    "a{b=\"c\" ,} 1\n",
    "a{b=\"c\", } 1\n",
    "a 1  \n",
    "a 1 5  \n",
    "a 1\n\n",
    "a 1\n \n",
    "a 1\n\t\n",
    "a{b=\"c\"}1\n",
    "a{,} 1\n",
    "a{} 1\n",
    "a 1",
    "a 1 1 1\n",
    "a 1e5\n",
    "a 0x1p4\n",
    "a 1_0\n",
    "a +1\n",
    "a inf\n",
    "a nan\n",
    "a .5\n",
    "a 5.\n",
    "a 1e999\n",
    "a 1\r\n",
    "#\na 1\n",
    "# HELP\na 1\n",
    "# HELP \na 1\n",
    "# HELP a\na 1\n",
    "# TYPE a\na 1\n",
    "# TYPE a foo\na 1\n",
    " # TYPE a gauge\na 1\n",
    "#TYPE a foo\na 1\n",
    "# HELP a x\\qy\na 1\n",
    "a{b=\"\\q\"} 1\n",
    "a{a:b=\"c\"} 1\n",
    "a:b 1\n",
    ":a 1\n",
    "1a 1\n",
    "a-b 1\n",
    "a{b=\"c\",b=\"d\"} 1\n",
    "a{__name__=\"z\"} 1\n",
    "a 1 1.5\n",
    "a 1 9223372036854775807\n",
    "{a=\"b\"} 1\n",
    "a{b='c'} 1\n",
    "# EOF\na 1\n",
    "a 1 # {} 1\n",
    "a{b=\"\"} 1\n",
    "# UNIT a b\na 1\n",
    "a{b=\"c\"\n} 1\n",
    "a 1\u{b}\n",
];

/// In OpenMetrics.
const OPEN_TEXTS: &[&str] = &[
    "a 1\n# EOF\n",
    "a 1\n# EOF",
    "a 1\n",
    "a 1\n# EOF\n\n",
    "a 1\n# EOF\nb",
    "a  1\n# EOF\n",
    "a 1 \n# EOF\n",
    "a\t1\n# EOF\n",
    " a 1\n# EOF\n",
    "a{b=\"c\"}1\n# EOF\n",
    "a {b=\"c\"} 1\n# EOF\n",
    "\na 1\n# EOF\n",
    "# hello\na 1\n# EOF\n",
    "#\na 1\n# EOF\n",
    "# TYPE a counter\na 1\n# EOF\n",
    "# TYPE a foo\na 1\n# EOF\n",
    "# TYPE a untyped\na 1\n# EOF\n",
    "# TYPE a\na 1\n# EOF\n",
    "# HELP a\na 1\n# EOF\n",
    "# HELP a \na 1\n# EOF\n",
    "# UNIT a \na 1\n# EOF\n",
    "# UNIT a b\na 1\n# EOF\n",
    "# UNIT a_b b\na_b 1\n# EOF\n",
    "# UNIT ab b\nab 1\n# EOF\n",
    "# UNIT b b\nb 1\n# EOF\n",
    "# TYPE  a counter\na 1\n# EOF\n",
    "a 1 1\n# EOF\n",
    "a 1 1.5\n# EOF\n",
    "a 1 1e3\n# EOF\n",
    "a 1 NaN\n# EOF\n",
    "a 1 +Inf\n# EOF\n",
    "a 1 # {b=\"c\"}\n# EOF\n",
    "a 1 # {b=\"c\"} \n# EOF\n",
    "a 1 # 1\n# EOF\n",
    "a 1 #{} 1\n# EOF\n",
    "a_total 1 # {b=\"c\"} NaN\n# EOF\n",
    "a_total 1 # {b=\"c\"} 1 NaN\n# EOF\n",
    "a NaN\n# EOF\n",
    "a 1\r\n# EOF\n",
    "a{b=\"x\ny\"} 1\n# EOF\n",
    "# EOF\n",
    "",
    "a 1\n# EOF \n",
    "a 1 # {b=\"c\",b=\"d\"} 1\n# EOF\n",
    "a{a:b=\"c\"} 1\n# EOF\n",
    "a 1 # {} 1 1 1\n# EOF\n",
    "a 1 1 1\n# EOF\n",
];

/// What the server takes and Prometheus does not: blanks that the format allows, signs and times that it allows, exemplars on any metric.
const TAKEN_HERE: &[&str] =
    &["  a 1\n", "\ta 1\n", "a -nan\n", "# TYPE a gauge \na 1\n", "# TYPE a  gauge\na 1\n", "a 1 -5\n"];

/// The same in OpenMetrics.
const OPEN_TAKEN_HERE: &[&str] = &[
    "a 1 # {b=\"c\"} 1 1\n# EOF\n",
    "a 1 # {} 1\n# EOF\n",
    "a 1 1 # {b=\"c\"} 1 1\n# EOF\n",
    "a{ b=\"c\"} 1\n# EOF\n",
    "a{b= \"c\"} 1\n# EOF\n",
    "a{b=\"c\", d=\"e\"} 1\n# EOF\n",
    "a{b=\"c\",} 1\n# EOF\n",
];

/// What Prometheus takes and the server does not: the format says that commas stand between labels, and line feeds are escaped.
const REFUSED_HERE: &[&str] = &["a{b=\"c\"d=\"e\"} 1\n", "a{b=\"x\ny\"} 1\n", "\u{0}a 1\n"];

#[derive(Clone, Copy, PartialEq)]
enum Verdict {
    Alike,
    TakenHere,
    RefusedHere,
}

// Every answer with its job's name and what is thought of it.
fn answers() -> Vec<(String, &'static str, Verdict)> {
    let lists = [
        ("text", TEXTS, Verdict::Alike),
        ("open", OPEN_TEXTS, Verdict::Alike),
        ("text_more", TAKEN_HERE, Verdict::TakenHere),
        ("open_more", OPEN_TAKEN_HERE, Verdict::TakenHere),
        ("text_less", REFUSED_HERE, Verdict::RefusedHere),
    ];
    let named = lists.into_iter().flat_map(|(name, bodies, verdict)| {
        bodies.iter().enumerate().map(move |(number, body)| (format!("{name}_{number}"), *body, verdict))
    });
    named.collect()
}

async fn serve() -> String {
    let answer = async |Path(name): Path<String>| {
        let body = answers().into_iter().find(|(known, ..)| *known == name).map(|(_, body, _)| body);
        let body = body.ok_or(StatusCode::NOT_FOUND)?;
        let kind = if name.starts_with("open") { "application/openmetrics-text; version=1.0.0" } else { "text/plain" };
        Ok::<_, StatusCode>(([(header::CONTENT_TYPE, kind)], body))
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound").to_string();
    let router = Router::new().route("/{name}", get(answer));
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

// Whether each job's target is up, once all of them were scraped.
async fn health(client: &Client, count: usize) -> BTreeMap<String, bool> {
    until("a scrape of all targets", PATIENCE, async || {
        let found = data(client, "/api/v1/targets", &Params::new()).await?;
        let active = found["activeTargets"].as_array()?;
        let known = active.iter().filter(|target| target["health"] != "unknown");
        let known = known
            .map(|target| (target["scrapePool"].as_str().unwrap_or_default().to_owned(), target["health"] == "up"));
        let known: BTreeMap<_, _> = known.collect();
        (known.len() == count).then_some(known)
    })
    .await
}

// The series of each job, with their values.
async fn series(client: &Client) -> BTreeMap<String, Vec<String>> {
    let params = Params::new().with("query", "{job=~\".+\", __name__!~\"up|scrape_.*\"}");
    let found = data(client, "/api/v1/query", &params).await.unwrap_or_default();
    let mut by_job: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for series in found["result"].as_array().into_iter().flatten() {
        let text = format!("{} {}", series["metric"], series["value"][1]);
        by_job.entry(series["metric"]["job"].as_str().unwrap_or_default().to_owned()).or_default().push(text);
    }
    by_job.values_mut().for_each(|series| series.sort());
    by_job
}

#[tokio::test]
async fn prometheus_takes_and_refuses_the_same() {
    let (address, answers) = (serve().await, answers());
    let jobs = answers.iter().map(|(name, ..)| {
        format!("- {{job_name: {name}, metrics_path: /{name}, static_configs: [{{targets: ['{address}']}}]}}\n")
    });
    let place = place("");
    let interval = "global: {scrape_interval: 2s}\nscrape_configs:\n";
    configure(&place, &format!("{interval}{}", jobs.collect::<String>()));
    let Some(theirs) = debian::prometheus(place.path(), &place.path().join("prometheus.yml")).await else { return };
    let (theirs, server) = (theirs.client(), place.serve().await);
    let ours = server.client();
    let (our_health, their_health) = (health(&ours, answers.len()).await, health(&theirs, answers.len()).await);
    let (our_series, their_series) = (series(&ours).await, series(&theirs).await);
    for (name, body, verdict) in &answers {
        let (here, there) = (our_health[name], their_health[name]);
        let expected = match verdict {
            Verdict::Alike => here == there && our_series.get(name) == their_series.get(name),
            // Of these another version may think otherwise.
            Verdict::TakenHere => here,
            Verdict::RefusedHere => !here,
        };
        let (made_here, made_there) = (our_series.get(name), their_series.get(name));
        assert!(expected, "{body:?}: here {here} {made_here:?}, there {there} {made_there:?}");
    }
}
