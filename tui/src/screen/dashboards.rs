//! Dashboards: the list of boards, and one board with its panels.
//!
//! A board is opened over the list; its files are looked at every few seconds, and a board whose file has changed is drawn anew
//! in place. A file that is broken leaves the last good board, with the complaint above it.

mod board;
mod draw;
mod panel;
mod picker;

use std::time::Duration;

use model::wire::logs::LogRow;
use ratatui::layout::Rect;
use serde_json::{Value, json};

use super::{Args, Context, Scene, Screen, Spec, Subject};
use crate::cursor::Cursor;
use crate::dashboard::shelf::{Boards, Entry};
use crate::effect::Ask;
use crate::event::Answer;
use crate::format;
use crate::keymap::{self, Action, Binding};
use crate::sanitize::Safe;
use crate::slot::Slot;
use crate::theme::Role;
use crate::widget::list::{self, Column};
use crate::widget::panel::panel;
use crate::widget::sentence::sentence;
use crate::widget::{Piece, line_of};

use board::Open;

const LEFT: Action = Action::Own("left");
const RIGHT: Action = Action::Own("right");
const VARIABLES: Action = Action::Own("variables");
const TOGGLE: Action = Action::Own("toggle");
const SORT: Action = Action::Own("sort");
const INK: Action = Action::Own("ink");

/// See the module.
pub static SPEC: Spec = Spec {
    name: "dashboards",
    title: "Dashboards",
    argument: "BOARD",
    needs_argument: false,
    door: &["6"],
    pivot: None,
    keys: &[
        Binding { keys: &["Enter"], action: Action::Enter, help: "open a board; a panel over the whole screen" },
        Binding { keys: &["h", "Left"], action: LEFT, help: "panel at the left; value of a variable before" },
        Binding { keys: &["l", "Right"], action: RIGHT, help: "panel at the right; next variable" },
        keymap::NEXT_PANE,
        keymap::PREVIOUS_PANE,
        Binding { keys: &["v"], action: VARIABLES, help: "choose values of the board's variables" },
        Binding { keys: &["Space"], action: TOGGLE, help: "show or hide a line; choose one of several values" },
        Binding { keys: &["s"], action: SORT, help: "sort a table by its next column" },
        Binding { keys: &["b"], action: INK, help: "draw with dots or with blocks" },
    ],
    open: |args| Box::new(Dashboards::of(&args.id)),
};

/// How often the files are looked at.
const FILES_EVERY: Duration = Duration::from_secs(2);

/// The screen.
#[derive(Debug, Default)]
struct Dashboards {
    boards: Slot<Boards>,
    cursor: Cursor<String>,
    // The board that is to be shown; empty for the list.
    wanted: String,
    open: Option<Open>,
}

impl Dashboards {
    fn of(name: &str) -> Self {
        Self { wanted: name.to_owned(), ..Self::default() }
    }

    fn entries(&self) -> &[Entry] {
        self.boards.value().map_or(&[], |boards| &boards.entries)
    }

    // The board's file has been read: shows it, if it is another one now.
    fn take_boards(&mut self, cx: &mut Context<'_>) {
        let entries = self.boards.value().map_or(&[][..], |boards| &boards.entries);
        self.cursor.sync(entries.len(), |index| entries[index].name.clone());
        if self.wanted.is_empty() {
            return;
        }
        let Some(entry) = entries.iter().find(|entry| entry.name == self.wanted) else { return };
        match (&mut self.open, &entry.board) {
            (Some(open), Some(board)) => open.renew(board, entry.error.clone(), cx),
            (None, Some(board)) => self.open = Some(Open::new(board.clone(), entry.error.clone(), cx)),
            (_, None) => {}
        }
    }

    fn draw_list(&mut self, scene: &mut Scene<'_>) {
        let theme = scene.theme;
        let entries = self.entries().to_vec();
        let title = format::counted(entries.len() as u64, "board");
        let body = panel(scene.buffer, scene.area, theme, true, &title, &[]);
        if entries.is_empty() {
            let text = Safe::from_static("reading the boards");
            sentence(scene.buffer, body, theme, ("", Role::Text), &text, None);
            return;
        }
        let complaint = self.boards.value().and_then(|boards| boards.complaint.as_ref());
        let used = complaint.map_or(0, |error| {
            let (text, hint) = told(error);
            sentence(scene.buffer, body, theme, ("DIRECTORY", Role::Bad), &text, hint.as_ref()) + 1
        });
        let used = used.min(body.height);
        let body = Rect { y: body.y + used, height: body.height - used, ..body };
        let name = entries.iter().map(|entry| Safe::line(&entry.name).width()).max().unwrap_or(0).clamp(8, 24);
        let columns = [
            Column::left("NAME", u16::try_from(name).unwrap_or(24)),
            Column::left("TITLE", if scene.area.width >= 100 { 24 } else { 16 }),
            Column::right("PANELS", 6),
            Column::left("ABOUT", 0),
        ];
        let body = list::heading(scene.buffer, body, theme, &columns);
        let seen = self.cursor.visible(entries.len(), body.height);
        let at = self.cursor.index(entries.len());
        for (row, index) in (0u16..).zip(seen) {
            let entry = &entries[index];
            let board = entry.board.as_deref();
            let about = match (&entry.error, board) {
                (Some(error), _) => Piece::new(Safe::of(format_args!("BROKEN {error}")), Role::Bad),
                (None, Some(board)) => Piece::new(Safe::line(&board.description), Role::Faint),
                (None, None) => Piece::default(),
            };
            let cells = [
                Piece::new(Safe::line(&entry.name), Role::Strong),
                Piece::from(board.map_or_else(Safe::default, |board| Safe::line(&board.title))),
                Piece::from(board.map_or_else(Safe::default, |board| Safe::of(board.panels.len()))),
                about,
            ];
            list::row(scene.buffer, line_of(body, row), theme, &columns, &cells, at == Some(index));
        }
    }

