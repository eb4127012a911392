//! Metrics, dashboards, alerts and system: what keys do there, and how it looks.

use std::cell::Cell;
use std::sync::Arc;

use model::wire::status::Status;
use tui::dashboard::shelf::{Boards, Entry};
use tui::dashboard::{Board, FileError};
use tui::effect::{Ask, Reply, Trouble, TroubleKind};
use tui::screen;
use tui::theme::{Palette, Theme};

use super::driver::Driver;
use super::golden::{DARK, World, compare, report};
use super::{fixture, numbers};

thread_local! {
    // Seconds that the growing world has counted.
    static ASKED: Cell<u64> = const { Cell::new(0) };
}

/// The shop, whose counters grow with every question.
fn growing(ask: &Ask) -> Result<Reply, Trouble> {
    match (ask, fixture::shop(ask)?) {
        (Ask::Status, Reply::Status(status)) => {
            let asked = ASKED.replace(ASKED.get() + 5);
            Ok(Reply::Status(Box::new(Status { counters: numbers::counters(asked), ..*status })))
        }
        (_, other) => Ok(other),
    }
}

/// The shop, which finds every expression wrong at its fifth character.
fn wrong(ask: &Ask) -> Result<Reply, Trouble> {
    match ask {
        Ask::Query { .. } | Ask::QueryRange { .. } => {
            let text = "the server refused /api/v1/query_range: invalid parameter \"query\": 1:5: parse error: unclosed left parenthesis";
            Err(Trouble::new(TroubleKind::Wrong, text))
        }
        other => fixture::shop(other),
    }
}

/// The shop with one board of every kind of panel, whose file has been broken meanwhile.
fn broken(ask: &Ask) -> Result<Reply, Trouble> {
    if *ask != Ask::Boards {
        return fixture::shop(ask);
    }
    let board = Board::parse("all.yaml", ALL_KINDS).expect("a board");
    let error = Board::parse("all.yaml", &ALL_KINDS.replace("unit: ops", "unit: opps")).expect_err("it is broken");
    let never = FileError {
        file: "/home/me/new.yaml".to_owned(),
        line: 3,
        column: 1,
        message: "unknown key `panel`".to_owned(),
        remedy: Some("did you mean `panels`?".to_owned()),
    };
    let entry = |name: &str, board: Option<Board>, error| Entry {
        name: name.to_owned(),
        path: Some(format!("/home/me/{name}.yaml").into()),
        board: board.map(Arc::new),
        error: Some(error),
    };
    let complaint = Some(FileError::whole("/home/me/boards", "only 200 of the files in this directory are read", None));
    Ok(Reply::Boards(Boards { entries: vec![entry("all", Some(board), error), entry("new", None, never)], complaint }))
}

const ALL_KINDS: &str = r#"
title: Every kind of panel
variables:
  - {name: service, values_of: {label: job}, multi: true}
  - {name: percentile, list: ["0.5", "0.95"]}
  - {name: words, text: "severity:error"}
panels:
  - {title: "Rate of $service", type: stat, width: 6, unit: ops, queries: [{promql: "sum(x)"}]}
  - {title: By service, type: stat, width: 6, unit: ops, queries: [{promql: "sum by (job) (x)", legend: "{{job}}"}]}
  - {title: Paid, type: gauge, width: 6, unit: share, queries: [{promql: "sum(placed)"}], thresholds: [{below: 0.95, level: warn}]}
  - {title: Slow, type: stat, width: 6, unit: s, queries: [{promql: "histogram_quantile(0.95, sum by (le) (x))"}], thresholds: [{above: 0.1, level: bad}]}
  - title: "Lines, $percentile"
    type: timeseries
    height: 9
    unit: s
    queries: [{promql: "histogram_quantile(0.95, sum by (job) (x))", legend: "{{job}}"}]
    thresholds: [{above: 0.3, level: bad}]
  - {title: Bars, type: bar, height: 9, queries: [{promql: "sum by (shop_item) (stock)", legend: "{{shop_item}}"}]}
  - {title: Table, type: table, height: 7, unit: ops, queries: [{promql: "sum by (job) (x)", legend: now}, {promql: "sum by (job) (\"5..\")", legend: errors}]}
  - {title: Log, type: logs, height: 7, queries: [{logs: "service:$service $words"}]}
  - {title: Firing, type: alertlist, height: 5, state: firing}
  - {title: Note, type: text, height: 5, text: "What this board is for,\nin $service, and a line that is longer than the panel is wide, which is wrapped."}
"#;

