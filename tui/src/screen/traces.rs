//! Traces: root spans, or all spans that match a filter, newest or slowest first, with bars to compare their durations.

use std::time::Duration;

use model::wire::Page;
use model::wire::counts::Histogram;
use model::wire::spans::SpanRow;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use serde_json::{Value, json};

use super::record::{equals, of_span, service, span_details};
use super::{Args, Context, Pivot, Scene, Screen, Spec, Subject};
use crate::cursor::Cursor;
use crate::effect::{Ask, Buckets, Rows as AskRows};
use crate::event::Answer;
use crate::format;
use crate::keymap::{self, Action, Binding};
use crate::limits::{HISTOGRAM_BUCKETS, SPANS_PAGE};
use crate::sanitize::Safe;
use crate::session::Range;
use crate::slot::Slot;
use crate::theme::{Role, Theme};
use crate::widget::details::{Scroll, details};
use crate::widget::duration_bar::duration_bar;
use crate::widget::histogram::{Layer, histogram};
use crate::widget::panel::{Breadth, panel, with_detail};
use crate::widget::prompt;
use crate::widget::sentence::sentence;
use crate::widget::{Piece, line_of, list};

const ROOTS: Action = Action::Own("roots");
const SORT: Action = Action::Own("sort");
const DETAIL: Action = Action::Own("detail");
const COUNTS: Action = Action::Own("counts");
const NEXT_ERROR: Action = Action::Own("next error");
const PREVIOUS_ERROR: Action = Action::Own("previous error");

/// See the module.
pub static SPEC: Spec = Spec {
    name: "traces",
    title: "Traces",
    argument: "FILTER",
    needs_argument: false,
    door: &["3"],
    pivot: Some(Pivot { keys: &["g t"], help: "its trace, or its traces", to }),
    keys: &[
        keymap::FILTER,
        keymap::PAUSE,
        Binding { keys: &["r"], action: ROOTS, help: "root spans only, all spans" },
        Binding { keys: &["s"], action: SORT, help: "newest first, slowest first" },
        Binding { keys: &["e"], action: NEXT_ERROR, help: "next error" },
        Binding { keys: &["E"], action: PREVIOUS_ERROR, help: "error before" },
        Binding { keys: &["d"], action: DETAIL, help: "the span in full" },
        Binding { keys: &["h"], action: COUNTS, help: "histogram on, off" },
        keymap::NEXT_PANE,
        keymap::PREVIOUS_PANE,
    ],
    // Who comes with a filter looks for spans that are seldom roots.
    open: |args| Box::new(Traces { roots: args.filter.is_empty(), filter: args.filter.clone(), ..Traces::default() }),
};

