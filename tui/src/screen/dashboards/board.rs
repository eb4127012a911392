//! An open board: what its panels have asked, what was chosen for its variables, which panel has the keys.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use model::wire::alerts::Alerts;
use model::wire::status::Status;
use model::{TimeRange, Timestamp};
use ratatui::layout::Rect;
use serde_json::{Value, json};

use super::panel::Pane;
use super::picker::Picker;
use super::{INK, LEFT, RIGHT, SORT, TOGGLE, VARIABLES, of_row};
use crate::dashboard::counters::History;
use crate::dashboard::variables::{Choice, Choices, Language};
use crate::dashboard::{Board, FileError, PanelKind, Source, VariableKind, grid, series};
use crate::effect::{Ask, Rows};
use crate::event::Answer;
use crate::keymap::Action;
use crate::sanitize::Safe;
use crate::screen::overview::of_alert;
use crate::screen::{Args, Context, Subject, Wish};
use crate::session::Range;
use crate::slot::Slot;
use crate::theme::Role;

/// Questions of one board on their way at a time; the others wait, so that a board leaves room for everybody else.
const ASKING_MAX: usize = 6;

/// Records of a panel with a log.
const LOG_ROWS: usize = 100;

/// An open board.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) board: Arc<Board>,
    pub(super) error: Option<FileError>,
    pub(super) choices: Choices,
    // Of each variable: the values it can be chosen from.
    pub(super) values: Vec<Slot<Vec<String>>>,
    pub(super) panes: Vec<Pane>,
    pub(super) status: Slot<Box<Status>>,
    pub(super) history: History,
    pub(super) alerts: Slot<Alerts>,
    // Panel and query of what waits to be asked.
    waiting: VecDeque<(usize, usize)>,
    asked_at: Duration,
    // What the newest questions were asked for.
    pub(super) times: (TimeRange, i64),
    pub(super) focus: usize,
    pub(super) zoomed: bool,
    pub(super) picker: Option<Picker>,
    // Lines of the board above the screen, and where its panels were drawn.
    pub(super) offset: u16,
    pub(super) places: Vec<Rect>,
    pub(super) blocks: bool,
}

impl Open {
    /// A board that is opened: its own time range is chosen, and its questions are asked.
    pub(super) fn new(board: Arc<Board>, error: Option<FileError>, cx: &mut Context<'_>) -> Self {
        let nothing = TimeRange { start: Timestamp::MIN, end: Timestamp::MIN };
        let mut open = Self {
            panes: panes(&board),
            values: board.variables.iter().map(|_| Slot::default()).collect(),
            choices: first_choices(&board),
            board,
            error,
            status: Slot::default(),
            history: History::default(),
            alerts: Slot::default(),
            waiting: VecDeque::new(),
            asked_at: Duration::ZERO,
            times: (nothing, 1),
            focus: 0,
            zoomed: false,
            picker: None,
            offset: 0,
            places: Vec::new(),
            blocks: false,
        };
        match open.board.range_ms.and_then(|millis| i64::try_from(millis).ok()) {
            // Another range asks for everything, now that the board is there.
            Some(millis) if Range::Last(millis.saturating_mul(1_000_000)) != cx.range => {
                cx.wishes.push(Wish::Range(Range::Last(millis.saturating_mul(1_000_000))));
            }
            _ => open.load(cx),
        }
        open
    }

    /// The file was read again.
    pub(super) fn renew(&mut self, board: &Arc<Board>, error: Option<FileError>, cx: &mut Context<'_>) {
        self.error = error;
        if *self.board == **board {
            return;
        }
        let old = std::mem::replace(&mut self.board, Arc::clone(board));
        self.panes = panes(board);
        self.values = board.variables.iter().map(|_| Slot::default()).collect();
        let mut choices = first_choices(board);
        // What was chosen stays chosen where the variable is still the same.
        for variable in board.variables.iter().filter(|variable| old.variables.contains(variable)) {
            if let Some(choice) = self.choices.get(&variable.name) {
                choices.set(&variable.name, choice.clone());
            }
        }
        self.choices = choices;
        self.focus = self.focus.min(board.panels.len().saturating_sub(1));
        (self.picker, self.zoomed) = (None, false);
        self.load(cx);
    }

