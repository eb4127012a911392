//! Everything about one id, a trace's or a business id: spans, logs, exemplars and alerts in one time line.

use model::Timestamp;
use model::wire::alerts::Alert;
use model::wire::correlate::Correlation;
use model::wire::points::Exemplar;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use serde_json::{Value, json};

use super::record::{attributes, log_details, log_line, log_message, of_log, of_span, service, span_details};
use super::{Args, Context, Pivot, Scene, Screen, Spec, Subject};
use crate::cursor::Cursor;
use crate::effect::Ask;
use crate::event::Answer;
use crate::format;
use crate::keymap::{self, Action, Binding};
use crate::sanitize::Safe;
use crate::slot::Slot;
use crate::theme::{Role, Theme};
use crate::widget::details::{Detail, Scroll, details};
use crate::widget::duration_bar::duration_bar;
use crate::widget::panel::{Breadth, panel, with_detail};
use crate::widget::sentence::sentence;
use crate::widget::{Piece, line_of, list};

const NEXT_ERROR: Action = Action::Own("next error");
const PREVIOUS_ERROR: Action = Action::Own("previous error");

/// See the module.
pub static SPEC: Spec = Spec {
    name: "correlate",
    title: "Correlate",
    argument: "ID",
    needs_argument: true,
    door: &[],
    pivot: Some(Pivot { keys: &["g c"], help: "everything with its id", to }),
    keys: &[
        Binding { keys: &["e"], action: NEXT_ERROR, help: "next error" },
        Binding { keys: &["E"], action: PREVIOUS_ERROR, help: "error before" },
        keymap::NEXT_PANE,
        keymap::PREVIOUS_PANE,
    ],
    open: |args| Box::new(Correlate { id: args.id.trim().to_owned(), ..Correlate::default() }),
};

fn to(subject: &Subject) -> Result<(&'static str, Args), &'static str> {
    let id = subject.correlation.as_ref().or(subject.trace.as_ref());
    let id = id.ok_or("nothing under the cursor carries an id")?;
    Ok(("correlate", Args { id: id.clone(), ..Args::default() }))
}

#[derive(Debug, Default)]
struct Correlate {
    id: String,
    found: Slot<Box<Correlation>>,
    entries: Vec<Entry>,
    cursor: Cursor<What>,
    detail: Option<Scroll>,
    in_detail: bool,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    what: What,
    time: Option<Timestamp>,
}

/// What an entry shows: its kind and its place in the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Span(usize),
    Log(usize),
    Exemplar(usize),
    Alert(usize),
}

impl Correlate {
    fn arrange(&mut self) {
        self.entries = self.found.value().map_or_else(Vec::new, |found| time_line(found));
        let entries = &self.entries;
        self.cursor.sync(entries.len(), |index| entries[index].what);
    }

    fn selected(&self) -> Option<What> {
        self.cursor.index(self.entries.len()).map(|index| self.entries[index].what)
    }

    fn is_bad(&self, what: What) -> bool {
        let Some(found) = self.found.value() else { return false };
        match what {
            What::Span(index) => found.spans[index].status == "error",
            What::Log(index) => found.logs[index].severity_number >= 17,
            What::Alert(_) => true,
            What::Exemplar(_) => false,
        }
    }

    fn seek(&mut self, forward: bool, cx: &mut Context<'_>) {
        let here = self.cursor.index(self.entries.len()).unwrap_or(0);
        let bad = |index: &usize| self.is_bad(self.entries[*index].what);
        let found = if forward { (here + 1..self.entries.len()).find(bad) } else { (0..here).rev().find(bad) };
        match found {
            Some(index) => {
                let entries = &self.entries;
                self.cursor.select(index, entries.len(), |index| entries[index].what);
            }
            None => cx.say("there is none"),
        }
    }

