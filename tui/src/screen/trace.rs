//! One trace as a waterfall: spans that can be folded, the logs of each span where they happened, and one of them in full.

mod tree;

use std::collections::HashSet;

use model::wire::Page;
use model::wire::logs::LogRow;
use model::wire::traces::{Trace as Assembled, TraceSpan};
use model::{TimeRange, Timestamp};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use serde_json::{Value, json};

use super::record::{equals, log_details, log_line, log_message, of_log, of_span, service, span_details};
use super::{Context, Scene, Screen, Spec, Subject};
use crate::cursor::Cursor;
use crate::effect::{Ask, Rows as AskRows, TroubleKind};
use crate::event::Answer;
use crate::format;
use crate::keymap::{self, Action, Binding};
use crate::limits::TRACE_LOGS_MAX;
use crate::sanitize::Safe;
use crate::slot::Slot;
use crate::theme::{Role, Theme};
use crate::widget::details::{Detail, Scroll, details};
use crate::widget::duration_bar::duration_bar;
use crate::widget::panel::{panel, with_detail};
use crate::widget::sentence::sentence;
use crate::widget::{Piece, line_of, list, put, put_pieces, put_right};

use tree::{Line, What, lines};

const FOLD: Action = Action::Own("fold");
const UNFOLD: Action = Action::Own("unfold");
const FOLD_ALL: Action = Action::Own("fold all");
const LOGS: Action = Action::Own("logs");
const NEXT_ERROR: Action = Action::Own("next error");
const PREVIOUS_ERROR: Action = Action::Own("previous error");

/// See the module.
pub static SPEC: Spec = Spec {
    name: "trace",
    title: "Trace",
    argument: "ID",
    needs_argument: true,
    door: &[],
    pivot: None,
    keys: &[
        Binding { keys: &["h", "Left"], action: FOLD, help: "fold, or up to the parent" },
        Binding { keys: &["l", "Right"], action: UNFOLD, help: "unfold" },
        Binding { keys: &["z"], action: FOLD_ALL, help: "fold all, unfold all" },
        Binding { keys: &["L"], action: LOGS, help: "logs on, off" },
        Binding { keys: &["e"], action: NEXT_ERROR, help: "next error" },
        Binding { keys: &["E"], action: PREVIOUS_ERROR, help: "error before" },
        keymap::NEXT_PANE,
        keymap::PREVIOUS_PANE,
    ],
    open: |args| {
        let (id, wanted) = (args.id.trim().to_ascii_lowercase(), args.span.clone());
        Box::new(Trace { id, wanted, ..Trace::default() })
    },
};

#[derive(Debug, Default)]
struct Trace {
    id: String,
    // The span to put the cursor on once it is there.
    wanted: Option<String>,
    trace: Slot<Box<Assembled>>,
    logs: Slot<Page<LogRow>>,
    lines: Vec<Line>,
    folded: HashSet<usize>,
    logs_hidden: bool,
    cursor: Cursor<What>,
    detail: Option<Scroll>,
    in_detail: bool,
}

