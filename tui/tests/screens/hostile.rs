//! Strings that would do something to a terminal, in every text of every answer, on every screen: no cell, plain output, JSON or
//! clipboard has what a terminal obeys.

use std::sync::Arc;

use model::wire::prom::QueryData;
use ratatui::buffer::CellWidth as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tui::dashboard::shelf::{Boards, Entry};
use tui::dashboard::{Board, FileError, PanelKind, Variable, VariableKind};
use tui::effect::{Ask, Names, Reply, Trouble, TroubleKind};
use tui::event::{Event, News};
use tui::sanitize::{self, Safe};
use tui::screen::{self, Args};
use tui::theme::{Palette, Theme};

use super::driver::Driver;
use super::fixture;

/// The corpus.
pub fn corpus() -> Vec<String> {
    let mut corpus: Vec<String> = Vec::new();
    // Every C0 and C1 control, and DEL.
    corpus.extend((0u8..32).chain(127..160).map(|byte| format!("a{}b", char::from(byte))));
    corpus.extend(
        [
            // CSI: clear, home, colours, scroll regions, reports, modes.
            "\x1b[2J\x1b[H",
            "\x1b[31mred",
            "\x1b[1;5r",
            "\x1b[6n",
            "\x1b[?1049l",
            "\x1b[?25h",
            "\x1b[?2004l",
            "\x1b[200~x\x1b[201~",
            "\x1b[8;1;1t",
            "\x1b[999;999H",
            "\x1b[38;2;1;2;3m",
            "\x1b[!p",
            "\x1bc",
            "\x1b#8",
            "\x1b(0lqk",
            "\u{9b}2J",
            "\x1b[?2026h",
            // OSC: title, links, clipboard, palette, notifications, working directory.
            "\x1b]0;title\x07",
            "\x1b]2;title\x1b\\",
            "\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\",
            "\x1b]52;c;ZXZpbA==\x07",
            "\x1b]52;c;?\x07",
            "\x1b]4;1;rgb:00/00/00\x07",
            "\x1b]9;note\x07",
            "\x1b]7;file:///\x07",
            "\x1b]1337;File=inline=1:AAAA\x07",
            "\u{9d}0;t\u{9c}",
            "\x1b]10;?\x07",
            // DCS, APC, PM, SOS.
            "\x1bP$q\"p\x1b\\",
            "\x1bPq#0;2;0;0;0\x1b\\",
            "\x1b_Gf=24;AAAA\x1b\\",
            "\x1b^pm\x1b\\",
            "\x1bXsos\x1b\\",
            "\u{90}x\u{9c}",
            "\u{9f}x\u{9c}",
            "\u{9e}x\u{9c}",
            // Writing direction.
            "user\u{202e}gpj.exe",
            "\u{202a}a",
            "\u{202b}a",
            "\u{202c}a",
            "\u{202d}a",
            "\u{2066}a",
            "\u{2067}a",
            "\u{2068}a",
            "\u{2069}a",
            "\u{61c}a",
            "\u{200e}a",
            "\u{200f}a",
            // Without width.
            "a\u{200b}b",
            "a\u{200c}b",
            "a\u{200d}b",
            "a\u{2060}b",
            "\u{feff}a",
            "a\u{ad}b",
            "a\u{34f}b",
            "\u{180e}",
            "a\u{fe0f}",
            "\u{fe0e}",
            "a\u{2061}b",
            "a\u{206a}b",
            "a\u{e0001}b",
            "a\u{e0041}\u{e007f}",
            "a\u{e0100}b",
            "a\u{1d173}b",
            "a\u{1bca0}b",
            // Blank letters, annotations, separators.
            "\u{3164}",
            "\u{115f}\u{1160}",
            "\u{ffa0}",
            "\u{17b4}",
            "\u{fff9}a\u{fffa}b\u{fffb}",
            "a\u{2028}b\u{2029}c",
            "\u{85}",
            "\u{fffc}",
            "\u{fffd}",
            // Wide, and marks that pile up.
            "漢字漢字漢字漢字漢字",
            "👩\u{200d}👩\u{200d}👧\u{200d}👦",
            "👍🏽👍🏿",
            "🇩🇪🇫🇷🇯",
            "ﷺ",
            "꧅꧅꧅",
            "ก็็็็็็็็็็็็",
            "Z\u{300}\u{301}\u{302}\u{303}\u{304}\u{305}\u{306}\u{307}",
            "\u{301}\u{301}",
            "ｶﾞｷﾞ",
            "กำ",
            "ำำำ",
            "שלום עולם",
            "مرحبا بالعالم",
            "क्षत्रिय",
            "\u{1f468}\u{1f3fd}\u{200d}\u{1f4bb}",
            // What a format, a filter or a path could trip over.
            "",
            " ",
            "{}",
            "%s%n",
            "\"",
            "'",
            "\\",
            "\\u{1b}",
            "\\x1b[2J",
            "${jndi:ldap://x}",
            "../../etc/passwd",
            "<script>",
            "a\nb\r\nc\td",
            "\r",
            "()[]{}|*?",
            "-1",
            "NaN",
            "null",
            "9999999999999999999999",
            "0000-00-00T00:00:00Z",
            "2262-04-11T23:47:16.854775807Z",
            "1677-09-21T00:12:43Z",
            "2026-02-30T00:00:00Z",
            "-15m",
            // Half of a pair, as JSON writes it and as it is read.
            "\\ud800",
            "\u{10ffff}",
            "\u{fdd0}",
            "\u{e000}",
            "\u{1f600}\u{dc}",
        ]
        .map(str::to_owned),
    );
    corpus.push("x".repeat(1 << 20));
    corpus.push("漢".repeat(20_000));
    corpus.push("\x1b[2J".repeat(5_000));
    corpus.push(format!("a{}", "\u{301}".repeat(10_000)));
    corpus
}