fn to(subject: &Subject) -> Result<(&'static str, Args), &'static str> {
    match (&subject.trace, &subject.service) {
        (Some(id), _) => Ok(("trace", Args { id: id.clone(), span: subject.span.clone(), ..Args::default() })),
        (None, Some(service)) => Ok(("traces", Args { filter: equals("service", service), ..Args::default() })),
        (None, None) => Err("nothing under the cursor belongs to a trace"),
    }
}

const REFRESH_EVERY: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
struct Traces {
    filter: String,
    roots: bool,
    page: Slot<Page<SpanRow>>,
    histogram: Slot<Histogram>,
    cursor: Cursor<u64>,
    detail: Option<Scroll>,
    in_detail: bool,
    by_duration: bool,
    counts_hidden: bool,
    paused: bool,
}

impl Traces {
    fn rows(&self) -> &[SpanRow] {
        self.page.value().map_or(&[], |page| &page.rows)
    }

    fn selected(&self) -> Option<&SpanRow> {
        self.cursor.index(self.rows().len()).map(|index| &self.rows()[index])
    }

    fn query(&self) -> String {
        match (self.roots, self.filter.trim().is_empty()) {
            (false, _) => self.filter.clone(),
            (true, true) => ROOTS_ONLY.to_owned(),
            // Behind the filter, so that positions in complaints stay what they are but for the parenthesis.
            (true, false) => format!("({}) {ROOTS_ONLY}", self.filter),
        }
    }

    // The place in the filter as it was typed.
    fn position(&self, position: usize) -> usize {
        if self.roots { position.saturating_sub(1) } else { position }
    }

    fn arrange(&mut self) {
        let by_duration = self.by_duration;
        if let Some(page) = self.page.value_mut() {
            page.rows.sort_by(|a, b| {
                let slower = if by_duration { b.duration_ns.cmp(&a.duration_ns) } else { std::cmp::Ordering::Equal };
                slower.then_with(|| b.timestamp.cmp(&a.timestamp)).then_with(|| b.ingest_seq.cmp(&a.ingest_seq))
            });
        }
        let rows = self.page.value().map_or(&[][..], |page| &page.rows);
        self.cursor.sync(rows.len(), |index| rows[index].ingest_seq);
    }

    fn seek(&mut self, forward: bool, cx: &mut Context<'_>) {
        let rows = self.page.value().map_or(&[][..], |page| &page.rows);
        let here = self.cursor.index(rows.len()).unwrap_or(0);
        let bad = |index: &usize| rows[*index].status == "error";
        let found = if forward { (here + 1..rows.len()).find(bad) } else { (0..here).rev().find(bad) };
        match found {
            Some(index) => self.cursor.select(index, rows.len(), |index| rows[index].ingest_seq),
            None => cx.say("there is none"),
        }
    }

    fn draw_counts(&self, buffer: &mut Buffer, area: Rect, theme: Theme, counts: &Histogram) {
        let mut note = Vec::new();
        for series in &counts.series {
            let total = series.counts.iter().fold(0u64, |sum, count| sum.saturating_add(*count));
            let (_, role) = Theme::status(&series.key);
            note.push(Piece::new(
                Safe::of(format_args!("{} {}  ", Safe::line(&series.key), format::short_count(total as f64))),
                role,
            ));
        }
        if counts.partial {
            note.push(Piece::new("PARTIAL", Role::Warning));
        }
        let title = Safe::of(format_args!("{} over time", format::counted(counts.total, "span")));
        let inner = panel(buffer, area, theme, false, &title, &note);
        let layer = |series: &'_ model::wire::counts::HistogramSeries| {
            let (sign, role) = Theme::status(&series.key);
            (sign, role)
        };
        let layers: Vec<Layer<'_>> = counts
            .series
            .iter()
            .map(|series| {
                let (sign, role) = layer(series);
                Layer { counts: &series.counts, role, letter: if sign == "!" { sign } else { "" } }
            })
            .collect();
        histogram(buffer, inner, theme, &layers);
    }

    fn draw_list(&mut self, buffer: &mut Buffer, area: Rect, theme: Theme, long: bool) {
        let order = if self.by_duration { "slowest first" } else { "newest first" };
        let mut note = vec![Piece::new(order, Role::Faint)];
        if self.page.value().is_some_and(|page| page.meta.cursor.is_some()) {
            note.push(Piece::new(Safe::of(format_args!(" of the newest {SPANS_PAGE}")), Role::Warning));
        }
        let title = format::counted(self.rows().len() as u64, if self.roots { "root span" } else { "span" });
        let focused = !(self.in_detail && self.detail.is_some());
        let mut inner = panel(buffer, area, theme, focused, &title, &note);
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
        if self.rows().is_empty() {
            let (text, hint) = match (self.page.is_loading(), self.page.trouble()) {
                (true, _) => ("asking the server", None),
                (false, None) if self.roots => ("no root span matches in this time", Some("r shows all spans")),
                (false, None) => ("no span matches in this time", None),
                (false, Some(_)) => return,
            };
            let hint = hint.map(Safe::from_static);
            sentence(buffer, inner, theme, ("", Role::Text), &Safe::from_static(text), hint.as_ref());
            return;
        }
        let names = self.rows().iter().map(|row| service(row.service.as_deref()).width()).max().unwrap_or(0);
        let name = u16::try_from(names).unwrap_or(u16::MAX).clamp(7, 20);
        let columns = [
            list::Column::left("START", if long { 19 } else { 12 }),
            list::Column::left("SERVICE", name),
            list::Column::left("", 1),
            list::Column::left("NAME", 0),
            list::Column::right("DURATION", 8),
            list::Column::left("", if Breadth::of(area) == Breadth::Narrow { 12 } else { 0 }),
        ];
        let body = list::heading(buffer, inner, theme, &columns);
        let longest = self.rows().iter().map(|row| row.duration_ns).max().unwrap_or(0);
        let len = self.rows().len();
        let chosen = self.cursor.index(len);
        for (line, index) in (0u16..).zip(self.cursor.visible(len, body.height)) {
            let row = &self.rows()[index];
            let place = line_of(body, line);
            let (sign, role) = Theme::status(&row.status);
            let start = if long { format::moment(&row.timestamp).map(format::date) } else { None };
            let cells = [
                Piece::new(start.unwrap_or_else(|| format::row_clock(&row.timestamp)), Role::Faint),
                Piece::new(service(row.service.as_deref()), Role::Key),
                Piece::new(sign, role),
                Piece::new(Safe::head(&row.name), if role == Role::Bad { Role::Bad } else { Role::Text }),
                format::duration(row.duration_ns).into(),
            ];
            list::row(buffer, place, theme, &columns, &cells, chosen == Some(index));
            let role = if role == Role::Bad { Role::Bad } else { Role::Good };
            let bar = list::place(place, &columns, 5);
            duration_bar(buffer, bar, theme, (0, row.duration_ns, longest), role);
        }
    }
}

/// Spans without a parent, in the filter language.
const ROOTS_ONLY: &str = "-parent_span_id:*";

impl Screen for Traces {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn crumb(&self) -> Safe {
        if self.filter.is_empty() {
            return Safe::from_static("Traces");
        }
        Safe::of(format_args!("Traces {}", self.filter))
    }

