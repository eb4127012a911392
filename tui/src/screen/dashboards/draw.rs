//! Draws an open board: its variables, its panels on their grid, or one of them over the whole screen.

use model::wire::alerts::{Alert, Alerts};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::board::Open;
use super::panel::Pane;
use super::told;
use crate::dashboard::series::Series;
use crate::dashboard::variables::{Choice, Language};
use crate::dashboard::{Level, Panel, PanelKind, Source, Unit, grid};
use crate::format;
use crate::sanitize::Safe;
use crate::screen::Scene;
use crate::theme::{Role, Theme};
use crate::widget::bar::{self, Bar};
use crate::widget::chart::{Chart, Ink, legend_lines, legend_table};
use crate::widget::gauge::Gauge;
use crate::widget::list::{self, Column};
use crate::widget::panel::panel;
use crate::widget::sentence::sentence;
use crate::widget::table::{Cell, Column as TableColumn, Table, order};
use crate::widget::trend::trend;
use crate::widget::{Piece, line_of, put, put_pieces, stat};

impl Open {
    /// Draws the board, and what is chosen from over it.
    pub(super) fn draw(&mut self, scene: &mut Scene<'_>) {
        let area = scene.area;
        let used = self.draw_head(scene, area).min(area.height);
        let body = Rect { y: area.y + used, height: area.height - used, ..area };
        if self.zoomed {
            self.draw_panel(scene, self.focus, body);
        } else {
            self.draw_grid(scene, body);
        }
        if let Some(mut picker) = self.picker {
            picker.draw(scene, &self.board, &self.values, &self.choices);
            self.picker = Some(picker);
        }
    }

    // The file's complaint and the variables' values; gives the lines that took.
    fn draw_head(&self, scene: &mut Scene<'_>, area: Rect) -> u16 {
        let theme = scene.theme;
        let mut used = 0;
        if let Some(error) = &self.error {
            let (text, hint) = told(error);
            let hint = Safe::of(format_args!("{} Below is the last good board.", hint.unwrap_or_default()));
            used += sentence(scene.buffer, area, theme, ("BROKEN FILE", Role::Bad), &text, Some(&hint));
        }
        if !self.board.variables.is_empty() {
            let mut pieces = Vec::new();
            for variable in &self.board.variables {
                let value = self.choices.get(&variable.name).map_or_else(|| "-".to_owned(), Choice::words);
                pieces.push(Piece::new(Safe::of(format_args!(" {}: ", variable.label)), Role::Faint));
                pieces.push(Piece::new(Safe::line(&value).truncated(30), Role::Strong));
                pieces.push(Piece::from(" "));
            }
            pieces.push(Piece::new("  v chooses", Role::Faint));
            let line = line_of(area, used);
            put_pieces(scene.buffer, (line.x, line.y), line.width, &pieces, theme);
            used += 1;
        }
        used
    }

    fn draw_grid(&mut self, scene: &mut Scene<'_>, body: Rect) {
        self.places = grid::places(&self.board.panels, body.width, body.height);
        let lines = grid::lines(&self.places);
        // The panel that has the keys is seen as a whole if it fits.
        if let Some(place) = self.places.get(self.focus) {
            let lowest = place.bottom().saturating_sub(body.height).min(place.y);
            self.offset = self.offset.clamp(lowest, place.y.max(lowest));
        }
        self.offset = self.offset.min(lines.saturating_sub(body.height));
        for (at, place) in self.places.clone().into_iter().enumerate() {
            let (top, bottom) = (place.y.max(self.offset), place.bottom().min(self.offset.saturating_add(body.height)));
            if top >= bottom {
                continue;
            }
            // A column of air at the right of what does not reach the edge.
            let width = if place.right() < body.width { place.width.saturating_sub(1) } else { place.width };
            let x = body.x + place.x;
            if top == place.y && bottom == place.bottom() {
                let area = Rect { x, y: body.y + place.y - self.offset, width, height: place.height };
                self.draw_panel(scene, at, area);
                continue;
            }
            // Cut off above or below: drawn beside the screen, and the part that is seen copied.
            let mut whole = Buffer::empty(Rect::new(x, 0, width, place.height));
            let area = whole.area;
            let mut aside = Scene { buffer: &mut whole, area, ..*scene };
            self.draw_panel(&mut aside, at, area);
            for y in top..bottom {
                for column in x..x + width {
                    scene.buffer[(column, body.y + y - self.offset)] = whole[(column, y - place.y)].clone();
                }
            }
        }
        if lines > body.height {
            let more = Safe::of(format_args!(" {}/{lines} ", (self.offset + body.height).min(lines)));
            let line = line_of(body, body.height.saturating_sub(1));
            let wide = u16::try_from(more.width()).unwrap_or(0).min(line.width);
            put(scene.buffer, (line.right() - wide, line.y), wide, &more, scene.theme.style(Role::Chrome));
        }
    }

