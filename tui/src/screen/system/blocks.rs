//! What the status says, in blocks that people can read: each a title and a small table.

use std::collections::{BTreeMap, BTreeSet};

use model::Timestamp;
use model::wire::alerts::{Notification, Notifications};
use model::wire::status::Status;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::dashboard::counters::{CounterQuery, History, Reading, split};
use crate::effect::Trouble;
use crate::format;
use crate::sanitize::Safe;
use crate::screen::Scene;
use crate::theme::Role;
use crate::widget::panel::panel;
use crate::widget::table::{Cell, Column, Table};
use crate::widget::{Piece, put};

/// A title and a table, or a sentence in its place.
#[derive(Debug)]
pub(super) struct Block {
    title: &'static str,
    note: Vec<Piece>,
    // Without titles for names and values.
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
    sentence: Option<(Safe, Role)>,
}

type Labels = BTreeMap<String, String>;

/// Counters of one kind, label by label.
struct Counters(Vec<(String, Labels, u64)>);

impl Counters {
    fn new(status: &Status) -> Self {
        let read = status.counters.iter().filter_map(|(text, value)| {
            let (name, labels) = split(text)?;
            Some((name.to_owned(), labels.into_iter().collect(), *value))
        });
        Self(read.collect())
    }

    fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a Labels, u64)> {
        self.0.iter().filter(move |(known, ..)| known == name).map(|(_, labels, value)| (labels, *value))
    }

    fn sum(&self, name: &str) -> u64 {
        self.of(name).map(|(_, value)| value).sum()
    }
}

// What the blocks below show; the last block has the rest.
const SHOWN: [&str; 21] = [
    "sextant_ingest_accepted_items_total",
    "sextant_ingest_requests_total",
    "sextant_ingest_bytes_total",
    "sextant_ingest_wire_bytes_total",
    "sextant_ingest_refused_requests_total",
    "sextant_ingest_rejected_items_total",
    "sextant_ingest_warnings_total",
    "sextant_ingest_in_flight_bytes",
    "sextant_store_queue_bytes",
    "sextant_wal_records_total",
    "sextant_wal_commits_total",
    "sextant_wal_bytes_total",
    "sextant_wal_failures_total",
    "sextant_wal_damaged_total",
    "sextant_wal_torn_bytes_total",
    "sextant_flush_parts_total",
    "sextant_flush_rows_total",
    "sextant_flush_bytes_total",
    "sextant_flush_failures_total",
    "sextant_query_refused_total",
    "sextant_query_partial_total",
];

/// The blocks, in the order of their importance.
pub(super) fn of(
    status: &Status,
    notifications: Result<Option<&Notifications>, &Trouble>,
    history: &History,
    now: Timestamp,
) -> Vec<Block> {
    let counters = Counters::new(status);
    let mut blocks = vec![server(status, now), receipts(&counters, history), refusals(&counters)];
    blocks.push(queues(&counters, notifications.as_ref().ok().copied().flatten()));
    blocks.push(log(status, &counters));
    blocks.push(tables(status));
    match notifications {
        Err(trouble) => {
            let mut block = Block::new("Notifications");
            block.sentence =
                Some((Safe::of(format_args!("{}: {}", trouble.kind.label(), trouble.sentence)), Role::Faint));
            blocks.push(block);
        }
        Ok(None) => {}
        Ok(Some(notifications)) => {
            blocks.push(sent("Notifications on their way", &notifications.queued, "None waits to be delivered.", now));
            blocks.push(sent("Dead letters", &notifications.dead, "None was given up.", now));
        }
    }
    blocks.push(others(&counters));
    blocks
}

impl Block {
    fn new(title: &'static str) -> Self {
        Self { title, note: Vec::new(), columns: Vec::new(), rows: Vec::new(), sentence: None }
    }

    // Names at the left, values beside them.
    fn pairs(title: &'static str, pairs: Vec<(Safe, Cell)>) -> Self {
        let rows = pairs.into_iter().map(|(name, value)| vec![Cell::text(name).role(Role::Faint), value]).collect();
        Self { columns: vec![Column::new(""), Column::flexible("")], rows, ..Self::new(title) }
    }