/// What is under the cursor.
enum Selected<'a> {
    Span(&'a TraceSpan),
    Log(&'a LogRow),
}

impl Trace {
    fn spans(&self) -> &[TraceSpan] {
        self.trace.value().map_or(&[], |trace| &trace.spans)
    }

    fn log_rows(&self) -> &[LogRow] {
        self.logs.value().map_or(&[], |page| &page.rows)
    }

    fn selected(&self) -> Option<Selected<'_>> {
        match self.lines.get(self.cursor.index(self.lines.len())?)?.what {
            What::Span(index) => self.spans().get(index).map(Selected::Span),
            What::Log(index) => self.log_rows().get(index).map(Selected::Log),
        }
    }

    fn arrange(&mut self) {
        let none: &[LogRow] = &[];
        let logs = if self.logs_hidden { none } else { self.logs.value().map_or(none, |page| &page.rows) };
        self.lines = self.trace.value().map_or_else(Vec::new, |trace| lines(trace, logs, &self.folded));
        if let Some(wanted) = &self.wanted {
            let spans = self.trace.value().map_or(&[][..], |trace| &trace.spans);
            let is_wanted =
                |line: &Line| matches!(line.what, What::Span(index) if spans[index].span.span_id == *wanted);
            if let Some(index) = self.lines.iter().position(is_wanted) {
                let lines = &self.lines;
                self.cursor.select(index, lines.len(), |index| lines[index].what);
                self.wanted = None;
            }
        }
        let lines = &self.lines;
        self.cursor.sync(lines.len(), |index| lines[index].what);
    }

    fn go(&mut self, index: usize) {
        let lines = &self.lines;
        self.cursor.select(index, lines.len(), |index| lines[index].what);
    }

    fn fold(&mut self) {
        let Some(here) = self.cursor.index(self.lines.len()) else { return };
        let line = self.lines[here];
        if let What::Span(span) = line.what
            && line.has_below
            && self.folded.insert(span)
        {
            self.arrange();
        } else if let Some(parent) = (0..here).rev().find(|index| self.lines[*index].depth < line.depth) {
            self.go(parent);
        }
    }

    fn unfold(&mut self) {
        if let Some(What::Span(span)) = self.cursor.key().copied()
            && self.folded.remove(&span)
        {
            self.arrange();
        }
    }

    fn fold_all(&mut self) {
        if self.folded.is_empty() {
            self.folded = (0..self.spans().len()).filter(|index| self.spans()[*index].depth > 0).collect();
            // Spans without anything below them are not folded, only their parents are.
            let has_below: HashSet<usize> = self
                .lines
                .iter()
                .filter(|line| line.has_below)
                .filter_map(|line| match line.what {
                    What::Span(span) => Some(span),
                    What::Log(_) => None,
                })
                .collect();
            self.folded.retain(|span| has_below.contains(span));
        } else {
            self.folded.clear();
        }
        self.arrange();
    }

    fn seek(&mut self, forward: bool, cx: &mut Context<'_>) {
        let here = self.cursor.index(self.lines.len()).unwrap_or(0);
        let bad = |index: &usize| match self.lines[*index].what {
            What::Span(span) => self.spans()[span].span.status == "error",
            What::Log(log) => self.log_rows()[log].severity_number >= 17,
        };
        let found = if forward { (here + 1..self.lines.len()).find(bad) } else { (0..here).rev().find(bad) };
        match found {
            Some(index) => self.go(index),
            None => cx.say("there is none"),
        }
    }

    fn title(&self) -> (Safe, Vec<Piece>) {
        let Some(trace) = self.trace.value() else { return (Safe::line(&self.id), Vec::new()) };
        let mut note = vec![
            Piece::new(format::row_date(&trace.start), Role::Faint),
            Piece::new(Safe::of(format_args!("  {}", format::duration(trace.duration_ns))), Role::Strong),
        ];
        if trace.errors > 0 {
            note.push(Piece::new(
                Safe::of(format_args!("  ! {}", format::counted(trace.errors as u64, "error"))),
                Role::Bad,
            ));
        }
        let title = Safe::of(format_args!(
            "{}, {}, {}",
            format::counted(trace.spans.len() as u64, "span"),
            format::counted(trace.services.len() as u64, "service"),
            format::counted(self.log_rows().len() as u64, "log"),
        ));
        (title, note)
    }

    fn draw_waterfall(&mut self, buffer: &mut Buffer, area: Rect, theme: Theme) {
        let (title, note) = self.title();
        let focused = !(self.in_detail && self.detail.is_some());
        let mut inner = panel(buffer, area, theme, focused, &title, &note);
        if let Some(reason) = self.trace.value().filter(|trace| trace.partial).map(|trace| trace.reason.as_deref()) {
            let text = Safe::line(reason.unwrap_or("spans are missing"));
            let place = line_of(inner, 0);
            let pieces = [Piece::new("PARTIAL ", Role::Warning), Piece::new(text, Role::Text)];
            put_pieces(buffer, (place.x + 2, place.y), place.width.saturating_sub(2), &pieces, theme);
            inner = Rect { y: inner.y + 1, height: inner.height.saturating_sub(1), ..inner };
        }
        if let Some(trouble) = self.trace.trouble().or(self.logs.trouble()) {
            let role = if trouble.kind == TroubleKind::Missing { Role::Warning } else { Role::Bad };
            let used =
                sentence(buffer, inner, theme, (trouble.kind.label(), role), &trouble.sentence, trouble.hint.as_ref());
            inner = Rect { y: inner.y + used, height: inner.height - used, ..inner };
        }
        if self.lines.is_empty() {
            if self.trace.trouble().is_none() {
                let text =
                    if self.trace.is_loading() { "asking the server" } else { "no span of this trace is stored" };
                sentence(buffer, inner, theme, ("", Role::Text), &Safe::from_static(text), None);
            }
            return;
        }
        let chosen = self.cursor.index(self.lines.len());
        let seen = self.cursor.visible(self.lines.len(), inner.height);
        for (row, index) in (0u16..).zip(seen) {
            let place = line_of(inner, row);
            self.draw_line(buffer, place, theme, self.lines[index]);
            if chosen == Some(index) {
                list::select(buffer, place, theme);
            }
        }
    }

    fn draw_line(&self, buffer: &mut Buffer, place: Rect, theme: Theme, line: Line) {
        // Left the names, right the bars; the duration stands between them.
        let label_cells = (place.width * 9 / 20).saturating_sub(2);
        let indent = u16::try_from(line.depth.min(INDENT_MAX) * 2).unwrap_or(0).min(label_cells / 2);
        let x = place.x + 2 + indent;
        let cells = label_cells.saturating_sub(indent);
        let duration = Rect { x: place.x + 2 + label_cells, width: 9.min(place.width), ..place };
        let bar = Rect { x: duration.right() + 1, width: place.right().saturating_sub(duration.right() + 2), ..place };
        let whole = self.trace.value().map_or(0, |trace| trace.duration_ns);
        match line.what {
            What::Span(index) => {
                let Some(span) = self.spans().get(index) else { return };
                let (sign, role) = Theme::status(&span.span.status);
                let fold = theme.symbols().fold;
                let fold = if !line.has_below {
                    " "
                } else if line.folded > 0 {
                    fold[0]
                } else {
                    fold[1]
                };
                let text = if role == Role::Bad { Role::Bad } else { Role::Text };
                let mut pieces = vec![Piece::new(fold, Role::Faint), Piece::new(sign, role), " ".into()];
                if span.missing_parent {
                    pieces.push(Piece::new("(parent missing) ", Role::Warning));
                }
                if span.span.clock_skew {
                    pieces.push(Piece::new("(clock) ", Role::Warning));
                }
                pieces.push(Piece::new(Safe::head(&span.span.name), text));
                pieces
                    .push(Piece::new(Safe::of(format_args!("  {}", service(span.span.service.as_deref()))), Role::Key));
                if line.folded > 0 {
                    pieces.push(Piece::new(
                        Safe::of(format_args!("  +{}", format::count(line.folded as u64))),
                        Role::Faint,
                    ));
                }
                put_pieces(buffer, (x, place.y), cells, &pieces, theme);
                let length = format::duration(span.span.duration_ns);
                put_right(buffer, (duration.right(), place.y), duration.width, &length, theme.style(Role::Text));
                let colour = if role == Role::Bad { Role::Bad } else { Role::Good };
                duration_bar(buffer, bar, theme, (span.offset_ns, span.span.duration_ns, whole), colour);
            }
            What::Log(index) => {
                let Some(log) = self.log_rows().get(index) else { return };
                let (letter, role) = Theme::severity(log.severity.as_deref());
                let message = if role == Role::Bad { Role::Bad } else { Role::Faint };
                put(buffer, (x + 1, place.y), cells, letter, theme.style(role));
                let room = place.right().saturating_sub(x + 3);
                put(buffer, (x + 3, place.y), room, log_message(log), theme.style(message));
            }
        }
    }

    fn fields(&self) -> (Safe, Vec<Detail>) {
        match self.selected() {
            Some(Selected::Span(span)) => {
                let mut fields = span_details(&span.span);
                let at = Detail::field("after", format::duration(span.offset_ns));
                fields.insert(3.min(fields.len()), at);
                if span.missing_parent {
                    let text = Safe::from_static("its parent is not stored");
                    fields.insert(3.min(fields.len()), Detail::marked("parent", text, Role::Warning));
                }
                (Safe::from_static("Span"), fields)
            }
            Some(Selected::Log(log)) => (Safe::from_static("Record"), log_details(log)),
            None => (Safe::default(), Vec::new()),
        }
    }
}

