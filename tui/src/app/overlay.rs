//! What stands over a screen for a moment: the help, and lines that are typed (filter, command, time range).

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{State, command};
use crate::effect::Effect;
use crate::event::Key;
use crate::input::Input;
use crate::keymap::{self, Action, Binding, Place};
use crate::limits::HISTORY_MAX;
use crate::sanitize::Safe;
use crate::session::Range;
use crate::theme::Role;
use crate::widget::details::{Detail, Scroll, details};
use crate::widget::prompt::prompt;
use crate::widget::{fill, line_of, list, panel, put};

/// What stands over the screen.
#[derive(Debug)]
pub(super) enum Overlay {
    /// The keys.
    Help(Scroll),
    /// A line that is typed.
    Line(Line),
}

/// A line that is typed, and what for.
#[derive(Debug)]
pub(super) struct Line {
    purpose: Purpose,
    input: Input,
    // The choice under the cursor, if one was chosen; or how far back in history.
    chosen: Option<usize>,
    mistake: Option<Safe>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Filter,
    Command,
    Range,
    // For the screen: label and hint.
    Screen(&'static str, &'static str),
}

/// Lines that were typed, the newest last.
#[derive(Debug, Default)]
pub(super) struct History {
    filters: Vec<String>,
}

impl History {
    fn add(&mut self, line: &str) {
        if line.is_empty() {
            return;
        }
        self.filters.retain(|known| known != line);
        self.filters.push(line.to_owned());
        if self.filters.len() > HISTORY_MAX {
            self.filters.remove(0);
        }
    }
}

impl Line {
    // Puts `text` in place of what a choice completes: the whole line, or what stands before the cursor.
    fn complete(&mut self, text: &str) {
        let after: String = match self.purpose {
            Purpose::Screen(..) => self.input.text().chars().skip(self.input.before().chars().count()).collect(),
            _ => String::new(),
        };
        self.input = Input::new(text);
        self.input.insert(&after);
        for _ in after.chars() {
            self.input.act(Action::Left);
        }
        self.chosen = None;
    }
}

impl Overlay {
    /// The keys.
    pub(super) fn help() -> Self {
        Self::Help(Scroll::default())
    }

    /// A filter, with the one in force in it.
    pub(super) fn filter(text: &str) -> Self {
        Self::line(Purpose::Filter, text)
    }

    /// A command.
    pub(super) fn palette() -> Self {
        Self::line(Purpose::Command, "")
    }

    /// A time range.
    pub(super) fn range() -> Self {
        Self::line(Purpose::Range, "")
    }

    /// A line that a screen wants, with `text` in it.
    pub(super) fn typed(label: &'static str, hint: &'static str, text: &str) -> Self {
        Self::line(Purpose::Screen(label, hint), text)
    }

    fn line(purpose: Purpose, text: &str) -> Self {
        Self::Line(Line { purpose, input: Input::new(text), chosen: None, mistake: None })
    }

    /// Where its keys are looked up.
    pub(super) fn place(&self) -> Place {
        match self {
            Self::Help(_) => Place::Help,
            Self::Line(_) => Place::Prompt,
        }
    }

    /// Takes a key that is bound to nothing.
    pub(super) fn press(&mut self, key: Key) {
        if let Self::Line(line) = self
            && line.input.press(key)
        {
            line.chosen = None;
            line.mistake = None;
        }
    }

    /// Takes a pasted text.
    pub(super) fn paste(&mut self, text: &str) {
        if let Self::Line(line) = self {
            line.input.insert(text);
            line.chosen = None;
            line.mistake = None;
        }
    }
}

/// Does what a key asks for.
pub(super) fn act(state: &mut State, action: Action, effects: &mut Vec<Effect>) {
    let Some(mut overlay) = state.overlay.take() else { return };
    let stays = match &mut overlay {
        Overlay::Help(scroll) => {
            scroll.act(action);
            action != Action::Back
        }
        Overlay::Line(line) => act_line(state, line, action, effects),
    };
    if stays && state.overlay.is_none() {
        state.overlay = Some(overlay);
    }
}

