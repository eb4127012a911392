//! Alerts: those that are pending or firing, with the records that made them; and every rule, with its state or its error.
//!
//! Enter goes to what an alert is about: the failing span of its newest sample, else what its links name.

mod detail;
mod link;

use std::time::Duration;

use model::wire::alerts::{Alert, AlertSample, Alerts as Active, Rule, Rules};
use ratatui::layout::Rect;
use serde_json::{Value, json};

use super::{Args, Context, Destination, Pivot, Scene, Screen, Spec, Subject, Wish};
use crate::cursor::Cursor;
use crate::effect::{Ask, Trouble};
use crate::event::Answer;
use crate::format;
use crate::keymap::{self, Action, Binding};
use crate::limits::INPUT_CHARS_MAX;
use crate::sanitize::Safe;
use crate::slot::Slot;
use crate::theme::{Role, Theme};
use crate::widget::details::{Scroll, details};
use crate::widget::list::{self, Column};
use crate::widget::panel::{Breadth, panel, with_detail};
use crate::widget::sentence::sentence;
use crate::widget::{Piece, line_of, put, put_pieces};

use link::Link;

const NEXT_TAB: Action = Action::Own("next-tab");
const SAMPLES: Action = Action::Own("samples");

/// What is known of the screen before there is one.
pub static SPEC: Spec = Spec {
    name: "alerts",
    title: "Alerts",
    argument: "NAME",
    needs_argument: false,
    door: &["7"],
    pivot: Some(Pivot { keys: &["g a"], help: "alerts of the service", to }),
    keys: &[
        keymap::FILTER,
        Binding { keys: &["Right", "l", "Left", "h"], action: NEXT_TAB, help: "active alerts, or rules" },
        Binding { keys: &["Tab", "shift-Tab"], action: SAMPLES, help: "between the list and what it says in full" },
        Binding { keys: &["Enter"], action: Action::Enter, help: "to the failing span, the logs, the metrics" },
    ],
    open: |args: &Args| Box::new(Alerts::of(&args.filter)),
};

fn to(subject: &Subject) -> Result<(&'static str, Args), &'static str> {
    let word = subject.alert.clone().or_else(|| subject.service.clone());
    match word {
        Some(word) => Ok(("alerts", Args { filter: word, ..Args::default() })),
        None => Err("there is no service under the cursor to look for"),
    }
}

const REFRESH_EVERY: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Tab {
    #[default]
    Active,
    Rules,
}

/// The screen.
#[derive(Debug, Default)]
pub struct Alerts {
    tab: Tab,
    filter: String,
    active: Slot<Active>,
    rules: Slot<Rules>,
    alert: Cursor<String>,
    rule: Cursor<String>,
    // Whether a narrow terminal shows the detail, and whether keys move in it.
    detail: bool,
    inside: bool,
    sample: usize,
    scroll: Scroll,
}

/// A rule and where it stands.
struct Placed<'a> {
    file: &'a str,
    group: &'a str,
    kind: &'a str,
    interval: f64,
    rule: &'a Rule,
}

impl Alerts {
    fn of(filter: &str) -> Self {
        // As long as one that is typed: it is looked for in every frame.
        Self { filter: filter.chars().take(INPUT_CHARS_MAX).collect(), ..Self::default() }
    }

    // Firing first, then by name, then by age.
    fn alerts(&self) -> Vec<&Alert> {
        let all = self.active.value().map_or(&[][..], |active| &active.alerts);
        let mut alerts: Vec<&Alert> = all.iter().filter(|alert| self.matches(&words_of(alert))).collect();
        alerts
            .sort_by_key(|alert| (alert.state != "firing", name_of(alert), alert.active_at.as_deref(), key_of(alert)));
        alerts
    }

