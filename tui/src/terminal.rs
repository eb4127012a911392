//! The terminal: raw mode, the other screen, pasting in brackets, frames that appear at once, the clipboard. Whatever way the program
//! ends, [`restore`] gives the terminal back as it was: it runs when a [`Terminal`] is dropped and before a panic prints its message;
//! signals end the runtime, which drops it.

use std::io::{self, BufWriter, Stdout, Write};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crossterm::cursor::Show;
use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
    enable_raw_mode,
};
use crossterm::{execute, queue};
use ratatui::backend::CrosstermBackend;
use ratatui::buffer::Buffer;

use crate::limits::COPY_BYTES_MAX;
use crate::sanitize::Safe;

/// Where frames and copied texts go: a terminal, or a test.
pub trait Surface {
    /// Columns and rows.
    fn size(&self) -> io::Result<(u16, u16)>;

    /// Shows a frame. `paint` fills the buffer.
    fn draw(&mut self, paint: &mut dyn FnMut(&mut Buffer)) -> io::Result<()>;

    /// Puts a text on the clipboard.
    fn copy(&mut self, text: &Safe) -> io::Result<()>;

    /// Whether somebody gave the surface back meanwhile: a panic in another thread.
    fn is_gone(&self) -> bool {
        false
    }
}

static TAKEN: AtomicBool = AtomicBool::new(false);

/// The process's terminal, taken over.
pub struct Terminal(ratatui::Terminal<CrosstermBackend<BufWriter<Stdout>>>);

impl std::fmt::Debug for Terminal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Terminal")
    }
}

impl Terminal {
    /// Takes the terminal over.
    pub fn take() -> io::Result<Self> {
        restore_before_panic_message();
        enable_raw_mode()?;
        TAKEN.store(true, Ordering::SeqCst);
        let opened = execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste);
        let terminal = opened.and_then(|()| {
            let mut terminal =
                ratatui::Terminal::new(CrosstermBackend::new(BufWriter::with_capacity(1 << 16, io::stdout())))?;
            terminal.hide_cursor()?;
            Ok(terminal)
        });
        if terminal.is_err() {
            restore();
        }
        terminal.map(Self)
    }
}

impl Surface for Terminal {
    fn size(&self) -> io::Result<(u16, u16)> {
        let size = self.0.size()?;
        Ok((size.width, size.height))
    }

    fn draw(&mut self, paint: &mut dyn FnMut(&mut Buffer)) -> io::Result<()> {
        queue!(self.0.backend_mut(), BeginSynchronizedUpdate)?;
        self.0.draw(|frame| paint(frame.buffer_mut()))?;
        execute!(self.0.backend_mut(), EndSynchronizedUpdate)
    }

    fn copy(&mut self, text: &Safe) -> io::Result<()> {
        let backend = self.0.backend_mut();
        backend.write_all(osc52(text).as_bytes())?;
        io::Write::flush(backend)
    }

    fn is_gone(&self) -> bool {
        !TAKEN.load(Ordering::SeqCst)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        restore();
    }
}

/// A terminal that nobody sees: frames are compared and encoded as for a real one, and the bytes are thrown away. For
/// measuring.
pub struct Blank {
    terminal: ratatui::Terminal<CrosstermBackend<io::Sink>>,
    size: (u16, u16),
}

impl Blank {
    /// One of this size.
    pub fn new(size: (u16, u16)) -> io::Result<Self> {
        let viewport = ratatui::Viewport::Fixed(ratatui::layout::Rect::new(0, 0, size.0, size.1));
        let backend = CrosstermBackend::new(io::sink());
        let terminal = ratatui::Terminal::with_options(backend, ratatui::TerminalOptions { viewport })?;
        Ok(Self { terminal, size })
    }
}

impl Surface for Blank {
    fn size(&self) -> io::Result<(u16, u16)> {
        Ok(self.size)
    }

    fn draw(&mut self, paint: &mut dyn FnMut(&mut Buffer)) -> io::Result<()> {
        self.terminal.draw(|frame| paint(frame.buffer_mut()))?;
        Ok(())
    }

    fn copy(&mut self, _: &Safe) -> io::Result<()> {
        Ok(())
    }
}

/// The sequence that puts `text` on the clipboard, at most [`COPY_BYTES_MAX`] bytes of it.
pub fn osc52(text: &Safe) -> String {
    let text = text.as_str();
    let end = (0..=COPY_BYTES_MAX.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("\x1b]52;c;{}\x07", STANDARD.encode(&text[..end]))
}

/// Gives the terminal back, if it was taken.
pub fn restore() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    // There is nobody left to tell if this fails.
    let _ = execute!(io::stdout(), EndSynchronizedUpdate, DisableBracketedPaste, LeaveAlternateScreen, Show);
    let _ = disable_raw_mode();
}

fn restore_before_panic_message() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            restore();
            print(info);
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clipboard_gets_base64_and_not_too_much() {
        assert_eq!(osc52(&Safe::line("a\x1b]52;c;!\x07")), "\x1b]52;c;YVx4MWJdNTI7YzshXHgwNw==\x07");
        let long = osc52(&Safe::join(&vec![Safe::line(&"漢".repeat(10_000)); 4], ""));
        assert!(long.len() <= COPY_BYTES_MAX * 4 / 3 + 16, "{}", long.len());
    }
}
