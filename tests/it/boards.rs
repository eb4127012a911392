//! The shipped boards, as whoever opens them meets them: each is read strictly, and each of its questions is one that this server
//! can plan. The terminal knows no PromQL and the engine knows no boards; here both are at hand.

use std::time::{Duration, Instant};

use model::Timestamp;
use model::wire::prom::QueryData;
use query::promql::Plan;
use query::search;
use store::Table;
use tui::Client;
use tui::client::{Params, Settings};
use tui::dashboard::counters::History;
use tui::dashboard::shelf::SHIPPED;
use tui::dashboard::variables::{Choice, Choices, Language};
use tui::dashboard::{Board, Source, VariableKind};

use crate::demo::Demo;
use crate::harness::Place;

// What a terminal would put in the place of variables: everything, one value, several.
fn choices(board: &Board) -> Vec<Choices> {
    let value = |text: &str| text.to_owned();
    let kinds = [
        Choice::All,
        Choice::One(value("shop/payments")),
        Choice::Several(vec![value("a.b"), value("say \"c\"\\"), value("d/e")]),
    ];
    let of = |choice: Choice| {
        let mut choices = Choices::default();
        choices.set_times(15_000, 3_600_000, board.interval_ms);
        for variable in &board.variables {
            let choice = match &variable.kind {
                VariableKind::Text(text) => Choice::Text(text.clone()),
                _ => choice.clone(),
            };
            choices.set(&variable.name, choice);
        }
        choices
    };
    kinds.into_iter().map(of).collect()
}

#[test]
fn every_question_of_a_shipped_board_can_be_planned() {
    let mut asked = 0;
    for (name, text) in SHIPPED {
        let board = Board::parse(name, text).unwrap_or_else(|error| panic!("{error}"));
        for choices in choices(&board) {
            for (panel, query) in
                board.panels.iter().flat_map(|panel| panel.queries.iter().map(move |query| (panel, query)))
            {
                let place = format!("{name}, {}", panel.title);
                match &query.source {
                    Source::Promql(text) => {
                        let text = choices.apply(text, Language::Promql);
                        Plan::new(&text).unwrap_or_else(|error| panic!("{place}: {text}: {error}"));
                    }
                    Source::Logs(text) => {
                        let text = choices.apply(text, Language::Filter);
                        search::parse(&text, Table::Logs, Timestamp::default())
                            .unwrap_or_else(|error| panic!("{place}: {text}: {error}"));
                    }
                    Source::Counter(_) => continue,
                }
                asked += 1;
            }
        }
    }
    assert!(asked > 50, "{asked}");
}

// From the first order on. The longest windows of the boards are two minutes, of which a part is enough.
const FILLED_WITHIN: Duration = Duration::from_secs(120);

#[tokio::test]
async fn no_panel_of_a_shipped_board_is_empty_in_a_demo() {
    let place = Place::new();
    let mut demo = Demo::start(&place, &[]);
    let url = format!("http://{}", demo.said("http ").await);
    let client = Client::new(&url, Settings::default()).expect("an address");
    let _ = demo.said("correlation_id=").await;
    let (begun, mut history) = (Instant::now(), History::default());
    loop {
        let status = client.status().await.expect("a status");
        history.push(begun.elapsed().as_secs_f64(), &status);
        let empty = empty_panels(&client, &history).await;
        if empty.is_empty() {
            break;
        }
        assert!(begun.elapsed() < FILLED_WITHIN, "nothing to be seen after {FILLED_WITHIN:?} in\n{}", empty.join("\n"));
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    demo.interrupt().await;
    assert_eq!(demo.child.wait().await.expect("it ran").code(), Some(0));
}

// What a terminal would draw nothing for, asked as it asks when a board is opened and seen closely.
async fn empty_panels(client: &Client, history: &History) -> Vec<String> {
    let mut empty = Vec::new();
    for (name, text) in SHIPPED {
        let board = Board::parse(name, text).unwrap_or_else(|error| panic!("{error}"));
        let mut choices = Choices::default();
        choices.set_times(1_000, board.range_ms.unwrap_or(900_000), board.interval_ms);
        for variable in &board.variables {
            choices.set(&variable.name, Choice::All);
        }
        for panel in &board.panels {
            for query in &panel.queries {
                let answer = match &query.source {
                    Source::Promql(text) => has_numbers(client, &choices.apply(text, Language::Promql)).await,
                    // Nothing may have gone wrong yet: that there is an answer is enough.
                    Source::Logs(text) => answers(client, &choices.apply(text, Language::Filter)).await,
                    Source::Counter(query) => match history.series(query, 0.0, f64::MAX).is_empty() {
                        true => Err(query.name.clone()),
                        false => Ok(()),
                    },
                };
                if let Err(why) = answer {
                    empty.push(format!("{name}, {}: {why}", panel.title));
                }
            }
        }
    }
    empty
}

async fn has_numbers(client: &Client, query: &str) -> Result<(), String> {
    let answer = client.query(query, None).await.map_err(|error| format!("{query}: {error}"))?;
    let is_number = |value: &str| value.parse::<f64>().is_ok_and(|value| !value.is_nan());
    let filled = match &answer.data {
        Some(QueryData::Vector(series)) => series.iter().any(|series| {
            series.histogram.is_some() || series.value.as_ref().is_some_and(|sample| is_number(&sample.1))
        }),
        Some(QueryData::Scalar(sample)) => is_number(&sample.1),
        _ => false,
    };
    if filled { Ok(()) } else { Err(query.to_owned()) }
}

async fn answers(client: &Client, filter: &str) -> Result<(), String> {
    let params = Params::new().with("query", filter).with("limit", "1");
    let answer = client.fetch("/api/v1/logs", &params).await.map_err(|error| format!("{filter}: {error}"))?;
    if answer.status == 200 { Ok(()) } else { Err(format!("{filter}: {}", answer.status)) }
}
