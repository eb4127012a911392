//! One line of harmless text, each of whose characters has its cell: the only text a widget takes.
//!
//! Besides what [`is_hostile`] names, a screen cannot have characters whose width is a matter of the
//! terminal's taste: joiners and presentation selectors shift the rest of the line wherever a terminal and this program
//! disagree, and marks that pile up leave their line. Telemetry reaches a widget through [`Safe::line`] or [`Safe::of`].

use std::borrow::Cow;
use std::fmt;
use std::fmt::Write as _;

use ratatui::buffer::CellWidth as _;
use ratatui::style::Style;
use ratatui::text::Span;
use unicode_width::UnicodeWidthChar as _;

use super::{is_hostile, push_escape};
use crate::limits::{HEAD_CHARS_MAX, MARKS_MAX, SAFE_CHARS_MAX};

/// A line of text that is harmless in a cell, in plain output and on the clipboard.
///
/// A text of unknown origin is none and becomes one only by way of the sanitiser:
///
/// ```compile_fail
/// # use ratatui::{buffer::Buffer, layout::Rect, style::Style};
/// # let mut buffer = Buffer::empty(Rect::new(0, 0, 20, 1));
/// let body = String::from("\x1b[2J");
/// tui::widget::put(&mut buffer, (0, 0), 20, body.as_str(), Style::new());
/// ```
///
/// ```
/// # use ratatui::{buffer::Buffer, layout::Rect, style::Style};
/// # let mut buffer = Buffer::empty(Rect::new(0, 0, 20, 1));
/// # use tui::sanitize::Safe;
/// let body = String::from("\x1b[2J");
/// tui::widget::put(&mut buffer, (0, 0), 20, &Safe::line(&body), Style::new());
/// tui::widget::put(&mut buffer, (0, 0), 20, "our own words", Style::new());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Safe(Cow<'static, str>);

impl Safe {
    /// `text`, made harmless. What goes beyond [`SAFE_CHARS_MAX`] characters is cut and marked with `…`.
    pub fn line(text: &str) -> Self {
        let mut line = Line { out: String::with_capacity(text.len().min(SAFE_CHARS_MAX) + 8), ..Line::default() };
        // Writing into a Line fails at the bound only, and that is said at its end.
        let _ = line.write_str(text);
        line.finish()
    }

    /// The first [`HEAD_CHARS_MAX`] characters of `text`, made harmless: what a row of a list shows at most. Lists are drawn anew for each
    /// frame, and their texts may be long.
    pub fn head(text: &str) -> Self {
        match text.char_indices().nth(HEAD_CHARS_MAX) {
            Some((end, _)) => Self::of(format_args!("{}…", &text[..end])),
            None => Self::line(text),
        }
    }

    /// Anything that can be written, made harmless as a whole: `Safe::of(format_args!("{name} of {total}"))`.
    pub fn of(written: impl fmt::Display) -> Self {
        let mut line = Line::default();
        let _ = write!(line, "{written}");
        line.finish()
    }

    /// Words of this program's own.
    pub const fn from_static(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }

    /// The texts one after another with `separator` between them; those that are empty are left out.
    pub fn join<'a>(texts: impl IntoIterator<Item = &'a Safe>, separator: &'static str) -> Self {
        let mut out = String::new();
        for text in texts {
            if !out.is_empty() && !text.is_empty() {
                out.push_str(separator);
            }
            out.push_str(&text.0);
        }
        Self(Cow::Owned(out))
    }

    /// The text, for whoever puts it into a cell, on the clipboard or into plain output.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing to see.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Cells that the text takes.
    pub fn width(&self) -> usize {
        width(&self.0)
    }

    /// The text in at most `cells` cells, with `…` at its end if something was cut.
    pub fn truncated(&self, cells: usize) -> Safe {
        if self.0.len() <= cells || self.width() <= cells { self.clone() } else { self.cut(cells, "…") }
    }

    /// The first `cells` cells; if that is not all, the last of them is `mark`.
    pub fn cut(&self, cells: usize, mark: &'static str) -> Safe {
        let room = cells.saturating_sub(width(mark));
        let mut out = String::new();
        let mut used = 0;
        for symbol in symbols(&self.0) {
            let next = used + usize::from(symbol.cell_width());
            if next > room {
                if width(mark) <= cells {
                    out.push_str(mark);
                }
                return Self(Cow::Owned(out));
            }
            out.push_str(symbol);
            used = next;
        }
        Self(Cow::Owned(out))
    }

    /// The text without its first `cells` cells; a wide character that stands across the border is left out.
    pub fn skip(&self, cells: usize) -> Safe {
        let mut used = 0;
        let rest = symbols(&self.0).skip_while(|symbol| {
            let before = used;
            used += usize::from(symbol.cell_width());
            before < cells
        });
        Self(Cow::Owned(rest.collect()))
    }

    /// The text in lines of at most `cells` cells each, at most `lines` of them; the last one says `…` if there are more.
    pub fn wrapped(&self, cells: usize, lines: usize) -> Vec<Safe> {
        let mut out = vec![String::new()];
        let mut used = 0;
        for symbol in symbols(&self.0) {
            let wide = usize::from(symbol.cell_width());
            if used + wide > cells && used > 0 {
                if out.len() == lines {
                    let last = Safe(Cow::Owned(out.pop().unwrap_or_default() + "…"));
                    out.push(last.cut(cells, "…").0.into_owned());
                    break;
                }
                out.push(String::new());
                used = 0;
            }
            if let Some(last) = out.last_mut() {
                last.push_str(symbol);
            }
            used += wide;
        }
        out.into_iter().map(|line| Safe(Cow::Owned(line))).collect()
    }
}

impl fmt::Display for Safe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl From<&'static str> for Safe {
    fn from(text: &'static str) -> Self {
        Self::from_static(text)
    }
}

/// What a widget takes as text: a [`Safe`], or words of this program's own.
pub trait Harmless: sealed::Sealed {
    /// The text.
    fn text(&self) -> &str;
}

impl Harmless for Safe {
    fn text(&self) -> &str {
        self.as_str()
    }
}

impl Harmless for &Safe {
    fn text(&self) -> &str {
        self.as_str()
    }
}

impl Harmless for &'static str {
    fn text(&self) -> &str {
        self
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Safe {}
    impl Sealed for &super::Safe {}
    impl Sealed for &'static str {}
}

// The grapheme clusters, which is what a cell holds.
fn symbols(text: &str) -> impl Iterator<Item = &str> {
    // Clusters are borrowed from the text, not from the span around it.
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        // Most texts are ASCII; only what follows something else can belong to its cluster.
        let length = if first.is_ascii() && rest[1..].chars().next().is_none_or(|next| next.is_ascii()) {
            1
        } else {
            // A cluster of these few characters is the cluster of the whole: marks are bounded.
            let end = rest.char_indices().nth(SYMBOL_CHARS_MAX).map_or(rest.len(), |(end, _)| end);
            let window = Span::raw(&rest[..end]);
            window.styled_graphemes(Style::new()).next().map_or(first.len_utf8(), |cluster| cluster.symbol.len())
        };
        let (symbol, after) = rest.split_at(length);
        rest = after;
        Some(symbol)
    })
}

// A base, its marks, and room for the longest emoji of several parts.
const SYMBOL_CHARS_MAX: usize = MARKS_MAX * 2 + 8;

fn width(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { symbols(text).map(|symbol| usize::from(symbol.cell_width())).sum() }
}

#[derive(Default)]
struct Line {
    out: String,
    taken: usize,
    // The character before, and how many marks stand on it.
    last: Option<char>,
    marks: usize,
}

impl Line {
    fn take(&mut self, c: char) {
        let plain = match c {
            ' '..='~' => true,
            // They choose between two pictures of the character before, and terminals disagree about the wider one.
            '\u{fe0e}' | '\u{fe0f}' if self.last.is_some() => return,
            // Between two pictures the joiner asks for one picture of both, which few terminals have.
            '\u{200d}' if self.last.is_some_and(is_picture) => return,
            _ => !is_hostile(c) && !is_invisible(c),
        };
        if !plain {
            push_escape(c, &mut self.out);
            self.last = None;
            self.marks = 0;
        } else if c.width().unwrap_or(0) == 0 {
            self.take_mark(c);
        } else {
            self.out.push(c);
            self.last = Some(c);
            self.marks = 0;
        }
    }