/// The file's name, the screen, size, theme, world, keys, seconds that pass before the keys and after them.
type Scene = (&'static str, &'static str, (u16, u16), Theme, World, &'static str, (u64, u64));

const ASCII: Theme = Theme { palette: Palette::Dark, ascii: true };
const MONO: Theme = Theme { palette: Palette::Mono, ascii: false };
const LIGHT: Theme = Theme { palette: Palette::Light, ascii: false };

const SCENES: &[Scene] = &[
    ("metrics-counter-120x40", "metrics", (120, 40), DARK, fixture::shop, "j j j Enter", (0, 0)),
    ("metrics-histogram-200x60", "metrics", (200, 60), DARK, fixture::shop, "j Enter", (0, 0)),
    ("metrics-histogram-80x24", "metrics", (80, 24), DARK, fixture::shop, "j Enter", (0, 0)),
    ("metrics-toggled", "metrics", (120, 30), DARK, fixture::shop, "j Enter j Space", (0, 0)),
    ("metrics-alone", "metrics", (120, 30), DARK, fixture::shop, "j Enter j a", (0, 0)),
    ("metrics-blocks", "metrics", (120, 30), DARK, fixture::shop, "j Enter b", (0, 0)),
    ("metrics-ascii-lines", "metrics", (120, 30), ASCII, fixture::shop, "j Enter", (0, 0)),
    ("metrics-mono-lines", "metrics", (120, 30), MONO, fixture::shop, "j Enter", (0, 0)),
    ("metrics-wide-lines", "metrics", (120, 30), DARK, fixture::wide, "j Enter", (0, 0)),
    ("metrics-wrong", "metrics", (120, 30), DARK, wrong, "e \"sum(rate\" Enter", (0, 0)),
    ("metrics-completed", "metrics", (120, 30), DARK, fixture::shop, "e \"sum by (job) (rate(shop_\"", (0, 0)),
    ("metrics-filtered", "metrics", (80, 24), DARK, fixture::shop, "/ \"shop total\" Enter", (0, 0)),
    ("board-demo-80x24", "dashboards", (80, 24), DARK, fixture::shop, "j j j Enter", (0, 0)),
    ("board-demo-120x40", "dashboards", (120, 40), DARK, fixture::shop, "j j j Enter", (0, 0)),
    ("board-demo-200x60", "dashboards", (200, 60), DARK, fixture::shop, "j j j Enter", (0, 0)),
    ("board-services-120x40", "dashboards", (120, 40), DARK, fixture::shop, "G k Enter", (0, 0)),
    ("board-services-200x60", "dashboards", (200, 60), DARK, fixture::shop, "G k Enter", (0, 0)),
    ("board-services-ascii", "dashboards", (120, 40), ASCII, fixture::shop, "G k Enter", (0, 0)),
    ("board-services-mono", "dashboards", (120, 40), MONO, fixture::shop, "G k Enter", (0, 0)),
    ("board-services-light", "dashboards", (160, 45), LIGHT, fixture::shop, "G k Enter", (0, 0)),
    ("board-services-wide", "dashboards", (120, 40), DARK, fixture::wide, "G k Enter", (0, 0)),
    ("board-services-60x18", "dashboards", (60, 18), DARK, fixture::shop, "G k Enter", (0, 0)),
    ("board-services-down", "dashboards", (120, 40), DARK, fixture::shop, "G k Enter G", (0, 0)),
    ("board-services-empty", "dashboards", (120, 40), DARK, fixture::empty, "G k Enter", (0, 0)),
    ("board-services-refused", "dashboards", (120, 40), DARK, refusing, "G k Enter", (0, 0)),
    ("board-sextant-120x40", "dashboards", (120, 40), DARK, growing, "G Enter", (0, 300)),
    ("board-sextant-200x60", "dashboards", (200, 60), DARK, growing, "G Enter", (0, 300)),
    ("board-sextant-begins", "dashboards", (120, 40), DARK, growing, "G Enter", (0, 0)),
    ("board-zoomed-lines", "dashboards", (120, 40), DARK, fixture::shop, "G k Enter j Enter", (0, 0)),
    ("board-zoomed-table", "dashboards", (120, 40), DARK, fixture::shop, "G k Enter j j l Enter s s j", (0, 0)),
    ("board-zoomed-log", "dashboards", (120, 40), DARK, fixture::shop, "G k Enter G h Enter j j", (0, 0)),
    ("board-picker", "dashboards", (120, 40), DARK, fixture::shop, "G k Enter v j Space j Space", (0, 0)),
    ("board-all-120x40", "dashboards", (120, 40), DARK, broken, "Enter", (0, 0)),
    ("board-all-200x60", "dashboards", (200, 60), DARK, broken, "Enter", (0, 0)),
    ("board-text-variable", "dashboards", (120, 40), DARK, broken, "Enter v h Enter \"x\" Enter", (0, 0)),
    ("board-never-read", "dashboards", (100, 24), DARK, broken, "j Enter", (0, 0)),
    ("boards-broken", "dashboards", (120, 24), DARK, broken, "", (0, 0)),
    ("alerts-rules-120x40", "alerts", (120, 40), DARK, fixture::shop, "l", (0, 0)),
    ("alerts-rules-80x24", "alerts", (80, 24), DARK, fixture::shop, "l", (0, 0)),
    ("alerts-rules-200x60", "alerts", (200, 60), DARK, fixture::shop, "l j j", (0, 0)),
    ("alerts-detail-80x24", "alerts", (80, 24), DARK, fixture::shop, "Enter", (0, 0)),
    ("alerts-second", "alerts", (120, 40), DARK, fixture::shop, "j Tab", (0, 0)),
    ("alerts-filtered", "alerts", (120, 30), DARK, fixture::shop, "/ \"nothing\" Enter", (0, 0)),
    ("system-growing-80x24", "system", (80, 24), DARK, growing, "", (20, 0)),
    ("system-growing-120x40", "system", (120, 40), DARK, growing, "", (20, 0)),
    ("system-growing-200x60", "system", (200, 60), DARK, growing, "", (20, 0)),
    ("system-scrolled", "system", (80, 24), DARK, growing, "G", (20, 0)),
];

// Boards are compiled in; a server that refuses changes nothing there.
fn refusing(ask: &Ask) -> Result<Reply, Trouble> {
    if *ask == Ask::Boards { fixture::shop(ask) } else { fixture::refusing(ask) }
}

#[test]
fn how_they_look() {
    let mut wrong = Vec::new();
    for (name, screen, size, theme, world, keys, (before, after)) in SCENES {
        ASKED.set(0);
        let spec = screen::spec(screen).expect(screen);
        let mut driver = Driver::new(spec, fixture::args(screen), *size, *theme, *world);
        // A moment lasts as long as its frame.
        for _ in 0..*before {
            driver.wait(1);
        }
        let _ = driver.frame();
        for key in keys_of(keys) {
            driver.press(&key);
            let _ = driver.frame();
        }
        driver.wait(*after);
        compare(name, &driver.text(), &mut wrong);
    }
    report(&wrong);
}

// One key or typed text after the other: a frame lies between them, as it does for people.
fn keys_of(keys: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = keys.trim();
    while !rest.is_empty() {
        let end = match rest.strip_prefix('"').and_then(|inner| inner.find('"')) {
            Some(end) => end + 2,
            None => rest.find(' ').unwrap_or(rest.len()),
        };
        found.push(rest[..end].to_owned());
        rest = rest[end..].trim_start();
    }
    found
}

#[test]
fn from_an_alert_to_its_span() {
    let spec = screen::spec("alerts").expect("alerts");
    for keys in ["Enter", "Tab Enter", "g t"] {
        let mut driver = Driver::new(spec, fixture::args("alerts"), (120, 40), DARK, fixture::shop);
        let _ = driver.frame();
        let subject = driver.state.top().subject();
        assert_eq!(subject.span.as_deref(), Some("00f067aa0ba902b7"));
        assert_eq!(subject.trace.as_deref(), Some(fixture::TRACE));
        driver.press(keys);
        if screen::spec("trace").is_some() {
            assert_eq!(driver.state.top().spec().name, "trace", "{keys}");
        }
    }
}

#[test]
fn random_keys_and_sizes_leave_them_standing() {
    let mut random = fastrand::Rng::with_seed(42);
    let worlds: [World; 7] =
        [fixture::shop, fixture::wide, fixture::empty, fixture::refusing, fixture::gone, growing, broken];
    let keys: Vec<&str> = ["metrics", "dashboards", "alerts", "system"]
        .iter()
        .flat_map(|name| screen::spec(name).expect(name).keys)
        .flat_map(|binding| binding.keys.iter().copied())
        .chain([
            "j", "k", "G", "g g", "Enter", "Esc", "ctrl-d", "PageDown", "PageUp", "[", "]", "R", "T", "y", "\"x{(\"",
            ":", "?",
        ])
        .collect();
    for round in 0..120 {
        let name = ["metrics", "dashboards", "alerts", "system"][round % 4];
        let spec = screen::spec(name).expect(name);
        let theme = [DARK, ASCII, MONO, LIGHT][random.usize(..4)];
        let mut driver = Driver::new(spec, fixture::args(name), (120, 40), theme, worlds[random.usize(..7)]);
        for _ in 0..60 {
            match random.u8(..10) {
                0 => driver.happen(tui::event::Event::Resize(random.u16(..260), random.u16(..80))),
                1 => driver.wait(random.u64(1..8)),
                2 => driver.world = Box::new(worlds[random.usize(..7)]),
                _ => driver.press(keys[random.usize(..keys.len())]),
            }
            if random.u8(..3) == 0 {
                let frame = driver.frame();
                let hostile = frame.content.iter().find(|cell| cell.symbol().contains(tui::sanitize::is_hostile));
                assert!(hostile.is_none(), "{name}, round {round}: {hostile:?}");
            }
        }
    }
}
