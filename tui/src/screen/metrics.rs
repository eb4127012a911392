//! Metrics: every name with its type and unit, an expression in PromQL, and its lines over time.

mod expression;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::TimeRange;
use model::wire::prom::{Metadata, QueryData};
use ratatui::layout::Rect;
use serde_json::{Value, json};

use super::{Args, Completion, Context, Pivot, Scene, Screen, Spec, Subject, Wish};
use crate::cursor::Cursor;
use crate::dashboard::Unit;
use crate::dashboard::series::{self, Series};
use crate::effect::{Ask, Names, Trouble, TroubleKind};
use crate::event::Answer;
use crate::format;
use crate::keymap::{self, Action, Binding};
use crate::limits::INPUT_CHARS_MAX;
use crate::sanitize::Safe;
use crate::slot::Slot;
use crate::theme::Role;
use crate::widget::axis::timestamp;
use crate::widget::chart::{Chart, Ink, Line, legend_table};
use crate::widget::list::{self, Column};
use crate::widget::panel::{Breadth, panel};
use crate::widget::prompt;
use crate::widget::sentence::sentence;
use crate::widget::{Piece, line_of};

const EDIT: Action = Action::Own("edit");
const TOGGLE: Action = Action::Own("toggle");
const ALONE: Action = Action::Own("alone");
const INK: Action = Action::Own("ink");

/// See the module.
pub static SPEC: Spec = Spec {
    name: "metrics",
    title: "Metrics",
    argument: "PROMQL",
    needs_argument: false,
    door: &["5"],
    pivot: Some(Pivot { keys: &["g m"], help: "its metrics", to }),
    keys: &[
        Binding { keys: &["e"], action: EDIT, help: "edit the expression; Tab completes" },
        Binding { keys: &["/"], action: Action::Filter, help: "filter the names" },
        keymap::NEXT_PANE,
        keymap::PREVIOUS_PANE,
        Binding { keys: &["Enter"], action: Action::Enter, help: "ask for the name under the cursor" },
        Binding { keys: &["Space"], action: TOGGLE, help: "show or hide the line under the cursor" },
        Binding { keys: &["a"], action: ALONE, help: "show only the line under the cursor, or all" },
        Binding { keys: &["b"], action: INK, help: "draw with dots or with blocks" },
    ],
    open: |args| Box::new(Metrics::of(&args.filter)),
};

const REFRESH_EVERY: Duration = Duration::from_secs(10);

/// Names change seldom, and there may be thousands.
const NAMES_EVERY: Duration = Duration::from_secs(60);

