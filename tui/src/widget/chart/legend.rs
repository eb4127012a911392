//! Which line is which: in a few lines of text, or as a table with numbers and a cursor.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::{Line, has_letters, line_style};
use crate::dashboard::Unit;
use crate::sanitize::Safe;
use crate::theme::{Role, Theme};
use crate::widget::list::select;
use crate::widget::{put, put_right};

/// The letter of series `index`.
pub fn marker(index: usize) -> &'static str {
    const LETTERS: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let at = index % LETTERS.len();
    &LETTERS[at..=at]
}

// What stands before a series' name, and how it looks.
fn sign(theme: Theme, lines: usize, index: usize, hidden: bool) -> (&'static str, Style) {
    let style = if hidden { theme.style(Role::Faint) } else { line_style(theme, index) };
    match (hidden, has_letters(theme, lines)) {
        (_, true) => (marker(index), style.add_modifier(Modifier::BOLD)),
        (true, false) => (if theme.ascii { "o" } else { "○" }, style),
        (false, false) => (theme.symbols().dot, style),
    }
}

/// Names and newest values one after another, in the lines of `area`; what does not fit is counted.
pub fn legend_lines(buffer: &mut Buffer, area: Rect, lines: &[Line], unit: Unit, decimals: Option<u8>, theme: Theme) {
    let (mut x, mut y) = (area.x, area.y);
    for (index, line) in lines.iter().enumerate() {
        let value = line.last().map(|value| Safe::line(&unit.write(value, decimals))).unwrap_or_default();
        let wanted = 2 + line.name.width() + 1 + value.width();
        let wanted = u16::try_from(wanted).unwrap_or(u16::MAX).min(area.width);
        let is_last = index + 1 == lines.len();
        let reserve = if y + 1 == area.bottom() && !is_last { MORE_CELLS } else { 0 };
        if x > area.x && x + wanted + reserve > area.right() {
            (x, y) = (area.x, y + 1);
        }
        if y >= area.bottom() {
            let more = Safe::of(format_args!("+{} more", lines.len() - index));
            let from = area.right().saturating_sub(MORE_CELLS);
            put_right(buffer, (area.right(), area.bottom() - 1), area.right() - from, &more, theme.style(Role::Faint));
            return;
        }
        let (sign, style) = sign(theme, lines.len(), index, line.hidden);
        put(buffer, (x, y), 1, sign, style);
        let room = wanted.saturating_sub(3 + cells(&value)).max(1);
        let name_style = theme.style(if line.hidden { Role::Faint } else { Role::Text });
        let used = put(buffer, (x + 2, y), room, &line.name, name_style);
        put(buffer, (x + 3 + used, y), wanted.saturating_sub(3 + used), &value, theme.style(Role::Strong));
        x = x.saturating_add(wanted + 3);
    }
}

// ` +12 more`
const MORE_CELLS: u16 = 10;

/// A row for each series with its newest, least and greatest value; `cursor` marks one. Rows above `offset` are left out.
pub fn legend_table(
    buffer: &mut Buffer,
    area: Rect,
    lines: &[Line],
    (offset, cursor): (usize, Option<usize>),
    unit: Unit,
    decimals: Option<u8>,
    theme: Theme,
) {
    if area.is_empty() {
        return;
    }
    const COLUMN: u16 = 11;
    let columns: &[&str] = match area.width {
        ..30 => &[],
        30..60 => &["NOW"],
        60..80 => &["NOW", "MAX"],
        _ => &["NOW", "MIN", "AVG", "MAX"],
    };
    let faint = theme.style(Role::Faint);
    // The cursor's sign and a blank, as in lists.
    let margin = if cursor.is_some() { 2 } else { 0 };
    put(buffer, (area.x + margin + 2, area.y), area.width.saturating_sub(margin + 2), "SERIES", faint);
    for (at, title) in columns.iter().rev().enumerate() {
        put_right(buffer, (area.right() - COLUMN * at as u16, area.y), COLUMN - 1, *title, faint);
    }
    let name_room = area.width.saturating_sub(margin + 3 + COLUMN * columns.len() as u16);
    for (row, (index, line)) in lines.iter().enumerate().skip(offset).enumerate() {
        let y = area.y + 1 + row as u16;
        if y >= area.bottom() {
            break;
        }
        let (sign, style) = sign(theme, lines.len(), index, line.hidden);
        put(buffer, (area.x + margin, y), 1, sign, style);
        let text = theme.style(if line.hidden { Role::Faint } else { Role::Text });
        put(buffer, (area.x + margin + 2, y), name_room, &line.name, text);
        for (at, title) in columns.iter().rev().enumerate() {
            let value = figure(line, title).map(|value| unit.write(value, decimals));
            let value = Safe::line(value.as_deref().unwrap_or("-"));
            put_right(buffer, (area.right() - COLUMN * at as u16, y), COLUMN - 1, &value, text);
        }
        if cursor == Some(index) {
            select(buffer, Rect { y, height: 1, ..area }, theme);
        }
    }
}

fn figure(line: &Line, title: &str) -> Option<f64> {
    let fold = |start: f64, join: fn(f64, f64) -> f64| Some(line.values().fold(start, join)).filter(|v| v.is_finite());
    match title {
        "NOW" => line.last(),
        "MIN" => fold(f64::INFINITY, f64::min),
        "MAX" => fold(f64::NEG_INFINITY, f64::max),
        _ => {
            let count = line.values().count();
            (count > 0).then(|| line.values().map(|value| value / count as f64).sum())
        }
    }
}

fn cells(text: &Safe) -> u16 {
    u16::try_from(text.width()).unwrap_or(u16::MAX)
}
