//! One thing in full: names and values, wrapped, with headings between them.

use std::ops::Range;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{line_of, put};
use crate::sanitize::Safe;
use crate::theme::{Role, Theme};

/// A line of a detail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Detail {
    /// A heading.
    Heading(Safe),
    /// A name and its value.
    Field {
        /// The name.
        name: Safe,
        /// The value.
        value: Safe,
        /// How the value looks.
        role: Role,
        /// How far it is set in.
        depth: u16,
    },
    /// A text alone.
    Text(Safe, Role),
}

impl Detail {
    /// A name and its value.
    pub fn field(name: impl Into<Safe>, value: Safe) -> Self {
        Self::Field { name: name.into(), value, role: Role::Text, depth: 0 }
    }

    /// A name and its value, in a role.
    pub fn marked(name: impl Into<Safe>, value: Safe, role: Role) -> Self {
        Self::Field { name: name.into(), value, role, depth: 0 }
    }

    /// A heading.
    pub fn heading(text: impl Into<Safe>) -> Self {
        Self::Heading(text.into())
    }
}

// A value is not cut before this many lines: a body is read here or nowhere.
const VALUE_LINES_MAX: usize = 200;

/// Where one looks in a detail that is longer than its pane.
#[derive(Clone, Debug, Default)]
pub struct Scroll {
    offset: usize,
    height: usize,
    lines: usize,
}

impl Scroll {
    /// Back to the top.
    pub fn reset(&mut self) {
        self.offset = 0;
    }

    /// Whether nothing is above what is seen.
    pub fn is_at_top(&self) -> bool {
        self.offset == 0
    }

    /// Moves; whether `action` is a movement.
    pub fn act(&mut self, action: crate::keymap::Action) -> bool {
        use crate::keymap::Action;
        let page = self.height.max(1);
        let end = self.lines.saturating_sub(page);
        self.offset = match action {
            Action::Up => self.offset.saturating_sub(1),
            Action::Down => self.offset + 1,
            Action::HalfUp => self.offset.saturating_sub(page.div_ceil(2)),
            Action::HalfDown => self.offset + page.div_ceil(2),
            Action::PageUp => self.offset.saturating_sub(page),
            Action::PageDown => self.offset + page,
            Action::First => 0,
            Action::Last => end,
            _ => return false,
        }
        .min(end);
        true
    }

    /// The lines that are seen.
    pub fn visible(&mut self, lines: usize, height: u16) -> Range<usize> {
        (self.lines, self.height) = (lines, usize::from(height));
        self.offset = self.offset.min(lines.saturating_sub(self.height));
        self.offset..(self.offset + self.height).min(lines)
    }
}

/// Draws what fits, from where `scroll` is.
pub fn details(buffer: &mut Buffer, area: Rect, theme: Theme, details: &[Detail], scroll: &mut Scroll) {
    if area.width < 4 || area.is_empty() {
        return;
    }
    let cells = usize::from(area.width) - 2;
    let names = details.iter().filter_map(|detail| match detail {
        Detail::Field { name, depth, .. } => Some(name.width() + usize::from(*depth)),
        _ => None,
    });
    let name_cells = names.max().unwrap_or(0).min(cells / 3).max(8);
    let lines: Vec<Line> = details.iter().flat_map(|detail| lines_of(detail, name_cells, cells)).collect();
    for (row, index) in scroll.visible(lines.len(), area.height).enumerate() {
        let place = line_of(area, u16::try_from(row).unwrap_or(u16::MAX));
        let mut x = place.x + 1;
        for (text, role, width) in &lines[index].0 {
            let width = u16::try_from(*width).unwrap_or(u16::MAX);
            put(buffer, (x, place.y), width.min(place.right().saturating_sub(x)), text, theme.style(*role));
            x = x.saturating_add(width);
        }
    }
}

struct Line(Vec<(Safe, Role, usize)>);

fn lines_of(detail: &Detail, name_cells: usize, cells: usize) -> Vec<Line> {
    match detail {
        Detail::Heading(text) => vec![Line(vec![(text.clone(), Role::Strong, cells)])],
        Detail::Text(text, role) => {
            let lines = text.wrapped(cells, VALUE_LINES_MAX);
            lines.into_iter().map(|line| Line(vec![(line, *role, cells)])).collect()
        }
        Detail::Field { name, value, role, depth } => {
            let depth = usize::from(*depth).min(name_cells / 2);
            let room = cells.saturating_sub(name_cells + 1).max(1);
            let blank = Safe::default();
            let values = value.wrapped(room, VALUE_LINES_MAX).into_iter().enumerate();
            let line = |(index, value)| {
                let name = if index == 0 { name.truncated(name_cells - depth) } else { blank.clone() };
                Line(vec![
                    (blank.clone(), Role::Text, depth),
                    (name, Role::Key, name_cells - depth + 1),
                    (value, *role, room),
                ])
            };
            values.map(line).collect()
        }
    }
}
