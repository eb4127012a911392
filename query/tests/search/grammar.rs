//! Runs `forms.txt` and `errors.txt`: how each form of the filter language is understood, and each mistake answered; and
//! `count_forms.txt` and `count_errors.txt` for counts.
//!
//! A case is a line `> query`, followed by the plan as one line, or by `! position: message | hint`. `table NAME` changes the
//! table for the cases after it. Times are relative to 2026-01-31T12:00:00Z.

use model::Timestamp;
use query::QueryError;
use query::search;
use query::search::stats::CountQuery;
use store::Table;

#[test]
fn every_form_is_understood() {
    assert_eq!(check(include_str!("forms.txt"), filter), (125, 0));
}

#[test]
fn every_mistake_is_answered_with_its_position() {
    assert_eq!(check(include_str!("errors.txt"), filter), (0, 63));
}

#[test]
fn every_form_of_a_count_is_understood() {
    assert_eq!(check(include_str!("count_forms.txt"), count), (17, 0));
}

#[test]
fn every_mistake_in_a_count_is_answered_with_its_position() {
    assert_eq!(check(include_str!("count_errors.txt"), count), (0, 64));
}

#[test]
fn sizes_are_limited() {
    let too_deep = "(".repeat(65);
    let long = "a".repeat(16_385);
    let many = "a ".repeat(1_001);
    let expressions = "/a/ ".repeat(33);
    let negations = "NOT ".repeat(4_000) + "a";
    for (query, position, message) in [
        (&too_deep, 64, "more than 64 parentheses or negations inside each other"),
        (&negations, 256, "more than 64 parentheses or negations inside each other"),
        (&long, 16_384, "the query is longer than 16384 characters"),
        (&many, 2_000, "more than 1000 terms"),
        (&expressions, 128, "more than 32 regular expressions"),
    ] {
        let error = search::parse(query, Table::Logs, now()).expect_err("too much");
        assert_eq!((error.position, error.message.as_str()), (position, message));
    }
    let deepest = format!("{}a{}", "(".repeat(63), ")".repeat(63));
    assert!(search::parse(&deepest, Table::Logs, now()).is_ok());
}

fn filter(text: &str, table: Table) -> Result<String, QueryError> {
    search::parse(text, table, now()).map(|plan| plan.to_string())
}

fn count(text: &str, table: Table) -> Result<String, QueryError> {
    CountQuery::parse(text, table, now()).map(|count| count.to_string())
}

// Returns how many plans and how many errors were compared.
fn check(cases: &str, parse: fn(&str, Table) -> Result<String, QueryError>) -> (usize, usize) {
    let mut table = Table::Logs;
    let (mut plans, mut errors) = (0, 0);
    let mut query: Option<&str> = None;
    let mut wrong = Vec::new();
    for (number, line) in cases.lines().enumerate() {
        if let Some(name) = line.strip_prefix("table ") {
            table = match name {
                "logs" => Table::Logs,
                "spans" => Table::Spans,
                "points" => Table::Points,
                other => panic!("line {}: no table {other}", number + 1),
            };
        } else if let Some(text) = line.strip_prefix("> ").or_else(|| line.strip_prefix('>')) {
            assert_eq!(query.replace(text), None, "line {}: the case before has no answer", number + 1);
        } else if !line.is_empty() && !line.starts_with('#') {
            let query = query.take().expect("an answer follows a query");
            let (answer, count) = match parse(query, table) {
                Ok(understood) => (understood, &mut plans),
                Err(error) => (format!("! {}: {} | {}", error.position, error.message, error.hint), &mut errors),
            };
            *count += 1;
            if answer != line {
                wrong.push(format!("line {}: {query}\n  expected {line}\n  found    {answer}", number + 1));
            }
        }
    }
    assert_eq!(query, None, "the last case has no answer");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    (plans, errors)
}

fn now() -> Timestamp {
    Timestamp::parse("2026-01-31T12:00:00Z", Timestamp::default()).expect("a time")
}

#[test]
fn the_deepest_regular_expressions_need_little_stack() {
    // Each repetition of a repetition is a level.
    for (pattern, depth) in [("(?:", 31), ("", 62)] {
        let text = format!("/{}a{}/", pattern.repeat(depth), if pattern.is_empty() { "*" } else { ")*" }.repeat(depth));
        let parse = move || search::parse(&text, Table::Logs, now()).map(drop).map_err(|error| error.to_string());
        let thread = std::thread::Builder::new().stack_size(3 << 19).spawn(parse).expect("a thread");
        assert_eq!(thread.join().expect("it ends"), Ok(()), "{pattern}");
    }
    assert!(search::parse(&format!("/a{}/", "*".repeat(65)), Table::Logs, now()).is_err());
}