    fn has_titles(&self) -> bool {
        self.columns.iter().any(|column| !column.title.is_empty())
    }

    // Frame, titles, rows, and an empty line.
    fn height(&self) -> u16 {
        let rows = u16::try_from(self.rows.len()).unwrap_or(u16::MAX / 2);
        match &self.sentence {
            Some(_) => 3,
            None => rows + 2 + u16::from(self.has_titles()),
        }
    }

    fn draw(&self, scene: &mut Scene<'_>, buffer: &mut Buffer) {
        let theme = scene.theme;
        let area = buffer.area;
        let body = panel(buffer, area, theme, false, &Safe::from_static(self.title), &self.note);
        let body = Rect { x: body.x + 1, width: body.width.saturating_sub(2), ..body };
        if let Some((text, role)) = &self.sentence {
            put(buffer, (body.x, body.y), body.width, text, theme.style(*role));
            return;
        }
        let table = Table { columns: &self.columns, rows: &self.rows, sort: None, offset: 0, cursor: None, theme };
        // A table without titles begins one line above: its empty line of titles lies on the frame.
        if self.has_titles() {
            table.draw(buffer, body);
        } else {
            table.draw_rows(buffer, body);
        }
    }
}

/// Where blocks stand side by side: columns with their place and what is in them, balanced in height, in order.
pub(super) fn columns(blocks: &[Block], width: u16) -> Vec<((u16, u16), Vec<&Block>)> {
    let count = (width / 58).clamp(1, 3);
    let each = width / count;
    let mut columns: Vec<((u16, u16), Vec<&Block>)> = (0..count)
        .map(|at| ((at * each, if at + 1 == count { width - at * each } else { each - 1 }), Vec::new()))
        .collect();
    for block in blocks {
        if let Some((_, shortest)) = columns.iter_mut().min_by_key(|(_, column)| lines(column)) {
            shortest.push(block);
        }
    }
    columns
}

/// Lines of a column.
pub(super) fn lines(blocks: &[&Block]) -> u16 {
    blocks.iter().fold(0, |sum, block| sum.saturating_add(block.height()))
}

/// Draws a column from line `offset` on.
pub(super) fn draw(scene: &mut Scene<'_>, area: Rect, blocks: &[&Block], offset: u16) {
    let mut top = 0_u16;
    for block in blocks {
        let height = block.height();
        let (from, to) = (top.max(offset), top.saturating_add(height).min(offset.saturating_add(area.height)));
        if from < to {
            // Drawn as a whole beside the screen, so that a part of it can be seen.
            let mut whole = Buffer::empty(Rect::new(0, 0, area.width, height));
            block.draw(scene, &mut whole);
            for y in from..to {
                for x in 0..area.width {
                    let place = (area.x + x, area.y + (y - offset));
                    scene.buffer[place] = whole[(x, y - top)].clone();
                }
            }
        }
        top = top.saturating_add(height);
    }
}

fn server(status: &Status, now: Timestamp) -> Block {
    let text = |text: &str| Cell::text(Safe::line(text));
    let name = Safe::from_static;
    let age = format::moment(&status.started).map(|at| format::age(now.as_nanos().saturating_sub(at.as_nanos())));
    let started = match age {
        Some(age) => Safe::of(format_args!("{} ago, {}", age, format::row_date(&status.started))),
        None => Safe::line(&status.started),
    };
    let role = if status.mode == "serving" { Role::Good } else { Role::Warning };
    let mut pairs = vec![
        (name("version"), text(&status.version)),
        (name("mode"), text(&status.mode).role(role)),
        (name("started"), Cell::text(started)),
        (name("durability"), text(&status.durability)),
        (name("newest record"), Cell::text(Safe::of(format_args!("#{}", format::count(status.ingest_seq))))),
    ];
    pairs.extend(status.doors.iter().map(|(door, address)| (Safe::of(format_args!("door {door}")), text(address))));
    Block::pairs("Server", pairs)
}

