//! What people see on stdout: aligned columns, a little colour, and nothing that a stranger's text could do to the terminal.
//! Colour is never the only carrier, and off when piped or when NO_COLOR is set.

use std::io::{self, IsTerminal as _, Write};

use tui::sanitize;
use unicode_width::UnicodeWidthStr as _;

/// Rows that are looked at before the columns' widths are settled; later rows that are wider stick out.
const ROWS_MEASURED: usize = 1_000;

/// No column but the last is made wider than this by a row.
const WIDTH_MAX: usize = 48;

/// How a cell is painted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// As text is.
    #[default]
    Plain,
    /// Less important.
    Faint,
    /// A heading.
    Strong,
    /// Something went well.
    Good,
    /// Something to look at.
    Warning,
    /// Something went wrong.
    Bad,
}

impl Tone {
    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Faint => "\x1b[2m",
            Self::Strong => "\x1b[1m",
            Self::Good => "\x1b[32m",
            Self::Warning => "\x1b[33m",
            Self::Bad => "\x1b[31m",
        }
    }

    /// The tone of a log record's severity word.
    pub fn of_severity(word: &str) -> Self {
        match word {
            "error" | "fatal" => Self::Bad,
            "warn" => Self::Warning,
            "debug" | "trace" => Self::Faint,
            _ => Self::Plain,
        }
    }
}

/// Stdout for people.
pub struct Screen {
    out: io::BufWriter<io::Stdout>,
    colour: bool,
    terminal: bool,
    width: usize,
}

impl Screen {
    /// The process's stdout.
    pub fn stdout() -> Self {
        let terminal = io::stdout().is_terminal();
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let measured = rustix::termios::tcgetwinsize(io::stdout()).ok().map(|size| usize::from(size.ws_col));
        Self {
            out: io::BufWriter::new(io::stdout()),
            colour: terminal && !set("NO_COLOR") && !dumb,
            terminal,
            width: measured.filter(|width| *width >= 40).unwrap_or(120),
        }
    }

    /// Columns of the terminal; 120 where there is none.
    pub fn width(&self) -> usize {
        self.width
    }

    /// `text` in `tone`.
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        if self.colour && tone != Tone::Plain { format!("{}{text}\x1b[0m", tone.code()) } else { text.to_owned() }
    }

    /// One line of our own making.
    pub fn line(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.out, "{line}")
    }

    /// One line of JSON as it came.
    pub fn json(&mut self, line: &str) -> io::Result<()> {
        let line = if self.terminal { sanitize::json(line) } else { line.into() };
        writeln!(self.out, "{line}")
    }

    /// Shows what was written so far.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// One place in a table.
#[derive(Clone, Debug, Default)]
pub struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// `text`, made harmless, in `tone`.
    pub fn new(text: impl AsRef<str>, tone: Tone) -> Self {
        Self { text: sanitize::line(text.as_ref()).into_owned(), tone }
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text, Tone::Plain)
    }
}

/// Where a column's text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// Aligned columns. Rows are kept until the widths are settled, then printed as they come.
pub struct Table {
    columns: Vec<(&'static str, Align)>,
    widths: Vec<usize>,
    waiting: Vec<Vec<Cell>>,
    settled: bool,
}

impl Table {
    /// A table with these columns; names are the heading.
    pub fn new(columns: &[(&'static str, Align)]) -> Self {
        let widths = columns.iter().map(|(name, _)| name.width()).collect();
        Self { columns: columns.to_vec(), widths, waiting: Vec::new(), settled: false }
    }

    /// Adds a row.
    pub fn push(&mut self, screen: &mut Screen, cells: Vec<Cell>) -> io::Result<()> {
        if self.settled {
            return self.print(screen, &cells);
        }
        for (width, cell) in self.widths.iter_mut().zip(&cells) {
            *width = (*width).max(cell.text.width().min(WIDTH_MAX));
        }
        self.waiting.push(cells);
        if self.waiting.len() >= ROWS_MEASURED { self.settle(screen) } else { Ok(()) }
    }

    /// Prints what was kept; from now on rows are printed at once.
    pub fn settle(&mut self, screen: &mut Screen) -> io::Result<()> {
        if !self.settled {
            self.settled = true;
            let heading: Vec<Cell> = self.columns.iter().map(|(name, _)| Cell::new(name, Tone::Strong)).collect();
            self.print(screen, &heading)?;
        }
        for row in std::mem::take(&mut self.waiting) {
            self.print(screen, &row)?;
        }
        screen.flush()
    }

    /// Makes room for a column's later rows; for tables that are printed as rows arrive.
    pub fn reserve(&mut self, widths: &[usize]) {
        for (width, wanted) in self.widths.iter_mut().zip(widths) {
            *width = (*width).max(*wanted);
        }
    }

    fn print(&self, screen: &mut Screen, cells: &[Cell]) -> io::Result<()> {
        let mut line = String::new();
        let last = cells.len().saturating_sub(1);
        for (position, cell) in cells.iter().enumerate() {
            let align = self.columns.get(position).map_or(Align::Left, |(_, align)| *align);
            let width = self.widths.get(position).copied().unwrap_or_default();
            let padding = " ".repeat(width.saturating_sub(cell.text.width()));
            let painted = screen.paint(cell.tone, &cell.text);
            match align {
                Align::Right => line.push_str(&format!("{padding}{painted}")),
                Align::Left if position == last => line.push_str(&painted),
                Align::Left => line.push_str(&format!("{painted}{padding}")),
            }
            if position < last {
                line.push_str("  ");
            }
        }
        screen.line(line.trim_end())
    }
}