    fn load(&mut self, cx: &mut Context<'_>) {
        let (query, range) = (self.query(), cx.window());
        let buckets = Buckets { query: query.clone(), range, buckets: HISTOGRAM_BUCKETS };
        let rows = AskRows { query, range, limit: SPANS_PAGE, ascending: false, cursor: None };
        self.page.ask(Ask::Spans(rows), cx);
        self.histogram.ask(Ask::SpanHistogram(buckets), cx);
    }

    fn act(&mut self, action: Action, cx: &mut Context<'_>) {
        match action {
            Action::Pause => self.paused = !self.paused,
            Action::NextPane | Action::PreviousPane => self.in_detail = self.detail.is_some() && !self.in_detail,
            Action::Enter => {
                let subject = self.subject();
                if let Some(id) = subject.trace {
                    cx.open("trace", Args { id, span: subject.span, ..Args::default() });
                }
            }
            DETAIL => self.detail = if self.detail.is_some() { None } else { Some(Scroll::default()) },
            COUNTS => self.counts_hidden = !self.counts_hidden,
            ROOTS => {
                self.roots = !self.roots;
                self.load(cx);
            }
            SORT => {
                self.by_duration = !self.by_duration;
                self.arrange();
            }
            NEXT_ERROR => self.seek(true, cx),
            PREVIOUS_ERROR => self.seek(false, cx),
            movement => {
                let narrow = cx.session.size.0 < 100;
                if let Some(scroll) = &mut self.detail
                    && (narrow || self.in_detail)
                {
                    scroll.act(movement);
                    return;
                }
                let rows = self.page.value().map_or(&[][..], |page| &page.rows);
                self.cursor.act(movement, rows.len(), |index| rows[index].ingest_seq);
            }
        }
    }

    fn answer(&mut self, answer: Answer, cx: &mut Context<'_>) {
        if self.histogram.awaits(&answer) {
            self.histogram.settle(answer, cx);
        } else if self.page.awaits(&answer) && self.page.settle(answer, cx) {
            self.arrange();
        }
    }

    fn tick(&mut self, cx: &mut Context<'_>) -> bool {
        let live = matches!(cx.range, Range::Last(_)) && !self.paused;
        if live && self.page.is_due(REFRESH_EVERY, cx.session.now.monotonic) {
            self.load(cx);
        }
        false
    }

    fn close(&mut self) -> bool {
        self.in_detail = false;
        self.detail.take().is_some()
    }

    fn draw(&mut self, scene: &mut Scene<'_>) {
        let (theme, buffer) = (scene.theme, &mut *scene.buffer);
        let long = scene.window.start.day() != scene.window.end.day();
        let (list_area, detail_area) = with_detail(scene.area, self.detail.is_some());
        if !list_area.is_empty() {
            let mut area = list_area;
            let mistake = self.page.trouble().filter(|trouble| trouble.position.is_some());
            let mistake = mistake.map(|trouble| {
                let cells = trouble.position.map(|position| {
                    let before: String = self.filter.chars().take(self.position(position)).collect();
                    Safe::line(&before).width()
                });
                (cells, &trouble.sentence)
            });
            let used = prompt::filter(buffer, area, theme, &Safe::line(&self.filter), mistake);
            area = Rect { y: area.y + used, height: area.height - used, ..area };
            if let Some(counts) = self.histogram.value().filter(|_| !self.counts_hidden && area.height >= 16) {
                self.draw_counts(buffer, Rect { height: 5, ..area }, theme, counts);
                area = Rect { y: area.y + 5, height: area.height - 5, ..area };
            }
            self.draw_list(buffer, area, theme, long);
        }
        let shown = self.selected().filter(|_| self.detail.is_some());
        let fields = shown.map(span_details).unwrap_or_default();
        let in_detail = self.in_detail || list_area.is_empty();
        if let Some(scroll) = self.detail.as_mut().filter(|_| !detail_area.is_empty()) {
            let note = [Piece::new("Enter: its trace", Role::Faint)];
            let inner = panel(buffer, detail_area, theme, in_detail, &Safe::from_static("Span"), &note);
            details(buffer, inner, theme, &fields, scroll);
        }
    }

    fn badge(&self) -> Option<(Safe, Role)> {
        if self.page.value().is_some_and(|page| page.meta.partial) {
            let reason = self.page.value().and_then(|page| page.meta.reason.as_deref()).unwrap_or_default();
            return Some((Safe::of(format_args!("PARTIAL {}", Safe::line(reason).truncated(40))), Role::Warning));
        }
        if self.paused {
            return Some((Safe::from_static("PAUSED"), Role::Warning));
        }
        Some((Safe::from_static("LIVE"), Role::Good))
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
        self.selected().map(of_span).unwrap_or_default()
    }

    fn copy(&self) -> Option<Safe> {
        self.selected().map(|row| Safe::line(&row.trace_id))
    }

    fn is_settled(&self) -> bool {
        !(self.page.is_loading() || self.histogram.is_loading())
    }

    fn json(&self) -> Value {
        json!({
            "filter": self.filter,
            "roots": self.roots,
            "rows": self.rows(),
            "meta": self.page.value().map(|page| &page.meta),
            "histogram": self.histogram.value(),
        })
    }
}
