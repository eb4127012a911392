//! Overview: every service with rate, errors and durations, the alerts, and how the server is doing.

use std::collections::BTreeMap;
use std::time::Duration;

use model::wire::alerts::{Alert, Alerts};
use model::wire::counts::{Service, Services};
use model::wire::status::Status;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use serde_json::{Value, json};

use super::record::equals;
use super::{Args, Context, Scene, Screen, Spec, Subject};
use crate::cursor::Cursor;
use crate::effect::{Ask, TroubleKind};
use crate::event::Answer;
use crate::format;
use crate::keymap::{self, Action, Binding};
use crate::sanitize::Safe;
use crate::slot::Slot;
use crate::theme::{Role, Theme};
use crate::widget::panel::{Breadth, panel};
use crate::widget::sentence::sentence;
use crate::widget::trend::trend;
use crate::widget::{Piece, line_of, list, put_pieces};

const SORT: Action = Action::Own("sort");

/// See the module.
pub static SPEC: Spec = Spec {
    name: "overview",
    title: "Overview",
    argument: "",
    needs_argument: false,
    door: &["1"],
    pivot: None,
    keys: &[
        keymap::NEXT_PANE,
        keymap::PREVIOUS_PANE,
        keymap::PAUSE,
        Binding { keys: &["s"], action: SORT, help: "sort by name, rate, errors, p95" },
    ],
    open: |_: &Args| Box::new(Overview::default()),
};

const REFRESH_EVERY: Duration = Duration::from_secs(5);

/// Numbers of a sparkline.
const STEPS: usize = 30;

