//! Rows of cells under titles: numbers stand at the right, texts at the left, one column decides the order.
//!
//! Columns are as wide as what they hold, while there is room; the column that may give way is cut first, then titles, then all
//! the others from the right.

use std::cmp::Ordering;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::list::select;
use super::{put, put_right};
use crate::sanitize::Safe;
use crate::theme::{Role, Theme};

/// One cell.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// What stands there.
    pub text: Safe,
    /// The number it means, for the order and the right side; `None` for a text.
    pub number: Option<f64>,
    /// How it looks.
    pub role: Role,
}

impl Cell {
    /// A text.
    pub fn text(text: impl Into<Safe>) -> Self {
        Self { text: text.into(), number: None, role: Role::Text }
    }

    /// A number with its text.
    pub fn number(number: f64, text: impl Into<Safe>) -> Self {
        Self { text: text.into(), number: Some(number), role: Role::Text }
    }

    /// The same, looking otherwise.
    pub fn role(self, role: Role) -> Self {
        Self { role, ..self }
    }
}

/// A title, and whether the column gives way first where room is short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Above it.
    pub title: Safe,
    /// Whether it takes what is left, or gives what is missing.
    pub flexible: bool,
}

impl Column {
    /// A column as wide as what it holds.
    pub fn new(title: impl Into<Safe>) -> Self {
        Self { title: title.into(), flexible: false }
    }

    /// A column that takes the room that is left.
    pub fn flexible(title: impl Into<Safe>) -> Self {
        Self { title: title.into(), flexible: true }
    }
}

/// Which column decides the order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sort {
    /// The column.
    pub column: usize,
    /// Whether the greatest comes first.
    pub descending: bool,
}

/// The order of `rows`, as indices.
pub fn order(rows: &[Vec<Cell>], sort: Sort) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by(|one, other| {
        let (one, other) = (rows[*one].get(sort.column), rows[*other].get(sort.column));
        // What is no number stands at the end, whichever way the order goes.
        match (one.and_then(|cell| cell.number), other.and_then(|cell| cell.number)) {
            (Some(a), Some(b)) if a.is_nan() || b.is_nan() => a.is_nan().cmp(&b.is_nan()),
            (Some(a), Some(b)) => turned(a.total_cmp(&b), sort),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => turned(one.map(|cell| &cell.text).cmp(&other.map(|cell| &cell.text)), sort),
        }
    });
    order
}

fn turned(ordering: Ordering, sort: Sort) -> Ordering {
    if sort.descending { ordering.reverse() } else { ordering }
}

/// Everything a table is drawn from.
#[derive(Clone, Debug)]
pub struct Table<'a> {
    /// Titles.
    pub columns: &'a [Column],
    /// Rows, in the order they are shown.
    pub rows: &'a [Vec<Cell>],
    /// Marked in its title.
    pub sort: Option<Sort>,
    /// The first row that is shown.
    pub offset: usize,
    /// The row that is marked.
    pub cursor: Option<usize>,
    /// Colours and symbols.
    pub theme: Theme,
}

