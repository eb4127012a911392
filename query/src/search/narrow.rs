//! What a plan lets the index leave out. Everything here errs on one side: a row that may match is never ruled out.

use model::{TimeRange, Timestamp};
use store::schema::column;
use store::text::tokenizer::tokens;
use store::{Narrow, Table};

use crate::search::fields::{Column, Kind};
use crate::search::number::Number;
use crate::search::plan::{Bound, Field, Literal, Phrase, Place, Plan, Prefix, Test};

// Up to here every integer is a double of its own.
const EXACT_DOUBLES_MAX: i128 = 1 << 53;

/// The tokens that matching rows of a table must have.
pub fn narrow(table: Table, plan: &Plan) -> Narrow {
    match plan {
        Plan::Everything => Narrow::All,
        Plan::Nothing => Narrow::Nothing,
        Plan::And(plans) => all(plans.iter().map(|plan| narrow(table, plan))),
        Plan::Or(plans) => any(plans.iter().map(|plan| narrow(table, plan))),
        // A row without the token may match, and one with it too: it may have others beside it.
        Plan::Not(_) => Narrow::All,
        Plan::Is(field, test) => condition(table, field, test),
    }
}

/// The greatest range of `timestamp` and of `ingest_seq` (both ends included) that matching rows can have.
pub fn key_bounds(plan: &Plan) -> (TimeRange, (u64, u64)) {
    let everything = (TimeRange::ALL, (0, u64::MAX));
    match plan {
        Plan::And(plans) => plans.iter().map(key_bounds).fold(everything, |(range, seqs), (inner, numbers)| {
            let range = TimeRange { start: range.start.max(inner.start), end: range.end.min(inner.end) };
            (range, (seqs.0.max(numbers.0), seqs.1.min(numbers.1)))
        }),
        Plan::Is(Field::Column(Column { name: "ingest_seq", .. }), Test::Within(bounds)) => {
            let whole = |bound: &Option<Bound>| match bound {
                // Whether an end is included is left to the evaluation.
                Some(Bound { value: Literal::Number(Number::Int(number)), .. }) => u64::try_from(*number).ok(),
                _ => None,
            };
            (TimeRange::ALL, (whole(&bounds.low).unwrap_or(0), whole(&bounds.high).unwrap_or(u64::MAX)))
        }
        Plan::Is(Field::Column(Column { name: "timestamp", .. }), Test::Within(bounds)) => {
            let moment = |bound: &Option<Bound>| match bound {
                Some(Bound { value: Literal::Time(nanos), .. }) => Some(Timestamp::from_nanos(*nanos)),
                _ => None,
            };
            let start = moment(&bounds.low).unwrap_or(Timestamp::MIN);
            let end = moment(&bounds.high).map_or(Timestamp::MAX, |end| end.saturating_add(1));
            (TimeRange { start, end }, everything.1)
        }
        _ => everything,
    }
}

fn condition(table: Table, field: &Field, test: &Test) -> Narrow {
    let words = match test {
        Test::Exists | Test::Regex(_) | Test::Within(_) => return Narrow::All,
        Test::Words(phrase) => alternatives(phrase),
        Test::Prefix(Prefix { words, .. }) => vec![words.clone()],
        Test::Text(text) => vec![tokens(text).map(String::from).collect()],
        Test::OneOf(texts) => texts.iter().map(|text| tokens(text).map(String::from).collect()).collect(),
    };
    let columns = columns(table, field);
    any(words.iter().map(|words| {
        // One column must have all the words.
        any(columns.iter().map(|column| match column {
            None => Narrow::All,
            Some(column) => all(words.iter().map(|word| Narrow::Token { column: column.clone(), token: word.clone() })),
        }))
    }))
}

// The phrase's own words, and those of the number's text: 5e2 finds 500. From 2^53 on an integer and the double that equals
// it are written with different digits, and there the index rules nothing out: no words are asked for.
fn alternatives(phrase: &Phrase) -> Vec<Vec<String>> {
    let beyond_doubles =
        |number: &Number| *number >= Number::Int(EXACT_DOUBLES_MAX) || *number <= Number::Int(-EXACT_DOUBLES_MAX);
    if phrase.number.as_ref().is_some_and(beyond_doubles) {
        return vec![Vec::new()];
    }
    let number = phrase.number.map(|number| tokens(&number.to_string()).map(String::from).collect());
    let number = number.filter(|words: &Vec<String>| *words != phrase.words);
    std::iter::once(phrase.words.clone()).chain(number).collect()
}

