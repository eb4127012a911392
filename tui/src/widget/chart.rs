//! Lines over time: braille dots, half blocks or letters between an axis of values and one of times.
//!
//! Where a series has no value there is a gap, never a line across it. Without colours, or with more series than colours, each
//! line carries its letter; the legend shows it.

mod canvas;
mod legend;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::axis::{self, ValueAxis};
use super::{put, put_right};
use crate::dashboard::Unit;
use crate::sanitize::Safe;
use crate::theme::{Palette, Role, Theme};

use canvas::Canvas;
pub use legend::{legend_lines, legend_table, marker};

/// What lines are made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ink {
    /// Eight dots in a cell.
    #[default]
    Braille,
    /// Two blocks in a cell.
    Blocks,
    /// One letter in a cell: of the series.
    Ascii,
}

impl Ink {
    /// What is used with `theme`; `blocks` for terminals whose braille is poor.
    pub fn of(theme: Theme, blocks: bool) -> Self {
        match (theme.ascii, blocks) {
            (true, _) => Self::Ascii,
            (false, true) => Self::Blocks,
            (false, false) => Self::Braille,
        }
    }
}

/// One series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Line {
    /// What the legend calls it.
    pub name: Safe,
    /// Unix seconds and value, in time order; a value that is no number is a gap.
    pub points: Vec<(f64, f64)>,
    /// Whether it was switched off in the legend.
    pub hidden: bool,
}

impl Line {
    /// The newest value.
    pub fn last(&self) -> Option<f64> {
        self.points.last().map(|(_, value)| *value)
    }

    /// The values that are numbers.
    pub fn values(&self) -> impl Iterator<Item = f64> {
        self.points.iter().map(|(_, value)| *value).filter(|value| value.is_finite())
    }
}

/// Everything a chart is drawn from.
#[derive(Clone, Debug)]
pub struct Chart<'a> {
    /// The series.
    pub lines: &'a [Line],
    /// From when to when, in Unix seconds.
    pub times: (f64, f64),
    /// Seconds between two points; what is further apart than that has a gap between.
    pub step: f64,
    /// Ends of the value axis that are fixed.
    pub ends: (Option<f64>, Option<f64>),
    /// What the numbers are.
    pub unit: Unit,
    /// Lines across, with their looks.
    pub thresholds: &'a [(f64, Role)],
    /// What lines are made of.
    pub ink: Ink,
    /// Colours and symbols.
    pub theme: Theme,
}