    // A board that is not there, or has never been read well.
    fn draw_missing(&self, scene: &mut Scene<'_>) {
        let (area, theme) = (scene.area, scene.theme);
        if self.boards.value().is_none() {
            let text = Safe::from_static("reading the boards");
            sentence(scene.buffer, area, theme, ("", Role::Text), &text, None);
            return;
        }
        let entry = self.entries().iter().find(|entry| entry.name == self.wanted);
        if let Some(error) = entry.and_then(|entry| entry.error.as_ref()) {
            let (text, hint) = told(error);
            sentence(scene.buffer, area, theme, ("BROKEN", Role::Bad), &text, hint.as_ref());
            return;
        }
        let names: Vec<&str> = self.entries().iter().map(|entry| entry.name.as_str()).collect();
        let text = Safe::of(format_args!("there is no board {:?}", self.wanted));
        let hint = Safe::of(format_args!("there are {}", names.join(", ")));
        sentence(scene.buffer, area, theme, ("NOT FOUND", Role::Bad), &text, Some(&hint));
    }
}

fn told(error: &crate::dashboard::FileError) -> (Safe, Option<Safe>) {
    let bare = crate::dashboard::FileError { remedy: None, ..error.clone() };
    (Safe::of(bare), error.remedy.as_deref().map(Safe::line))
}

/// What is under the cursor in a row of a log.
fn of_row(row: &LogRow) -> Subject {
    Subject {
        service: row.service.clone(),
        trace: row.trace_id.clone(),
        span: row.span_id.clone(),
        correlation: row.correlation_id.clone(),
        time: format::moment(&row.timestamp),
        ..Subject::default()
    }
}

impl Screen for Dashboards {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn crumb(&self) -> Safe {
        match &self.open {
            Some(open) => open.crumb(),
            None if self.wanted.is_empty() => Safe::from_static("Dashboards"),
            None => Safe::line(&self.wanted),
        }
    }

    fn load(&mut self, cx: &mut Context<'_>) {
        self.boards.ask(Ask::Boards, cx);
        if let Some(open) = &mut self.open {
            open.load(cx);
        }
    }

    fn act(&mut self, action: Action, cx: &mut Context<'_>) {
        if let Some(open) = &mut self.open {
            return open.act(action, cx);
        }
        if !self.wanted.is_empty() {
            return;
        }
        let entries = self.boards.value().map_or(&[][..], |boards| &boards.entries);
        if action == Action::Enter {
            if let Some(index) = self.cursor.index(entries.len()) {
                cx.open("dashboards", Args { id: entries[index].name.clone(), ..Args::default() });
            }
            return;
        }
        self.cursor.act(action, entries.len(), |index| entries[index].name.clone());
    }

    fn answer(&mut self, answer: Answer, cx: &mut Context<'_>) {
        if self.boards.awaits(&answer) {
            if self.boards.settle(answer, cx) {
                self.take_boards(cx);
            }
        } else if let Some(open) = &mut self.open {
            open.answer(answer, cx);
        }
    }

    fn tick(&mut self, cx: &mut Context<'_>) -> bool {
        if self.boards.is_due(FILES_EVERY, cx.session.now.monotonic) {
            self.boards.ask(Ask::Boards, cx);
        }
        if let Some(open) = &mut self.open {
            open.tick(cx);
        }
        false
    }

    fn draw(&mut self, scene: &mut Scene<'_>) {
        match &mut self.open {
            Some(open) => open.draw(scene),
            None if self.wanted.is_empty() => self.draw_list(scene),
            None => self.draw_missing(scene),
        }
    }

    fn badge(&self) -> Option<(Safe, Role)> {
        self.open.as_ref().and_then(Open::badge)
    }

    fn typed(&mut self, text: String, cx: &mut Context<'_>) {
        if let Some(open) = &mut self.open {
            open.typed(text, cx);
        }
    }

    fn subject(&self) -> Subject {
        self.open.as_ref().map(Open::subject).unwrap_or_default()
    }

    fn copy(&self) -> Option<Safe> {
        match &self.open {
            Some(open) => open.copy(),
            None => self.cursor.key().map(|name| Safe::line(name)),
        }
    }

    fn close(&mut self) -> bool {
        self.open.as_mut().is_some_and(Open::close)
    }

    fn is_settled(&self) -> bool {
        !self.boards.is_loading() && self.open.as_ref().is_none_or(Open::is_settled)
    }

    fn json(&self) -> Value {
        let entries = self.entries().iter().map(|entry| {
            let board = entry.board.as_deref();
            json!({
                "name": entry.name,
                "title": board.map(|board| &board.title),
                "panels": board.map(|board| board.panels.len()),
                "error": entry.error.as_ref().map(ToString::to_string),
            })
        });
        json!({ "boards": entries.collect::<Vec<_>>(), "board": self.open.as_ref().map(Open::json) })
    }
}