#[derive(Debug, Default)]
struct Overview {
    services: Slot<Services>,
    alerts: Slot<Alerts>,
    status: Slot<Box<Status>>,
    // Of the status before: the accepted items and when that was, for a rate.
    accepted: Option<(u64, Duration)>,
    accepted_rate: Option<f64>,
    service: Cursor<String>,
    alert: Cursor<String>,
    pane: Pane,
    sort: Sort,
    paused: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Pane {
    #[default]
    Services,
    Alerts,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Sort {
    #[default]
    Name,
    Rate,
    Errors,
    P95,
}

impl Overview {
    fn rows(&self) -> &[Service] {
        self.services.value().map_or(&[], |services| &services.services)
    }

    fn alert_rows(&self) -> &[Alert] {
        self.alerts.value().map_or(&[], |alerts| &alerts.alerts)
    }

    fn arrange(&mut self) {
        let sort = self.sort;
        if let Some(services) = self.services.value_mut() {
            services.services.sort_by(|a, b| {
                let by = match sort {
                    Sort::Name => std::cmp::Ordering::Equal,
                    Sort::Rate => b.rate.total_cmp(&a.rate),
                    Sort::Errors => b.error_share.total_cmp(&a.error_share),
                    Sort::P95 => b.p95_ns.cmp(&a.p95_ns),
                };
                by.then_with(|| a.service.cmp(&b.service))
            });
        }
        let rows = self.services.value().map_or(&[][..], |services| &services.services);
        self.service.sync(rows.len(), |index| rows[index].service.clone());
        if let Some(alerts) = self.alerts.value_mut() {
            // Firing before pending, then the newest.
            alerts.alerts.sort_by(|a, b| a.state.cmp(&b.state).then_with(|| b.active_at.cmp(&a.active_at)));
        }
        let rows = self.alerts.value().map_or(&[][..], |alerts| &alerts.alerts);
        self.alert.sync(rows.len(), |index| identity(&rows[index]));
    }

    fn enter(&self, cx: &mut Context<'_>) {
        let subject = self.subject();
        match self.pane {
            Pane::Services => {
                if let Some(service) = subject.service {
                    cx.open("traces", Args { filter: equals("service", &service), ..Args::default() });
                }
            }
            // To what made the alert, as near as it can be named.
            Pane::Alerts => match (subject.trace, subject.service) {
                (Some(id), _) => cx.open("trace", Args { id, span: subject.span, ..Args::default() }),
                (None, Some(service)) => {
                    cx.open("logs", Args { filter: equals("service", &service), ..Args::default() });
                }
                (None, None) => cx.say("this alert names no trace and no service"),
            },
        }
    }

    // Items a second since the status before.
    fn measure(&mut self, now: Duration) {
        let Some(status) = self.status.value() else { return };
        let accepted = counted(&status.counters, "sextant_ingest_accepted_items_total");
        if let Some((before, at)) = self.accepted
            && let Some(passed) = now.checked_sub(at).filter(|passed| !passed.is_zero())
        {
            self.accepted_rate = Some(accepted.saturating_sub(before) as f64 / passed.as_secs_f64());
        }
        self.accepted = Some((accepted, now));
    }

    fn draw_health(&self, buffer: &mut Buffer, area: Rect, theme: Theme) {
        let line = line_of(area, 0);
        let Some(status) = self.status.value() else {
            let (word, role) = match self.status.trouble() {
                Some(trouble) => (trouble.kind.label(), Role::Bad),
                None => ("asking the server", Role::Faint),
            };
            put_pieces(buffer, (line.x + 1, line.y), line.width - 1, &[Piece::new(word, role)], theme);
            return;
        };
        let refused = counted(&status.counters, "sextant_ingest_refused_requests_total");
        let rejected = counted(&status.counters, "sextant_ingest_rejected_items_total");
        let mode_role = if status.mode == "serving" { Role::Good } else { Role::Warning };
        let bad = |number: u64| if number == 0 { Role::Text } else { Role::Bad };
        let separator = || Piece::new(theme.symbols().separator, Role::Faint);
        let parts: u64 = status.tables.values().map(|table| table.parts).sum();
        let bytes = status.tables.values().map(|table| table.part_bytes.saturating_add(table.head_bytes));
        let mut pieces = vec![Piece::new(Safe::line(&status.mode), mode_role), separator()];
        match self.accepted_rate {
            Some(rate) => pieces.push(Piece::from(Safe::of(format_args!("ingest {}", format::rate(rate))))),
            None => pieces.push(Piece::from(Safe::of(format_args!("{} records", format::count(status.ingest_seq))))),
        }
        pieces.push(separator());
        pieces.push(Piece::new(
            Safe::of(format_args!("{} rejected", format::short_count(rejected as f64))),
            bad(rejected),
        ));
        pieces.push(separator());
        pieces
            .push(Piece::new(Safe::of(format_args!("{} refused", format::short_count(refused as f64))), bad(refused)));
        pieces.push(separator());
        let stored = format::bytes(bytes.fold(0, u64::saturating_add));
        pieces.push(Piece::from(Safe::of(format_args!("{stored} in {}", format::counted(parts, "part")))));
        pieces.push(separator());
        pieces.push(Piece::from(Safe::of(format_args!("WAL {}", format::bytes(status.wal.bytes)))));
        put_pieces(buffer, (line.x + 1, line.y), line.width - 1, &pieces, theme);
    }

    fn draw_services(&mut self, buffer: &mut Buffer, area: Rect, scene: (Theme, model::Timestamp)) {
        let (theme, now) = scene;
        let partial = self.services.value().is_some_and(|services| services.partial);
        let mut note = vec![Piece::new(self.sort.note(), Role::Faint)];
        if partial {
            note.push(Piece::new(" PARTIAL", Role::Warning));
        }
        let title = format::counted(self.rows().len() as u64, "service");
        let inner = panel(buffer, area, theme, self.pane == Pane::Services, &title, &note);
        if self.draw_trouble(buffer, inner, theme, self.services.trouble(), self.services.value().is_none()) {
            return;
        }
        if self.rows().is_empty() {
            let text = Safe::from_static("no service has sent spans or logs in this time");
            sentence(buffer, inner, theme, ("", Role::Text), &text, Some(&Safe::from_static("t chooses another time")));
            return;
        }
        let wide = area.width >= 100;
        let columns = columns(wide, self.rows());
        let body = list::heading(buffer, inner, theme, &columns);
        let len = self.rows().len();
        let seen = self.service.visible(len, body.height);
        let chosen = self.service.index(len).filter(|_| self.pane == Pane::Services);
        for (line, index) in (0u16..).zip(seen) {
            let place = line_of(body, line);
            let row = &self.rows()[index];
            list::row(buffer, place, theme, &columns, &cells(row, wide, now), chosen == Some(index));
            let role = if row.errors > 0 { Role::Warning } else { Role::Good };
            trend(buffer, list::place(place, &columns, 5), theme, &row.rates, role);
        }
    }

    fn draw_alerts(&mut self, buffer: &mut Buffer, area: Rect, (theme, now): (Theme, model::Timestamp)) {
        let firing = self.alert_rows().iter().filter(|alert| alert.state == "firing").count();
        let pending = self.alert_rows().len() - firing;
        let title = Safe::of(format_args!("Alerts  {firing} firing, {pending} pending"));
        let inner = panel(buffer, area, theme, self.pane == Pane::Alerts, &title, &[]);
        if self.draw_trouble(buffer, inner, theme, self.alerts.trouble(), self.alerts.value().is_none()) {
            return;
        }
        if self.alert_rows().is_empty() {
            sentence(
                buffer,
                inner,
                theme,
                ("", Role::Text),
                &Safe::from_static("nothing is wrong that a rule knows of"),
                None,
            );
            return;
        }
        let columns = [
            list::Column::left("STATE", 7),
            list::Column::right("FOR", 4),
            list::Column::left("ALERT", 0),
            list::Column::left("WHAT", 0),
        ];
        let len = self.alert_rows().len();
        let seen = self.alert.visible(len, inner.height);
        let chosen = self.alert.index(len).filter(|_| self.pane == Pane::Alerts);
        for (line, index) in (0u16..).zip(seen) {
            let alert = &self.alert_rows()[index];
            let (word, role) = Theme::alert(&alert.state);
            let since = alert.fired_at.as_deref().or(alert.active_at.as_deref()).and_then(format::moment);
            let age = since.map(|since| format::age(now.as_nanos().saturating_sub(since.as_nanos())));
            let cells = [
                Piece::new(word, role),
                Piece::new(age.unwrap_or_default(), Role::Faint),
                name_of(alert).into(),
                Piece::new(summary(alert), Role::Faint),
            ];
            list::row(buffer, line_of(inner, line), theme, &columns, &cells, chosen == Some(index));
        }
    }

    // What went wrong, or that nothing has come yet; whether there is nothing else to draw.
    fn draw_trouble(
        &self,
        buffer: &mut Buffer,
        area: Rect,
        theme: Theme,
        trouble: Option<&crate::effect::Trouble>,
        empty: bool,
    ) -> bool {
        if !empty {
            return false;
        }
        match trouble {
            Some(trouble) => {
                let role = if trouble.kind == TroubleKind::Unknown { Role::Faint } else { Role::Bad };
                sentence(buffer, area, theme, (trouble.kind.label(), role), &trouble.sentence, trouble.hint.as_ref());
            }
            None => {
                sentence(buffer, area, theme, ("", Role::Text), &Safe::from_static("asking the server"), None);
            }
        }
        true
    }
}

impl Screen for Overview {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn load(&mut self, cx: &mut Context<'_>) {
        self.services.ask(Ask::Services { range: cx.window(), steps: STEPS }, cx);
        self.alerts.ask(Ask::Alerts, cx);
        self.status.ask(Ask::Status, cx);
    }

    fn act(&mut self, action: Action, cx: &mut Context<'_>) {
        match action {
            Action::NextPane | Action::PreviousPane => {
                self.pane = if self.pane == Pane::Services { Pane::Alerts } else { Pane::Services };
            }
            Action::Pause => self.paused = !self.paused,
            SORT => {
                self.sort = self.sort.next();
                self.arrange();
            }
            Action::Enter => self.enter(cx),
            movement if self.pane == Pane::Services => {
                let rows = self.services.value().map_or(&[][..], |services| &services.services);
                self.service.act(movement, rows.len(), |index| rows[index].service.clone());
            }
            movement => {
                let rows = self.alerts.value().map_or(&[][..], |alerts| &alerts.alerts);
                self.alert.act(movement, rows.len(), |index| identity(&rows[index]));
            }
        }
    }

    fn answer(&mut self, answer: Answer, cx: &mut Context<'_>) {
        if self.services.awaits(&answer) {
            self.services.settle(answer, cx);
        } else if self.alerts.awaits(&answer) {
            self.alerts.settle(answer, cx);
        } else if self.status.awaits(&answer) && self.status.settle(answer, cx) {
            self.measure(cx.session.now.monotonic);
        }
        self.arrange();
    }

    fn tick(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.paused && self.services.is_due(REFRESH_EVERY, cx.session.now.monotonic) {
            self.load(cx);
        }
        false
    }

    fn draw(&mut self, scene: &mut Scene<'_>) {
        let (theme, now, area) = (scene.theme, scene.now, scene.area);
        self.draw_health(scene.buffer, area, theme);
        let body = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
        let look = (theme, now);
        match Breadth::of(area) {
            Breadth::Wide => {
                let width = body.width * 3 / 5;
                self.draw_services(scene.buffer, Rect { width: width - 1, ..body }, look);
                self.draw_alerts(scene.buffer, Rect { x: body.x + width, width: body.width - width, ..body }, look);
            }
            // A narrow terminal shows both as long as the services have their lines.
            breadth if breadth == Breadth::Middle || self.rows().len() + 8 < usize::from(body.height) => {
                let wanted = u16::try_from(self.alert_rows().len()).unwrap_or(u16::MAX).clamp(2, body.height / 3);
                let height = body.height.saturating_sub(wanted + 1);
                self.draw_services(scene.buffer, Rect { height, ..body }, look);
                self.draw_alerts(scene.buffer, Rect { y: body.y + height, height: body.height - height, ..body }, look);
            }
            _ if self.pane == Pane::Services => self.draw_services(scene.buffer, body, look),
            _ => self.draw_alerts(scene.buffer, body, look),
        }
    }

    fn badge(&self) -> Option<(Safe, Role)> {
        if self.paused {
            return Some((Safe::from_static("PAUSED"), Role::Warning));
        }
        let firing = self.alert_rows().iter().filter(|alert| alert.state == "firing").count();
        if firing > 0 {
            return Some((Safe::of(format_args!("{firing} FIRING")), Role::Bad));
        }
        Some((Safe::from_static("LIVE"), Role::Good))
    }

    fn subject(&self) -> Subject {
        if self.pane == Pane::Services {
            let row = self.service.index(self.rows().len()).map(|index| &self.rows()[index]);
            return Subject { service: row.map(|row| row.service.clone()), ..Subject::default() };
        }
        let Some(index) = self.alert.index(self.alert_rows().len()) else { return Subject::default() };
        of_alert(&self.alert_rows()[index])
    }

    fn copy(&self) -> Option<Safe> {
        let subject = self.subject();
        subject.alert.or(subject.service).map(|text| Safe::line(&text))
    }

    fn is_settled(&self) -> bool {
        !(self.services.is_loading() || self.alerts.is_loading() || self.status.is_loading())
    }

    fn json(&self) -> Value {
        json!({"services": self.services.value(), "alerts": self.alerts.value(), "status": self.status.value()})
    }
}

impl Sort {
    fn next(self) -> Self {
        match self {
            Self::Name => Self::Rate,
            Self::Rate => Self::Errors,
            Self::Errors => Self::P95,
            Self::P95 => Self::Name,
        }
    }

    fn note(self) -> &'static str {
        match self {
            Self::Name => "by name",
            Self::Rate => "by rate",
            Self::Errors => "by errors",
            Self::P95 => "by p95",
        }
    }
}

fn columns(wide: bool, rows: &[Service]) -> Vec<list::Column> {
    let names = rows.iter().map(|row| Safe::head(&row.service).width()).max().unwrap_or(0);
    let name = u16::try_from(names).unwrap_or(u16::MAX).clamp(12, if wide { 40 } else { 18 });
    let mut columns = vec![
        list::Column::left("SERVICE", name),
        list::Column::right("RATE", 8),
        list::Column::right("ERRORS", 6),
        list::Column::right("P50", 8),
        list::Column::right("P95", 8),
        list::Column::left("REQUESTS OVER TIME", 0),
    ];
    if wide {
        columns.push(list::Column::right("LOG ERRORS", 10));
        columns.push(list::Column::right("SEEN", 5));
    }
    columns
}

fn cells(row: &Service, wide: bool, now: model::Timestamp) -> Vec<Piece> {
    let name = if row.service.is_empty() { Safe::from_static("(no name)") } else { Safe::head(&row.service) };
    let length = |nanos: Option<u64>| Piece::from(nanos.map_or(Safe::from_static("-"), format::duration));
    let (errors, role) = match (row.requests, row.errors) {
        (0, _) => (Safe::from_static("-"), Role::Faint),
        (_, 0) => (Safe::from_static("0%"), Role::Text),
        // The sign says what the colour says.
        _ => (Safe::of(format_args!("!{}", format::share(row.error_share))), Role::Bad),
    };
    let mut cells = vec![
        Piece::from(name),
        format::rate(row.rate).into(),
        Piece::new(errors, role),
        length(row.p50_ns),
        length(row.p95_ns),
        Piece::default(),
    ];
    if wide {
        let role = if row.log_errors > 0 { Role::Bad } else { Role::Faint };
        cells.push(Piece::new(format::short_count(row.log_errors as f64), role));
        let seen =
            format::moment(&row.last_seen).map(|seen| format::age(now.as_nanos().saturating_sub(seen.as_nanos())));
        cells.push(Piece::new(seen.unwrap_or_default(), Role::Faint));
    }
    cells
}

fn counted(counters: &BTreeMap<String, u64>, family: &str) -> u64 {
    let of_family = |name: &str| name.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with('{'));
    counters.iter().filter(|(name, _)| of_family(name)).map(|(_, value)| *value).fold(0, u64::saturating_add)
}

