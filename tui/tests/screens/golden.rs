//! Frames as text, compared with the files beside this one. `UPDATE_SCREENS=1 cargo test -p tui --test screens` writes them anew.
//!
//! Each screen of the program's list is drawn in each of the [`LOOKS`]; what keys lead to is in [`SCENES`].

use std::path::Path;

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier};
use tui::event::{Event, News};
use tui::screen::{self, Args};
use tui::theme::{Palette, Theme};

use super::driver::{Driver, World};
use super::fixture;

pub const DARK: Theme = Theme { palette: Palette::Dark, ascii: false };
const ASCII: Theme = Theme { palette: Palette::Dark, ascii: true };
const MONO: Theme = Theme { palette: Palette::Mono, ascii: false };

/// How every screen is looked at: the file's ending, size, theme, world.
const LOOKS: &[(&str, (u16, u16), Theme, World)] = &[
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
const SCENES: &[(&str, &str, (u16, u16), World, &str)] = &[
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
    driver.world = fixture::shop;
    driver.wait(6);
    assert!(driver.text().contains("the server is back"), "{}", driver.text());
    driver.world = fixture::gone;
    driver.wait(20);
    compare("lost-later", &driver.text(), &mut wrong);
    report(&wrong);
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