    // Broken ones first, then by what they say.
    fn placed(&self) -> Vec<Placed<'_>> {
        let groups = self.rules.value().map_or(&[][..], |rules| &rules.groups);
        let of_group = groups.iter().flat_map(|group| {
            group.rules.iter().map(move |rule| Placed {
                file: &group.file,
                group: &group.name,
                kind: &group.kind,
                interval: group.interval,
                rule,
            })
        });
        let mut placed: Vec<Placed<'_>> =
            of_group.filter(|placed| self.matches(&format!("{} {}", placed.group, rule_name(placed.rule)))).collect();
        placed.sort_by_key(|placed| match placed.rule {
            rule if rule_health(rule) == "err" => 0,
            Rule::Alerting(rule) if rule.state == "firing" => 1,
            Rule::Alerting(rule) if rule.state == "pending" => 2,
            _ => 3,
        });
        placed
    }

    // Every word of the filter stands somewhere in `text`.
    fn matches(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        self.filter.split_whitespace().all(|word| text.contains(&word.to_lowercase()))
    }

    fn selected(&self) -> Option<&Alert> {
        let alerts = self.alerts();
        self.alert.index(alerts.len()).map(|index| alerts[index])
    }

    fn selected_sample(&self) -> Option<&AlertSample> {
        let samples = &self.selected()?.samples;
        samples.get(self.sample.min(samples.len().saturating_sub(1)))
    }

    fn sync(&mut self) {
        let keys: Vec<String> = self.alerts().into_iter().map(key_of).collect();
        self.alert.sync(keys.len(), |index| keys[index].clone());
        let keys: Vec<String> = self.placed().iter().map(Placed::key).collect();
        self.rule.sync(keys.len(), |index| keys[index].clone());
        self.sample = self.sample.min(self.selected().map_or(0, |alert| alert.samples.len().saturating_sub(1)));
    }

    fn move_by(&mut self, action: Action) {
        if self.inside {
            let samples = self.selected().map_or(0, |alert| alert.samples.len());
            let at_edge = match action {
                Action::Up => self.sample == 0 || self.tab == Tab::Rules,
                Action::Down => self.sample + 1 >= samples || self.tab == Tab::Rules,
                _ => true,
            };
            match action {
                Action::Down if !at_edge => self.sample += 1,
                // Above the first line of the rest stand the samples.
                Action::Up if !at_edge && self.scroll.is_at_top() => self.sample -= 1,
                other => drop(self.scroll.act(other)),
            }
            return;
        }
        let keys: Vec<String> = match self.tab {
            Tab::Active => self.alerts().into_iter().map(key_of).collect(),
            Tab::Rules => self.placed().iter().map(Placed::key).collect(),
        };
        let cursor = if self.tab == Tab::Active { &mut self.alert } else { &mut self.rule };
        if cursor.act(action, keys.len(), |index| keys[index].clone()) {
            self.sample = 0;
            self.scroll.reset();
        }
    }

    fn enter(&mut self, cx: &mut Context<'_>) {
        let narrow = Breadth::of(Rect::new(0, 0, cx.session.size.0, 1)) == Breadth::Narrow;
        if narrow && !self.detail {
            let is_any = match self.tab {
                Tab::Active => self.selected().is_some(),
                Tab::Rules => !self.placed().is_empty(),
            };
            (self.detail, self.inside) = (is_any, is_any);
            return;
        }
        match self.target() {
            Some(destination) => cx.wishes.push(Wish::Open(destination)),
            None => cx.say("nothing here leads further"),
        }
    }

    // What the row under the cursor is about.
    fn target(&self) -> Option<Destination> {
        let open = |screen, args| Some(Destination { screen, args, range: None });
        if self.tab == Tab::Rules {
            let placed = self.placed();
            let placed = &placed[self.rule.index(placed.len())?];
            return link::of_query(placed.kind, rule_query(placed.rule));
        }
        let alert = self.selected()?;
        if let Some(sample) = self.selected_sample() {
            if let Some(trace) = &sample.trace_id {
                return open("trace", Args { id: trace.clone(), span: sample.span_id.clone(), ..Args::default() });
            }
            if let Some(id) = &sample.correlation_id {
                return open("correlate", Args { id: id.clone(), ..Args::default() });
            }
        }
        let links = ["trace", "logs", "traces", "metrics"].into_iter().filter_map(|kind| alert.links.get(kind));
        links.filter_map(|path| Link::parse(path)?.destination()).next()
    }

    fn draw_tabs(&self, scene: &mut Scene<'_>, line: Rect) {
        let theme = scene.theme;
        let firing =
            self.active.value().map(|active| active.alerts.iter().filter(|alert| alert.state == "firing").count());
        let all = self.active.value().map_or(0, |active| active.alerts.len());
        let broken = self.placed().iter().filter(|placed| rule_health(placed.rule) == "err").count();
        let rules = self.rules.value().map(|rules| rules.groups.iter().map(|group| group.rules.len()).sum::<usize>());
        let number =
            |count: Option<usize>| count.map_or_else(Safe::default, |count| Safe::of(format_args!(" {count}")));
        let tab = |tab: Tab, title: &'static str, count: Option<usize>| {
            let role = if self.tab == tab { Role::Selected } else { Role::Faint };
            [Piece::new(Safe::of(format_args!(" {title}{} ", number(count))), role), Piece::from(" ")]
        };
        let mut pieces = Vec::from(tab(Tab::Active, "Active", self.active.value().map(|_| all)));
        pieces.extend(tab(Tab::Rules, "Rules", rules));
        if let Some(firing) = firing.filter(|firing| *firing > 0) {
            pieces.push(Piece::new(Safe::of(format_args!(" {firing} firing")), Role::Bad));
        }
        if broken > 0 {
            pieces.push(Piece::new(Safe::of(format_args!("  {broken} broken")), Role::Bad));
        }
        if !self.filter.is_empty() {
            pieces.push(Piece::new(Safe::of(format_args!("  filter: {}", self.filter)), Role::Key));
        }
        put_pieces(scene.buffer, (line.x, line.y), line.width, &pieces, theme);
    }

    fn draw_active(&mut self, scene: &mut Scene<'_>, area: Rect) {
        let theme = scene.theme;
        let alerts: Vec<Alert> = self.alerts().into_iter().cloned().collect();
        if alerts.is_empty() {
            let nothing =
                if self.filter.is_empty() { "No alert is pending or firing." } else { "No alert matches the filter." };
            return empty(scene, area, self.active.trouble(), self.active.value().is_some(), nothing);
        }
        let wide = area.width >= 90;
        let columns: &[Column] = match wide {
            true => &[
                Column::left("STATE", 7),
                Column::left("ALERT", 24),
                Column::left("SEVERITY", 9),
                Column::right("SINCE", 6),
                Column::right("VALUE", 10),
                Column::left("ABOUT", 0),
            ],
            false => &[
                Column::left("STATE", 7),
                Column::left("ALERT", 22),
                Column::right("SINCE", 5),
                Column::right("VALUE", 8),
                Column::left("ABOUT", 0),
            ],
        };
        let body = list::heading(scene.buffer, area, theme, columns);
        let seen = self.alert.visible(alerts.len(), body.height);
        let at = self.alert.index(alerts.len());
        for (row, index) in seen.enumerate() {
            let alert = &alerts[index];
            let (word, role) = Theme::alert(&alert.state);
            let since = alert.active_at.as_deref().map_or_else(Safe::default, |since| age_of(since, scene.now));
            let severity = alert.labels.get("severity").map_or_else(Safe::default, |text| Safe::line(text));
            let severity_role = severity_role(severity.as_str());
            let mut cells = vec![Piece::new(word, role), Piece::new(Safe::line(name_of(alert)), Role::Strong)];
            if wide {
                cells.push(Piece::new(severity, severity_role));
            }
            cells.extend([Piece::new(since, Role::Faint), value_piece(alert), Piece::new(about(alert), Role::Text)]);
            list::row(scene.buffer, line_of(body, row as u16), theme, columns, &cells, at == Some(index));
        }
    }

    fn draw_rules(&mut self, scene: &mut Scene<'_>, area: Rect) {
        let theme = scene.theme;
        let placed = self.placed();
        if placed.is_empty() {
            let nothing =
                if self.filter.is_empty() { "The server has no rules." } else { "No rule matches the filter." };
            return empty(scene, area, self.rules.trouble(), self.rules.value().is_some(), nothing);
        }
        let wide = area.width >= 90;
        let columns: &[Column] = match wide {
            true => &[
                Column::left("STATE", 8),
                Column::left("RULE", 28),
                Column::left("GROUP", 18),
                Column::right("FOR", 6),
                Column::right("LAST", 6),
                Column::right("TOOK", 8),
                Column::left("EXPRESSION, OR ITS ERROR", 0),
            ],
            false => &[Column::left("STATE", 8), Column::left("RULE", 24), Column::left("EXPRESSION, OR ITS ERROR", 0)],
        };
        let rows: Vec<Vec<Piece>> = placed.iter().map(|placed| placed.row(wide, scene)).collect();
        let len = rows.len();
        let body = list::heading(scene.buffer, area, theme, columns);
        let seen = self.rule.visible(len, body.height);
        let at = self.rule.index(len);
        for (row, index) in seen.enumerate() {
            list::row(scene.buffer, line_of(body, row as u16), theme, columns, &rows[index], at == Some(index));
        }
    }

    fn draw_detail(&mut self, scene: &mut Scene<'_>, area: Rect) {
        let theme = scene.theme;
        if self.tab == Tab::Rules {
            let placed = self.placed();
            let Some(placed) = self.rule.index(placed.len()).map(|index| &placed[index]) else { return };
            let (title, text) = (Safe::line(rule_name(placed.rule)), detail::of_rule(placed, scene.now));
            let body = panel(scene.buffer, area, theme, self.inside, &title, &[]);
            return details(scene.buffer, body, theme, &text, &mut self.scroll);
        }
        let Some(alert) = self.selected().cloned() else { return };
        let mut rest = area;
        if !alert.samples.is_empty() {
            let height = u16::try_from(alert.samples.len()).unwrap_or(u16::MAX).saturating_add(1).min(area.height / 2);
            let place = Rect { height, ..area };
            let note = [Piece::new("Enter: to its span", Role::Faint)];
            let body = panel(scene.buffer, place, theme, self.inside, &Safe::from_static("Samples"), &note);
            for (row, sample) in alert.samples.iter().enumerate().take(usize::from(body.height)) {
                detail::draw_sample(scene, line_of(body, row as u16), sample, row == self.sample);
            }
            rest = Rect { y: area.y + height, height: area.height - height, ..area };
        }
        let inside = self.inside && alert.samples.is_empty();
        let title = Safe::line(name_of(&alert));
        let body = panel(scene.buffer, rest, theme, inside, &title, &[]);
        let text = detail::of_alert(&alert, scene.now);
        details(scene.buffer, body, theme, &text, &mut self.scroll);
    }
}