    fn draw_panel(&mut self, scene: &mut Scene<'_>, at: usize, area: Rect) {
        let board = std::sync::Arc::clone(&self.board);
        let (Some(of), Some(mut pane)) = (board.panels.get(at), self.panes.get_mut(at).map(std::mem::take)) else {
            return;
        };
        let view = View { open: self, panel: of, area, focused: at == self.focus, zoomed: self.zoomed };
        view.draw(scene, &mut pane);
        self.panes[at] = pane;
    }
}

/// One panel while it is drawn.
struct View<'a> {
    open: &'a Open,
    panel: &'a Panel,
    area: Rect,
    focused: bool,
    zoomed: bool,
}

impl View<'_> {
    fn draw(&self, scene: &mut Scene<'_>, pane: &mut Pane) {
        let theme = scene.theme;
        let title = Safe::line(&self.apply(&self.panel.title));
        let mut note = Vec::new();
        if pane.more() > 0 {
            note.push(Piece::new(Safe::of(format_args!("{} more not shown", pane.more())), Role::Warning));
        }
        let trouble = pane.trouble().or_else(|| self.shared_trouble()).cloned();
        if let Some(trouble) = trouble.as_ref().filter(|_| pane.has_come()) {
            note.push(Piece::new(trouble.kind.label(), Role::Bad));
        }
        let body = panel(scene.buffer, self.area, theme, self.focused, &title, &note);
        let body = Rect { x: body.x + 1.min(body.width), width: body.width.saturating_sub(2), ..body };
        if body.is_empty() {
            return;
        }
        let is_alone = !pane.has_come() && !matches!(self.panel.kind, PanelKind::Text(_) | PanelKind::AlertList(_));
        match &trouble {
            Some(trouble) if is_alone => {
                let area = Rect { x: body.x.saturating_sub(1), width: body.width + 2, ..body };
                let label = (trouble.kind.label(), Role::Bad);
                sentence(scene.buffer, area, theme, label, &trouble.sentence, trouble.hint.as_ref());
            }
            None if is_alone => self.say(scene, body, if pane.asking() > 0 { "asking" } else { self.nothing() }),
            _ => self.draw_body(scene, body, pane),
        }
    }

    fn draw_body(&self, scene: &mut Scene<'_>, body: Rect, pane: &mut Pane) {
        match &self.panel.kind {
            PanelKind::Text(text) => self.draw_text(scene, body, text),
            PanelKind::Logs => self.draw_logs(scene, body, pane),
            PanelKind::AlertList(state) => self.draw_alerts(scene, body, pane, state.as_deref()),
            _ if pane.queries.iter().all(|asked| asked.series.is_empty()) => self.say(scene, body, self.nothing()),
            PanelKind::Timeseries => self.draw_lines(scene, body, pane),
            PanelKind::Stat => self.draw_stat(scene, body, pane),
            PanelKind::Gauge => self.draw_gauge(scene, body, pane),
            PanelKind::Bar => self.draw_bars(scene, body, pane),
            PanelKind::Table => self.draw_table(scene, body, pane),
        }
    }

    fn apply(&self, text: &str) -> String {
        self.open.choices.apply(text, Language::Words)
    }

    // Why there is no number.
    fn nothing(&self) -> &'static str {
        let counts = self.panel.queries.iter().any(|query| matches!(query.source, Source::Counter(_)));
        match counts {
            // A rate needs two of them.
            true if self.open.history.begins() == self.open.history.ends() => "begins with the next refresh",
            _ => "no data",
        }
    }

    fn shared_trouble(&self) -> Option<&crate::effect::Trouble> {
        let counts = self.panel.queries.iter().any(|query| matches!(query.source, Source::Counter(_)));
        match self.panel.kind {
            PanelKind::AlertList(_) => self.open.alerts.trouble(),
            _ if counts => self.open.status.trouble(),
            _ => None,
        }
    }

    fn say(&self, scene: &mut Scene<'_>, body: Rect, text: &'static str) {
        let line = line_of(body, body.height.saturating_sub(1) / 2);
        let wide = u16::try_from(text.len()).unwrap_or(0).min(line.width);
        put(scene.buffer, (line.x + (line.width - wide) / 2, line.y), wide, text, scene.theme.style(Role::Faint));
    }

    fn write(&self, value: f64) -> Safe {
        Safe::line(&self.panel.unit.write(value, self.panel.decimals))
    }

    fn role(&self, value: f64, otherwise: Role) -> Role {
        self.panel.level(value).map_or(otherwise, role_of)
    }

    // The names and newest values of all series.
    fn newest(&self, pane: &Pane) -> Vec<(Safe, f64)> {
        let queries = self.panel.queries.iter().zip(&pane.queries);
        let newest = queries.flat_map(|(query, asked)| {
            let legend = self.apply(&query.legend);
            asked.series.iter().map(move |one| (one.name(&legend), one.last().unwrap_or(f64::NAN)))
        });
        newest.collect()
    }

    fn draw_lines(&self, scene: &mut Scene<'_>, body: Rect, pane: &mut Pane) {
        let lines = pane.lines(self.panel, |text| self.apply(text));
        let (range, step_ns) = self.open.times;
        let seconds = |moment: model::Timestamp| moment.as_nanos() as f64 / 1e9;
        let thresholds: Vec<(f64, Role)> =
            self.panel.thresholds.iter().map(|threshold| (threshold.value, role_of(threshold.level))).collect();
        let counts = self.panel.queries.iter().any(|query| matches!(query.source, Source::Counter(_)));
        // Counters are asked for at every refresh, not at every step.
        let step_ns = if counts {
            step_ns.max(i64::try_from(self.open.board.refresh_ms).unwrap_or(0) * 2_500_000)
        } else {
            step_ns
        };
        let (unit, decimals, theme) = (self.panel.unit, self.panel.decimals, scene.theme);
        let wanted = if self.zoomed { lines.len() + 1 } else { legend_height(body, &lines) };
        let legend = u16::try_from(wanted).unwrap_or(u16::MAX).min(body.height / 3);
        let chart_area = Rect { height: body.height - legend, ..body };
        let chart = Chart {
            lines: &lines,
            times: (seconds(range.start), seconds(range.end).max(self.open.history_end())),
            step: step_ns as f64 / 1e9,
            ends: (self.panel.min, self.panel.max),
            unit,
            thresholds: &thresholds,
            ink: Ink::of(theme, self.open.blocks),
            theme,
        };
        chart.draw(scene.buffer, chart_area);
        let place = Rect { y: chart_area.bottom(), height: legend, ..body };
        if self.zoomed {
            let seen = pane.visible(lines.len(), legend.saturating_sub(1));
            legend_table(scene.buffer, place, &lines, (seen.start, Some(pane.cursor)), unit, decimals, theme);
        } else {
            legend_lines(scene.buffer, place, &lines, unit, decimals, theme);
        }
    }

    fn draw_stat(&self, scene: &mut Scene<'_>, body: Rect, pane: &Pane) {
        let newest = self.newest(pane);
        let (theme, unit) = (scene.theme, self.panel.unit);
        let [(_, value)] = newest[..] else { return self.draw_stats(scene, body, &newest) };
        let role = self.role(value, Role::Strong);
        let body = Rect { x: body.x + 1.min(body.width), width: body.width.saturating_sub(1), ..body };
        if !value.is_finite() {
            stat::draw(scene.buffer, body, &self.write(value), &Safe::default(), Role::Faint, theme);
            return;
        }
        let points: Vec<f64> = pane
            .queries
            .iter()
            .flat_map(|asked| &asked.series)
            .flat_map(|one| one.points.iter().map(|(_, value)| *value))
            .collect();
        // Below the number, where there is a line to spare; else beside it.
        let has_line = body.height >= 5 && points.len() > 1;
        let place = if has_line { Rect { height: body.height - 1, ..body } } else { body };
        let (number, suffix) = unit.parts(value, self.panel.decimals);
        let used = stat::draw(scene.buffer, place, &Safe::line(&number), &Safe::from_static(suffix), role, theme);
        let trend_role = if role == Role::Strong { Role::Key } else { role };
        if has_line {
            let line = line_of(body, body.height - 1);
            trend(scene.buffer, line, theme, &last_of(&points, line.width), trend_role);
        } else if points.len() > 1 && used + 10 <= body.width {
            let x = body.x + used + 2;
            let line = Rect { x, y: body.y + body.height / 2, width: body.right() - x, height: 1 };
            trend(scene.buffer, line, theme, &last_of(&points, line.width), trend_role);
        }
    }

    // Several numbers in one panel: each with its name.
    fn draw_stats(&self, scene: &mut Scene<'_>, body: Rect, newest: &[(Safe, f64)]) {
        let theme = scene.theme;
        let body = to_edge(body);
        let columns = [Column::left("", 0), Column::right("", 12.min(body.width / 2))];
        for (row, (name, value)) in (0..body.height).zip(newest) {
            let cells = [
                Piece::new(name.clone(), Role::Faint),
                Piece::new(self.write(*value), self.role(*value, Role::Strong)),
            ];
            list::row(scene.buffer, line_of(body, row), theme, &columns, &cells, false);
        }
    }

    fn ends(&self) -> (f64, f64) {
        let most = match self.panel.unit {
            Unit::Percent => 100.0,
            _ => 1.0,
        };
        (self.panel.min.unwrap_or(0.0), self.panel.max.unwrap_or(most))
    }

    fn draw_gauge(&self, scene: &mut Scene<'_>, body: Rect, pane: &Pane) {
        let newest = self.newest(pane);
        let (least, most) = self.ends();
        let share = |value: f64| (value - least) / (most - least);
        let marks: Vec<(f64, Role)> =
            self.panel.thresholds.iter().map(|threshold| (share(threshold.value), role_of(threshold.level))).collect();
        let ends = (self.write(least), self.write(most));
        if let [(_, value)] = newest[..] {
            let text = self.write(value);
            let share = if value.is_finite() { share(value) } else { 0.0 };
            let role = self.role(value, if value.is_finite() { Role::Good } else { Role::Faint });
            let gauge = Gauge { share, texts: (&text, &ends.0, &ends.1), marks: &marks, role, theme: scene.theme };
            return gauge.draw(scene.buffer, body);
        }
        self.draw_bars_of(scene, body, 0, &newest, Some(most));
    }

    fn draw_bars(&self, scene: &mut Scene<'_>, body: Rect, pane: &mut Pane) {
        let mut newest = self.newest(pane);
        match pane.sort.map(|sort| sort.column % 2) {
            // As a table of two columns would be sorted.
            Some(0) => newest.sort_by(|one, other| one.0.cmp(&other.0)),
            _ => newest.sort_by(|one, other| other.1.total_cmp(&one.1)),
        }
        if pane.sort.is_some_and(|sort| sort.descending) {
            newest.reverse();
        }
        let offset = if self.zoomed { pane.visible(newest.len(), body.height).start } else { 0 };
        self.draw_bars_of(scene, body, offset, &newest, self.panel.max);
    }

    fn draw_bars_of(&self, scene: &mut Scene<'_>, body: Rect, offset: usize, newest: &[(Safe, f64)], max: Option<f64>) {
        let bar = |(name, value): &(Safe, f64)| Bar {
            name: name.clone(),
            value: *value,
            text: self.write(*value),
            role: self.role(*value, Role::Key),
        };
        let bars: Vec<Bar> = newest.iter().map(bar).collect();
        bar::draw(scene.buffer, body, &bars, (offset, max), scene.theme);
    }

    fn draw_table(&self, scene: &mut Scene<'_>, body: Rect, pane: &mut Pane) {
        let (columns, rows) = self.table_of(pane);
        let sort =
            pane.sort.map(|sort| crate::widget::table::Sort { column: sort.column % columns.len().max(1), ..sort });
        let sorted: Vec<Vec<Cell>> = match sort {
            Some(sort) => order(&rows, sort).into_iter().map(|at| rows[at].clone()).collect(),
            None => rows,
        };
        let seen = pane.visible(sorted.len(), body.height.saturating_sub(1));
        let table = Table {
            columns: &columns,
            rows: &sorted,
            sort,
            offset: if self.zoomed { seen.start } else { 0 },
            cursor: self.zoomed.then_some(pane.cursor),
            theme: scene.theme,
        };
        table.draw(scene.buffer, body);
    }

    // Series with the same labels share a row; each query has a column for its numbers.
    fn table_of(&self, pane: &Pane) -> (Vec<TableColumn>, Vec<Vec<Cell>>) {
        let mut labels: Vec<&str> = Vec::new();
        let mut rows: Vec<(&Series, Vec<Option<f64>>)> = Vec::new();
        let count = pane.queries.len();
        for (at, asked) in pane.queries.iter().enumerate() {
            for one in &asked.series {
                for label in one.labels.keys().filter(|label| *label != "__name__") {
                    if !labels.contains(&label.as_str()) {
                        labels.push(label);
                    }
                }
                let row = match rows.iter().position(|(other, _)| other.labels == one.labels) {
                    Some(row) => row,
                    None => {
                        rows.push((one, vec![None; count]));
                        rows.len() - 1
                    }
                };
                rows[row].1[at] = one.last();
            }
        }
        // Who it is comes first.
        labels.sort_by_key(|label| (!matches!(*label, "job" | "service_name" | "service"), *label));
        let mut columns: Vec<TableColumn> = Vec::new();
        for (at, label) in labels.iter().enumerate() {
            let title = Safe::line(label);
            columns.push(if at == 0 { TableColumn::flexible(title) } else { TableColumn::new(title) });
        }
        for query in &self.panel.queries {
            let legend = self.apply(&query.legend);
            let is_plain = !legend.is_empty() && !legend.contains("{{");
            columns.push(TableColumn::new(if is_plain { Safe::line(&legend) } else { Safe::from_static("value") }));
        }
        let cell = |value: &Option<f64>| match value {
            Some(value) => Cell::number(*value, self.write(*value)).role(self.role(*value, Role::Strong)),
            None => Cell::number(f64::NAN, "-").role(Role::Faint),
        };
        let row = |(one, values): &(&Series, Vec<Option<f64>>)| {
            let texts = labels
                .iter()
                .map(|label| Cell::text(one.labels.get(*label).map_or_else(Safe::default, |text| Safe::line(text))));
            texts.chain(values.iter().map(cell)).collect()
        };
        let mut cells: Vec<Vec<Cell>> = rows.iter().map(row).collect();
        // The greatest of the first numbers first, until somebody sorts.
        let first = labels.len();
        let sorted = order(&cells, crate::widget::table::Sort { column: first, descending: true });
        cells = sorted.into_iter().map(|at| cells[at].clone()).collect();
        (columns, cells)
    }

    fn draw_logs(&self, scene: &mut Scene<'_>, body: Rect, pane: &mut Pane) {
        let theme = scene.theme;
        let body = to_edge(body);
        let len = pane.logs.value().map_or(0, |page| page.rows.len());
        if len == 0 {
            return self.say(scene, body, "no record matches");
        }
        let seen = pane.visible(len, body.height);
        let seen = if self.zoomed { seen } else { 0..len.min(usize::from(body.height)) };
        let service = if body.width >= 80 { 14 } else { 10 };
        let columns = [Column::left("", 8), Column::left("", 1), Column::left("", service), Column::left("", 0)];
        let rows = pane.logs.value().map_or(&[][..], |page| &page.rows);
        for (line, index) in (0..body.height).zip(seen) {
            let row = &rows[index];
            let (letter, role) = Theme::severity(row.severity.as_deref());
            let clock = format::moment(&row.timestamp).map_or_else(|| Safe::line(&row.timestamp), format::clock);
            let text_role = if role == Role::Bad { Role::Bad } else { Role::Text };
            let cells = [
                Piece::new(clock, Role::Faint),
                Piece::new(letter, role),
                Piece::new(row.service.as_deref().map_or_else(Safe::default, Safe::line), Role::Key),
                Piece::new(format::value(&row.body), text_role),
            ];
            list::row(scene.buffer, line_of(body, line), theme, &columns, &cells, self.zoomed && index == pane.cursor);
        }
    }

    fn draw_alerts(&self, scene: &mut Scene<'_>, body: Rect, pane: &mut Pane, state: Option<&str>) {
        let theme = scene.theme;
        if let (Some(trouble), None) = (self.open.alerts.trouble(), self.open.alerts.value()) {
            let label = (trouble.kind.label(), Role::Bad);
            sentence(scene.buffer, body, theme, label, &trouble.sentence, trouble.hint.as_ref());
            return;
        }
        let body = to_edge(body);
        let alerts = listed(self.open.alerts.value(), state);
        if alerts.is_empty() {
            let text = if self.open.alerts.value().is_some() { "no alert" } else { "asking" };
            return self.say(scene, body, text);
        }
        let seen = pane.visible(alerts.len(), body.height);
        let seen = if self.zoomed { seen } else { 0..alerts.len().min(usize::from(body.height)) };
        let columns: &[Column] = match body.width {
            ..50 => &[Column::left("", 7), Column::left("", 0), Column::right("", 4)],
            _ => &[Column::left("", 7), Column::left("", 22), Column::left("", 0), Column::right("", 4)],
        };
        for (line, index) in (0..body.height).zip(seen) {
            let alert = alerts[index];
            let (word, role) = Theme::alert(&alert.state);
            let since = alert.active_at.as_deref().and_then(format::moment);
            let age = since
                .map_or_else(Safe::default, |since| format::age(scene.now.as_nanos().saturating_sub(since.as_nanos())));
            let label = |name: &str| alert.labels.get(name).map_or_else(Safe::default, |text| Safe::line(text));
            let summary = alert.annotations.get("summary").map_or_else(Safe::default, |text| Safe::line(text));
            let mut cells = vec![Piece::new(word, role), Piece::new(label("alertname"), Role::Strong)];
            if columns.len() == 4 {
                cells.push(Piece::from(summary));
            }
            cells.push(Piece::new(age, Role::Faint));
            list::row(scene.buffer, line_of(body, line), theme, columns, &cells, self.zoomed && index == pane.cursor);
        }
    }

    fn draw_text(&self, scene: &mut Scene<'_>, body: Rect, text: &str) {
        let lines = text.lines().flat_map(|line| {
            let line = Safe::line(&self.apply(line));
            line.wrapped(usize::from(body.width).max(1), usize::from(body.height))
        });
        for (row, line) in (0..body.height).zip(lines) {
            let place = line_of(body, row);
            put(scene.buffer, (place.x, place.y), place.width, &line, scene.theme.style(Role::Text));
        }
    }
}