/// Deeper than this the names would be all that is seen.
const INDENT_MAX: usize = 16;

/// Logs of any time: a record may name a trace of long ago.
fn any_time() -> TimeRange {
    TimeRange { start: Timestamp::from_nanos(0), end: Timestamp::MAX }
}

impl Screen for Trace {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn crumb(&self) -> Safe {
        Safe::of(format_args!("Trace {}", Safe::line(&self.id).cut(12, "…")))
    }

    fn load(&mut self, cx: &mut Context<'_>) {
        self.trace.ask(Ask::Trace { id: self.id.clone() }, cx);
        let query = equals("trace_id", &self.id);
        let rows = AskRows { query, range: any_time(), limit: TRACE_LOGS_MAX, ascending: true, cursor: None };
        self.logs.ask(Ask::Logs(rows), cx);
    }

    fn act(&mut self, action: Action, cx: &mut Context<'_>) {
        match action {
            Action::Enter => {
                self.detail = if self.detail.is_some() { None } else { Some(Scroll::default()) };
                self.in_detail = false;
            }
            Action::NextPane | Action::PreviousPane => self.in_detail = self.detail.is_some() && !self.in_detail,
            FOLD => self.fold(),
            UNFOLD => self.unfold(),
            FOLD_ALL => self.fold_all(),
            LOGS => {
                self.logs_hidden = !self.logs_hidden;
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
                let lines = &self.lines;
                if self.cursor.act(movement, lines.len(), |index| lines[index].what)
                    && let Some(scroll) = &mut self.detail
                {
                    scroll.reset();
                }
            }
        }
    }