impl Placed<'_> {
    fn key(&self) -> String {
        format!("{}\0{}\0{}\0{}", self.file, self.group, rule_name(self.rule), rule_query(self.rule))
    }

    fn row(&self, wide: bool, scene: &Scene<'_>) -> Vec<Piece> {
        let (state, role) = match (rule_health(self.rule), self.rule) {
            ("err", _) => ("BROKEN", Role::Bad),
            (_, Rule::Alerting(rule)) => Theme::alert(&rule.state),
            (_, Rule::Recording(_)) => ("records", Role::Faint),
        };
        let about = match rule_error(self.rule) {
            Some(error) => Piece::new(Safe::line(error), Role::Bad),
            None => Piece::new(Safe::line(rule_query(self.rule)), Role::Text),
        };
        let mut row = vec![Piece::new(state, role), Piece::new(Safe::line(rule_name(self.rule)), Role::Strong)];
        if wide {
            let (pends, last, took) = match self.rule {
                Rule::Alerting(rule) => (seconds(rule.duration), &rule.last_evaluation, rule.evaluation_time),
                Rule::Recording(rule) => (Safe::default(), &rule.last_evaluation, rule.evaluation_time),
            };
            row.push(Piece::new(Safe::line(self.group), Role::Faint));
            row.push(Piece::new(pends, Role::Text));
            row.push(Piece::new(age_of(last, scene.now), Role::Faint));
            row.push(Piece::new(seconds(took), Role::Faint));
        }
        row.push(about);
        row
    }
}