fn receipts(counters: &Counters, history: &History) -> Block {
    let query = CounterQuery {
        name: "sextant_ingest_accepted_items_total".to_owned(),
        labels: Vec::new(),
        reading: Reading::Rate,
        by: vec!["door".to_owned(), "signal".to_owned()],
    };
    let rates = history.series(&query, f64::NEG_INFINITY, f64::INFINITY);
    let rate_of = |labels: &Labels| {
        let found =
            rates.iter().find(|series| series.labels.iter().all(|(name, value)| labels.get(name) == Some(value)));
        found.and_then(|series| series.points.last()).map(|(_, rate)| *rate)
    };
    let mut block = Block::new("Received");
    let titles = ["SIGNAL", "DOOR", "ITEMS/S", "ITEMS", "REQUESTS", "BYTES"];
    block.columns = titles.map(Column::new).to_vec();
    for (labels, items) in counters.of("sextant_ingest_accepted_items_total") {
        let of = |name: &str| counters.of(name).find(|(other, _)| *other == labels).map_or(0, |(_, value)| value);
        let (requests, bytes) = (of("sextant_ingest_requests_total"), of("sextant_ingest_bytes_total"));
        if requests == 0 && items == 0 {
            continue;
        }
        let rate = rate_of(labels);
        block.rows.push(vec![
            label(labels, "signal"),
            label(labels, "door").role(Role::Faint),
            Cell::number(rate.unwrap_or(-1.0), rate.map_or(Safe::from_static("-"), format::short_count)),
            Cell::number(items as f64, format::count(items)),
            Cell::number(requests as f64, format::count(requests)),
            Cell::number(bytes as f64, format::bytes(bytes)),
        ]);
    }
    if block.rows.is_empty() {
        block.sentence = Some((Safe::from_static("Nothing has come in since the start."), Role::Faint));
    }
    block
}

fn refusals(counters: &Counters) -> Block {
    let mut block = Block::new("Refused");
    block.columns = ["WHAT", "SIGNAL", "DOOR"].map(Column::new).to_vec();
    block.columns.extend([Column::flexible("REASON"), Column::new("COUNT")]);
    let kinds = [
        ("request", "sextant_ingest_refused_requests_total", "reason", Role::Bad),
        ("item", "sextant_ingest_rejected_items_total", "reason", Role::Bad),
        ("changed", "sextant_ingest_warnings_total", "warning", Role::Warning),
        ("query", "sextant_query_refused_total", "reason", Role::Warning),
    ];
    for (what, name, reason, role) in kinds {
        for (labels, count) in counters.of(name).filter(|(_, count)| *count > 0) {
            block.rows.push(vec![
                Cell::text(what),
                label(labels, "signal"),
                label(labels, "door").role(Role::Faint),
                label(labels, reason).role(role),
                Cell::number(count as f64, format::count(count)).role(Role::Strong),
            ]);
        }
    }
    if block.rows.is_empty() {
        block.sentence = Some((Safe::from_static("Nothing was refused since the start."), Role::Good));
    }
    block
}

fn queues(counters: &Counters, notifications: Option<&Notifications>) -> Block {
    let bytes = |name: &str| Cell::text(format::bytes(counters.sum(name)));
    let mut pairs = vec![
        (Safe::from_static("requests in flight"), bytes("sextant_ingest_in_flight_bytes")),
        (Safe::from_static("waiting for commit"), bytes("sextant_store_queue_bytes")),
        (Safe::from_static("answers left unfinished"), counted(counters, "sextant_query_partial_total", Role::Warning)),
    ];
    if let Some(notifications) = notifications {
        let (queued, dead) = (notifications.queued.len(), notifications.dead.len());
        let role = if dead > 0 { Role::Bad } else { Role::Text };
        pairs.push((Safe::from_static("notifications queued"), Cell::text(Safe::of(queued))));
        pairs.push((Safe::from_static("dead letters"), Cell::text(Safe::of(dead)).role(role)));
    }
    Block::pairs("Queues", pairs)
}

