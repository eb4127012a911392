//! The window in which values of variables are chosen.

use ratatui::layout::Rect;

use super::{LEFT, RIGHT, TOGGLE, VARIABLES};
use crate::dashboard::limits::VALUES_MAX;
use crate::dashboard::variables::{Choice, Choices};
use crate::dashboard::{Board, Variable, VariableKind};
use crate::keymap::Action;
use crate::sanitize::Safe;
use crate::screen::Scene;
use crate::slot::Slot;
use crate::theme::Role;
use crate::widget::list::{self, Column};
use crate::widget::panel::{centred, window};
use crate::widget::{Piece, line_of, put};

/// Which variable and which of its values.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Picker {
    variable: usize,
    cursor: usize,
    offset: usize,
}

/// What came of a key.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) closes: bool,
    pub(super) changed: bool,
    // A text to be typed.
    pub(super) types: Option<String>,
}

impl Picker {
    /// The variable that is chosen for.
    pub(super) fn variable(&self) -> usize {
        self.variable
    }

    /// Does what a key asks for.
    pub(super) fn act(
        &mut self,
        action: Action,
        board: &Board,
        values: &[Slot<Vec<String>>],
        choices: &mut Choices,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        let count = board.variables.len();
        let Some(variable) = board.variables.get(self.variable) else { return Outcome { closes: true, ..outcome } };
        let rows = rows(variable, values.get(self.variable));
        let last = rows.len().saturating_sub(1);
        match action {
            VARIABLES => outcome.closes = true,
            RIGHT | Action::NextPane => *self = Self { variable: (self.variable + 1) % count, ..Self::default() },
            LEFT | Action::PreviousPane => {
                *self = Self { variable: (self.variable + count - 1) % count, ..Self::default() }
            }
            Action::Up => self.cursor = self.cursor.saturating_sub(1),
            Action::Down => self.cursor = (self.cursor + 1).min(last),
            Action::HalfUp | Action::PageUp => self.cursor = self.cursor.saturating_sub(8),
            Action::HalfDown | Action::PageDown => self.cursor = (self.cursor + 8).min(last),
            Action::First => self.cursor = 0,
            Action::Last => self.cursor = last,
            Action::Enter | TOGGLE => match (&variable.kind, rows.get(self.cursor)) {
                (VariableKind::Text(first), _) => {
                    let now = choices.get(&variable.name).map_or_else(|| first.clone(), Choice::words);
                    outcome.types = Some(now);
                }
                (_, None) => {}
                (_, Some(row)) => {
                    let choice = chosen(variable, choices.get(&variable.name), row.as_deref(), action);
                    choices.set(&variable.name, choice);
                    outcome.changed = true;
                    outcome.closes = action == Action::Enter && count == 1;
                }
            },
            _ => {}
        }
        outcome
    }

    /// Draws the window over the board.
    pub(super) fn draw(
        &mut self,
        scene: &mut Scene<'_>,
        board: &Board,
        values: &[Slot<Vec<String>>],
        choices: &Choices,
    ) {
        let theme = scene.theme;
        let Some(variable) = board.variables.get(self.variable) else { return };
        let slot = values.get(self.variable);
        let rows = rows(variable, slot);
        let height = u16::try_from(rows.len()).unwrap_or(u16::MAX).saturating_add(4).clamp(6, 20);
        let area = centred(scene.area, 50, height);
        let title = match board.variables.len() {
            1 => Safe::line(&variable.label),
            count => Safe::of(format_args!("{} ({} of {count})", variable.label, self.variable + 1)),
        };
        let inner = window(scene.buffer, area, theme, &title);
        let faint = theme.style(Role::Faint);
        let hint = match (&variable.kind, variable.multi, board.variables.len()) {
            (VariableKind::Text(_), ..) => "Enter writes it, Esc closes",
            (_, true, 1) => "Space chooses several, Enter one, Esc closes",
            (_, true, _) => "Space several, Enter one, l next variable",
            (_, false, 1) => "Enter chooses, Esc closes",
            _ => "Enter chooses, l next variable, Esc closes",
        };
        let below = line_of(inner, inner.height.saturating_sub(1));
        put(scene.buffer, (below.x + 1, below.y), below.width.saturating_sub(1), hint, faint);
        let body = Rect { height: inner.height.saturating_sub(2), ..inner };
        if rows.is_empty() {
            let text = match (&variable.kind, slot) {
                (VariableKind::Text(_), _) => {
                    choices.get(&variable.name).map_or_else(Safe::default, |choice| Safe::line(&choice.words()))
                }
                (_, Some(slot)) if slot.trouble().is_some() => {
                    slot.trouble().map_or_else(Safe::default, |trouble| trouble.sentence.clone())
                }
                (_, Some(slot)) if slot.value().is_some() => Safe::from_static("no series has this label"),
                _ => Safe::from_static("asking the server"),
            };
            put(scene.buffer, (body.x + 1, body.y), body.width.saturating_sub(1), &text, theme.style(Role::Text));
            return;
        }
        let height = usize::from(body.height).max(1);
        self.cursor = self.cursor.min(rows.len() - 1);
        self.offset = self.offset.min(self.cursor).max((self.cursor + 1).saturating_sub(height));
        let columns = [Column::left("", 1), Column::left("", 0)];
        let now = choices.get(&variable.name);
        for (line, (index, row)) in (0u16..).zip(rows.iter().enumerate().skip(self.offset).take(height)) {
            let is_chosen = is_chosen(now, row.as_deref());
            let mark = if is_chosen { "*" } else { " " };
            let text = row.as_deref().map_or(Safe::from_static("all"), Safe::line);
            let role = if is_chosen { Role::Strong } else { Role::Text };
            let cells = [Piece::new(mark, Role::Good), Piece::new(text, role)];
            list::row(scene.buffer, line_of(body, line), theme, &columns, &cells, index == self.cursor);
        }
    }
}

// What can be chosen: everything where several can, then the values.
fn rows(variable: &Variable, slot: Option<&Slot<Vec<String>>>) -> Vec<Option<String>> {
    let values = match &variable.kind {
        VariableKind::Text(_) => return Vec::new(),
        VariableKind::List(values) => values.as_slice(),
        VariableKind::ValuesOf { .. } => slot.and_then(Slot::value).map_or(&[][..], Vec::as_slice),
    };
    if values.is_empty() {
        return Vec::new();
    }
    let all = variable.multi.then_some(None);
    all.into_iter().chain(values.iter().take(VALUES_MAX).cloned().map(Some)).collect()
}

fn is_chosen(now: Option<&Choice>, row: Option<&str>) -> bool {
    match (now, row) {
        (Some(Choice::All), None) => true,
        (Some(Choice::One(one)), Some(row)) => one == row,
        (Some(Choice::Several(several)), Some(row)) => several.iter().any(|one| one == row),
        _ => false,
    }
}

fn chosen(variable: &Variable, now: Option<&Choice>, row: Option<&str>, action: Action) -> Choice {
    let Some(row) = row else { return Choice::All };
    if !variable.multi || action == Action::Enter {
        return Choice::One(row.to_owned());
    }
    let mut several = match now {
        Some(Choice::One(one)) => vec![one.clone()],
        Some(Choice::Several(several)) => several.clone(),
        _ => Vec::new(),
    };
    match several.iter().position(|one| one == row) {
        Some(at) => drop(several.remove(at)),
        None => several.push(row.to_owned()),
    }
    match several.len() {
        0 => Choice::All,
        1 => Choice::One(several.remove(0)),
        _ => Choice::Several(several),
    }
}