    fn draw_list(&mut self, buffer: &mut Buffer, area: Rect, theme: Theme) {
        let Some(found) = self.found.value() else {
            let inner = panel(buffer, area, theme, true, &Safe::line(&self.id), &[]);
            match self.found.trouble() {
                Some(trouble) => sentence(
                    buffer,
                    inner,
                    theme,
                    (trouble.kind.label(), Role::Bad),
                    &trouble.sentence,
                    trouble.hint.as_ref(),
                ),
                None => sentence(buffer, inner, theme, ("", Role::Text), &Safe::from_static("asking the server"), None),
            };
            return;
        };
        let title = Safe::of(format_args!("{} id {}", Safe::line(&found.kind), Safe::line(&found.id)));
        let note = Safe::of(format_args!(
            "{}, {}, {}, {}",
            format::counted(found.spans.len() as u64, "span"),
            format::counted(found.logs.len() as u64, "log"),
            format::counted(found.exemplars.len() as u64, "exemplar"),
            format::counted(found.alerts.len() as u64, "alert"),
        ));
        let focused = !(self.in_detail && self.detail.is_some());
        let mut inner = panel(buffer, area, theme, focused, &title, &[Piece::new(note, Role::Faint)]);
        let services: Vec<Safe> = found.services.iter().map(|name| Safe::line(name)).collect();
        let mut heads = vec![Safe::of(format_args!("services: {}", Safe::join(&services, ", ")))];
        if found.partial {
            let reason = found.reason.as_deref().unwrap_or("the server gave no reason");
            heads.push(Safe::of(format_args!("PARTIAL {}", Safe::line(reason))));
        }
        if let Some(trouble) = self.found.trouble() {
            heads.push(Safe::of(format_args!("{} {}", trouble.kind.label(), trouble.sentence)));
        }
        for (line, head) in (0u16..).zip(&heads) {
            let place = line_of(inner, line);
            let role = if line == 0 { Role::Faint } else { Role::Warning };
            crate::widget::put(buffer, (place.x + 2, place.y), place.width.saturating_sub(2), head, theme.style(role));
        }
        let used = u16::try_from(heads.len()).unwrap_or(0).min(inner.height);
        inner = Rect { y: inner.y + used, height: inner.height - used, ..inner };
        if self.entries.is_empty() {
            let text = Safe::from_static("nothing carries this id");
            sentence(buffer, inner, theme, ("", Role::Text), &text, None);
            return;
        }
        self.draw_entries(buffer, inner, theme);
    }

    fn draw_entries(&mut self, buffer: &mut Buffer, area: Rect, theme: Theme) {
        let bars = Breadth::of(area) != Breadth::Narrow;
        let columns = [
            list::Column::right("AFTER", 9),
            list::Column::left("KIND", 8),
            list::Column::left("", 1),
            list::Column::left("SERVICE", 14),
            list::Column::left("WHAT", 0),
            list::Column::left("", if bars { area.width / 4 } else { 1 }),
        ];
        let body = list::heading(buffer, area, theme, &columns);
        let first = self.entries.iter().find_map(|entry| entry.time).unwrap_or_default();
        let last = self.end(first);
        let len = self.entries.len();
        let chosen = self.cursor.index(len);
        for (line, index) in (0u16..).zip(self.cursor.visible(len, body.height)) {
            let place = line_of(body, line);
            let entry = self.entries[index];
            list::row(buffer, place, theme, &columns, &self.cells(entry, first), chosen == Some(index));
            if bars && let Some(time) = entry.time {
                let start = u64::try_from(time.as_nanos().saturating_sub(first.as_nanos())).unwrap_or(0);
                let length = match (entry.what, self.found.value()) {
                    (What::Span(index), Some(found)) => found.spans[index].duration_ns,
                    _ => 0,
                };
                let role = if self.is_bad(entry.what) { Role::Bad } else { Role::Good };
                duration_bar(buffer, list::place(place, &columns, 5), theme, (start, length, last), role);
            }
        }
    }

    // The time from `first` to the end of what ends last.
    fn end(&self, first: Timestamp) -> u64 {
        let Some(found) = self.found.value() else { return 0 };
        let ends = self.entries.iter().filter_map(|entry| {
            let after = u64::try_from(entry.time?.as_nanos().saturating_sub(first.as_nanos())).unwrap_or(0);
            match entry.what {
                What::Span(index) => Some(after.saturating_add(found.spans[index].duration_ns)),
                _ => Some(after),
            }
        });
        ends.max().unwrap_or(0)
    }

