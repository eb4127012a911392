//! Logs: records that match a filter, oldest first, followed as they come; a histogram by severity above, one record in full beside.

mod follow;

use std::time::Duration;

use model::wire::Page;
use model::wire::counts::Histogram;
use model::wire::logs::LogRow;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use serde_json::{Value, json};

use super::record::{equals, log_details, log_line, log_message, of_log, service};
use super::{Args, Context, Pivot, Scene, Screen, Spec, Subject};
use crate::cursor::Cursor;
use crate::effect::{Ask, Buckets, Effect, Rows as AskRows, Ticket, Trouble, TroubleKind};
use crate::event::{Answer, News};
use crate::format;
use crate::keymap::{self, Action, Binding};
use crate::limits::{HISTOGRAM_BUCKETS, LOGS_PAGE, RECONNECT_MAX, RECONNECT_MIN};
use crate::sanitize::Safe;
use crate::session::Range;
use crate::slot::Slot;
use crate::theme::{Role, Theme};
use crate::widget::details::{Scroll, details};
use crate::widget::histogram::{Layer, histogram};
use crate::widget::panel::{panel, with_detail};
use crate::widget::prompt;
use crate::widget::sentence::sentence;
use crate::widget::{Piece, line_of, list};

use follow::{Held, Rows};

const OLDER: Action = Action::Own("older");
const COUNTS: Action = Action::Own("counts");
const NEXT_ERROR: Action = Action::Own("next error");
const PREVIOUS_ERROR: Action = Action::Own("previous error");
const NEXT_WARNING: Action = Action::Own("next warning");
const PREVIOUS_WARNING: Action = Action::Own("previous warning");

/// See the module.
pub static SPEC: Spec = Spec {
    name: "logs",
    title: "Logs",
    argument: "FILTER",
    needs_argument: false,
    door: &["2"],
    pivot: Some(Pivot { keys: &["g l"], help: "its logs", to }),
    keys: &[
        keymap::FILTER,
        keymap::PAUSE,
        Binding { keys: &["e"], action: NEXT_ERROR, help: "next error" },
        Binding { keys: &["E"], action: PREVIOUS_ERROR, help: "error before" },
        Binding { keys: &["w"], action: NEXT_WARNING, help: "next warning or worse" },
        Binding { keys: &["W"], action: PREVIOUS_WARNING, help: "warning or worse before" },
        Binding { keys: &["o"], action: OLDER, help: "older records too" },
        Binding { keys: &["h"], action: COUNTS, help: "histogram on, off" },
        keymap::NEXT_PANE,
        keymap::PREVIOUS_PANE,
    ],
    open: |args| Box::new(Logs { filter: args.filter.clone(), counts_shown: true, ..Logs::default() }),
};

