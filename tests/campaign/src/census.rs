//! Asks the API for everything there is, and compares it with the sender's book.

use anyhow::{Context as _, ensure};
use model::Signal;
use model::wire::logs::LogRow;
use model::wire::points::PointRow;
use model::wire::spans::SpanRow;
use tui::Client;
use tui::client::{Row, RowsRequest};

use crate::ledger::{Entry, Ledger};

/// What a comparison found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Rows the API gave.
    pub rows: u64,
    /// Records that were promised to be kept and are not there.
    pub lost: Vec<u64>,
    /// Records that are there more than once.
    pub repeated: Vec<u64>,
    /// Numbers nobody sent, or that came back as another signal.
    pub unknown: Vec<u64>,
    /// Points whose exemplars are not those that were sent.
    pub exemplars: Vec<u64>,
    /// The same of what DuckDB finds in the parts, if it was asked.
    pub in_parts: Option<Box<Findings>>,
}

impl Findings {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.describe().is_none()
    }

    /// Rows that DuckDB found.
    pub fn rows_in_parts(&self) -> u64 {
        self.in_parts.as_ref().map_or(0, |found| found.rows)
    }

    /// What is wrong, for people; nothing if nothing is.
    pub fn describe(&self) -> Option<String> {
        let kinds = [
            ("lost", &self.lost),
            ("repeated", &self.repeated),
            ("never sent", &self.unknown),
            ("with other exemplars", &self.exemplars),
        ];
        let mut wrong: Vec<String> = kinds
            .into_iter()
            .filter(|(_, numbers)| !numbers.is_empty())
            .map(|(kind, numbers)| format!("{} {kind} (first {:?})", numbers.len(), &numbers[..numbers.len().min(3)]))
            .collect();
        let in_parts = self.in_parts.as_ref().and_then(|found| found.describe());
        wrong.extend(in_parts.map(|what| format!("in the parts: {what}")));
        if wrong.is_empty() { None } else { Some(wrong.join(", ")) }
    }
}

/// A record whose number can be read.
trait Numbered: Row {
    fn number(&self) -> Option<u64>;

    fn exemplars_are_right(&self, _number: u64) -> bool {
        true
    }
}

impl Numbered for LogRow {
    fn number(&self) -> Option<u64> {
        self.attributes.get("n")?.as_u64()
    }
}

impl Numbered for SpanRow {
    fn number(&self) -> Option<u64> {
        u64::from_str_radix(&self.span_id, 16).ok()
    }
}

impl Numbered for PointRow {
    fn number(&self) -> Option<u64> {
        self.value.as_ref()?.as_u64()
    }

    fn exemplars_are_right(&self, number: u64) -> bool {
        let values = self.exemplars.iter().map(|exemplar| exemplar.value.as_u64());
        if number.is_multiple_of(3) { values.eq([Some(number)]) } else { self.exemplars.is_empty() }
    }
}

/// Counts every record of the ledger in the server's answers, of all signals at once.
pub async fn take(client: &Client, ledger: &Ledger) -> anyhow::Result<Findings> {
    let (entries, end) = (ledger.entries(), usize::try_from(ledger.end())?);
    let (logs, spans, points) = tokio::try_join!(
        of::<LogRow>(client, Signal::Logs, &entries, end),
        of::<SpanRow>(client, Signal::Spans, &entries, end),
        of::<PointRow>(client, Signal::Points, &entries, end),
    )?;
    let mut all = Findings::default();
    for found in [logs, spans, points] {
        all.rows += found.rows;
        all.lost.extend(found.lost);
        all.repeated.extend(found.repeated);
        all.unknown.extend(found.unknown);
        all.exemplars.extend(found.exemplars);
    }
    Ok(all)
}

async fn of<R: Numbered>(client: &Client, signal: Signal, entries: &[Entry], end: usize) -> anyhow::Result<Findings> {
    let (mut found, mut seen, mut cursor) = (Findings::default(), vec![0u8; end], None);
    loop {
        cursor = count_page::<R>(client, cursor, &mut seen, &mut found).await?;
        if cursor.is_none() {
            break;
        }
    }
    compare(signal, entries, &mut seen, &mut found);
    Ok(found)
}

// Answers where to go on: one answer has a greatest number of rows.
async fn count_page<R: Numbered>(
    client: &Client,
    cursor: Option<String>,
    seen: &mut [u8],
    found: &mut Findings,
) -> anyhow::Result<Option<String>> {
    let request = RowsRequest {
        // What the server tells of itself is in nobody's book. The cursor knows the times, of which the last is the last second that
        // nanoseconds can tell.
        query: "NOT service:=sextant".to_owned(),
        start: cursor.is_none().then(|| "0".to_owned()),
        end: cursor.is_none().then(|| "2262-04-11T23:47:16Z".to_owned()),
        limit: Some("none".to_owned()),
        ascending: true,
        cursor,
    };
    let mut rows = client.rows::<R>(&request).await.with_context(|| format!("cannot ask {}", R::PATH))?;
    while let Some(row) = rows.next().await? {
        found.rows += 1;
        let number = row.number().with_context(|| format!("a row of {} carries no number", R::PATH))?;
        match usize::try_from(number).ok().and_then(|place| seen.get_mut(place)) {
            Some(times) => *times = times.saturating_add(1),
            None => found.unknown.push(number),
        }
        if !row.exemplars_are_right(number) {
            found.exemplars.push(number);
        }
    }
    let meta = rows.meta().context("the answer has no end")?;
    ensure!(!meta.partial || meta.cursor.is_some(), "the answer of {} is not complete: {:?}", R::PATH, meta.reason);
    Ok(meta.cursor.clone())
}

/// Marks what belongs to the signal's entries off; what is left over was never sent as this signal.
pub fn compare(signal: Signal, entries: &[Entry], seen: &mut [u8], found: &mut Findings) {
    for entry in entries.iter().filter(|entry| entry.signal == signal) {
        for number in entry.first..entry.first + entry.count {
            let place = usize::try_from(number).expect("every number given out is a place");
            match std::mem::take(&mut seen[place]) {
                0 if entry.acknowledged => found.lost.push(number),
                0 | 1 => {}
                _ => found.repeated.push(number),
            }
        }
    }
    let left = seen.iter().enumerate().filter(|(_, times)| **times > 0);
    found.unknown.extend(left.map(|(number, _)| number as u64));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sees_what_is_lost_repeated_and_unknown() {
        let ledger = Ledger::default();
        let (promised, first) = ledger.open(Signal::Logs, 3);
        let (_, in_doubt) = ledger.open(Signal::Logs, 2);
        let (_, other) = ledger.open(Signal::Spans, 1);
        ledger.acknowledge(promised);
        let mut seen = vec![0u8; usize::try_from(ledger.end()).expect("small")];
        // Of the promised: one is there, one is missing, one is there twice. Of those in doubt one is there.
        for number in [first, first + 2, first + 2, in_doubt + 1, other] {
            seen[usize::try_from(number).expect("small")] += 1;
        }
        let mut found = Findings::default();
        compare(Signal::Logs, &ledger.entries(), &mut seen, &mut found);
        assert_eq!((found.lost, found.repeated, found.unknown), (vec![first + 1], vec![first + 2], vec![other]));
    }
}