impl Screen for Alerts {
    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    fn load(&mut self, cx: &mut Context<'_>) {
        self.active.ask(Ask::Alerts, cx);
        self.rules.ask(Ask::Rules, cx);
    }

    fn act(&mut self, action: Action, cx: &mut Context<'_>) {
        match action {
            NEXT_TAB => {
                self.tab = if self.tab == Tab::Active { Tab::Rules } else { Tab::Active };
                (self.detail, self.inside, self.sample) = (false, false, 0);
                self.scroll.reset();
            }
            SAMPLES => {
                self.inside = !self.inside;
                self.detail = self.inside;
            }
            Action::Enter => self.enter(cx),
            other => self.move_by(other),
        }
    }

    fn answer(&mut self, answer: Answer, cx: &mut Context<'_>) {
        if self.active.awaits(&answer) {
            self.active.settle(answer, cx);
        } else {
            self.rules.settle(answer, cx);
        }
        self.sync();
    }

    fn tick(&mut self, cx: &mut Context<'_>) -> bool {
        let now = cx.session.now.monotonic;
        if self.active.is_due(REFRESH_EVERY, now) {
            self.active.ask(Ask::Alerts, cx);
        }
        if self.rules.is_due(REFRESH_EVERY, now) {
            self.rules.ask(Ask::Rules, cx);
        }
        // Ages are counted by the answers, which come every few seconds.
        false
    }

