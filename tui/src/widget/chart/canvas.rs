//! Dots on cells: where each series passes, and which of them a cell shows.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::Ink;
use crate::widget::put;

/// Cells with dots in them.
#[derive(Debug)]
pub(super) struct Canvas {
    ink: Ink,
    // In cells.
    width: u16,
    height: u16,
    cells: Vec<Cell>,
    pen: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    // One bit for each dot, as braille counts them.
    dots: u8,
    // The series that was here last.
    series: usize,
}

impl Canvas {
    pub(super) fn new(width: u16, height: u16, ink: Ink) -> Self {
        let cells = vec![Cell::default(); usize::from(width) * usize::from(height)];
        Self { ink, width, height, cells, pen: 0 }
    }

    /// From now on series `index` is drawn.
    pub(super) fn pen(&mut self, index: usize) {
        self.pen = index;
    }

    /// A single dot, at shares of width and height from the lower left.
    pub(super) fn dot(&mut self, at: (f64, f64)) {
        self.line(at, at);
    }

    /// A straight line. What lies outside of the canvas is left out.
    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64)) {
        let (across, up) = self.dots_per_cell();
        let (columns, rows) = (f64::from(self.width) * across - 1.0, f64::from(self.height) * up - 1.0);
        if columns < 0.0 || rows < 0.0 {
            return;
        }
        // Far beyond the edge is as good as just beyond it, and takes fewer steps.
        let place = |(x, y): (f64, f64)| (x.clamp(-1.0, 2.0) * columns, (1.0 - y.clamp(-1.0, 2.0)) * rows);
        let ((x0, y0), (x1, y1)) = (place(from), place(to));
        let steps = (x1 - x0).abs().max((y1 - y0).abs()).ceil().max(1.0);
        for at in 0..=steps as u32 {
            let share = f64::from(at) / steps;
            let (x, y) = ((x0 + (x1 - x0) * share).round(), (y0 + (y1 - y0) * share).round());
            if (0.0..=columns).contains(&x) && (0.0..=rows).contains(&y) {
                self.set(x as usize, y as usize);
            }
        }
    }

    fn set(&mut self, x: usize, y: usize) {
        let (across, up) = self.dots_per_cell();
        let (column, row) = (x / across as usize, y / up as usize);
        let (inner_x, inner_y) = (x % across as usize, y % up as usize);
        let Some(cell) = self.cells.get_mut(row * usize::from(self.width) + column) else { return };
        cell.dots |= match self.ink {
            Ink::Braille => BRAILLE[inner_x][inner_y],
            Ink::Blocks => 1 << inner_y,
            Ink::Ascii => 1,
        };
        cell.series = self.pen;
    }

    fn dots_per_cell(&self) -> (f64, f64) {
        match self.ink {
            Ink::Braille => (2.0, 4.0),
            Ink::Blocks => (1.0, 2.0),
            Ink::Ascii => (1.0, 1.0),
        }
    }

    /// Puts the cells into `plot`. With `letter`, lines show whose they are: every so often, or everywhere in ASCII.
    pub(super) fn draw(
        &self,
        buffer: &mut Buffer,
        plot: Rect,
        style: impl Fn(usize) -> Style,
        letter: Option<fn(usize) -> &'static str>,
    ) {
        for (at, cell) in self.cells.iter().enumerate().filter(|(_, cell)| cell.dots != 0) {
            let (x, y) = (at % usize::from(self.width), at / usize::from(self.width));
            let (x, y) = (plot.x.saturating_add(x as u16), plot.y.saturating_add(y as u16));
            let is_place = (usize::from(x - plot.x) + 5 * cell.series) % LETTER_EVERY == LETTER_EVERY / 2;
            let style = style(cell.series);
            match (letter, self.ink) {
                (Some(letter), Ink::Ascii) => put(buffer, (x, y), 1, letter(cell.series), style),
                (Some(letter), _) if is_place => put(buffer, (x, y), 1, letter(cell.series), style),
                (None, Ink::Ascii) => put(buffer, (x, y), 1, "*", style),
                (_, Ink::Blocks) => put(buffer, (x, y), 1, BLOCKS[usize::from(cell.dots & 3)], style),
                (_, Ink::Braille) => {
                    let symbol = char::from_u32(0x2800 + u32::from(cell.dots)).unwrap_or(' ');
                    buffer[(x, y)].set_char(symbol).set_style(style);
                    1
                }
            };
        }
    }
}

// So many columns from one letter of a line to its next.
const LETTER_EVERY: usize = 16;

const BLOCKS: [&str; 4] = [" ", "▀", "▄", "█"];

// The bits of braille's dots, by column and row.
const BRAILLE: [[u8; 4]; 2] = [[0x01, 0x02, 0x04, 0x40], [0x08, 0x10, 0x20, 0x80]];
