//! The shipped boards, as whoever opens them meets them: each is read strictly, and each of its questions is one that this server
//! can plan. The terminal knows no PromQL and the engine knows no boards; here both are at hand.

use model::Timestamp;
use query::promql::Plan;
use query::search;
use store::Table;
use tui::dashboard::shelf::SHIPPED;
use tui::dashboard::variables::{Choice, Choices, Language};
use tui::dashboard::{Board, Source, VariableKind};

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
