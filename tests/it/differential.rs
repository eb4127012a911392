//! Prometheus 3.5 and Sextant are given the same random data by remote write and asked the same random questions over HTTP: their
//! answers are equal but for the last bits of numbers.
//!
//! Another seed and another number of questions: `SEXTANT_TEST_SEED=7 SEXTANT_TEST_QUESTIONS=10000 cargo test -p sextant --test it
//! differential -- --nocapture`.

mod api;
mod grammar;
mod judge;
mod rules;
mod world;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use campaign::binary::Server;
use promqltest::When;
use serde_json::Value;
use tui::Client;

use self::grammar::Question;
use crate::asking::post_query;
use crate::harness::{Place, until};
use crate::prometheus::{self, Prometheus};
use crate::wire::{self, Series, Written};

const SEED: u64 = 1;
const QUESTIONS: u64 = 1_000;
/// Of a thousand answers so many have to be equal.
const EQUAL_PER_MILLE: u64 = 990;
/// And of a thousand so many may come with other warnings or infos.
const OTHER_REMARKS_PER_MILLE: u64 = 10;
/// Questions that are under way at a time: fewer than either of the two answers at once.
const AT_ONCE: usize = 3;

fn told(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().map_or(otherwise, |text| text.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread")]
async fn random_questions_are_answered_as_prometheus_answers_them() {
    let Some(binary) = prometheus::version_3_5() else {
        eprintln!("there is no apt to fetch Prometheus with: nothing is compared");
        return;
    };
    let (seed, questions) = (told("SEXTANT_TEST_SEED", SEED), told("SEXTANT_TEST_QUESTIONS", QUESTIONS));
    let place = Place::new();
    let pair = Arc::new(Pair::start(binary, &place, &world::world(seed)).await);

    let next = Arc::new(AtomicU64::new(0));
    let mut askers = tokio::task::JoinSet::new();
    for _ in 0..AT_ONCE {
        let (pair, next) = (Arc::clone(&pair), Arc::clone(&next));
        askers.spawn(async move {
            let mut report = Report::default();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= questions {
                    return report;
                }
                report.add(number, &grammar::question(seed, number), &pair).await;
            }
        });
    }
    let mut report = Report::default();
    for other in askers.join_all().await {
        report.join(other);
    }
    report.differences.sort();
    report.remarks.sort();
    for (number, text) in report.differences.iter().chain(&report.remarks) {
        println!("{number}: {text}");
    }
    let Report { equal, answered, empty, failed, .. } = report;
    let remarks = report.remarks.len() as u64;
    println!(
        "seed {seed}: {equal} of {questions} equal; {answered} with series, {empty} without, {failed} refused by both"
    );
    println!("{remarks} of the equal answers come with other warnings or infos");
    assert!(equal * 1_000 >= questions * EQUAL_PER_MILLE, "seed {seed}: {equal} of {questions} are equal");
    assert!(remarks * 1_000 <= questions * OTHER_REMARKS_PER_MILLE, "seed {seed}: {remarks} have other remarks");
    assert!(answered * 2 > questions, "seed {seed}: {answered} of {questions} have series");
}

/// Both servers, with the same data.
struct Pair {
    prometheus: Prometheus,
    _sextant: Server,
    ours: Client,
}

impl Pair {
    async fn start(binary: &Path, place: &Place, series: &[Series]) -> Self {
        let arguments = [
            "--web.enable-remote-write-receiver",
            "--storage.tsdb.retention.time=100y",
            "--enable-feature=native-histograms,promql-experimental-functions,promql-duration-expr,promql-per-step-stats",
        ];
        let prometheus = Prometheus::start(binary, place.path(), |_| String::new(), &arguments);
        until("Prometheus that is ready", Duration::from_secs(30), async || {
            let answer = prometheus.client.fetch("/-/ready", &tui::client::Params::new()).await.ok()?;
            (answer.status == 200).then_some(())
        })
        .await;
        let mut sextant = place.serve().await;
        let middle = world::BEGIN + world::LENGTH * 6 / 10;
        for (number, (first, end)) in [(i64::MIN, middle), (middle, i64::MAX)].into_iter().enumerate() {
            if number > 0 {
                // What was before is in parts then, what comes is in memory.
                sextant.stop(Duration::from_secs(60)).await.expect("it stops");
                sextant = place.serve().await;
            }
            let door = Client::new(&sextant.url("otlp_http"), tui::client::Settings::default()).expect("an address");
            for (turn, message) in wire::messages(series, first, end).into_iter().enumerate() {
                let message = if turn % 2 == 0 { wire::version_1(&message) } else { wire::version_2(&message) };
                write(&prometheus.client, &message).await;
                write(&door, &message).await;
            }
        }
        let ours = sextant.client();
        Self { prometheus, _sextant: sextant, ours }
    }
}

async fn write(client: &Client, message: &Written) {
    let answer = message.post(client).await;
    let said = String::from_utf8_lossy(&answer.body);
    assert!((200..300).contains(&answer.status), "{}: {}: {said}", client.url(), answer.status);
}

async fn ask(client: &Client, query: &str, when: When) -> Value {
    serde_json::from_slice(&post_query(client, query, when).await.body).expect("JSON")
}

#[derive(Default)]
struct Report {
    equal: u64,
    answered: u64,
    empty: u64,
    failed: u64,
    remarks: Vec<(u64, String)>,
    differences: Vec<(u64, String)>,
}

impl Report {
    async fn add(&mut self, number: u64, question: &Question, pair: &Pair) {
        let ask = |client| ask(client, &question.query, question.when);
        let (theirs, ours) = tokio::join!(ask(&pair.prometheus.client), ask(&pair.ours));
        match judge::difference(&theirs, &ours, &question.order) {
            None => {
                self.equal += 1;
                if !judge::same_remarks(&theirs, &ours) {
                    let remarks = |answer: &Value| format!("{} {}", answer["warnings"], answer["infos"]);
                    let (theirs, ours) = (remarks(&theirs), remarks(&ours));
                    self.remarks.push((number, format!("{}\n    theirs {theirs}\n    ours   {ours}", question.query)));
                }
            }
            Some(why) => {
                let Question { query, when, .. } = question;
                let short = |answer: &Value| answer.to_string().chars().take(600).collect::<String>();
                let text =
                    format!("{query}\n  {when:?}\n  {why}\n    theirs {}\n    ours   {}", short(&theirs), short(&ours));
                self.differences.push((number, text));
            }
        }
        let series = theirs["data"]["result"].as_array().map_or(1, Vec::len);
        match theirs["status"].as_str() {
            Some("success") if series > 0 => self.answered += 1,
            Some("success") => self.empty += 1,
            _ => self.failed += 1,
        }
    }

    fn join(&mut self, other: Self) {
        self.equal += other.equal;
        self.answered += other.answered;
        self.empty += other.empty;
        self.failed += other.failed;
        self.remarks.extend(other.remarks);
        self.differences.extend(other.differences);
    }
}
