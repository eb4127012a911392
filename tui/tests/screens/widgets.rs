//! Charts, gauges, bars, tables and large numbers by themselves: in little room, with gaps, with numbers that are none.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use tui::dashboard::Unit;
use tui::sanitize::Safe;
use tui::theme::{Palette, Role, Theme};
use tui::widget::bar::{self, Bar};
use tui::widget::chart::{Chart, Ink, Line, legend_lines, legend_table};
use tui::widget::gauge::Gauge;
use tui::widget::stat;
use tui::widget::table::{Cell, Column, Sort, Table, order};

use super::golden::{compare, report};

const DARK: Theme = Theme { palette: Palette::Dark, ascii: false };
const ASCII: Theme = Theme { palette: Palette::Dark, ascii: true };
const MONO: Theme = Theme { palette: Palette::Mono, ascii: false };

const START: f64 = 1_769_869_000.0;

// One below the other, each with its name above it.
struct Sheet(String);

impl Sheet {
    fn draw(&mut self, name: &str, (width, height): (u16, u16), draw: impl FnOnce(&mut Buffer, Rect)) {
        // A cell of frame on each side shows what is drawn outside of the area.
        let mut buffer = Buffer::empty(Rect::new(0, 0, width + 2, height + 2));
        draw(&mut buffer, Rect::new(1, 1, width, height));
        for y in [0, height + 1] {
            assert!((0..width + 2).all(|x| buffer[(x, y)].symbol() == " "), "{name} leaves its area");
        }
        for x in [0, width + 1] {
            assert!((0..height + 2).all(|y| buffer[(x, y)].symbol() == " "), "{name} leaves its area");
        }
        self.0.push_str(&format!("# {name} ({width}x{height})\n"));
        let text = tui::runtime::once::text_of(&buffer);
        for line in text.lines().skip(1).take(usize::from(height)) {
            self.0.push_str(&format!("|{:<1$}|\n", line.get(1..).unwrap_or_default(), usize::from(width)));
        }
    }
}

fn line(name: &str, values: &[f64]) -> Line {
    let points = values.iter().enumerate().map(|(at, value)| (START + at as f64 * 10.0, *value)).collect();
    Line { name: Safe::line(name), points, hidden: false }
}

fn chart<'a>(lines: &'a [Line], ink: Ink, theme: Theme, unit: Unit) -> Chart<'a> {
    let thresholds: &[(f64, Role)] = &[(30.0, Role::Bad)];
    Chart { lines, times: (START, START + 400.0), step: 10.0, ends: (None, None), unit, thresholds, ink, theme }
}

#[test]
fn charts() {
    let mut sheet = Sheet(String::new());
    let rising: Vec<f64> = (0..41).map(|at| if (12..20).contains(&at) { f64::NAN } else { f64::from(at) }).collect();
    let falling: Vec<f64> = (0..41).map(|at| 40.0 - f64::from(at)).collect();
    let mut torn = line("torn", &rising);
    // Points that are not there are a gap as well.
    torn.points.retain(|(at, _)| !(300.0..340.0).contains(&(at - START)));
    let two = [torn.clone(), line("falling", &falling)];
    for (name, ink, theme) in [
        ("braille", Ink::Braille, DARK),
        ("blocks", Ink::Blocks, DARK),
        ("ascii", Ink::Ascii, ASCII),
        ("letters", Ink::Braille, MONO),
    ] {
        sheet.draw(name, (60, 12), |buffer, area| chart(&two, ink, theme, Unit::Short).draw(buffer, area));
    }
    let alone = [line("alone", &[f64::NAN, 7.0, f64::NAN])];
    sheet.draw("one point", (40, 7), |buffer, area| chart(&alone, Ink::Braille, DARK, Unit::Bytes).draw(buffer, area));
    let none = [line("none", &[])];
    sheet.draw("no point", (40, 7), |buffer, area| chart(&none, Ink::Braille, DARK, Unit::Seconds).draw(buffer, area));
    let odd = [line("odd", &[1.0, f64::INFINITY, 1e308, -1e308, f64::NEG_INFINITY, 2.0])];
    sheet.draw("odd", (40, 7), |buffer, area| chart(&odd, Ink::Braille, DARK, Unit::Short).draw(buffer, area));
    for size in [(19, 5), (40, 4), (10, 2), (3, 1), (1, 1)] {
        sheet.draw("small", size, |buffer, area| chart(&two, Ink::Braille, DARK, Unit::Short).draw(buffer, area));
    }
    let many: Vec<Line> = (0..9).map(|at| line(&format!("series number {at}"), &[f64::from(at); 41])).collect();
    sheet.draw("many", (60, 12), |buffer, area| chart(&many, Ink::Braille, DARK, Unit::Short).draw(buffer, area));
    sheet.draw("legend", (60, 2), |buffer, area| legend_lines(buffer, area, &many, Unit::Short, None, DARK));
    sheet.draw("legend", (60, 5), |buffer, area| {
        legend_table(buffer, area, &many, (2, Some(3)), Unit::Ops, None, DARK);
    });
    let mut hidden = two.to_vec();
    hidden[1].hidden = true;
    sheet.draw("hidden", (60, 8), |buffer, area| chart(&hidden, Ink::Braille, DARK, Unit::Short).draw(buffer, area));
    sheet.draw("hidden", (60, 1), |buffer, area| legend_lines(buffer, area, &hidden, Unit::Short, None, DARK));
    let mut wrong = Vec::new();
    compare("widgets-charts", &sheet.0, &mut wrong);
    report(&wrong);
}