fn identity(alert: &Alert) -> String {
    if alert.fingerprint.is_empty() { format!("{:?}", alert.labels) } else { alert.fingerprint.clone() }
}

fn name_of(alert: &Alert) -> Safe {
    let name = alert.labels.get("alertname").map_or(Safe::from_static("(no name)"), |name| Safe::line(name));
    match alert.labels.get("service").or_else(|| alert.labels.get("service_name")) {
        Some(service) => Safe::of(format_args!("{name} {service}")),
        None => name,
    }
}

fn summary(alert: &Alert) -> Safe {
    let text = ["summary", "description", "message"].iter().find_map(|key| alert.annotations.get(*key));
    text.map_or_else(|| Safe::of(format_args!("value {}", alert.value)), |text| Safe::line(text))
}

/// What an alert is about, as far as other screens can use it.
pub(crate) fn of_alert(alert: &Alert) -> Subject {
    let sample = alert.samples.iter().find(|sample| sample.trace_id.is_some()).or_else(|| alert.samples.first());
    let service = ["service", "service_name", "job"].iter().find_map(|label| alert.labels.get(*label).cloned());
    Subject {
        service: service.or_else(|| sample.and_then(|sample| sample.service.clone())),
        trace: sample.and_then(|sample| sample.trace_id.clone()),
        span: sample.and_then(|sample| sample.span_id.clone()),
        correlation: sample.and_then(|sample| sample.correlation_id.clone()),
        time: sample.and_then(|sample| format::moment(&sample.timestamp)),
        alert: alert.labels.get("alertname").cloned(),
        metric: None,
    }
}