fn to(subject: &Subject) -> Result<(&'static str, Args), &'static str> {
    let filter = match (&subject.metric, &subject.service) {
        (Some(metric), _) => metric.clone(),
        (None, Some(service)) => expression::of_service(service),
        (None, None) => return Err("there is neither a metric nor a service under the cursor"),
    };
    Ok(("metrics", Args { filter, ..Args::default() }))
}

/// The screen.
#[derive(Debug, Default)]
struct Metrics {
    names: Slot<Names>,
    // Label names of the metric that the expression begins with, for completion.
    labels: Slot<Vec<String>>,
    labels_of: String,
    data: Slot<QueryData>,
    expression: String,
    filter: String,
    lines: Vec<Line>,
    more: usize,
    // What the lines were asked for.
    times: Option<(TimeRange, i64)>,
    hidden: BTreeSet<Safe>,
    name: Cursor<String>,
    line: Cursor<Safe>,
    pane: Pane,
    blocks: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Pane {
    #[default]
    Names,
    Lines,
}

impl Metrics {
    fn of(expression: &str) -> Self {
        let pane = if expression.is_empty() { Pane::Names } else { Pane::Lines };
        // As long as one that is typed: it is looked through in every frame.
        let expression = expression.chars().take(INPUT_CHARS_MAX).collect();
        Self { expression, pane, ..Self::default() }
    }

    fn rows(&self) -> Vec<(&str, Option<&Metadata>)> {
        let Some(names) = self.names.value() else { return Vec::new() };
        let words: Vec<String> = self.filter.split_whitespace().map(str::to_lowercase).collect();
        let matches = |name: &str, of: Option<&Metadata>| {
            let text = format!("{} {}", name.to_lowercase(), of.map_or("", |of| of.kind.as_str()));
            words.iter().all(|word| text.contains(word))
        };
        let all = names.0.iter().map(|(name, of)| (name.as_str(), of.first()));
        all.filter(|(name, of)| matches(name, *of)).collect()
    }

    fn selected(&self) -> Option<(&str, Option<&Metadata>)> {
        let rows = self.rows();
        self.name.index(rows.len()).map(|index| rows[index])
    }

    fn unit(&self) -> Unit {
        let known: BTreeMap<&str, &str> = match self.names.value() {
            Some(names) => {
                names.0.iter().filter_map(|(name, of)| Some((name.as_str(), of.first()?.unit.as_str()))).collect()
            }
            None => BTreeMap::new(),
        };
        expression::unit(&self.expression, |name| known.get(name).copied())
    }

    // Asks for the expression over the range of the context.
    fn ask(&mut self, cx: &mut Context<'_>) {
        if self.expression.is_empty() {
            self.data.clear();
            self.lines.clear();
            return;
        }
        let step_ns = series::step_ns(cx.window());
        let range = series::aligned(cx.window(), step_ns);
        self.times = Some((range, step_ns));
        self.data.ask(Ask::QueryRange { expression: self.expression.clone(), range, step_ns }, cx);
        let name = expression::first_name(&self.expression).unwrap_or_default();
        if name != self.labels_of {
            self.labels_of = name.to_owned();
            self.labels.clear();
            if !name.is_empty() {
                self.labels.ask(Ask::LabelNames { selector: name.to_owned() }, cx);
            }
        }
    }

    fn take_data(&mut self) {
        let Some(data) = self.data.value() else { return };
        let (all, more) = series::of_answer(data);
        self.more = more;
        self.lines = all.iter().map(|one: &Series| one.line("")).collect();
        for line in &mut self.lines {
            line.hidden = self.hidden.contains(&line.name);
        }
        let lines = &self.lines;
        self.line.sync(lines.len(), |index| lines[index].name.clone());
    }

    fn toggle(&mut self, action: Action) {
        let Some(index) = self.line.index(self.lines.len()) else { return };
        let name = self.lines[index].name.clone();
        if action == TOGGLE {
            if !self.hidden.remove(&name) {
                self.hidden.insert(name);
            }
        } else {
            let others: BTreeSet<Safe> =
                self.lines.iter().map(|line| line.name.clone()).filter(|other| *other != name).collect();
            let is_alone = !self.hidden.contains(&name) && others.is_subset(&self.hidden);
            self.hidden = if is_alone { BTreeSet::new() } else { others };
        }
        for line in &mut self.lines {
            line.hidden = self.hidden.contains(&line.name);
        }
    }

    fn set_expression(&mut self, text: String, cx: &mut Context<'_>) {
        if text != self.expression {
            self.hidden.clear();
            self.line.reset();
            self.lines.clear();
            self.data.clear();
        }
        self.expression = text;
        self.pane = Pane::Lines;
        self.ask(cx);
    }

    fn draw_names(&mut self, scene: &mut Scene<'_>, area: Rect) {
        let theme = scene.theme;
        let len = self.rows().len();
        let total = self.names.value().map_or(0, |names| names.0.len());
        let title = if self.filter.is_empty() {
            format::counted(total as u64, "metric")
        } else {
            Safe::of(format_args!("{len} of {}: {}", format::counted(total as u64, "metric"), self.filter))
        };
        let body = panel(scene.buffer, area, theme, self.pane == Pane::Names, &title, &[]);
        if len == 0 {
            let nothing = if total > 0 { "no name has these letters" } else { "no metric has come in" };
            return state(scene, body, self.names.trouble(), self.names.value().is_some(), nothing);
        }
        let columns: &[Column] = match area.width {
            ..70 => &[Column::left("NAME", 0), Column::left("TYPE", 9)],
            _ => {
                &[Column::left("NAME", 0), Column::left("TYPE", 9), Column::left("UNIT", 10), Column::left("MEANS", 0)]
            }
        };
        let body = list::heading(scene.buffer, body, theme, columns);
        let seen = self.name.visible(len, body.height);
        let at = self.name.index(len);
        let rows = self.rows();
        for (row, index) in (0u16..).zip(seen) {
            let (name, of) = rows[index];
            let of = |part: fn(&Metadata) -> &String| of.map_or_else(Safe::default, |of| Safe::line(part(of)));
            let cells = [
                Piece::from(Safe::line(name)),
                Piece::new(of(|of| &of.kind), Role::Key),
                Piece::new(of(|of| &of.unit), Role::Faint),
                Piece::new(of(|of| &of.help), Role::Faint),
            ];
            list::row(scene.buffer, line_of(body, row), theme, columns, &cells, at == Some(index));
        }
    }

    // The expression, and where it is wrong; gives what is left below.
    fn draw_expression(&self, scene: &mut Scene<'_>, area: Rect) -> Rect {
        let wrong = self.data.trouble().filter(|trouble| trouble.kind == TroubleKind::Wrong);
        let place = wrong
            .map(|trouble| trouble.position.or_else(|| expression::place(&self.expression, trouble.sentence.as_str())));
        let cells = |at: usize| Safe::line(&self.expression.chars().take(at).collect::<String>()).width();
        let complaint = wrong.map(|trouble| Safe::line(expression::complaint(trouble.sentence.as_str())));
        let mistake = complaint.as_ref().zip(place).map(|(complaint, place)| (place.map(cells), complaint));
        let text = Safe::line(&self.expression);
        let used =
            prompt::expression(scene.buffer, area, scene.theme, (" promql ", "none: e to write one"), &text, mistake);
        let used = used.min(area.height);
        Rect { y: area.y + used, height: area.height - used, ..area }
    }

    fn draw_lines(&mut self, scene: &mut Scene<'_>, area: Rect) {
        let theme = scene.theme;
        let area = self.draw_expression(scene, area);
        let mut note = Vec::new();
        if let Some((_, step_ns)) = self.times.filter(|_| !self.expression.is_empty()) {
            note.push(Piece::new(Safe::of(format_args!("step {}", format::window(step_ns))), Role::Faint));
        }
        if self.more > 0 {
            let more = Safe::of(format_args!("  {} more not shown", format::counted(self.more as u64, "line")));
            note.push(Piece::new(more, Role::Warning));
        }
        let title = match self.lines.len() {
            0 => Safe::from_static("Lines"),
            count => format::counted(count as u64, "line"),
        };
        let body = panel(scene.buffer, area, theme, self.pane == Pane::Lines, &title, &note);
        if self.lines.is_empty() {
            if self.expression.is_empty() {
                let hint = Safe::from_static("Enter asks for the name under the cursor, e writes an expression");
                sentence(
                    scene.buffer,
                    body,
                    theme,
                    ("", Role::Text),
                    &Safe::from_static("Nothing is asked yet."),
                    Some(&hint),
                );
                return;
            }
            let trouble = self.data.trouble().filter(|trouble| trouble.kind != TroubleKind::Wrong);
            if trouble.is_some() || self.data.trouble().is_none() {
                let nothing = "no series has a value in this time";
                state(scene, body, trouble, self.data.value().is_some(), nothing);
            }
            return;
        }
        let unit = self.unit();
        let legend = u16::try_from(self.lines.len() + 1).unwrap_or(u16::MAX).min(body.height / 3).max(2);
        let chart_area = Rect { height: body.height.saturating_sub(legend), ..body };
        let (range, step_ns) = self.times.unwrap_or((scene.window, 1));
        let seconds = |moment: model::Timestamp| moment.as_nanos() as f64 / 1e9;
        let chart = Chart {
            lines: &self.lines,
            times: (seconds(range.start), seconds(range.end)),
            step: step_ns as f64 / 1e9,
            ends: (None, None),
            unit,
            thresholds: &[],
            ink: Ink::of(theme, self.blocks),
            theme,
        };
        chart.draw(scene.buffer, chart_area);
        let place = Rect { y: chart_area.bottom(), height: legend, ..body };
        let seen = self.line.visible(self.lines.len(), legend - 1);
        let cursor = self.line.index(self.lines.len()).filter(|_| self.pane == Pane::Lines);
        legend_table(scene.buffer, place, &self.lines, (seen.start, cursor), unit, None, theme);
    }
}

impl Screen for Metrics {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn crumb(&self) -> Safe {
        match self.expression.is_empty() {
            true => Safe::from_static("Metrics"),
            false => Safe::of(format_args!("Metrics {}", Safe::line(&self.expression).truncated(40))),
        }
    }

    fn load(&mut self, cx: &mut Context<'_>) {
        self.names.ask(Ask::Metadata, cx);
        self.ask(cx);
    }

    fn act(&mut self, action: Action, cx: &mut Context<'_>) {
        match action {
            Action::NextPane | Action::PreviousPane => {
                self.pane = if self.pane == Pane::Names { Pane::Lines } else { Pane::Names };
            }
            EDIT => cx.wishes.push(Wish::Type {
                label: " promql ",
                hint: "such as sum by (job) (rate(http_requests_total[5m]))",
                text: self.expression.clone(),
            }),
            TOGGLE | ALONE => self.toggle(action),
            INK => self.blocks = !self.blocks,
            Action::Enter if self.pane == Pane::Names => {
                let expression = self.selected().map(|(name, of)| {
                    let step_ns = series::step_ns(cx.window());
                    expression::of_metric(name, of.map_or("", |of| of.kind.as_str()), step_ns)
                });
                if let Some(expression) = expression {
                    self.set_expression(expression, cx);
                }
            }
            Action::Enter => self.toggle(TOGGLE),
            movement if self.pane == Pane::Names => {
                let keys: Vec<String> = self.rows().iter().map(|(name, _)| (*name).to_owned()).collect();
                self.name.act(movement, keys.len(), |index| keys[index].clone());
            }
            movement => {
                let lines = &self.lines;
                self.line.act(movement, lines.len(), |index| lines[index].name.clone());
            }
        }
    }

    fn answer(&mut self, answer: Answer, cx: &mut Context<'_>) {
        if self.names.awaits(&answer) {
            self.names.settle(answer, cx);
            let keys: Vec<String> = self.rows().iter().map(|(name, _)| (*name).to_owned()).collect();
            self.name.sync(keys.len(), |index| keys[index].clone());
        } else if self.labels.awaits(&answer) {
            self.labels.settle(answer, cx);
        } else if self.data.settle(answer, cx) {
            self.take_data();
        }
    }

    fn tick(&mut self, cx: &mut Context<'_>) -> bool {
        let now = cx.session.now.monotonic;
        if self.names.is_due(NAMES_EVERY, now) {
            self.names.ask(Ask::Metadata, cx);
        }
        // What is wrong does not become right by asking again.
        let is_wrong = self.data.trouble().is_some_and(|trouble| trouble.kind == TroubleKind::Wrong);
        if !self.expression.is_empty() && !is_wrong && self.data.is_due(REFRESH_EVERY, now) {
            self.ask(cx);
        }
        false
    }

    fn draw(&mut self, scene: &mut Scene<'_>) {
        let area = scene.area;
        match Breadth::of(area) {
            Breadth::Narrow if self.pane == Pane::Names => self.draw_names(scene, area),
            Breadth::Narrow => self.draw_lines(scene, area),
            _ => {
                let width = (area.width * 5 / 12).clamp(36, 64);
                self.draw_names(scene, Rect { width: width - 1, ..area });
                self.draw_lines(scene, Rect { x: area.x + width, width: area.width - width, ..area });
            }
        }
    }

    fn filter(&self) -> Option<&str> {
        Some(&self.filter)
    }

    fn set_filter(&mut self, filter: String, _cx: &mut Context<'_>) {
        self.filter = filter;
        self.pane = Pane::Names;
        self.name.reset();
        let keys: Vec<String> = self.rows().iter().map(|(name, _)| (*name).to_owned()).collect();
        self.name.sync(keys.len(), |index| keys[index].clone());
    }

    fn typed(&mut self, text: String, cx: &mut Context<'_>) {
        self.set_expression(text.trim().to_owned(), cx);
    }

    fn completions(&self, before: &str) -> Vec<Completion> {
        let names = self.names.value().map(|names| &names.0);
        let labels = self.labels.value().map_or(&[][..], Vec::as_slice);
        expression::completions(before, names, labels)
    }

    fn subject(&self) -> Subject {
        let metric = match self.pane {
            Pane::Names => self.selected().map(|(name, _)| name.to_owned()),
            Pane::Lines => expression::first_name(&self.expression).map(str::to_owned),
        };
        let service = self.data.value().and_then(|data| {
            let all = series::of_answer(data).0;
            let one = all.get(self.line.index(all.len())?)?;
            let job = one.labels.get("service_name").or_else(|| one.labels.get("job"))?;
            // A job is namespace/name.
            Some(job.rsplit('/').next().unwrap_or(job).to_owned())
        });
        Subject { metric, service: service.filter(|_| self.pane == Pane::Lines), ..Subject::default() }
    }

    fn copy(&self) -> Option<Safe> {
        match self.pane {
            Pane::Names => self.selected().map(|(name, _)| Safe::line(name)),
            Pane::Lines => Some(Safe::line(&self.expression)),
        }
    }

    fn is_settled(&self) -> bool {
        !self.names.is_loading() && !self.data.is_loading()
    }

    fn json(&self) -> Value {
        let lines = self.lines.iter().map(|line| {
            let points = line.points.iter().map(|(at, value)| json!([timestamp(*at).to_string(), value]));
            json!({ "name": line.name.as_str(), "points": points.collect::<Vec<_>>() })
        });
        json!({
            "metrics": self.names.value().map(|names| &names.0),
            "expression": self.expression,
            "error": self.data.trouble().map(|trouble| trouble.sentence.as_str()),
            "lines": lines.collect::<Vec<_>>(),
        })
    }
}

fn state(scene: &mut Scene<'_>, area: Rect, trouble: Option<&Trouble>, is_there: bool, nothing: &'static str) {
    let (buffer, theme) = (&mut *scene.buffer, scene.theme);
    match trouble {
        Some(trouble) => {
            let role = if trouble.kind == TroubleKind::Unknown { Role::Faint } else { Role::Bad };
            sentence(buffer, area, theme, (trouble.kind.label(), role), &trouble.sentence, trouble.hint.as_ref());
        }
        None => {
            let text = Safe::from_static(if is_there { nothing } else { "asking the server" });
            sentence(buffer, area, theme, ("", Role::Text), &text, None);
        }
    }
}