    // A mark needs something to stand on, and stays in its line.
    fn take_mark(&mut self, c: char) {
        let stands = self.last.is_some_and(|base| symbols(&String::from_iter([base, c])).count() == 1);
        if !stands || self.marks >= MARKS_MAX {
            push_escape(c, &mut self.out);
        } else {
            self.out.push(c);
            self.marks += 1;
        }
    }

    fn finish(mut self) -> Safe {
        if self.taken > SAFE_CHARS_MAX {
            self.out.push('…');
        }
        Safe(Cow::Owned(self.out))
    }
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            self.taken += 1;
            if self.taken > SAFE_CHARS_MAX {
                // Whoever writes stops here, too.
                return Err(fmt::Error);
            }
            self.take(c);
        }
        Ok(())
    }
}

fn is_picture(c: char) -> bool {
    matches!(c, '\u{2190}'..='\u{2bff}' | '\u{1f000}'..='\u{1faff}')
}

// Unicode's default ignorable characters beyond the hostile ones: they take no cell and change what stands beside them.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{180b}'..='\u{180f}' | '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_gets_a_cell_or_an_escape() {
        for (text, shown) in [
            ("plain ünïcödé 漢字", "plain ünïcödé 漢字"),
            ("a\nb\x1b[2J", "a\\nb\\x1b[2J"),
            ("👩\u{200d}🚀 ⚠\u{fe0f}", "👩🚀 ⚠"),
            ("ad\u{200d}min \u{200c}", "ad\\u{200d}min \\u{200c}"),
            ("\u{301}x", "\\u{301}x"),
            ("e\u{301}", "e\u{301}"),
            ("a\u{301}\u{302}\u{303}\u{304}\u{305}", "a\u{301}\u{302}\u{303}\u{304}\\u{305}"),
            ("user\u{202e}gpj\u{ad}", "user\\u{202e}gpj\\u{ad}"),
        ] {
            assert_eq!(Safe::line(text).as_str(), shown, "{text:?}");
            assert_eq!(Safe::of(text).as_str(), shown, "{text:?}");
        }
    }

    #[test]
    fn no_character_is_without_a_cell() {
        // Every character up to the ideographs; of what follows, which is uniform, every 31st.
        let all = ('\0'..='\u{33ff}').chain(('\u{3400}'..=char::MAX).step_by(31)).chain('\u{e0000}'..'\u{e1000}');
        for c in all.filter(|c| !matches!(c, '\u{fe0e}' | '\u{fe0f}')) {
            let alone = Safe::line(&c.to_string());
            assert!(alone.width() > 0, "{c:?}");
            assert!(!alone.as_str().contains(is_hostile), "{c:?}");
            let between = Safe::line(&format!("x{c}y"));
            assert!(between.width() >= 2 && symbols(between.as_str()).all(|symbol| symbol.cell_width() > 0), "{c:?}");
        }
    }

    #[test]
    fn cuts_by_cells() {
        for (text, cells, cut) in [
            ("abcdef", 6, "abcdef"),
            ("abcdef", 5, "abcd…"),
            ("漢字漢字", 5, "漢字…"),
            ("漢字漢字", 4, "漢…"),
            ("漢字", 1, "…"),
            ("漢字", 0, ""),
            ("", 0, ""),
            ("e\u{301}e\u{301}e\u{301}", 2, "e\u{301}…"),
        ] {
            let cut_to = Safe::line(text).truncated(cells);
            assert_eq!(cut_to.as_str(), cut, "{text:?} {cells}");
            assert!(cut_to.width() <= cells);
        }
        assert_eq!(Safe::line("a漢b").skip(2).as_str(), "b");
        let lines: Vec<String> = Safe::line("abcdefgh").wrapped(3, 2).iter().map(Safe::to_string).collect();
        assert_eq!(lines, ["abc", "de…"]);
    }

    #[test]
    fn a_megabyte_is_cut() {
        let long = Safe::line(&"x".repeat(1 << 20));
        assert_eq!(long.width(), SAFE_CHARS_MAX + 1);
        assert!(long.as_str().ends_with('…'));
    }
}