impl Chart<'_> {
    /// Draws the chart into `area`; small areas get lines without axes.
    pub fn draw(&self, buffer: &mut Buffer, area: Rect) {
        let area = area.intersection(buffer.area);
        if area.is_empty() {
            return;
        }
        let has_times = area.height >= 5 && area.width >= 20;
        let plot_height = area.height - if has_times { 2 } else { 0 };
        let values = self.value_axis(plot_height);
        let widest = values.ticks.iter().map(|(_, text)| text.width()).max().unwrap_or(0);
        let widest = u16::try_from(widest).unwrap_or(u16::MAX);
        let left = if area.width >= 20 && plot_height >= 2 { (widest + 1).min(area.width / 3) } else { 0 };
        let plot = Rect { x: area.x + left, y: area.y, width: area.width - left, height: plot_height };
        if left > 0 {
            self.draw_values(buffer, plot, left, &values);
        }
        if has_times {
            self.draw_times(buffer, plot, left);
        }
        self.draw_thresholds(buffer, plot, &values);
        self.draw_lines(buffer, plot, &values);
    }

    fn shown(&self) -> impl Iterator<Item = (usize, &Line)> {
        self.lines.iter().enumerate().filter(|(_, line)| !line.hidden)
    }

    fn value_axis(&self, height: u16) -> ValueAxis {
        let values = || self.shown().flat_map(|(_, line)| line.values());
        let mut lowest = values().fold(f64::INFINITY, f64::min);
        let mut highest = values().fold(f64::NEG_INFINITY, f64::max);
        if lowest > highest {
            (lowest, highest) = (0.0, 1.0);
        }
        // A threshold that is near is shown; one that is far away would press the lines flat.
        for (threshold, _) in self.thresholds {
            if *threshold > highest && *threshold <= highest * 2.0 {
                highest = *threshold;
            }
        }
        let count = usize::from(height / 3).clamp(1, 8);
        ValueAxis::new(lowest, highest, self.ends, count, self.unit)
    }

    fn draw_values(&self, buffer: &mut Buffer, plot: Rect, left: u16, values: &ValueAxis) {
        let faint = self.theme.style(Role::Faint);
        let symbols = self.theme.symbols();
        for y in plot.top()..plot.bottom() {
            put(buffer, (plot.x - 1, y), 1, symbols.vertical, faint);
        }
        let mut free_below = u16::MAX;
        for (value, text) in &values.ticks {
            let Some(y) = row_of(values.share(*value), plot) else { continue };
            // Ascending values climb: each text needs a row above the one before.
            if y < free_below {
                put_right(buffer, (plot.x - 1, y), left - 1, text, faint);
                free_below = y;
            }
        }
    }

    fn draw_times(&self, buffer: &mut Buffer, plot: Rect, left: u16) {
        let faint = self.theme.style(Role::Faint);
        let symbols = self.theme.symbols();
        let (line, texts) = (plot.bottom(), plot.bottom() + 1);
        if left > 0 {
            put(buffer, (plot.x - 1, line), 1, symbols.corners[2], faint);
        }
        for x in plot.left()..plot.right() {
            put(buffer, (x, line), 1, symbols.horizontal, faint);
        }
        let (start, end) = self.times;
        let mut free = plot.left().saturating_sub(left);
        for (seconds, text) in axis::times(start, end, usize::from(plot.width / 12).clamp(1, 12)) {
            let x = plot.x + column_of((seconds - start) / (end - start), plot.width);
            put(buffer, (x, line), 1, if self.theme.ascii { "+" } else { "┴" }, faint);
            let wide = u16::try_from(text.width()).unwrap_or(u16::MAX);
            let from =
                x.saturating_sub(wide / 2).min(plot.right().saturating_sub(wide)).max(plot.x.saturating_sub(left));
            if from >= free {
                put(buffer, (from, texts), wide, &text, faint);
                free = from + wide + 1;
            }
        }
    }

    fn draw_thresholds(&self, buffer: &mut Buffer, plot: Rect, values: &ValueAxis) {
        let symbol = if self.theme.ascii { "." } else { "┄" };
        for (threshold, role) in self.thresholds {
            let share = values.share(*threshold);
            if let Some(y) = row_of(share, plot).filter(|_| (0.0..=1.0).contains(&share)) {
                for x in plot.left()..plot.right() {
                    put(buffer, (x, y), 1, symbol, self.theme.style(*role));
                }
            }
        }
    }

    fn draw_lines(&self, buffer: &mut Buffer, plot: Rect, values: &ValueAxis) {
        let (start, end) = self.times;
        let mut canvas = Canvas::new(plot.width, plot.height, self.ink);
        for (index, line) in self.shown() {
            canvas.pen(index);
            let mut before: Option<(f64, (f64, f64))> = None;
            for (seconds, value) in &line.points {
                let place = ((seconds - start) / (end - start), values.share(*value));
                if !value.is_finite() || !place.0.is_finite() {
                    before = None;
                    continue;
                }
                match before {
                    // Rounding of a step must not tear a line.
                    Some((earlier, from)) if seconds - earlier <= self.step * 1.5 => canvas.line(from, place),
                    _ => canvas.dot(place),
                }
                before = Some((*seconds, place));
            }
        }
        let is_lettered = has_letters(self.theme, self.lines.len());
        canvas.draw(buffer, plot, |index| line_style(self.theme, index), is_lettered.then_some(marker));
    }
}

/// Whether lines carry letters: colours alone do not tell them apart.
pub fn has_letters(theme: Theme, lines: usize) -> bool {
    lines > 1 && (theme.ascii || theme.palette == Palette::Mono || lines > COLOURS)
}

// As many as the theme has for series.
const COLOURS: usize = 7;

/// The look of series `index`.
pub fn line_style(theme: Theme, index: usize) -> Style {
    theme.series(index)
}

fn column_of(share: f64, width: u16) -> u16 {
    (share.clamp(0.0, 1.0) * f64::from(width.saturating_sub(1))).round() as u16
}

fn row_of(share: f64, plot: Rect) -> Option<u16> {
    let last = plot.height.checked_sub(1)?;
    let from_top = ((1.0 - share.clamp(0.0, 1.0)) * f64::from(last)).round() as u16;
    Some(plot.y + from_top)
}