    fn cells(&self, entry: Entry, first: Timestamp) -> Vec<Piece> {
        let Some(found) = self.found.value() else { return Vec::new() };
        let after = entry
            .time
            .map(|time| format::duration(u64::try_from(time.as_nanos().saturating_sub(first.as_nanos())).unwrap_or(0)));
        let (kind, sign, of, what, role) = match entry.what {
            What::Span(index) => {
                let span = &found.spans[index];
                let (sign, role) = Theme::status(&span.status);
                let what = Safe::of(format_args!("{}  {}", Safe::head(&span.name), format::duration(span.duration_ns)));
                ("span", sign, service(span.service.as_deref()), what, role)
            }
            What::Log(index) => {
                let log = &found.logs[index];
                let (letter, role) = Theme::severity(log.severity.as_deref());
                ("log", letter, service(log.service.as_deref()), log_message(log), role)
            }
            What::Exemplar(index) => {
                let exemplar = &found.exemplars[index];
                ("exemplar", " ", service(exemplar.service.as_deref()), describe(exemplar), Role::Text)
            }
            What::Alert(index) => {
                let alert = &found.alerts[index];
                ("alert", "!", service(alert.labels.get("service").map(String::as_str)), alert_line(alert), Role::Bad)
            }
        };
        let text = if role == Role::Bad { Role::Bad } else { Role::Text };
        vec![
            Piece::new(after.unwrap_or(Safe::from_static("?")), Role::Faint),
            Piece::new(kind, Role::Faint),
            Piece::new(sign, role),
            Piece::new(of, Role::Key),
            Piece::new(what, text),
        ]
    }

    fn fields(&self) -> (&'static str, Vec<Detail>) {
        let (Some(found), Some(what)) = (self.found.value(), self.selected()) else { return ("", Vec::new()) };
        match what {
            What::Span(index) => ("Span", span_details(&found.spans[index])),
            What::Log(index) => ("Record", log_details(&found.logs[index])),
            What::Exemplar(index) => ("Exemplar", exemplar_details(&found.exemplars[index])),
            What::Alert(index) => ("Alert", alert_details(&found.alerts[index])),
        }
    }
}

// By time; a span before what happened at the very moment it began, what has no time first.
fn time_line(found: &Correlation) -> Vec<Entry> {
    let alert_time = |alert: &Alert| alert.active_at.as_deref().and_then(format::moment);
    let spans = found.spans.iter().map(|row| format::moment(&row.timestamp)).enumerate();
    let logs = found.logs.iter().map(|row| format::moment(&row.timestamp)).enumerate();
    let exemplars = found.exemplars.iter().map(|row| format::moment(&row.timestamp)).enumerate();
    let alerts = found.alerts.iter().map(alert_time).enumerate();
    let mut entries: Vec<Entry> = spans
        .map(|(index, time)| Entry { what: What::Span(index), time })
        .chain(logs.map(|(index, time)| Entry { what: What::Log(index), time }))
        .chain(exemplars.map(|(index, time)| Entry { what: What::Exemplar(index), time }))
        .chain(alerts.map(|(index, time)| Entry { what: What::Alert(index), time }))
        .collect();
    entries.sort_by_key(|entry| entry.time);
    entries
}

fn describe(exemplar: &Exemplar) -> Safe {
    let metric = Safe::line(exemplar.metric.as_deref().unwrap_or("?"));
    Safe::of(format_args!("{metric} = {}", format::value(&exemplar.value)))
}

fn alert_line(alert: &Alert) -> Safe {
    let name = alert.labels.get("alertname").map_or("alert", String::as_str);
    let head = Safe::of(format_args!("{} {}", Safe::line(name), Safe::line(&alert.state)));
    match alert.annotations.get("summary") {
        Some(summary) => Safe::of(format_args!("{head}: {}", Safe::line(summary))),
        None => head,
    }
}

fn alert_details(alert: &Alert) -> Vec<Detail> {
    let mut fields = vec![Detail::Text(alert_line(alert), Role::Bad), Detail::Text(Safe::default(), Role::Text)];
    for (name, time) in [("active since", &alert.active_at), ("firing since", &alert.fired_at)] {
        if let Some(time) = time {
            fields.push(Detail::field(name, format::row_date(time)));
        }
    }
    fields.push(Detail::field("value", format::exact(&alert.value)));
    for (title, labels) in [("Labels", &alert.labels), ("Annotations", &alert.annotations)] {
        if !labels.is_empty() {
            fields.push(Detail::Text(Safe::default(), Role::Text));
            fields.push(Detail::heading(title));
            fields.extend(labels.iter().map(|(name, value)| Detail::field(Safe::line(name), Safe::line(value))));
        }
    }
    fields
}

fn exemplar_details(exemplar: &Exemplar) -> Vec<Detail> {
    let mut fields = vec![
        Detail::Text(describe(exemplar), Role::Strong),
        Detail::Text(Safe::default(), Role::Text),
        Detail::field("time", format::row_date(&exemplar.timestamp)),
        Detail::field("service", service(exemplar.service.as_deref())),
    ];
    for (name, value) in
        [("trace", &exemplar.trace_id), ("span", &exemplar.span_id), ("correlation", &exemplar.correlation_id)]
    {
        if let Some(value) = value {
            fields.push(Detail::field(name, Safe::line(value)));
        }
    }
    attributes(&mut fields, "Attributes", &exemplar.attributes);
    fields
}

