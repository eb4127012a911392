//! What one panel has asked and got, and where one looks in it.

use std::collections::BTreeSet;

use model::wire::Page;
use model::wire::logs::LogRow;
use model::wire::prom::QueryData;

use super::{SORT, TOGGLE};
use crate::dashboard::series::{self, Series};
use crate::dashboard::{Panel, PanelKind};
use crate::effect::Trouble;
use crate::event::Answer;
use crate::keymap::Action;
use crate::sanitize::Safe;
use crate::screen::Context;
use crate::slot::Slot;
use crate::widget::chart::Line;
use crate::widget::table::Sort;

/// One panel's answers and cursor.
#[derive(Debug, Default)]
pub(super) struct Pane {
    pub(super) queries: Vec<Asked>,
    pub(super) logs: Slot<Page<LogRow>>,
    pub(super) hidden: BTreeSet<Safe>,
    pub(super) sort: Option<Sort>,
    // The row, line or record under the cursor, and the first that is seen.
    pub(super) cursor: usize,
    pub(super) offset: usize,
    // Rows that were seen at last.
    pub(super) page: usize,
}

/// One query's answer, and the series in it.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) slot: Slot<QueryData>,
    pub(super) series: Vec<Series>,
    pub(super) more: usize,
}

impl Pane {
    pub(super) fn new(queries: usize) -> Self {
        Self { queries: (0..queries).map(|_| Asked::default()).collect(), page: 1, ..Self::default() }
    }

    /// Questions on their way.
    pub(super) fn asking(&self) -> usize {
        let queries = self.queries.iter().filter(|asked| asked.slot.is_loading()).count();
        queries + usize::from(self.logs.is_loading())
    }

    pub(super) fn awaits(&self, answer: &Answer) -> bool {
        self.logs.awaits(answer) || self.queries.iter().any(|asked| asked.slot.awaits(answer))
    }

    pub(super) fn answer(&mut self, answer: Answer, cx: &Context<'_>) {
        if self.logs.awaits(&answer) {
            self.logs.settle(answer, cx);
        } else if let Some(asked) = self.queries.iter_mut().find(|asked| asked.slot.awaits(&answer))
            && asked.slot.settle(answer, cx)
            && let Some(data) = asked.slot.value()
        {
            (asked.series, asked.more) = series::of_answer(data);
        }
    }

    /// What went wrong last.
    pub(super) fn trouble(&self) -> Option<&Trouble> {
        self.logs.trouble().or_else(|| self.queries.iter().find_map(|asked| asked.slot.trouble()))
    }

    /// Whether an answer has come.
    pub(super) fn has_come(&self) -> bool {
        self.logs.value().is_some()
            || self.queries.iter().any(|asked| asked.slot.value().is_some() || !asked.series.is_empty())
    }

    /// Series that are more than can be shown.
    pub(super) fn more(&self) -> usize {
        self.queries.iter().map(|asked| asked.more).sum()
    }

    /// The lines of its chart, in the order of its queries.
    pub(super) fn lines(&self, panel: &Panel, apply: impl Fn(&str) -> String) -> Vec<Line> {
        let mut lines = Vec::new();
        for (query, asked) in panel.queries.iter().zip(&self.queries) {
            let legend = apply(&query.legend);
            for one in &asked.series {
                let mut line = one.line(&legend);
                line.hidden = self.hidden.contains(&line.name);
                lines.push(line);
            }
        }
        lines
    }

    /// The record under the cursor.
    pub(super) fn selected_row(&self) -> Option<&LogRow> {
        self.logs.value()?.rows.get(self.cursor)
    }

    fn len(&self, panel: &Panel, alerts: usize) -> usize {
        match panel.kind {
            PanelKind::Logs => self.logs.value().map_or(0, |page| page.rows.len()),
            PanelKind::AlertList(_) => alerts,
            _ => self.queries.iter().map(|asked| asked.series.len()).sum(),
        }
    }

    /// Moves the cursor.
    pub(super) fn move_by(&mut self, action: Action, panel: &Panel, alerts: usize) {
        let last = self.len(panel, alerts).saturating_sub(1);
        let half = self.page.div_ceil(2).max(1);
        let page = self.page.max(1);
        self.cursor = match action {
            Action::Up => self.cursor.saturating_sub(1),
            Action::Down => self.cursor + 1,
            Action::HalfUp => self.cursor.saturating_sub(half),
            Action::HalfDown => self.cursor + half,
            Action::PageUp => self.cursor.saturating_sub(page),
            Action::PageDown => self.cursor + page,
            Action::First => 0,
            Action::Last => last,
            _ => self.cursor,
        }
        .min(last);
    }

    /// Sorts, or shows and hides a line.
    pub(super) fn act(&mut self, action: Action, panel: &Panel) {
        match (action, &panel.kind) {
            (SORT, PanelKind::Table | PanelKind::Bar) => {
                // First the numbers downwards, then upwards, then column by column.
                self.sort = Some(match self.sort {
                    None => Sort { column: 0, descending: false },
                    Some(Sort { column, descending: false }) => Sort { column, descending: true },
                    Some(Sort { column, descending: true }) => Sort { column: column + 1, descending: false },
                });
            }
            (TOGGLE, PanelKind::Timeseries) => {
                let lines = self.lines(panel, str::to_owned);
                if let Some(line) = lines.get(self.cursor)
                    && !self.hidden.remove(&line.name)
                {
                    self.hidden.insert(line.name.clone());
                }
            }
            _ => {}
        }
    }

    /// The rows that are seen in `height` lines.
    pub(super) fn visible(&mut self, len: usize, height: u16) -> std::ops::Range<usize> {
        self.page = usize::from(height);
        self.cursor = self.cursor.min(len.saturating_sub(1));
        self.offset = self.offset.min(self.cursor).min(len.saturating_sub(self.page));
        if self.cursor >= self.offset + self.page {
            self.offset = self.cursor + 1 - self.page.min(self.cursor + 1);
        }
        self.offset..(self.offset + self.page).min(len)
    }
}