fn log(status: &Status, counters: &Counters) -> Block {
    let count = |name: &str| Cell::text(format::count(counters.sum(name)));
    let bytes = |number: u64| Cell::text(format::bytes(number));
    let name = Safe::from_static;
    let pairs = vec![
        (
            name("on disk"),
            Cell::text(Safe::of(format_args!(
                "{} in {}",
                format::bytes(status.wal.bytes),
                format::counted(status.wal.segments, "segment")
            ))),
        ),
        (name("batches written"), count("sextant_wal_records_total")),
        (name("commits"), count("sextant_wal_commits_total")),
        (name("written since start"), bytes(counters.sum("sextant_wal_bytes_total"))),
        (name("failed writes"), counted(counters, "sextant_wal_failures_total", Role::Bad)),
        (name("damaged segments"), counted(counters, "sextant_wal_damaged_total", Role::Bad)),
        (name("torn bytes at start"), counted(counters, "sextant_wal_torn_bytes_total", Role::Warning)),
        (name("parts flushed"), count("sextant_flush_parts_total")),
        (name("failed flushes"), counted(counters, "sextant_flush_failures_total", Role::Bad)),
    ];
    Block::pairs("Write-ahead log", pairs)
}

fn tables(status: &Status) -> Block {
    let mut block = Block::new("Tables");
    let titles = ["TABLE", "ROWS IN MEMORY", "BYTES", "PARTS", "ROWS ON DISK", "BYTES"];
    block.columns = titles.map(Column::new).to_vec();
    for (table, size) in &status.tables {
        let count = |number: u64| Cell::number(number as f64, format::count(number));
        let bytes = |number: u64| Cell::number(number as f64, format::bytes(number)).role(Role::Faint);
        block.rows.push(vec![
            Cell::text(Safe::line(table)),
            count(size.head_rows),
            bytes(size.head_bytes),
            count(size.parts),
            count(size.part_rows),
            bytes(size.part_bytes),
        ]);
    }
    block
}

fn sent(title: &'static str, all: &[Notification], nothing: &'static str, now: Timestamp) -> Block {
    let mut block = Block::new(title);
    if all.is_empty() {
        block.sentence = Some((Safe::from_static(nothing), Role::Good));
        return block;
    }
    // More of them would push everything else away; the count stands in the title.
    const ROWS: usize = 12;
    block.note = vec![Piece::new(Safe::of(all.len()), Role::Strong)];
    let titles = ["RECEIVER", "STATUS", "ALERTS", "TRIES", "AGE"];
    block.columns = titles.map(Column::new).to_vec();
    block.columns.push(Column::flexible("NEXT, AND WHAT WENT WRONG"));
    for one in all.iter().take(ROWS) {
        let age = |text: &str| format::moment(text).map(|at| format::age(now.as_nanos().saturating_sub(at.as_nanos())));
        let next = one.next_attempt.as_deref().and_then(format::moment).map(format::clock);
        let error = one.last_error.as_deref().map(Safe::line);
        let told: Vec<Safe> = next.into_iter().chain(error).collect();
        let (role, status) = if one.status == "firing" { (Role::Bad, "firing") } else { (Role::Good, "resolved") };
        block.rows.push(vec![
            Cell::text(Safe::line(&one.receiver)),
            Cell::text(status).role(role),
            Cell::number(one.alerts as f64, Safe::of(one.alerts)),
            Cell::number(one.attempts as f64, Safe::of(one.attempts)),
            Cell::text(age(&one.created).unwrap_or_default()).role(Role::Faint),
            Cell::text(Safe::join(&told, " ")),
        ]);
    }
    block
}

// Counters that no block above knows, summed up over their labels.
fn others(counters: &Counters) -> Block {
    let names: BTreeSet<&str> = counters.0.iter().map(|(name, ..)| name.as_str()).collect();
    let names = names.into_iter().filter(|name| !SHOWN.contains(name));
    let pair = |name: &str| (Safe::line(name), Cell::text(format::count(counters.sum(name))));
    let mut block = Block::pairs("Other counters", names.map(pair).collect());
    if block.rows.is_empty() {
        block.sentence = Some((Safe::from_static("There are none."), Role::Faint));
    }
    block
}

fn counted(counters: &Counters, name: &str, role: Role) -> Cell {
    let sum = counters.sum(name);
    Cell::text(format::count(sum)).role(if sum > 0 { role } else { Role::Text })
}

fn label(labels: &Labels, name: &str) -> Cell {
    Cell::text(labels.get(name).map_or(Safe::from_static("-"), |value| Safe::line(value)))
}