fn act_line(state: &mut State, line: &mut Line, action: Action, effects: &mut Vec<Effect>) -> bool {
    match action {
        Action::Back => return false,
        Action::Accept => return accept(state, line, effects),
        Action::Up | Action::Down if line.purpose == Purpose::Filter => recall(&state.history.filters, line, action),
        Action::Up | Action::Down => choose(choices(state, line).len(), line, action),
        Action::Complete => {
            let choices = choices(state, line);
            if let Some(choice) = choices.get(line.chosen.unwrap_or(0)) {
                line.complete(&choice.completes);
            }
        }
        other => {
            line.input.act(other);
            line.chosen = None;
            line.mistake = None;
        }
    }
    true
}

// Goes through lines that were typed before.
fn recall(lines: &[String], line: &mut Line, action: Action) {
    let back = match (action, line.chosen) {
        (Action::Up, None) => 0,
        (Action::Up, Some(back)) => (back + 1).min(lines.len().saturating_sub(1)),
        (_, None) | (_, Some(0)) => {
            line.chosen = None;
            return;
        }
        (_, Some(back)) => back - 1,
    };
    if let Some(text) = lines.iter().rev().nth(back) {
        line.input = Input::new(text);
        line.chosen = Some(back);
    }
}

fn choose(len: usize, line: &mut Line, action: Action) {
    line.chosen = match (action, line.chosen) {
        _ if len == 0 => None,
        (Action::Up, None | Some(0)) => None,
        (Action::Up, Some(index)) => Some(index - 1),
        (_, None) => Some(0),
        (_, Some(index)) => Some((index + 1).min(len - 1)),
    };
}

// Takes the line; whether it stays because of a mistake.
fn accept(state: &mut State, line: &mut Line, effects: &mut Vec<Effect>) -> bool {
    let chosen = line.chosen.and_then(|index| choices(state, line).into_iter().nth(index));
    let text = match (&chosen, line.purpose) {
        (Some(choice), Purpose::Command | Purpose::Range) => choice.completes.clone(),
        _ => line.input.text(),
    };
    let text = text.trim().to_owned();
    match line.purpose {
        Purpose::Filter => {
            state.history.add(&text);
            state.with_top(effects, |screen, cx| screen.set_filter(text, cx));
            false
        }
        // With a choice under the cursor, Enter only takes that.
        Purpose::Screen(..) if chosen.is_some() => {
            line.complete(&chosen.map(|choice| choice.completes).unwrap_or_default());
            true
        }
        Purpose::Screen(..) => {
            state.with_top(effects, |screen, cx| screen.typed(text, cx));
            false
        }
        Purpose::Range if text.is_empty() => false,
        Purpose::Range => match Range::parse(&text, state.session.now.wall) {
            Ok(range) => {
                state.set_range(range, effects);
                false
            }
            Err(mistake) => {
                line.mistake = Some(mistake);
                true
            }
        },
        // A choice that wants more is completed first.
        Purpose::Command if chosen.as_ref().is_some_and(|choice| choice.wants_more) => {
            line.input = Input::new(&text);
            line.input.insert(" ");
            line.chosen = None;
            true
        }
        Purpose::Command => match command::run(state, &text, effects) {
            Ok(()) => false,
            Err(mistake) => {
                line.mistake = Some(mistake);
                true
            }
        },
    }
}

/// Something that can be chosen instead of typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    /// The line it makes.
    pub(super) completes: String,
    /// What stands for it in the list, if not the line itself.
    pub(super) shown: Option<Safe>,
    /// What it is.
    pub(super) help: Safe,
    /// Whether something has to be typed behind it.
    pub(super) wants_more: bool,
}

fn choices(state: &State, line: &Line) -> Vec<Choice> {
    match line.purpose {
        Purpose::Filter => Vec::new(),
        Purpose::Screen(..) => {
            let found = state.top().completions(&line.input.before()).into_iter();
            found
                .map(|found| Choice {
                    completes: found.text,
                    shown: Some(found.word),
                    help: found.help,
                    wants_more: false,
                })
                .collect()
        }
        Purpose::Command => command::choices(state, &line.input.text()),
        Purpose::Range => {
            let typed = line.input.text();
            let offered = Range::OFFERED.into_iter().filter(|text| text.starts_with(typed.trim()));
            let choice = |text: &'static str| Choice {
                completes: text.to_owned(),
                shown: None,
                help: Safe::of(format_args!("the last {text}")),
                wants_more: false,
            };
            offered.map(choice).collect()
        }
    }
}