// Maps whose keys are texts of strangers too.
const OPEN_MAPS: [&str; 10] =
    ["attributes", "resource", "labels", "annotations", "counters", "tables", "doors", "links", "metadata", "metric"];

// Words that say which kind of value follows.
const TAGS: [&str; 2] = ["type", "resultType"];

/// `value` with `text` in every text field.
pub fn poisoned<T: Serialize + DeserializeOwned>(value: &T, text: &str) -> T {
    let json = serde_json::to_value(value).expect("JSON");
    serde_json::from_value(replace(json, text, None)).expect("texts may be any")
}

fn replace(value: Value, text: &str, key: Option<&str>) -> Value {
    match value {
        Value::String(tag) if key.is_some_and(|key| TAGS.contains(&key)) => Value::String(tag),
        Value::String(_) => Value::String(text.to_owned()),
        Value::Array(values) => Value::Array(values.into_iter().map(|value| replace(value, text, None)).collect()),
        Value::Object(map) => {
            let open = key.is_some_and(|key| OPEN_MAPS.contains(&key));
            let entry = |(index, (name, value)): (usize, (String, Value))| {
                let value = replace(value, text, Some(&name));
                if open { (format!("{text}{index}"), value) } else { (name, value) }
            };
            Value::Object(map.into_iter().enumerate().map(entry).collect::<Map<_, _>>())
        }
        other => other,
    }
}

/// The shop's answer with `text` in every text field.
pub fn poisoned_reply(ask: &Ask, text: &str) -> Result<Reply, Trouble> {
    // A few rows show what all would; of texts that are long themselves, forty would be gigabytes.
    let rows = if text.len() > 10_000 { 2 } else { 6 };
    Ok(match shortened(fixture::shop(ask)?, rows) {
        Reply::Status(of) => Reply::Status(Box::new(poisoned(of.as_ref(), text))),
        Reply::Services(of) => Reply::Services(poisoned(&of, text)),
        Reply::Alerts(of) => Reply::Alerts(poisoned(&of, text)),
        Reply::Rules(of) => Reply::Rules(poisoned(&of, text)),
        Reply::Notifications(of) => Reply::Notifications(poisoned(&of, text)),
        Reply::Logs(of) => Reply::Logs(poisoned(&of, text)),
        Reply::Spans(of) => Reply::Spans(poisoned(&of, text)),
        Reply::Histogram(of) => Reply::Histogram(poisoned(&of, text)),
        Reply::Trace(of) => Reply::Trace(Box::new(poisoned(of.as_ref(), text))),
        Reply::Correlation(of) => Reply::Correlation(Box::new(poisoned(of.as_ref(), text))),
        Reply::Query(of) => Reply::Query(poisoned(&of, text)),
        Reply::Values(of) => Reply::Values(poisoned(&of, text)),
        Reply::Names(Names(of)) => {
            let entries = of.values().enumerate().map(|(index, of)| (format!("{text}{index}"), poisoned(of, text)));
            Reply::Names(Names(entries.collect()))
        }
        Reply::Boards(of) => Reply::Boards(poisoned_boards(of, text)),
    })
}

// Files are somebody's too: every text of every board.
fn poisoned_boards(of: Boards, text: &str) -> Boards {
    let error = FileError {
        file: text.to_owned(),
        line: 1,
        column: 1,
        message: text.to_owned(),
        remedy: Some(text.to_owned()),
    };
    let poison = |(index, mut entry): (usize, Entry)| {
        // The first has the name that is asked for.
        entry.name = if index == 0 { text.to_owned() } else { format!("{text}{index}") };
        entry.error = index.is_multiple_of(2).then(|| error.clone());
        entry.board = entry.board.map(|board| {
            let mut board = Board::clone(&board);
            board.title = text.to_owned();
            board.description = text.to_owned();
            let variable = Variable {
                name: "odd".to_owned(),
                label: text.to_owned(),
                kind: VariableKind::List(vec![text.to_owned()]),
                default: None,
                multi: index.is_multiple_of(2),
            };
            board.variables.push(variable);
            for panel in &mut board.panels {
                panel.title = text.to_owned();
                panel.queries.iter_mut().for_each(|query| query.legend = format!("{text}{{{{job}}}}"));
            }
            let mut note = board.panels[0].clone();
            (note.kind, note.queries) = (PanelKind::Text(text.to_owned()), Vec::new());
            board.panels.insert(0, note);
            Arc::new(board)
        });
        entry
    };
    let entries = of.entries.into_iter().enumerate().map(poison).collect();
    Boards { entries, complaint: Some(error) }
}