    /// Asks for everything.
    pub(super) fn load(&mut self, cx: &mut Context<'_>) {
        let window = cx.window();
        let step_ns = series::step_ns(window);
        self.times = (series::aligned(window, step_ns), step_ns);
        let millis = |nanos: i64| (nanos / 1_000_000).unsigned_abs();
        self.choices.set_times(millis(step_ns), millis(cx.range.length()), self.board.interval_ms);
        self.asked_at = cx.session.now.monotonic;
        let all = self.board.panels.iter().enumerate();
        self.waiting = all.flat_map(|(at, panel)| (0..panel.queries.len()).map(move |query| (at, query))).collect();
        let board = Arc::clone(&self.board);
        let is_counter = |source: &Source| matches!(source, Source::Counter(_));
        if board.panels.iter().flat_map(|panel| &panel.queries).any(|query| is_counter(&query.source)) {
            self.status.ask(Ask::Status, cx);
        }
        if board.panels.iter().any(|panel| matches!(panel.kind, PanelKind::AlertList(_))) {
            self.alerts.ask(Ask::Alerts, cx);
        }
        for (variable, slot) in board.variables.iter().zip(&mut self.values) {
            if let (VariableKind::ValuesOf { label, selector }, None) = (&variable.kind, slot.value())
                && !slot.is_loading()
            {
                slot.ask(Ask::ValuesOf { label: label.clone(), selector: selector.clone(), range: self.times.0 }, cx);
            }
        }
        self.pump(cx);
    }

    // Asks what waits, as far as there is room.
    fn pump(&mut self, cx: &mut Context<'_>) {
        let board = Arc::clone(&self.board);
        while self.panes.iter().map(Pane::asking).sum::<usize>() < ASKING_MAX {
            let Some((at, query)) = self.waiting.pop_front() else { return };
            let (Some(panel), Some(pane)) = (board.panels.get(at), self.panes.get_mut(at)) else { continue };
            let (range, step_ns) = self.times;
            match &panel.queries[query].source {
                // Counters come with the status, for all panels at once.
                Source::Counter(_) => {}
                Source::Promql(text) => {
                    let expression = self.choices.apply(text, Language::Promql);
                    let ask = match panel.kind {
                        PanelKind::Timeseries | PanelKind::Stat => Ask::QueryRange { expression, range, step_ns },
                        _ => Ask::Query { expression, at: range.end },
                    };
                    pane.queries[query].slot.ask(ask, cx);
                }
                Source::Logs(text) => {
                    let query = self.choices.apply(text, Language::Filter);
                    let rows = Rows { query, range: cx.window(), limit: LOG_ROWS, ascending: false, cursor: None };
                    pane.logs.ask(Ask::Logs(rows), cx);
                }
            }
        }
    }

    /// Takes an answer to one of its questions.
    pub(super) fn answer(&mut self, answer: Answer, cx: &mut Context<'_>) {
        if self.status.awaits(&answer) {
            if self.status.settle(answer, cx)
                && let Some(status) = self.status.value()
            {
                self.history.push(cx.session.now.wall.as_nanos() as f64 / 1e9, status);
                self.count();
            }
        } else if self.alerts.awaits(&answer) {
            self.alerts.settle(answer, cx);
        } else if let Some(at) = self.values.iter().position(|slot| slot.awaits(&answer)) {
            if self.values[at].settle(answer, cx) {
                self.choose_first(at, cx);
            }
        } else if let Some(pane) = self.panes.iter_mut().find(|pane| pane.awaits(&answer)) {
            pane.answer(answer, cx);
        }
        self.pump(cx);
    }

    // Makes the series of counters anew.
    fn count(&mut self) {
        let seconds = |moment: Timestamp| moment.as_nanos() as f64 / 1e9;
        let (start, end) = (seconds(self.times.0.start), f64::INFINITY);
        for (panel, pane) in self.board.panels.iter().zip(&mut self.panes) {
            for (query, asked) in panel.queries.iter().zip(&mut pane.queries) {
                if let Source::Counter(counter) = &query.source {
                    asked.series = series::of_counters(self.history.series(counter, start, end));
                }
            }
        }
    }

    // A variable of one value needs one before its panels make sense: its values have come.
    fn choose_first(&mut self, at: usize, cx: &mut Context<'_>) {
        let variable = &self.board.variables[at];
        let values = self.values[at].value().map_or(&[][..], Vec::as_slice);
        let default = variable.default.as_ref().filter(|default| values.contains(default)).or_else(|| values.first());
        if variable.multi || self.choices.get(&variable.name).is_some() {
            return;
        }
        if let Some(value) = default {
            self.choices.set(&variable.name, Choice::One(value.clone()));
            self.load(cx);
        }
    }

    /// Asks again what is due.
    pub(super) fn tick(&mut self, cx: &mut Context<'_>) {
        let is_idle = self.waiting.is_empty() && self.panes.iter().all(|pane| pane.asking() == 0);
        let is_due = self.asked_at + Duration::from_millis(self.board.refresh_ms) <= cx.session.now.monotonic;
        // A range that stands still shows the same at every refresh; its alerts and counters are of now.
        if is_due && is_idle {
            self.load(cx);
        }
    }