impl Table<'_> {
    /// Draws titles and rows into `area`.
    pub fn draw(&self, buffer: &mut Buffer, area: Rect) {
        let area = area.intersection(buffer.area);
        if area.is_empty() {
            return;
        }
        let inner = self.inner(area);
        let faint = self.theme.style(Role::Faint);
        for (at, (x, width)) in self.places(inner.width).iter().enumerate() {
            let title = self.title(at);
            self.put(buffer, (inner.x + x, area.y), *width, &title, self.is_right(at), faint);
        }
        self.draw_rows(buffer, Rect { y: area.y + 1, height: area.height - 1, ..area });
    }

    /// Draws rows only.
    pub fn draw_rows(&self, buffer: &mut Buffer, area: Rect) {
        let area = area.intersection(buffer.area);
        if area.is_empty() {
            return;
        }
        let inner = self.inner(area);
        let places = self.places(inner.width);
        for (row, cells) in self.rows.iter().enumerate().skip(self.offset).take(usize::from(area.height)) {
            let y = area.y + (row - self.offset) as u16;
            for (at, ((x, width), cell)) in places.iter().zip(cells).enumerate() {
                self.put(buffer, (inner.x + x, y), *width, &cell.text, self.is_right(at), self.theme.style(cell.role));
            }
            if self.cursor == Some(row) {
                select(buffer, Rect { y, height: 1, ..area }, self.theme);
            }
        }
    }

    // The cursor's sign and a blank stand before it, as in lists.
    fn inner(&self, area: Rect) -> Rect {
        let margin = if self.cursor.is_some() { 2.min(area.width - 1) } else { 0 };
        Rect { x: area.x + margin, width: area.width - margin, ..area }
    }

    fn put(&self, buffer: &mut Buffer, (x, y): (u16, u16), width: u16, text: &Safe, right: bool, style: Style) {
        match right {
            true => put_right(buffer, (x + width, y), width, text, style),
            false => put(buffer, (x, y), width, text, style),
        };
    }

    fn title(&self, column: usize) -> Safe {
        let title = &self.columns[column].title;
        match self.sort.filter(|sort| sort.column == column) {
            None => title.clone(),
            Some(sort) => {
                let up = if self.theme.ascii { "^" } else { "▴" };
                let mark = if sort.descending { self.theme.symbols().down } else { up };
                Safe::of(format_args!("{title}{mark}"))
            }
        }
    }

    fn is_right(&self, column: usize) -> bool {
        let mut cells = self.rows.iter().filter_map(|row| row.get(column));
        cells.any(|cell| cell.number.is_some())
    }

    // Where each column begins and how wide it is; those for which there is no room are left out.
    fn places(&self, width: u16) -> Vec<(u16, u16)> {
        const GAP: u16 = 2;
        let cells = |text: &Safe| u16::try_from(text.width()).unwrap_or(u16::MAX);
        let widest = |at: usize| {
            let rows = self.rows.iter().skip(self.offset).take(ROWS_MEASURED).filter_map(|row| row.get(at));
            rows.map(|cell| cells(&cell.text)).max().unwrap_or(0)
        };
        let held: Vec<u16> = (0..self.columns.len()).map(widest).collect();
        let mut widths: Vec<u16> =
            held.iter().enumerate().map(|(at, held)| cells(&self.title(at)).max(*held)).collect();
        let gaps = GAP * u16::try_from(widths.len().saturating_sub(1)).unwrap_or(u16::MAX);
        let sum = |widths: &[u16]| widths.iter().map(|width| u32::from(*width)).sum::<u32>() + u32::from(gaps);
        let flexible: Vec<usize> = (0..self.columns.len()).filter(|at| self.columns[*at].flexible).collect();
        let mut give = |at: usize, least: u16| {
            let over = sum(&widths).saturating_sub(u32::from(width));
            let left = u32::from(widths[at]).saturating_sub(over).max(u32::from(least.min(widths[at])));
            widths[at] = u16::try_from(left).unwrap_or(u16::MAX);
        };
        flexible.iter().rev().for_each(|at| give(*at, FLEXIBLE_READABLE));
        // A title is cut before what stands below it.
        (0..self.columns.len()).for_each(|at| give(at, held[at].max(TITLE_MIN)));
        flexible.iter().rev().for_each(|at| give(*at, FLEXIBLE_MIN));
        if let Some(last) = flexible.first() {
            let spare = u32::from(width).saturating_sub(sum(&widths));
            widths[*last] = widths[*last].saturating_add(u16::try_from(spare).unwrap_or(u16::MAX));
        }
        let mut x = 0_u16;
        let mut places = Vec::with_capacity(widths.len());
        for wide in widths {
            if x >= width {
                break;
            }
            let wide = wide.min(width - x);
            places.push((x, wide));
            x = x.saturating_add(wide).saturating_add(GAP);
        }
        places
    }
}

// A title that is cut keeps so many cells.
const TITLE_MIN: u16 = 6;

// A column that gives way keeps so many cells while titles can give some.
const FLEXIBLE_READABLE: u16 = 20;

// A column that gives way keeps so many cells in any case.
const FLEXIBLE_MIN: u16 = 8;

// More rows than any screen has need not be looked at to know how wide a column is.
const ROWS_MEASURED: usize = 200;