fn to(subject: &Subject) -> Result<(&'static str, Args), &'static str> {
    let filter = match (&subject.trace, &subject.service) {
        (Some(trace), _) => equals("trace_id", trace),
        (None, Some(service)) => equals("service", service),
        (None, None) => return Err("nothing under the cursor has logs"),
    };
    Ok(("logs", Args { filter, ..Args::default() }))
}

const COUNT_EVERY: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
struct Logs {
    filter: String,
    page: Slot<Page<LogRow>>,
    older: Slot<Page<LogRow>>,
    histogram: Slot<Histogram>,
    rows: Rows,
    cursor: Cursor<u64>,
    detail: Option<Scroll>,
    // Keys go to the detail, not to the list.
    in_detail: bool,
    counts_shown: bool,
    tail: Tail,
}

#[derive(Debug, Default)]
struct Tail {
    ticket: Option<Ticket>,
    paused: bool,
    held: Held,
    // Since the list was loaded.
    not_shown: u64,
    notice: Option<Safe>,
    trouble: Option<Trouble>,
    // When to follow again after the stream broke, and how long was waited.
    again: Option<Duration>,
    wait: Duration,
}

impl Logs {
    fn selected(&self) -> Option<&LogRow> {
        self.cursor.index(self.rows.len()).and_then(|index| self.rows.get(index))
    }

    fn ask(&mut self, cx: &mut Context<'_>) {
        let (query, range) = (self.filter.clone(), cx.window());
        let rows = AskRows { query, range, limit: LOGS_PAGE, ascending: false, cursor: None };
        self.page.ask(Ask::Logs(rows), cx);
        self.count(cx);
    }

    fn count(&mut self, cx: &mut Context<'_>) {
        let buckets = Buckets { query: self.filter.clone(), range: cx.window(), buckets: HISTOGRAM_BUCKETS };
        self.histogram.ask(Ask::LogHistogram(buckets), cx);
    }

    // From the newest row there is; only a range that ends now has more to come.
    fn follow(&mut self, cx: &mut Context<'_>) {
        self.unfollow(cx);
        if !matches!(cx.range, Range::Last(_)) {
            return;
        }
        let ticket = cx.session.ticket();
        let cursor = self.rows.newest_seq().max(self.tail.held.rows.newest_seq());
        self.tail.ticket = Some(ticket);
        self.tail.again = None;
        cx.effects.push(Effect::Tail { ticket, query: self.filter.clone(), cursor });
    }

    fn unfollow(&mut self, cx: &mut Context<'_>) {
        if let Some(ticket) = self.tail.ticket.take() {
            cx.effects.push(Effect::StopTail(ticket));
        }
    }

    fn take_page(&mut self, cx: &mut Context<'_>) {
        let Some(page) = self.page.value_mut() else { return };
        let rows = std::mem::take(&mut page.rows);
        self.rows = Rows::of_page(rows);
        let paused = self.tail.paused;
        self.tail = Tail { ticket: self.tail.ticket, paused, ..Tail::default() };
        self.older.clear();
        let (rows, len) = (&self.rows, self.rows.len());
        match self.cursor.key() {
            Some(_) => self.cursor.sync(len, |index| rows.key(index)),
            None => self.cursor.select(len.saturating_sub(1), len, |index| rows.key(index)),
        }
        self.follow(cx);
    }

    // Rows that are newer than those there are. A cursor at the end stays at the end.
    fn append(&mut self, rows: impl IntoIterator<Item = LogRow>) {
        let at_end = self.cursor.index(self.rows.len()).is_none_or(|index| index + 1 >= self.rows.len());
        let newest = self.rows.newest_seq();
        for row in rows {
            // After a break the stream may begin with rows that are here already.
            if newest.is_some_and(|newest| row.ingest_seq <= newest && row.ingest_seq > 0) {
                continue;
            }
            self.rows.push(row);
        }
        let (rows, len) = (&self.rows, self.rows.len());
        if at_end && !self.in_detail {
            self.cursor.select(len.saturating_sub(1), len, |index| rows.key(index));
        } else {
            self.cursor.sync(len, |index| rows.key(index));
        }
    }

    fn pause(&mut self) {
        self.tail.paused = !self.tail.paused;
        if !self.tail.paused {
            let held = std::mem::take(&mut self.tail.held);
            self.tail.not_shown += held.not_shown;
            let rows: Vec<LogRow> = held.rows.iter().cloned().collect();
            self.append(rows);
        }
    }

    fn load_older(&mut self, cx: &mut Context<'_>) {
        let last = self.older.value().or(self.page.value());
        let Some(cursor) = last.and_then(|page| page.meta.cursor.clone()) else {
            return cx.say("these are all in this time range");
        };
        let (query, range) = (self.filter.clone(), cx.window());
        let rows = AskRows { query, range, limit: LOGS_PAGE, ascending: false, cursor: Some(cursor) };
        self.older.ask(Ask::Logs(rows), cx);
    }

    fn seek(&mut self, forward: bool, least: i32, cx: &mut Context<'_>) {
        let (len, here) = (self.rows.len(), self.cursor.index(self.rows.len()).unwrap_or(0));
        let bad = |index: &usize| self.rows.get(*index).is_some_and(|row| row.severity_number >= least);
        let found = if forward { (here + 1..len).find(bad) } else { (0..here.min(len)).rev().find(bad) };
        match found {
            Some(index) => {
                let rows = &self.rows;
                self.cursor.select(index, len, |index| rows.key(index));
            }
            None => cx.say("there is none"),
        }
    }

    fn movement(&mut self, action: Action, cx: &Context<'_>) {
        let narrow = cx.session.size.0 < 100;
        if let Some(scroll) = &mut self.detail
            && (narrow || self.in_detail)
        {
            scroll.act(action);
            return;
        }
        let rows = &self.rows;
        if self.cursor.act(action, rows.len(), |index| rows.key(index))
            && let Some(scroll) = &mut self.detail
        {
            scroll.reset();
        }
    }

    fn draw_counts(&self, buffer: &mut Buffer, area: Rect, theme: Theme) {
        let Some(counts) = self.histogram.value() else {
            let inner = panel(buffer, area, theme, false, &Safe::from_static("Records over time"), &[]);
            let (label, text) = match self.histogram.trouble() {
                Some(trouble) => (trouble.kind.label(), trouble.sentence.clone()),
                None => ("", Safe::from_static("asking the server")),
            };
            sentence(buffer, inner, theme, (label, Role::Faint), &text, None);
            return;
        };
        let mut note = Vec::new();
        for series in &counts.series {
            let total = series.counts.iter().fold(0u64, |sum, count| sum.saturating_add(*count));
            let (letter, role) = Theme::severity(Some(&series.key));
            note.push(Piece::new(Safe::of(format_args!("{letter} {}  ", format::short_count(total as f64))), role));
        }
        if counts.partial {
            note.push(Piece::new("PARTIAL", Role::Warning));
        }
        let title = Safe::of(format_args!("{} over time", format::counted(counts.total, "record")));
        let inner = panel(buffer, area, theme, false, &title, &note);
        let layers: Vec<Layer<'_>> = counts
            .series
            .iter()
            .map(|series| {
                let (letter, role) = Theme::severity(Some(&series.key));
                // Bad ones are letters, so that they are told apart without colour.
                let letter = if matches!(letter, "F" | "E" | "W") { letter } else { "" };
                Layer { counts: &series.counts, role, letter }
            })
            .collect();
        histogram(buffer, inner, theme, &layers);
    }

    fn draw_list(&mut self, buffer: &mut Buffer, area: Rect, theme: Theme, long: bool, now: model::Timestamp) {
        let note = self.note(now);
        let title = format::counted(self.rows.len() as u64, "record");
        let focused = !(self.in_detail && self.detail.is_some());
        let inner = panel(buffer, area, theme, focused, &title, &note);
        let mut inner = inner;
        if let Some(trouble) = self.page.trouble().filter(|trouble| trouble.position.is_none()) {
            let used = sentence(
                buffer,
                inner,
                theme,
                (trouble.kind.label(), Role::Bad),
                &trouble.sentence,
                trouble.hint.as_ref(),
            );
            inner = Rect { y: inner.y + used, height: inner.height - used, ..inner };
        }
        if self.rows.len() == 0 {
            let text = match (self.page.is_loading(), self.page.trouble()) {
                (true, _) => "asking the server",
                (false, None) => "no record matches in this time",
                (false, Some(_)) => return,
            };
            sentence(buffer, inner, theme, ("", Role::Text), &Safe::from_static(text), None);
            return;
        }
        let seen = self.cursor.visible(self.rows.len(), inner.height);
        let names =
            seen.clone().filter_map(|index| self.rows.get(index)).map(|row| service(row.service.as_deref()).width());
        let name = u16::try_from(names.max().unwrap_or(0)).unwrap_or(u16::MAX).clamp(7, 20);
        let time = if long { 19 } else { 12 };
        let columns = [
            list::Column::left("", time),
            list::Column::left("", 1),
            list::Column::left("", name),
            list::Column::left("", 0),
        ];
        let chosen = self.cursor.index(self.rows.len());
        for (line, index) in (0u16..).zip(seen) {
            let Some(row) = self.rows.get(index) else { continue };
            let (letter, role) = Theme::severity(row.severity.as_deref());
            let time = if long { format::moment(&row.timestamp).map(format::date) } else { None };
            let cells = [
                Piece::new(time.unwrap_or_else(|| format::row_clock(&row.timestamp)), Role::Faint),
                Piece::new(letter, role),
                Piece::new(service(row.service.as_deref()), Role::Key),
                Piece::new(log_message(row), if role == Role::Bad { Role::Bad } else { Role::Text }),
            ];
            list::row(buffer, line_of(inner, line), theme, &columns, &cells, chosen == Some(index));
        }
    }

    // What the list does not show, and how far behind it is.
    fn note(&self, now: model::Timestamp) -> Vec<Piece> {
        let mut note = Vec::new();
        let not_shown = self.tail.not_shown + self.tail.held.not_shown;
        if not_shown > 0 {
            let text = Safe::of(format_args!("… {} not shown  ", format::counted(not_shown, "row")));
            note.push(Piece::new(text, Role::Warning));
        }
        if let Some(notice) = &self.tail.notice {
            note.push(Piece::new(Safe::of(format_args!("{}  ", notice.truncated(60))), Role::Warning));
        }
        if let Some(trouble) = &self.tail.trouble {
            let text = Safe::of(format_args!("not following: {}", trouble.sentence.truncated(60)));
            note.push(Piece::new(text, Role::Bad));
        } else if self.tail.ticket.is_some() && !self.tail.paused {
            let newest = self.rows.iter().next_back().and_then(|row| format::moment(&row.timestamp));
            if let Some(newest) = newest {
                let behind = format::age(now.as_nanos().saturating_sub(newest.as_nanos()));
                note.push(Piece::new(Safe::of(format_args!("newest {behind}")), Role::Faint));
            }
        }
        note
    }
}

impl Screen for Logs {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn crumb(&self) -> Safe {
        if self.filter.is_empty() {
            return Safe::from_static("Logs");
        }
        Safe::of(format_args!("Logs {}", self.filter))
    }

    fn load(&mut self, cx: &mut Context<'_>) {
        self.unfollow(cx);
        self.ask(cx);
    }

    fn act(&mut self, action: Action, cx: &mut Context<'_>) {
        match action {
            Action::Pause => self.pause(),
            Action::NextPane | Action::PreviousPane => {
                self.in_detail = self.detail.is_some() && !self.in_detail;
            }
            Action::Enter if self.detail.is_none() && self.selected().is_some() => {
                self.detail = Some(Scroll::default())
            }
            Action::Enter => {
                let subject = self.subject();
                match subject.trace {
                    Some(id) => cx.open("trace", Args { id, span: subject.span, ..Args::default() }),
                    None => cx.say("this record belongs to no trace"),
                }
            }
            OLDER => self.load_older(cx),
            COUNTS => self.counts_shown = !self.counts_shown,
            NEXT_ERROR => self.seek(true, ERROR, cx),
            PREVIOUS_ERROR => self.seek(false, ERROR, cx),
            NEXT_WARNING => self.seek(true, WARNING, cx),
            PREVIOUS_WARNING => self.seek(false, WARNING, cx),
            movement => self.movement(movement, cx),
        }
    }

    fn answer(&mut self, answer: Answer, cx: &mut Context<'_>) {
        if self.histogram.awaits(&answer) {
            self.histogram.settle(answer, cx);
        } else if self.page.awaits(&answer) {
            if self.page.settle(answer, cx) {
                self.take_page(cx);
            }
        } else if self.older.awaits(&answer)
            && self.older.settle(answer, cx)
            && let Some(page) = self.older.value_mut()
        {
            self.rows.prepend(std::mem::take(&mut page.rows));
            let rows = &self.rows;
            self.cursor.sync(rows.len(), |index| rows.key(index));
        }
    }

    fn news(&mut self, news: News, cx: &mut Context<'_>) {
        if self.tail.ticket != Some(news.ticket) {
            return;
        }
        self.tail.notice = news.notice.or(self.tail.notice.take());
        self.tail.trouble = None;
        if self.tail.paused {
            self.tail.held.add(news.rows, news.not_shown);
        } else {
            self.tail.not_shown += news.not_shown;
            self.append(news.rows);
        }
        match news.ended {
            None => self.tail.wait = Duration::ZERO,
            Some(trouble) => {
                // A mistake in the filter will not go away; anything else may.
                self.tail.ticket = None;
                self.tail.wait = (self.tail.wait * 2).clamp(RECONNECT_MIN, RECONNECT_MAX);
                let hopeless = trouble.kind == TroubleKind::Wrong;
                self.tail.again = (!hopeless).then(|| cx.session.now.monotonic + self.tail.wait);
                self.tail.trouble = Some(trouble);
            }
        }
    }

    fn tick(&mut self, cx: &mut Context<'_>) -> bool {
        let now = cx.session.now.monotonic;
        if self.tail.again.is_some_and(|again| again <= now) {
            self.follow(cx);
        }
        let unknown = self.histogram.trouble().is_some_and(|trouble| trouble.kind == TroubleKind::Unknown);
        let following = self.tail.ticket.is_some() && !self.tail.paused;
        if following && self.counts_shown && !unknown && self.histogram.is_due(COUNT_EVERY, now) {
            self.count(cx);
        }
        false
    }

    fn resume(&mut self, cx: &mut Context<'_>) {
        if !self.page.is_loading() {
            self.follow(cx);
        }
    }

    fn suspend(&mut self, cx: &mut Context<'_>) {
        self.unfollow(cx);
    }

    fn close(&mut self) -> bool {
        self.in_detail = false;
        self.detail.take().is_some()
    }

    fn draw(&mut self, scene: &mut Scene<'_>) {
        let (theme, buffer) = (scene.theme, &mut *scene.buffer);
        let mut area = scene.area;
        let long = scene.window.start.day() != scene.window.end.day();
        let (list_area, detail_area) = with_detail(area, self.detail.is_some());
        if !list_area.is_empty() {
            area = list_area;
            let mistake = self.page.trouble().filter(|trouble| trouble.position.is_some());
            let mistake = mistake.map(|trouble| {
                let cells = trouble.position.map(|position| {
                    let before: String = self.filter.chars().take(position).collect();
                    Safe::line(&before).width()
                });
                (cells, &trouble.sentence)
            });
            let used = prompt::filter(buffer, area, theme, &Safe::line(&self.filter), mistake);
            area = Rect { y: area.y + used, height: area.height - used, ..area };
            // What is wrong is said once, by the list.
            if self.counts_shown && area.height >= 14 && self.page.trouble().is_none() {
                let height = match self.histogram.value() {
                    Some(counts) if counts.total > 0 => 6,
                    Some(_) => 1,
                    None => 3,
                };
                self.draw_counts(buffer, Rect { height, ..area }, theme);
                area = Rect { y: area.y + height, height: area.height - height, ..area };
            }
            self.draw_list(buffer, area, theme, long, scene.now);
        }
        let shown = self.selected().filter(|_| self.detail.is_some());
        let fields = shown.map(log_details).unwrap_or_default();
        let in_detail = self.in_detail || list_area.is_empty();
        if let Some(scroll) = self.detail.as_mut().filter(|_| !detail_area.is_empty()) {
            let title = Safe::from_static("Record");
            let inner =
                panel(buffer, detail_area, theme, in_detail, &title, &[Piece::new("Enter: its trace", Role::Faint)]);
            details(buffer, inner, theme, &fields, scroll);
        }
    }

    fn badge(&self) -> Option<(Safe, Role)> {
        if self.tail.paused {
            return Some((Safe::of(format_args!("PAUSED +{}", format::count(self.tail.held.count))), Role::Warning));
        }
        if self.page.value().is_some_and(|page| page.meta.partial) {
            let reason = self.page.value().and_then(|page| page.meta.reason.as_deref()).unwrap_or_default();
            return Some((Safe::of(format_args!("PARTIAL {}", Safe::line(reason).truncated(40))), Role::Warning));
        }
        self.tail.ticket.map(|_| (Safe::from_static("LIVE"), Role::Good))
    }

    fn filter(&self) -> Option<&str> {
        Some(&self.filter)
    }

    fn set_filter(&mut self, filter: String, cx: &mut Context<'_>) {
        self.filter = filter;
        self.histogram.clear();
        self.load(cx);
    }

    fn subject(&self) -> Subject {
        self.selected().map(of_log).unwrap_or_default()
    }

    fn copy(&self) -> Option<Safe> {
        self.selected().map(log_line)
    }

    fn is_settled(&self) -> bool {
        !(self.page.is_loading() || self.histogram.is_loading() || self.older.is_loading())
    }

    fn json(&self) -> Value {
        let rows: Vec<&LogRow> = self.rows.iter().collect();
        json!({
            "filter": self.filter,
            "rows": rows,
            "meta": self.page.value().map(|page| &page.meta),
            "histogram": self.histogram.value(),
        })
    }
}

// The least severity numbers of the two words.
const ERROR: i32 = 17;
const WARNING: i32 = 13;