    /// Does what a key asks for.
    pub(super) fn act(&mut self, action: Action, cx: &mut Context<'_>) {
        if let Some(picker) = &mut self.picker {
            let outcome = picker.act(action, &self.board, &self.values, &mut self.choices);
            if outcome.closes {
                self.picker = None;
            }
            if let Some(text) = outcome.types {
                cx.wishes.push(Wish::Type { label: " value ", hint: "stands in the queries as it is written", text });
            }
            if outcome.changed {
                self.load(cx);
            }
            return;
        }
        match action {
            VARIABLES if self.board.variables.is_empty() => cx.say("this board has no variables"),
            VARIABLES => self.picker = Some(Picker::default()),
            INK => self.blocks = !self.blocks,
            Action::NextPane => self.focus_on((self.focus + 1) % self.panes.len().max(1)),
            Action::PreviousPane => {
                self.focus_on((self.focus + self.panes.len().saturating_sub(1)) % self.panes.len().max(1))
            }
            Action::Enter if !self.zoomed => self.zoomed = true,
            Action::Enter => self.enter(cx),
            SORT | TOGGLE => {
                if let (Some(panel), Some(pane)) = (self.board.panels.get(self.focus), self.panes.get_mut(self.focus)) {
                    pane.act(action, panel);
                }
            }
            other if self.zoomed => {
                let alerts = self.alert_count();
                if let (Some(panel), Some(pane)) = (self.board.panels.get(self.focus), self.panes.get_mut(self.focus)) {
                    pane.move_by(other, panel, alerts);
                }
            }
            other => {
                if self.places.is_empty() {
                    let (width, height) = cx.session.size;
                    self.places = grid::places(&self.board.panels, width, height);
                }
                self.walk(other);
            }
        }
    }

    // What a row of a panel over the whole screen leads to.
    fn enter(&mut self, cx: &mut Context<'_>) {
        let subject = self.subject();
        match (subject.trace, subject.alert) {
            (Some(id), _) => cx.open("trace", Args { id, span: subject.span, ..Args::default() }),
            (None, Some(name)) => cx.open("alerts", Args { filter: name, ..Args::default() }),
            (None, None) => cx.say("nothing here leads further"),
        }
    }

    fn focus_on(&mut self, to: usize) {
        self.focus = to.min(self.panes.len().saturating_sub(1));
    }

    // To the nearest panel in a direction.
    fn walk(&mut self, action: Action) {
        let last = self.panes.len().saturating_sub(1);
        match action {
            Action::First => return self.focus_on(0),
            Action::Last => return self.focus_on(last),
            _ => {}
        }
        let Some(from) = self.places.get(self.focus).copied() else { return };
        let middle = |place: &Rect| {
            (i32::from(place.x) * 2 + i32::from(place.width), i32::from(place.y) * 2 + i32::from(place.height))
        };
        let here = middle(&from);
        let lies = |place: &Rect| match action {
            LEFT => place.right() <= from.x,
            RIGHT => place.x >= from.right(),
            Action::Up | Action::HalfUp | Action::PageUp => place.bottom() <= from.y,
            Action::Down | Action::HalfDown | Action::PageDown => place.y >= from.bottom(),
            _ => false,
        };
        let distance = |place: &Rect| {
            let there = middle(place);
            let (across, down) = ((there.0 - here.0).abs(), (there.1 - here.1).abs());
            // Straight on before aside.
            if matches!(action, LEFT | RIGHT) { across + down * 4 } else { across + down * 8 }
        };
        let found =
            self.places.iter().enumerate().filter(|(_, place)| lies(place)).min_by_key(|(_, place)| distance(place));
        if let Some((at, _)) = found {
            self.focus_on(at);
        }
    }

    /// Closes the picker, or goes back from a panel to the board; whether there was something to close.
    pub(super) fn close(&mut self) -> bool {
        self.picker.take().is_some() || std::mem::take(&mut self.zoomed)
    }

    /// A text variable was typed.
    pub(super) fn typed(&mut self, text: String, cx: &mut Context<'_>) {
        let variable = self.picker.as_ref().and_then(|picker| self.board.variables.get(picker.variable()));
        if let Some(variable) = variable.filter(|variable| matches!(variable.kind, VariableKind::Text(_))) {
            self.choices.set(&variable.name, Choice::Text(text));
            self.load(cx);
        }
    }