// The columns of the index that may hold the field's tokens; `None` for one that is not indexed.
fn columns(table: Table, field: &Field) -> Vec<Option<String>> {
    let attribute = |prefix: &str, key: &str| Some([prefix, key].concat());
    let resource = |key: &str| {
        let service = (key == "service.name").then(|| Some(column::SERVICE.to_owned()));
        service.into_iter().chain([attribute(column::RES_PREFIX, key)])
    };
    match field {
        Field::Column(Column { name, kind: Kind::Text | Kind::Any | Kind::Id(_) }) => vec![Some((*name).to_owned())],
        Field::Column(_) => vec![None],
        // Their attributes are one map, which the index leaves alone.
        Field::Attribute(..) if table == Table::Exemplars => vec![None],
        Field::Attribute(Place::Record, key) => vec![attribute(column::ATTR_PREFIX, key)],
        Field::Attribute(Place::Resource, key) => resource(key).collect(),
        Field::Attribute(Place::Scope, key) => vec![attribute(column::SCOPE_PREFIX, key)],
        Field::Attribute(Place::RecordOrResource, key) => {
            std::iter::once(attribute(column::ATTR_PREFIX, key)).chain(resource(key)).collect()
        }
    }
}

fn all(parts: impl Iterator<Item = Narrow>) -> Narrow {
    let mut parts: Vec<Narrow> = parts.filter(|part| *part != Narrow::All).collect();
    if parts.contains(&Narrow::Nothing) {
        return Narrow::Nothing;
    }
    match parts.len() {
        0 => Narrow::All,
        1 => parts.remove(0),
        _ => Narrow::And(parts),
    }
}

fn any(parts: impl Iterator<Item = Narrow>) -> Narrow {
    let mut parts: Vec<Narrow> = parts.filter(|part| *part != Narrow::Nothing).collect();
    if parts.contains(&Narrow::All) {
        return Narrow::All;
    }
    match parts.len() {
        0 => Narrow::Nothing,
        1 => parts.remove(0),
        _ => Narrow::Or(parts),
    }
}

#[cfg(test)]
mod tests {
    use model::Timestamp;

    use super::*;
    use crate::search::parse;

    fn check(query: &str, expected: &str) {
        let plan = parse(query, Table::Logs, Timestamp::default()).expect("a query");
        assert_eq!(text(&narrow(Table::Logs, &plan)), expected, "{query}");
    }

    fn text(narrow: &Narrow) -> String {
        let list = |parts: &[Narrow], sign: &str| parts.iter().map(text).collect::<Vec<_>>().join(sign);
        match narrow {
            Narrow::All => "all".to_owned(),
            Narrow::Nothing => "nothing".to_owned(),
            Narrow::And(parts) => format!("({})", list(parts, " & ")),
            Narrow::Or(parts) => format!("({})", list(parts, " | ")),
            Narrow::Token { column, token } => format!("{column}={token}"),
        }
    }

    #[test]
    fn bounds_times_and_numbers_of_rows() {
        let check = |query: &str, times: (i64, i64), seqs: (u64, u64)| {
            let plan = parse(query, Table::Logs, Timestamp::default()).expect("a query");
            let (range, found) = key_bounds(&plan);
            assert_eq!(((range.start.as_nanos(), range.end.as_nanos()), found), (times, seqs), "{query}");
        };
        let (all_times, all_seqs) = ((i64::MIN, i64::MAX), (0, u64::MAX));
        check("a", all_times, all_seqs);
        check("a ingest_seq:>5", all_times, (5, u64::MAX));
        check("ingest_seq:[3..9] ingest_seq:<7", all_times, (3, 7));
        check("ingest_seq:>=-1", all_times, all_seqs);
        check("ingest_seq:>5 OR a", all_times, all_seqs);
        check("NOT ingest_seq:>5", all_times, all_seqs);
        check("timestamp:>=1 timestamp:<2", (1_000_000_000, 2_000_000_001), all_seqs);
    }

    #[test]
    fn keeps_every_row_that_may_match() {
        check("", "all");
        check("-*", "nothing");
        check("Payment declined", "(body=payment & body=declined)");
        check("\"card declined\" OR retry", "((body=card & body=declined) | body=retry)");
        check("NOT a", "all");
        check("a NOT b", "body=a");
        check("a OR severity:warn", "all");
        check("a severity:warn", "body=a");
        check("pay* a-b*", "body=a");
        check("/x/ user:*", "all");
        check("user:bob", "(attr:user=bob | res:user=bob)");
        check("attr.n:9007199254740991", "attr:n=9007199254740991");
        // The index has a double of 2^60 as 1152921504606847000.
        check("attr.n:1152921504606846976", "all");
        check("attr.n:-1.152921504606846976e18", "all");
        check("attr.user:bob", "attr:user=bob");
        check("service.name:x", "(attr:service.name=x | service=x | res:service.name=x)");
        check("attr.code:5e2", "(attr:code=5e2 | attr:code=500)");
        check("attr.code:1.50", "((attr:code=1 & attr:code=50) | (attr:code=1 & attr:code=5))");
        check("attr.code:=\"\"", "all");
        check("trace_id:5B8E", "trace_id=5b8e");
    }
}