    fn draw(&mut self, scene: &mut Scene<'_>) {
        let area = scene.area;
        self.draw_tabs(scene, line_of(area, 0));
        let below = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
        let narrow = Breadth::of(below) == Breadth::Narrow;
        let has_rows = match self.tab {
            Tab::Active => self.selected().is_some(),
            Tab::Rules => !self.placed().is_empty(),
        };
        let (mut upper, mut lower) = with_detail(below, has_rows && (!narrow || self.detail));
        if Breadth::of(below) == Breadth::Middle && !lower.is_empty() {
            // A short list leaves its lines to what it says in full.
            let rows = match self.tab {
                Tab::Active => self.alerts().len(),
                Tab::Rules => self.placed().len(),
            };
            let height = u16::try_from(rows).unwrap_or(u16::MAX).saturating_add(2).min(upper.height);
            lower = Rect { y: below.y + height, height: below.height - height, ..below };
            upper.height = height;
        }
        if !upper.is_empty() {
            match self.tab {
                Tab::Active => self.draw_active(scene, upper),
                Tab::Rules => self.draw_rules(scene, upper),
            }
        }
        if !lower.is_empty() {
            self.draw_detail(scene, lower);
        }
    }

    fn filter(&self) -> Option<&str> {
        Some(&self.filter)
    }

    fn set_filter(&mut self, filter: String, _cx: &mut Context<'_>) {
        self.filter = filter;
        self.alert.reset();
        self.rule.reset();
        self.sync();
    }

    fn subject(&self) -> Subject {
        if self.tab == Tab::Rules {
            let placed = self.placed();
            let name = self.rule.index(placed.len()).map(|index| rule_name(placed[index].rule).to_owned());
            return Subject { alert: name, ..Subject::default() };
        }
        let Some(alert) = self.selected() else { return Subject::default() };
        let sample = self.selected_sample();
        let label = |names: &[&str]| names.iter().find_map(|name| alert.labels.get(*name)).cloned();
        let trace = alert.links.get("trace").and_then(|path| Link::parse(path)).and_then(|link| link.trace_id());
        let time = sample.map(|sample| sample.timestamp.as_str()).or(alert.active_at.as_deref());
        Subject {
            service: sample
                .and_then(|sample| sample.service.clone())
                .or_else(|| label(&["service", "service_name", "job"])),
            trace: sample.and_then(|sample| sample.trace_id.clone()).or(trace),
            span: sample.and_then(|sample| sample.span_id.clone()),
            correlation: sample.and_then(|sample| sample.correlation_id.clone()),
            time: time.and_then(format::moment),
            alert: Some(name_of(alert).to_owned()),
            ..Subject::default()
        }
    }