    fn answer(&mut self, answer: Answer, cx: &mut Context<'_>) {
        if self.trace.awaits(&answer) {
            // Places may have moved: the cursor stays on its span, and what was folded is open again.
            let kept = match self.selected() {
                Some(Selected::Span(span)) => Some(span.span.span_id.clone()),
                _ => None,
            };
            if self.trace.settle(answer, cx) {
                self.wanted = self.wanted.take().or(kept);
                self.folded.clear();
            }
        } else if self.logs.awaits(&answer) {
            self.logs.settle(answer, cx);
        } else {
            return;
        }
        self.arrange();
    }

    fn close(&mut self) -> bool {
        self.in_detail = false;
        self.detail.take().is_some()
    }

    fn draw(&mut self, scene: &mut Scene<'_>) {
        let (theme, buffer) = (scene.theme, &mut *scene.buffer);
        let (list_area, detail_area) = with_detail(scene.area, self.detail.is_some());
        if !list_area.is_empty() {
            self.draw_waterfall(buffer, list_area, theme);
        }
        let (title, fields) = if self.detail.is_some() { self.fields() } else { (Safe::default(), Vec::new()) };
        let in_detail = self.in_detail || list_area.is_empty();
        if let Some(scroll) = self.detail.as_mut().filter(|_| !detail_area.is_empty()) {
            let inner = panel(buffer, detail_area, theme, in_detail, &title, &[]);
            details(buffer, inner, theme, &fields, scroll);
        }
    }

    fn badge(&self) -> Option<(Safe, Role)> {
        let partial = self.trace.value().is_some_and(|trace| trace.partial)
            || self.logs.value().is_some_and(|page| page.meta.partial || page.meta.cursor.is_some());
        partial.then_some((Safe::from_static("PARTIAL"), Role::Warning))
    }

    fn is_timeless(&self) -> bool {
        true
    }

    fn subject(&self) -> Subject {
        match self.selected() {
            Some(Selected::Span(span)) => of_span(&span.span),
            Some(Selected::Log(log)) => of_log(log),
            None => Subject { trace: Some(self.id.clone()), ..Subject::default() },
        }
    }

    fn copy(&self) -> Option<Safe> {
        match self.selected() {
            Some(Selected::Log(log)) => Some(log_line(log)),
            _ => Some(Safe::line(&self.id)),
        }
    }

    fn is_settled(&self) -> bool {
        !(self.trace.is_loading() || self.logs.is_loading())
    }

    fn json(&self) -> Value {
        json!({"trace": self.trace.value(), "logs": self.log_rows()})
    }
}