    /// In the breadcrumbs.
    pub(super) fn crumb(&self) -> Safe {
        let title = Safe::line(&self.board.title);
        match self.board.panels.get(self.focus).filter(|_| self.zoomed) {
            Some(panel) => Safe::of(format_args!("{title}: {}", self.choices.apply(&panel.title, Language::Words))),
            None => title,
        }
    }

    /// In the header.
    pub(super) fn badge(&self) -> Option<(Safe, Role)> {
        if self.error.is_some() {
            return Some((Safe::from_static("BROKEN FILE"), Role::Bad));
        }
        let every = Safe::line(&crate::dashboard::Unit::Millis.write(self.board.refresh_ms as f64, None));
        Some((Safe::of(format_args!("every {every}")), Role::Faint))
    }

    /// When the newest counters are from, in Unix seconds.
    pub(super) fn history_end(&self) -> f64 {
        self.history.ends().unwrap_or(f64::NEG_INFINITY)
    }

    fn alert_count(&self) -> usize {
        self.alerts.value().map_or(0, |alerts| alerts.alerts.len())
    }

    /// What is under the cursor.
    pub(super) fn subject(&self) -> Subject {
        let (Some(panel), Some(pane)) = (self.board.panels.get(self.focus), self.panes.get(self.focus)) else {
            return Subject::default();
        };
        match &panel.kind {
            PanelKind::Logs => pane.selected_row().map(of_row).unwrap_or_default(),
            PanelKind::AlertList(state) => {
                let alerts = super::draw::listed(self.alerts.value(), state.as_deref());
                alerts.get(pane.cursor).map(|alert| of_alert(alert)).unwrap_or_default()
            }
            _ => {
                let labels =
                    pane.queries.iter().flat_map(|asked| &asked.series).nth(pane.cursor).map(|one| &one.labels);
                let job = labels.and_then(|labels| labels.get("service_name").or_else(|| labels.get("job")));
                let service = job.map(|job| job.rsplit('/').next().unwrap_or(job).to_owned());
                let query = panel.queries.first().map(|query| &query.source);
                let metric = query.and_then(|source| match source {
                    Source::Promql(text) => Some(self.choices.apply(text, Language::Promql)),
                    _ => None,
                });
                Subject { service, metric, ..Subject::default() }
            }
        }
    }

    /// What `y` copies: the panel's question as it is asked.
    pub(super) fn copy(&self) -> Option<Safe> {
        let panel = self.board.panels.get(self.focus)?;
        let query = panel.queries.first()?;
        Some(Safe::line(&match &query.source {
            Source::Promql(text) => self.choices.apply(text, Language::Promql),
            Source::Logs(text) => self.choices.apply(text, Language::Filter),
            Source::Counter(counter) => counter.name.clone(),
        }))
    }

    /// Whether every question has its answer.
    pub(super) fn is_settled(&self) -> bool {
        self.waiting.is_empty()
            && !self.status.is_loading()
            && !self.alerts.is_loading()
            && self.values.iter().all(|slot| !slot.is_loading())
            && self.panes.iter().all(|pane| pane.asking() == 0)
    }

    /// For programs: each panel with its newest numbers.
    pub(super) fn json(&self) -> Value {
        let panels = self.board.panels.iter().zip(&self.panes).map(|(panel, pane)| {
            let series = panel.queries.iter().zip(&pane.queries).flat_map(|(query, asked)| {
                asked.series.iter().map(|one| json!({ "name": one.name(&query.legend).as_str(), "value": one.last() }))
            });
            json!({
                "title": self.choices.apply(&panel.title, Language::Words),
                "series": series.collect::<Vec<_>>(),
                "records": pane.logs.value().map(|page| &page.rows),
                "error": pane.trouble().map(|trouble| trouble.sentence.as_str()),
            })
        });
        json!({
            "title": self.board.title,
            "error": self.error.as_ref().map(ToString::to_string),
            "panels": panels.collect::<Vec<_>>(),
        })
    }
}

fn panes(board: &Board) -> Vec<Pane> {
    board.panels.iter().map(|panel| Pane::new(panel.queries.len())).collect()
}

// What is chosen before anybody chooses. A single value of a label is chosen once its values have come.
fn first_choices(board: &Board) -> Choices {
    let mut choices = Choices::default();
    for variable in &board.variables {
        let choice = match (&variable.kind, &variable.default) {
            (VariableKind::Text(text), _) => Choice::Text(text.clone()),
            (_, Some(default)) => Choice::One(default.clone()),
            (VariableKind::List(values), None) if !variable.multi => {
                Choice::One(values.first().cloned().unwrap_or_default())
            }
            (_, None) if variable.multi => Choice::All,
            _ => continue,
        };
        choices.set(&variable.name, choice);
    }
    choices
}