    fn copy(&self) -> Option<Safe> {
        match self.tab {
            Tab::Active => self.selected().map(|alert| Safe::line(&words_of(alert))),
            Tab::Rules => {
                let placed = self.placed();
                self.rule.index(placed.len()).map(|index| Safe::line(rule_query(placed[index].rule)))
            }
        }
    }

    fn close(&mut self) -> bool {
        let was = self.detail || self.inside;
        (self.detail, self.inside) = (false, false);
        was
    }

    fn is_settled(&self) -> bool {
        !self.active.is_loading() && !self.rules.is_loading()
    }

    fn json(&self) -> Value {
        json!({ "alerts": self.active.value().map(|active| &active.alerts), "groups": self.rules.value().map(|rules| &rules.groups) })
    }
}

fn empty(scene: &mut Scene<'_>, area: Rect, trouble: Option<&Trouble>, is_there: bool, nothing: &'static str) {
    let area = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    match trouble {
        Some(trouble) => {
            let label = (trouble.kind.label(), Role::Bad);
            sentence(scene.buffer, area, scene.theme, label, &trouble.sentence, trouble.hint.as_ref());
        }
        None => {
            let text = if is_there { nothing } else { "loading" };
            put(scene.buffer, (area.x + 2, area.y), area.width.saturating_sub(2), text, scene.theme.style(Role::Faint));
        }
    }
}

fn name_of(alert: &Alert) -> &str {
    alert.labels.get("alertname").map_or("unnamed", String::as_str)
}

fn key_of(alert: &Alert) -> String {
    if alert.fingerprint.is_empty() { words_of(alert) } else { alert.fingerprint.clone() }
}

fn words_of(alert: &Alert) -> String {
    let labels = alert.labels.iter().filter(|(name, _)| *name != "alertname");
    labels.fold(name_of(alert).to_owned(), |text, (name, value)| format!("{text} {name}={value}"))
}

// The summary, if somebody wrote one; else the labels that tell it from others.
fn about(alert: &Alert) -> Safe {
    if let Some(text) = ["summary", "description", "message"].iter().find_map(|name| alert.annotations.get(*name)) {
        return Safe::line(text);
    }
    let labels = alert.labels.iter().filter(|(name, _)| !matches!(name.as_str(), "alertname" | "severity"));
    Safe::line(&labels.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" "))
}

fn value_piece(alert: &Alert) -> Piece {
    let number = crate::dashboard::series::number(&alert.value);
    if number.is_finite() { Piece::from(format::short_count(number)) } else { Piece::from(Safe::line(&alert.value)) }
}

fn severity_role(word: &str) -> Role {
    match word {
        "critical" | "error" | "page" => Role::Bad,
        "warning" | "warn" => Role::Warning,
        _ => Role::Text,
    }
}

fn age_of(text: &str, now: model::Timestamp) -> Safe {
    // The year 1 means never.
    match format::moment(text).filter(|_| !text.starts_with("0001-")) {
        Some(moment) => format::age(now.as_nanos().saturating_sub(moment.as_nanos())),
        None => Safe::from_static("-"),
    }
}

fn seconds(seconds: f64) -> Safe {
    Safe::line(&crate::dashboard::Unit::Seconds.write(seconds, None))
}

fn rule_name(rule: &Rule) -> &str {
    match rule {
        Rule::Alerting(rule) => &rule.name,
        Rule::Recording(rule) => &rule.name,
    }
}

fn rule_query(rule: &Rule) -> &str {
    match rule {
        Rule::Alerting(rule) => &rule.query,
        Rule::Recording(rule) => &rule.query,
    }
}

fn rule_health(rule: &Rule) -> &str {
    match rule {
        Rule::Alerting(rule) => &rule.health,
        Rule::Recording(rule) => &rule.health,
    }
}

fn rule_error(rule: &Rule) -> Option<&str> {
    match rule {
        Rule::Alerting(rule) => rule.last_error.as_deref(),
        Rule::Recording(rule) => rule.last_error.as_deref(),
    }
}
