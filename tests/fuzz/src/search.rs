//! Filters and counts as anybody may ask for them.

use model::Timestamp;
use query::search;
use query::search::stats::CountQuery;
use store::Table;

use super::replay::Target;

/// The targets by the names of their corpora.
pub const TARGETS: [Target; 2] = [("filter", filter), ("count", count)];

const NOW: Timestamp = Timestamp::from_nanos(1_800_000_000_000_000_000);

// The first byte chooses the table.
fn over_a_table(bytes: &[u8]) -> Option<(Table, &str)> {
    let (first, rest) = bytes.split_first()?;
    let table = [Table::Logs, Table::Spans, Table::Points][usize::from(first % 3)];
    Some((table, std::str::from_utf8(rest).ok()?))
}

fn filter(bytes: &[u8]) {
    let Some((table, text)) = over_a_table(bytes) else { return };
    match search::parse(text, table, NOW) {
        Ok(plan) => drop(plan.to_string()),
        Err(error) => assert!(error.position <= text.chars().count(), "{error:?} is beyond the text"),
    }
}

fn count(bytes: &[u8]) {
    let Some((table, text)) = over_a_table(bytes) else { return };
    match CountQuery::parse(text, table, NOW) {
        // What a count says of its filter is a filter again.
        Ok(count) => {
            search::parse(count.filter_text(), table, NOW).expect("the filter of a count is one");
            drop(count.to_string());
        }
        Err(error) => assert!(error.position <= text.chars().count(), "{error:?} is beyond the text"),
    }
}