impl Screen for Correlate {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn crumb(&self) -> Safe {
        Safe::of(format_args!("Correlate {}", Safe::line(&self.id).truncated(20)))
    }

    fn load(&mut self, cx: &mut Context<'_>) {
        self.found.ask(Ask::Correlate { id: self.id.clone() }, cx);
    }

    fn act(&mut self, action: Action, cx: &mut Context<'_>) {
        match action {
            Action::Enter if self.detail.is_none() && self.selected().is_some() => {
                self.detail = Some(Scroll::default())
            }
            Action::Enter => {
                let subject = self.subject();
                match subject.trace {
                    Some(id) => cx.open("trace", Args { id, span: subject.span, ..Args::default() }),
                    None => cx.say("this belongs to no trace"),
                }
            }
            Action::NextPane | Action::PreviousPane => self.in_detail = self.detail.is_some() && !self.in_detail,
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
                let entries = &self.entries;
                if self.cursor.act(movement, entries.len(), |index| entries[index].what)
                    && let Some(scroll) = &mut self.detail
                {
                    scroll.reset();
                }
            }
        }
    }

    fn answer(&mut self, answer: Answer, cx: &mut Context<'_>) {
        if self.found.awaits(&answer) && self.found.settle(answer, cx) {
            self.arrange();
        }
    }

    fn close(&mut self) -> bool {
        self.in_detail = false;
        self.detail.take().is_some()
    }

    fn draw(&mut self, scene: &mut Scene<'_>) {
        let (theme, buffer) = (scene.theme, &mut *scene.buffer);
        let (list_area, detail_area) = with_detail(scene.area, self.detail.is_some());
        if !list_area.is_empty() {
            self.draw_list(buffer, list_area, theme);
        }
        let (title, fields) = if self.detail.is_some() { self.fields() } else { ("", Vec::new()) };
        let in_detail = self.in_detail || list_area.is_empty();
        if let Some(scroll) = self.detail.as_mut().filter(|_| !detail_area.is_empty()) {
            let note = [Piece::new("Enter: its trace", Role::Faint)];
            let inner = panel(buffer, detail_area, theme, in_detail, &Safe::from_static(title), &note);
            details(buffer, inner, theme, &fields, scroll);
        }
    }

    fn badge(&self) -> Option<(Safe, Role)> {
        self.found.value().filter(|found| found.partial).map(|_| (Safe::from_static("PARTIAL"), Role::Warning))
    }

    fn is_timeless(&self) -> bool {
        true
    }

    fn subject(&self) -> Subject {
        let (Some(found), Some(what)) = (self.found.value(), self.selected()) else { return Subject::default() };
        match what {
            What::Span(index) => of_span(&found.spans[index]),
            What::Log(index) => of_log(&found.logs[index]),
            What::Exemplar(index) => {
                let exemplar = &found.exemplars[index];
                Subject {
                    service: exemplar.service.clone(),
                    trace: exemplar.trace_id.clone(),
                    span: exemplar.span_id.clone(),
                    correlation: exemplar.correlation_id.clone(),
                    time: format::moment(&exemplar.timestamp),
                    metric: exemplar.metric.clone(),
                    ..Subject::default()
                }
            }
            What::Alert(index) => {
                let name = found.alerts[index].labels.get("alertname");
                Subject { alert: name.cloned(), time: self.time_of(what), ..Subject::default() }
            }
        }
    }

    fn copy(&self) -> Option<Safe> {
        match (self.found.value(), self.selected()) {
            (Some(found), Some(What::Log(index))) => Some(log_line(&found.logs[index])),
            (Some(found), Some(What::Span(index))) => Some(Safe::line(&found.spans[index].trace_id)),
            _ => Some(Safe::line(&self.id)),
        }
    }

    fn is_settled(&self) -> bool {
        !self.found.is_loading()
    }

    fn json(&self) -> Value {
        json!({"correlation": self.found.value()})
    }
}

impl Correlate {
    fn time_of(&self, what: What) -> Option<Timestamp> {
        self.entries.iter().find(|entry| entry.what == what).and_then(|entry| entry.time)
    }
}