/// The alerts of one state, firing ones first.
pub(super) fn listed<'a>(alerts: Option<&'a Alerts>, state: Option<&str>) -> Vec<&'a Alert> {
    let all = alerts.map_or(&[][..], |alerts| &alerts.alerts);
    let mut alerts: Vec<&Alert> = all.iter().filter(|alert| state.is_none_or(|state| alert.state == state)).collect();
    alerts.sort_by_key(|alert| (alert.state != "firing", alert.labels.get("alertname")));
    alerts
}

// Rows of lists bring their own margin.
fn to_edge(body: Rect) -> Rect {
    Rect { x: body.x.saturating_sub(1), width: body.width + 2, ..body }
}

fn role_of(level: Level) -> Role {
    match level {
        Level::Good => Role::Good,
        Level::Warn => Role::Warning,
        Level::Bad => Role::Bad,
    }
}

// One line for what fits into one, two for more; none where the chart needs every line.
fn legend_height(body: Rect, lines: &[crate::widget::chart::Line]) -> usize {
    let cells: usize = lines.iter().map(|line| line.name.width() + 13).sum();
    match (body.height, cells > usize::from(body.width)) {
        (..5, _) => 0,
        (5..9, _) | (_, false) => 1,
        (_, true) => 2,
    }
}

fn last_of(points: &[f64], width: u16) -> Vec<f64> {
    // Where there are more points than columns, a column shows the greatest of its own; half as many columns as points look best.
    let from = points.len().saturating_sub(usize::from(width) * 8);
    points[from..].to_vec()
}