fn shortened(mut reply: Reply, rows: usize) -> Reply {
    match &mut reply {
        Reply::Logs(page) => page.rows.truncate(rows),
        Reply::Spans(page) => page.rows.truncate(rows),
        Reply::Trace(trace) => trace.spans.truncate(rows),
        Reply::Correlation(found) => {
            found.spans.truncate(rows);
            found.logs.truncate(rows);
        }
        Reply::Query(QueryData::Matrix(series)) => series.iter_mut().for_each(|one| one.values.truncate(rows)),
        Reply::Names(Names(names)) => *names = std::mem::take(names).into_iter().take(rows).collect(),
        Reply::Boards(boards) => {
            for board in boards.entries.iter_mut().filter_map(|entry| entry.board.as_mut()) {
                Arc::make_mut(board).panels.truncate(rows.saturating_mul(2));
            }
        }
        _ => {}
    }
    reply
}

#[test]
fn no_string_reaches_the_terminal() {
    let corpus = corpus();
    assert!(corpus.len() >= 180, "{}", corpus.len());
    let long: usize = corpus.iter().filter(|text| text.len() > 10_000).count();
    assert_eq!(long, 4);
    for (index, text) in corpus.iter().enumerate() {
        for spec in screen::ALL {
            let theme = Theme { palette: Palette::ALL[index % 3], ascii: index % 2 == 0 };
            let size = [(80, 24), (120, 40), (200, 60)][index % 3];
            let args = Args { filter: text.clone(), id: text.clone(), span: Some(text.clone()) };
            // A page of long texts is long: a few of them are enough.
            let answers = text.clone();
            let mut driver = Driver::new(spec, args, size, theme, move |ask| poisoned_reply(ask, &answers));
            check(&mut driver, text);
            let json = driver.state.top().json().to_string();
            assert!(!sanitize::json(&json).contains(sanitize::is_hostile), "{index} in JSON");
            for keys in ["Down Enter", "y Tab Down", "Enter", "v Enter l", "Esc e \"x\"", "Esc : \"correlate \""] {
                driver.press(keys);
                check(&mut driver, text);
            }
            driver.happen(Event::Paste(text.clone()));
            check(&mut driver, text);
            driver.press("Esc y");
            let failing = text.clone();
            driver.world = Box::new(move |_| Err(Trouble::new(TroubleKind::Refused, &failing)));
            driver.press("R");
            check(&mut driver, text);
        }
    }
}

#[test]
fn no_followed_string_reaches_the_terminal() {
    for text in corpus() {
        let spec = screen::spec("logs").expect("logs");
        let mut driver = Driver::new(spec, Args::default(), (120, 40), Theme::default(), fixture::shop);
        let asked = fixture::shop(&Ask::Logs(tui::effect::Rows {
            query: String::new(),
            range: model::TimeRange::ALL,
            limit: 1,
            ascending: false,
            cursor: None,
        }));
        let Ok(Reply::Logs(page)) = asked.map(|reply| shortened(reply, 3)) else { panic!("logs") };
        let mut rows = poisoned(&page, &text).rows;
        (0u64..).zip(&mut rows).for_each(|(index, row)| row.ingest_seq = 2_000_000 + index);
        let ticket = driver.tail.expect("a tail runs");
        let notice = Some(Safe::line(&text));
        driver.happen(Event::Tail(News { ticket, rows, not_shown: 7, notice, ended: None }));
        driver.press("G Enter y");
        check(&mut driver, &text);
    }
}

fn check(driver: &mut Driver, text: &str) {
    let frame = driver.frame();
    let shown: String = text.chars().take(80).collect();
    let mut covered = 0;
    for (index, cell) in frame.content.iter().enumerate() {
        let symbol = cell.symbol();
        assert!(!symbol.contains(sanitize::is_hostile), "{shown:?}: {symbol:?} in a cell");
        let width = symbol.cell_width();
        assert!(width > 0, "{shown:?}: {symbol:?} has no width");
        if covered > 0 {
            covered -= 1;
        } else {
            covered = width - 1;
        }
        // A wide character does not stand across the right edge.
        let column = index % usize::from(frame.area.width);
        assert!(
            column + usize::from(width) <= usize::from(frame.area.width),
            "{shown:?}: {symbol:?} stands across the edge"
        );
    }
    let plain = tui::runtime::once::text_of(&frame);
    assert!(plain.lines().all(|line| !line.contains(sanitize::is_hostile)), "{shown:?} in plain output");
    for copied in driver.copied.drain(..) {
        assert!(!copied.contains(sanitize::is_hostile), "{shown:?} on the clipboard");
        let sequence = tui::terminal::osc52(&Safe::line(&copied));
        let inner = &sequence[7..sequence.len() - 1];
        assert!(inner.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte)));
    }
}