/// Draws what stands over the screen.
pub(super) fn draw(state: &mut State, buffer: &mut Buffer, area: Rect) {
    let Some(mut overlay) = state.overlay.take() else { return };
    match &mut overlay {
        Overlay::Help(scroll) => draw_help(state, buffer, area, scroll),
        Overlay::Line(line) => draw_line(state, buffer, area, line),
    }
    state.overlay = Some(overlay);
}

fn draw_help(state: &State, buffer: &mut Buffer, area: Rect, scroll: &mut Scroll) {
    let theme = state.session.theme;
    let spec = state.top().spec();
    let mut text = Vec::new();
    let mut section = |title: Safe, bindings: Vec<Binding>| {
        if bindings.is_empty() {
            return;
        }
        if !text.is_empty() {
            text.push(Detail::Text(Safe::default(), Role::Text));
        }
        text.push(Detail::Heading(title));
        for binding in bindings {
            let keys: Vec<Safe> = binding.keys.iter().map(|keys| Safe::from_static(keys)).collect();
            text.push(Detail::field(Safe::join(&keys, ", "), Safe::from_static(binding.help)));
        }
    };
    section(Safe::from_static(spec.title), spec.keys.to_vec());
    section(Safe::from_static("With what is under the cursor"), keymap::pivots().collect());
    section(Safe::from_static("Everywhere"), keymap::EVERYWHERE.to_vec());
    section(Safe::from_static("Screens"), keymap::doors().collect());
    section(Safe::from_static("In a line that is typed"), keymap::PROMPT.to_vec());
    let inner = panel::window(
        buffer,
        panel::centred(area, 66, area.height.saturating_sub(4)),
        theme,
        &Safe::from_static("Keys"),
    );
    details(buffer, inner, theme, &text, scroll);
}

const CHOICES_SHOWN: u16 = 10;

fn draw_line(state: &State, buffer: &mut Buffer, area: Rect, line: &Line) {
    let theme = state.session.theme;
    let (label, hint) = match line.purpose {
        Purpose::Filter => (" / ", "the filter language: service:checkout severity:>=warn timeout"),
        Purpose::Command => (" : ", "a command"),
        Purpose::Screen(label, hint) => (label, hint),
        Purpose::Range => (" t ", "2h, or 14:00..14:30, or 2026-01-31T14:00:00Z..now (UTC)"),
    };
    let bottom = line_of(area, area.height - 1);
    fill(buffer, bottom, " ", ratatui::style::Style::reset());
    let text = Safe::line(&line.input.text());
    prompt(buffer, bottom, theme, label, &text, Safe::line(&line.input.before()).width());
    if text.is_empty() {
        put(buffer, (bottom.x + 5, bottom.y), bottom.width.saturating_sub(6), hint, theme.style(Role::Faint));
    }
    let choices = choices(state, line);
    let mistake = line.mistake.as_ref();
    let shown = u16::try_from(choices.len()).unwrap_or(u16::MAX).min(CHOICES_SHOWN);
    let height = shown + u16::from(mistake.is_some());
    if height == 0 {
        return;
    }
    let window = Rect { y: bottom.y.saturating_sub(height + 2), height: height + 2, width: area.width.min(72), ..area };
    let inner = panel::window(buffer, window, theme, &Safe::default());
    let words = choices.iter().filter_map(|choice| choice.shown.as_ref()).map(Safe::width).max().unwrap_or(0);
    let columns =
        [list::Column::left("", u16::try_from(words).unwrap_or(u16::MAX).clamp(24, 44)), list::Column::left("", 0)];
    // The chosen one is always among those that are seen.
    let first = line.chosen.unwrap_or(0).saturating_sub(usize::from(shown).saturating_sub(1));
    for (row, choice) in (0u16..shown).zip(choices.iter().enumerate().skip(first)) {
        let (index, choice) = choice;
        let cells = [
            crate::widget::Piece::new(
                choice.shown.clone().unwrap_or_else(|| Safe::line(&choice.completes)),
                Role::Text,
            ),
            crate::widget::Piece::new(choice.help.clone(), Role::Faint),
        ];
        list::row(buffer, line_of(inner, row), theme, &columns, &cells, line.chosen == Some(index));
    }
    if let Some(mistake) = mistake {
        let place = line_of(inner, shown);
        put(buffer, (place.x + 1, place.y), place.width.saturating_sub(1), mistake, theme.style(Role::Bad));
    }
}
