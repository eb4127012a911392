//! A frame as a picture (SVG), for documents: every cell where a terminal has it, in a terminal's colours.

use std::fmt::Write as _;

use ratatui::buffer::{Buffer, Cell, CellWidth as _};
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier};

use crate::app::{self, State};
use crate::theme::Palette;

/// Pixels of a cell.
const CELL: (f64, f64) = (8.4, 18.0);

/// From a cell's top to the line its letters stand on.
const BASELINE: f64 = 13.5;

/// Pixels around everything.
const MARGIN: f64 = 10.0;

/// The frame as an SVG document.
pub fn svg(state: &mut State, palette: Palette, (width, height): (u16, u16)) -> String {
    let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
    app::draw(state, &mut buffer);
    of_buffer(&buffer, palette)
}

/// A buffer as an SVG document.
pub fn of_buffer(buffer: &Buffer, palette: Palette) -> String {
    let (ink, paper) = match palette {
        Palette::Light => ("#24292f", "#ffffff"),
        Palette::Dark | Palette::Mono => ("#d4d7dd", "#16191f"),
    };
    let area = buffer.area;
    let width = CELL.0 * f64::from(area.width) + 2.0 * MARGIN;
    let height = CELL.1 * f64::from(area.height) + 2.0 * MARGIN;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.1} {height:.1}\">\n<rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{paper}\"/>\n\
         <g font-family=\"DejaVu Sans Mono, Menlo, Consolas, monospace\" font-size=\"14\" fill=\"{ink}\" \
         xml:space=\"preserve\">\n"
    );
    for y in area.top()..area.bottom() {
        for run in runs(buffer, y) {
            run.write(&mut out, y, (ink, paper));
        }
    }
    out.push_str("</g>\n</svg>\n");
    out
}

// Cells beside each other that look alike.
struct Run<'a> {
    x: u16,
    cells: u16,
    text: String,
    look: &'a Cell,
}

fn runs(buffer: &Buffer, y: u16) -> Vec<Run<'_>> {
    let mut runs: Vec<Run<'_>> = Vec::new();
    let mut x = buffer.area.left();
    while x < buffer.area.right() {
        let cell = &buffer[(x, y)];
        let wide = cell.symbol().cell_width().max(1);
        let same = |run: &Run<'_>| (run.look.fg, run.look.bg, run.look.modifier) == (cell.fg, cell.bg, cell.modifier);
        match runs.last_mut() {
            // A wide character stands alone, so that a font with other ideas of its width moves nothing else.
            Some(run) if same(run) && wide == 1 && run.text.chars().count() == usize::from(run.cells) => {
                run.text.push_str(cell.symbol());
                run.cells += 1;
            }
            _ => runs.push(Run { x, cells: wide, text: cell.symbol().to_owned(), look: cell }),
        }
        x += wide;
    }
    runs
}

impl Run<'_> {
    fn write(&self, out: &mut String, y: u16, (ink, paper): (&str, &str)) {
        let reversed = self.look.modifier.contains(Modifier::REVERSED);
        let (mut front, mut back) = (colour(self.look.fg), colour(self.look.bg));
        if reversed {
            (front, back) =
                (Some(back.unwrap_or_else(|| paper.to_owned())), Some(front.unwrap_or_else(|| ink.to_owned())));
        }
        let (left, top) = (MARGIN + CELL.0 * f64::from(self.x), MARGIN + CELL.1 * f64::from(y));
        let width = CELL.0 * f64::from(self.cells);
        // Writing into a String cannot fail.
        if let Some(back) = back {
            let height = CELL.1;
            let _ = writeln!(
                out,
                "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{height}\" fill=\"{back}\"/>"
            );
        }
        if self.text.trim().is_empty() {
            return;
        }
        let baseline = top + BASELINE;
        let _ = write!(
            out,
            "<text x=\"{left:.1}\" y=\"{baseline:.1}\" textLength=\"{width:.1}\" lengthAdjust=\"spacingAndGlyphs\""
        );
        if let Some(front) = front {
            let _ = write!(out, " fill=\"{front}\"");
        }
        for (modifier, attribute) in [
            (Modifier::BOLD, " font-weight=\"bold\""),
            (Modifier::DIM, " opacity=\"0.6\""),
            (Modifier::UNDERLINED, " text-decoration=\"underline\""),
            (Modifier::ITALIC, " font-style=\"italic\""),
        ] {
            if self.look.modifier.contains(modifier) {
                out.push_str(attribute);
            }
        }
        let _ = writeln!(out, ">{}</text>", escaped(&self.text));
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace(' ', "\u{a0}")
}

// The colours of a terminal's palette of 256; `None` for the terminal's own.
fn colour(colour: Color) -> Option<String> {
    const BASIC: [&str; 16] = [
        "#000000", "#cd3131", "#0dbc79", "#e5e510", "#2472c8", "#bc3fbc", "#11a8cd", "#e5e5e5", "#666666", "#f14c4c",
        "#23d18b", "#f5f543", "#3b8eea", "#d670d6", "#29b8db", "#ffffff",
    ];
    match colour {
        Color::Indexed(index @ 0..=15) => Some(BASIC[usize::from(index)].to_owned()),
        Color::Indexed(index @ 16..=231) => {
            let level = |step: u8| if step == 0 { 0 } else { 55 + 40 * step };
            let index = index - 16;
            Some(format!("#{:02x}{:02x}{:02x}", level(index / 36), level(index / 6 % 6), level(index % 6)))
        }
        Color::Indexed(index) => {
            let grey = 8 + 10 * (index - 232);
            Some(format!("#{grey:02x}{grey:02x}{grey:02x}"))
        }
        Color::Rgb(red, green, blue) => Some(format!("#{red:02x}{green:02x}{blue:02x}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use ratatui::style::Style;

    use super::*;

    #[test]
    fn cells_that_look_alike_are_one_text_and_wide_ones_stand_alone() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 12, 1));
        buffer.set_string(0, 0, "a<b", Style::new().fg(Color::Indexed(203)).add_modifier(Modifier::BOLD));
        buffer.set_string(3, 0, "注x", Style::new().bg(Color::Indexed(16)));
        let svg = of_buffer(&buffer, Palette::Dark);
        for piece in [
            "<text x=\"10.0\" y=\"23.5\" textLength=\"25.2\" lengthAdjust=\"spacingAndGlyphs\" fill=\"#ff5f5f\" font-weight=\"bold\">a&lt;b</text>",
            ">注</text>",
            ">x</text>",
            "fill=\"#000000\"",
        ] {
            assert!(svg.contains(piece), "{piece} is not in {svg}");
        }
    }
}
