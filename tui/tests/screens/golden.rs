//! Frames as text, compared with the files beside this one. `UPDATE_SCREENS=1 cargo test -p tui --test screens` writes them anew.
//!
//! Each screen of the program's list is drawn in each of the [`LOOKS`]; what keys lead to is in [`SCENES`].

use std::path::Path;

use model::wire::logs::LogRow;
use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier};
use tui::effect::{Trouble, TroubleKind};
use tui::event::{Event, News};
use tui::screen::{self, Args};
use tui::theme::{Palette, Theme};

use super::driver::Driver;
use super::fixture;

pub const DARK: Theme = Theme { palette: Palette::Dark, ascii: false };
const ASCII: Theme = Theme { palette: Palette::Dark, ascii: true };
const MONO: Theme = Theme { palette: Palette::Mono, ascii: false };

/// What answers in the tables here.
pub type World = fn(&tui::effect::Ask) -> Result<tui::effect::Reply, tui::effect::Trouble>;

type Look = (&'static str, (u16, u16), Theme, World);

type Scene = (&'static str, &'static str, (u16, u16), World, &'static str);

/// How every screen is looked at: the file's ending, size, theme, world.
const LOOKS: &[Look] = &[
    ("80x24", (80, 24), DARK, fixture::shop),
    ("120x40", (120, 40), DARK, fixture::shop),
    ("200x60", (200, 60), DARK, fixture::shop),
    ("ascii", (120, 30), ASCII, fixture::shop),
    ("mono", (80, 24), MONO, fixture::shop),
    ("wide", (120, 30), DARK, fixture::wide),
    ("empty", (80, 24), DARK, fixture::empty),
    ("refused", (80, 24), DARK, fixture::refusing),
    ("old", (100, 24), DARK, fixture::old),
    ("partial", (120, 24), DARK, fixture::partial),
];

/// What keys lead to: the file's name, the screen, size, world, keys.
const SCENES: &[Scene] = &[
    ("small", "overview", (59, 17), fixture::shop, ""),
    ("least", "overview", (60, 18), fixture::shop, ""),
    ("help", "overview", (100, 40), fixture::shop, "?"),
    ("help-80x24", "overview", (80, 24), fixture::shop, "? PageDown"),
    ("palette", "overview", (80, 24), fixture::shop, ":"),
    ("palette-mistake", "overview", (80, 24), fixture::shop, ": \"loggs\" Enter"),
    ("range", "overview", (80, 24), fixture::shop, "t Down Down"),
    ("range-mistake", "overview", (80, 24), fixture::shop, "t \"14:30..14:00\" Enter"),
    ("range-fixed", "overview", (120, 24), fixture::shop, "t \"13:00..13:30\" Enter"),
    ("overview-alerts", "overview", (80, 24), fixture::shop, "Tab Down"),
    ("overview-sorted", "overview", (120, 24), fixture::shop, "s s s Down"),
    ("logs-detail-80x24", "logs", (80, 24), fixture::shop, "E Enter"),
    ("logs-detail-120x40", "logs", (120, 40), fixture::shop, "E Enter"),
    ("logs-detail-200x60", "logs", (200, 60), fixture::shop, "E Enter Tab"),
    ("logs-detail-wide", "logs", (160, 40), fixture::wide, "E Enter"),
    ("logs-filter", "logs", (80, 24), fixture::shop, "/ \"severity:>=warn card\""),
    ("logs-filter-mistake", "logs", (80, 24), fixture::complaining, "/ \"service:(orders\" Enter"),
    ("logs-filter-mistake-wide", "logs", (120, 30), fixture::complaining, "/ \"注文:(orders\" Enter"),
    ("logs-plain-list", "logs", (80, 24), fixture::shop, "h g g"),
    ("traces-detail", "traces", (200, 60), fixture::shop, "Down d"),
    ("traces-slowest", "traces", (80, 24), fixture::shop, "r s h"),
    ("traces-filter-mistake", "traces", (100, 24), fixture::complaining, "/ \"duration>(1s\" Enter"),
    ("trace-folded", "trace", (120, 24), fixture::shop, "Down Down h j z"),
    ("trace-span", "trace", (120, 40), fixture::shop, "e Enter"),
    ("trace-span-200x60", "trace", (200, 60), fixture::shop, "e Enter Tab Down Down"),
    ("trace-log-80x24", "trace", (80, 24), fixture::shop, "Down Enter"),
    ("trace-without-logs", "trace", (80, 24), fixture::shop, "L"),
    ("correlate-detail", "correlate", (120, 40), fixture::shop, "e Enter"),
    ("correlate-exemplar", "correlate", (200, 60), fixture::shop, "G k k Enter"),
    ("from-alert-to-span", "overview", (120, 40), fixture::shop, "Tab Enter Enter"),
    ("from-alert-to-id", "overview", (120, 30), fixture::shop, "Tab g c"),
    ("from-service-to-logs", "overview", (120, 30), fixture::shop, "j g l"),
    ("from-log-to-trace", "logs", (120, 30), fixture::shop, "E g t"),
    ("palette-typed", "overview", (80, 24), fixture::shop, ": \"tr\" Down"),
    ("palette-ids", "logs", (100, 30), fixture::shop, "E : \"correlate \""),
    ("help-trace", "trace", (100, 60), fixture::shop, "?"),
];

#[test]
fn every_screen_in_every_look() {
    let mut wrong = Vec::new();
    for spec in screen::ALL {
        for (look, size, theme, world) in LOOKS {
            let mut driver = Driver::new(spec, fixture::args(spec.name), *size, *theme, *world);
            let frame = driver.frame();
            let mut text = tui::runtime::once::text_of(&frame);
            if theme.palette == Palette::Mono {
                text.push_str(&modifiers_of(&frame));
            }
            compare(&format!("{}-{look}", spec.name), &text, &mut wrong);
        }
    }
    report(&wrong);
}

#[test]
fn where_keys_lead() {
    let mut wrong = Vec::new();
    for (name, screen, size, world, keys) in SCENES {
        let spec = screen::spec(screen).expect(screen);
        let mut driver = Driver::new(spec, fixture::args(screen), *size, DARK, *world);
        driver.press(keys);
        compare(name, &driver.text(), &mut wrong);
    }
    report(&wrong);
}

#[test]
fn a_lost_server() {
    let mut wrong = Vec::new();
    let spec = screen::spec("overview").expect("overview");
    let mut driver = Driver::new(spec, Args::default(), (80, 24), DARK, fixture::gone);
    compare("lost-at-once", &driver.text(), &mut wrong);
    driver.world = Box::new(fixture::shop);
    driver.wait(6);
    assert!(driver.text().contains("the server is back"), "{}", driver.text());
    driver.world = Box::new(fixture::gone);
    driver.wait(20);
    compare("lost-later", &driver.text(), &mut wrong);
    report(&wrong);
}

#[test]
fn following() {
    let mut wrong = Vec::new();
    let spec = screen::spec("logs").expect("logs");
    let mut driver = Driver::new(spec, Args::default(), (120, 30), DARK, fixture::shop);
    let newer = |first: u64, count: u64| {
        let row = |seq| LogRow {
            ingest_seq: 1_234_567 + seq,
            timestamp: driver_now(),
            service: Some("loadgen".to_owned()),
            severity: Some("info".to_owned()),
            severity_number: 9,
            body: format!("record {seq}").into(),
            ..LogRow::default()
        };
        (first..first + count).map(row).collect::<Vec<_>>()
    };
    follow(&mut driver, newer(1, 3), 0);
    compare("logs-followed", &driver.text(), &mut wrong);
    // The cursor stays on its record while others come, and a flood is told as a number.
    driver.press("k k k k");
    follow(&mut driver, newer(4, 3), 8_210);
    compare("logs-flooded", &driver.text(), &mut wrong);
    driver.press("Space");
    follow(&mut driver, newer(10_000, 31), 12_400);
    compare("logs-paused", &driver.text(), &mut wrong);
    driver.press("Space G");
    compare("logs-resumed", &driver.text(), &mut wrong);
    let ticket = driver.tail.expect("a tail runs");
    let ended = Some(Trouble::new(TroubleKind::Slow, "the server ended the stream"));
    driver.happen(Event::Tail(News { ticket, rows: Vec::new(), not_shown: 0, notice: None, ended }));
    compare("logs-stream-ended", &driver.text(), &mut wrong);
    driver.wait(2);
    assert_ne!(driver.tail, Some(ticket), "it follows again");
    report(&wrong);
}

fn driver_now() -> String {
    super::driver::NOW.replace('Z', ".000000000Z")
}

/// Followed rows for the tail that runs.
pub fn follow(driver: &mut Driver, rows: Vec<model::wire::logs::LogRow>, not_shown: u64) {
    let ticket = driver.tail.expect("a tail runs");
    driver.happen(Event::Tail(News { ticket, rows, not_shown, notice: None, ended: None }));
}

/// Compares `text` with the file of that name.
pub fn compare(name: &str, text: &str, wrong: &mut Vec<String>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/screens").join(format!("{name}.txt"));
    if std::env::var_os("UPDATE_SCREENS").is_some() {
        std::fs::write(&path, text).expect("a writable working copy");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    if written != text {
        wrong.push(format!("--- {name}, as it is in the file\n{written}--- as it is drawn\n{text}"));
    }
}

/// Fails if something differed.
pub fn report(wrong: &[String]) {
    let count = wrong.len();
    assert!(
        wrong.is_empty(),
        "{count} screens differ; if they are right, UPDATE_SCREENS=1 writes them anew\n{}",
        wrong.join("\n")
    );
}

// What is bold, dim, reversed or underlined, as letters below the text; and that nothing has a colour.
fn modifiers_of(buffer: &Buffer) -> String {
    let mut text = String::from("---\n");
    for line in buffer.content.chunks(usize::from(buffer.area.width)) {
        let letters = line.iter().map(|cell| {
            assert_eq!((cell.fg, cell.bg), (Color::Reset, Color::Reset), "mono has colours");
            let has = |modifier| cell.modifier.contains(modifier);
            match () {
                () if has(Modifier::REVERSED) => 'r',
                () if has(Modifier::UNDERLINED) => 'u',
                () if has(Modifier::BOLD) => 'b',
                () if has(Modifier::DIM) => 'd',
                () => ' ',
            }
        });
        text.push_str(letters.collect::<String>().trim_end());
        text.push('\n');
    }
    text
}