#[test]
fn numbers() {
    let mut sheet = Sheet(String::new());
    let texts = ["12.4k", "0%", "100%"].map(Safe::line);
    let marks = [(0.5, Role::Warning), (0.9, Role::Bad), (7.0, Role::Bad)];
    for (share, theme) in [(0.0, DARK), (0.63, DARK), (0.63, ASCII), (2.0, DARK)] {
        for size in [(30, 3), (30, 1), (5, 2)] {
            let gauge =
                Gauge { share, texts: (&texts[0], &texts[1], &texts[2]), marks: &marks, role: Role::Good, theme };
            sheet.draw("gauge", size, |buffer, area| gauge.draw(buffer, area));
        }
    }
    let bars = [("gateway", 12.0), ("orders", 3.1), ("платёжи", 0.0), ("none", f64::NAN), ("less", -4.0)];
    let bars = bars.map(|(name, value)| Bar {
        name: Safe::line(name),
        value,
        text: Safe::line(&Unit::Ops.write(value, None)),
        role: Role::Key,
    });
    for (size, offset, theme) in [((40, 5), 0, DARK), ((40, 3), 0, DARK), ((40, 3), 3, ASCII), ((9, 2), 0, DARK)] {
        sheet.draw("bars", size, |buffer, area| bar::draw(buffer, area, &bars, (offset, None), theme));
    }
    for (number, unit, size, theme) in [
        ("0123456789", "", (42, 3), DARK),
        ("-12.4", " MiB", (30, 3), DARK),
        ("1.00e12", "", (30, 4), DARK),
        ("12.4", " MiB", (14, 3), DARK),
        ("12.4", "k/s", (30, 3), ASCII),
        ("漢", "", (30, 3), DARK),
    ] {
        let (number, unit) = (Safe::line(number), Safe::line(unit));
        sheet.draw("stat", size, |buffer, area| {
            stat::draw(buffer, area, &number, &unit, Role::Strong, theme);
        });
    }
    let mut wrong = Vec::new();
    compare("widgets-numbers", &sheet.0, &mut wrong);
    report(&wrong);
}

#[test]
fn tables() {
    let mut sheet = Sheet(String::new());
    let row = |name: &str, place: &str, value: f64| {
        vec![
            Cell::text(Safe::line(name)),
            Cell::text(Safe::line(place)),
            Cell::number(value, Safe::line(&value.to_string())),
        ]
    };
    let rows = [
        row("gateway", "a rather long place that may give way", 7.5),
        row("漢字", "東京", f64::NAN),
        row("orders", "", -3.0),
        row("payments", "b", 120.0),
    ];
    let columns = [Column::new("NAME"), Column::flexible("PLACE"), Column::new("A LONG TITLE")];
    let sorts = [None, Some(Sort { column: 2, descending: true }), Some(Sort { column: 0, descending: false })];
    for sort in sorts {
        let order = sort.map_or_else(|| (0..rows.len()).collect(), |sort| order(&rows, sort));
        let sorted: Vec<Vec<Cell>> = order.into_iter().map(|at| rows[at].clone()).collect();
        for (size, cursor, theme) in
            [((60, 5), Some(1), DARK), ((34, 4), None, ASCII), ((12, 3), None, DARK), ((2, 2), Some(0), DARK)]
        {
            let table = Table { columns: &columns, rows: &sorted, sort, offset: 0, cursor, theme };
            sheet.draw("table", size, |buffer, area| table.draw(buffer, area));
        }
    }
    let table = Table { columns: &columns, rows: &[], sort: None, offset: 9, cursor: None, theme: DARK };
    sheet.draw("empty", (30, 3), |buffer, area| table.draw(buffer, area));
    let mut wrong = Vec::new();
    compare("widgets-tables", &sheet.0, &mut wrong);
    report(&wrong);
}

#[test]
fn the_order_of_a_table_is_stable_and_puts_numbers_first() {
    let cell = |value: f64| vec![Cell::number(value, "x")];
    let rows = [cell(1.0), vec![Cell::text("text")], cell(f64::NAN), cell(3.0), cell(1.0), vec![]];
    for (descending, expected) in [(false, [0, 4, 3, 2]), (true, [3, 0, 4, 2])] {
        assert_eq!(order(&rows, Sort { column: 0, descending })[..4], expected);
        assert_eq!(order(&rows, Sort { column: 9, descending }).len(), rows.len());
    }
}
