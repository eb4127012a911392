//! From what YAML gave to a board: everything that types alone cannot say.

use std::ops::RangeInclusive;

use serde_saphyr::Spanned;

use super::super::counters::{CounterQuery, Reading};
use super::super::error::{FileError, suggest};
use super::super::limits;
use super::super::raw::{RawBoard, RawKind, RawPanel, RawQuery, RawThreshold, RawVariable};
use super::super::unit::Unit;
use super::super::variables::{self, BUILT_IN};
use super::{Board, Level, Panel, PanelKind, Query, Source, Threshold, Variable, VariableKind, duration_ms};

const REFRESH_MS: u64 = 10_000;
const INTERVAL_MS: u64 = 60_000;
const LEVELS: [(&str, Level); 3] = [("good", Level::Good), ("warn", Level::Warn), ("bad", Level::Bad)];

pub(super) fn board(file: &str, raw: RawBoard) -> Result<Board, FileError> {
    Check { file, names: Vec::new() }.board(raw)
}

/// What one file's checks share.
struct Check<'a> {
    file: &'a str,
    names: Vec<String>,
}

impl Check<'_> {
    fn board(mut self, raw: RawBoard) -> Result<Board, FileError> {
        let title = self.filled("title", &raw.title)?;
        let year = 366 * 86_400_000;
        let refresh_ms = self.duration("refresh", raw.refresh.as_ref(), limits::REFRESH_MS)?.unwrap_or(REFRESH_MS);
        let range_ms = self.duration("range", raw.range.as_ref(), 1_000..=year)?;
        let interval_ms = self.duration("interval", raw.interval.as_ref(), 100..=86_400_000)?.unwrap_or(INTERVAL_MS);
        if let Some(beyond) = raw.variables.get(limits::VARIABLES_MAX) {
            let message = format!("a board has at most {} variables", limits::VARIABLES_MAX);
            return Err(self.error(beyond, message, "leave out those from here on"));
        }
        let mut variables = Vec::new();
        for variable in raw.variables {
            let variable = self.variable(variable)?;
            self.names.push(variable.name.clone());
            variables.push(variable);
        }
        if raw.panels.value.is_empty() {
            return Err(self.error(&raw.panels, "the board has no panel", "add one with `title` and `type`"));
        }
        if let Some(beyond) = raw.panels.value.get(limits::PANELS_MAX) {
            let message = format!("a board has at most {} panels", limits::PANELS_MAX);
            return Err(self.error(beyond, message, "put the rest on a second board"));
        }
        let panels = raw.panels.value.into_iter().map(|panel| self.panel(panel)).collect::<Result<_, _>>()?;
        let description = raw.description.unwrap_or_default();
        Ok(Board { title, description, refresh_ms, range_ms, interval_ms, variables, panels })
    }

    fn variable(&self, raw: Spanned<RawVariable>) -> Result<Variable, FileError> {
        let RawVariable { name: written, label, values_of, list, text, default, multi } = &raw.value;
        let name = &written.value;
        if !variables::is_name(name) || name.starts_with("__") {
            let remedy = "write letters, digits and `_`, a letter first, like `service`";
            return Err(self.error(written, format!("`{name}` is no name of a variable"), remedy));
        }
        if self.names.contains(name) {
            return Err(self.error(written, format!("there are two variables `{name}`"), "rename one of them"));
        }
        let kind = match (values_of, list, text) {
            (Some(of), None, None) => {
                let label = &of.label.value;
                if !variables::is_name(label) {
                    let remedy = "write the label's name as PromQL does, like `job`";
                    return Err(self.error(&of.label, format!("`{label}` is no name of a label"), remedy));
                }
                VariableKind::ValuesOf { label: label.clone(), selector: of.selector.clone() }
            }
            (None, Some(values), None) if values.value.is_empty() => {
                return Err(self.error(values, format!("the list of `{name}` is empty"), "write its values"));
            }
            (None, Some(values), None) => VariableKind::List(values.value.clone()),
            (None, None, Some(text)) => VariableKind::Text(text.clone()),
            (None, None, None) => {
                let message = format!("the variable `{name}` has no values");
                return Err(self.error(&raw, message, "add one of `values_of`, `list`, `text`"));
            }
            _ => {
                let message = format!("the variable `{name}` has several kinds of values");
                return Err(self.error(&raw, message, "keep one of `values_of`, `list`, `text`"));
            }
        };
        if let (VariableKind::List(values), Some(default)) = (&kind, default)
            && !values.contains(&default.value)
        {
            let known: Vec<&str> = values.iter().map(String::as_str).collect();
            let message = format!("the default `{}` is not in the list", default.value);
            return Err(self.error(default, message, suggest(&default.value, &known)));
        }
        let multi_value = multi.as_ref().is_some_and(|multi| multi.value);
        if let (VariableKind::Text(_), Some(multi)) = (&kind, multi.as_ref().filter(|multi| multi.value)) {
            return Err(self.error(multi, "a text is one value", "leave `multi` out"));
        }
        Ok(Variable {
            name: name.clone(),
            label: label.clone().unwrap_or_else(|| name.clone()),
            kind,
            default: default.as_ref().map(|default| default.value.clone()),
            multi: multi_value,
        })
    }

    fn panel(&self, raw: Spanned<RawPanel>) -> Result<Panel, FileError> {
        let panel = &raw.value;
        let kind = self.kind(&raw)?;
        let what = kind_word(&kind);
        let has_numbers = !matches!(kind, PanelKind::Logs | PanelKind::AlertList(_) | PanelKind::Text(_));
        if !has_numbers {
            let odd = [
                panel.unit.as_ref().map(|unit| ("unit", unit.referenced)),
                panel.decimals.as_ref().map(|decimals| ("decimals", decimals.referenced)),
                panel.min.as_ref().map(|min| ("min", min.referenced)),
                panel.max.as_ref().map(|max| ("max", max.referenced)),
                panel.thresholds.first().map(|threshold| ("thresholds", threshold.referenced)),
            ];
            if let Some((key, place)) = odd.into_iter().flatten().next() {
                let message = format!("a panel of type `{what}` has no `{key}`");
                return Err(FileError::at(self.file, place, message, "leave it out"));
            }
        }
        self.names_in("title", &panel.title)?;
        let width = self.within("width", panel.width.as_ref(), 1..=limits::GRID_COLUMNS)?.unwrap_or(12);
        let usual = if matches!(kind, PanelKind::Stat | PanelKind::Gauge) { 5 } else { 10 };
        let height = self.within("height", panel.height.as_ref(), limits::PANEL_LINES)?.unwrap_or(usual);
        let decimals = self.within("decimals", panel.decimals.as_ref(), 0..=9)?;
        if let (Some(min), Some(max)) = (&panel.min, &panel.max)
            && min.value >= max.value
        {
            return Err(self.error(max, "`max` is not above `min`", "write a greater number"));
        }
        if let Some(end) = [&panel.min, &panel.max].into_iter().flatten().find(|end| !end.value.is_finite()) {
            return Err(self.error(end, "this is no finite number", "leave it out"));
        }
        if kind == PanelKind::Gauge && panel.max.is_none() && !self.is_unit_with_end(panel) {
            return Err(self.error(
                &panel.kind,
                "a gauge needs an end",
                "add `max: ...`, or a unit `percent` or `share`",
            ));
        }
        let unit = match &panel.unit {
            None => Unit::default(),
            Some(word) => Unit::from_word(&word.value).ok_or_else(|| {
                self.error(word, format!("unknown unit `{}`", word.value), suggest(&word.value, &Unit::words()))
            })?,
        };
        Ok(Panel {
            title: panel.title.value.clone(),
            width,
            height,
            queries: self.queries(&raw, &kind)?,
            unit,
            decimals,
            min: panel.min.as_ref().map(|min| min.value),
            max: panel.max.as_ref().map(|max| max.value),
            thresholds: self.thresholds(&panel.thresholds)?,
            kind,
        })
    }

    fn is_unit_with_end(&self, panel: &RawPanel) -> bool {
        panel.unit.as_ref().is_some_and(|unit| matches!(unit.value.as_str(), "percent" | "share"))
    }

    fn kind(&self, raw: &Spanned<RawPanel>) -> Result<PanelKind, FileError> {
        let panel = &raw.value;
        if let (Some(text), true) = (&panel.text, panel.kind.value != RawKind::Text) {
            return Err(self.error(text, "only a panel of type `text` has a `text`", "leave it out"));
        }
        if let (Some(state), true) = (&panel.state, panel.kind.value != RawKind::Alertlist) {
            return Err(self.error(state, "only a panel of type `alertlist` has a `state`", "leave it out"));
        }
        Ok(match panel.kind.value {
            RawKind::Timeseries => PanelKind::Timeseries,
            RawKind::Stat => PanelKind::Stat,
            RawKind::Gauge => PanelKind::Gauge,
            RawKind::Bar => PanelKind::Bar,
            RawKind::Table => PanelKind::Table,
            RawKind::Logs => PanelKind::Logs,
            RawKind::Alertlist => {
                let known = ["firing", "pending"];
                if let Some(state) = panel.state.as_ref().filter(|state| !known.contains(&state.value.as_str())) {
                    let message = format!("unknown state `{}`", state.value);
                    return Err(self.error(state, message, suggest(&state.value, &known)));
                }
                PanelKind::AlertList(panel.state.as_ref().map(|state| state.value.clone()))
            }
            RawKind::Text => match &panel.text {
                Some(text) => PanelKind::Text(text.value.clone()),
                None => return Err(self.error(raw, "the panel has no `text`", "add `text: ...`")),
            },
        })
    }

    fn queries(&self, raw: &Spanned<RawPanel>, kind: &PanelKind) -> Result<Vec<Query>, FileError> {
        let queries = &raw.value.queries;
        let what = kind_word(kind);
        if matches!(kind, PanelKind::AlertList(_) | PanelKind::Text(_)) {
            return match queries.first() {
                None => Ok(Vec::new()),
                Some(query) => {
                    Err(self.error(query, format!("a panel of type `{what}` asks nothing"), "leave `queries` out"))
                }
            };
        }
        let max = if *kind == PanelKind::Logs { 1 } else { limits::QUERIES_MAX };
        if let Some(beyond) = queries.get(max) {
            let message = format!("a panel of type `{what}` has at most {}", counted(max, "query", "queries"));
            return Err(self.error(beyond, message, "put the rest into a second panel"));
        }
        if queries.is_empty() {
            let source = if *kind == PanelKind::Logs { "logs" } else { "promql" };
            return Err(self.error(raw, "the panel has no query", format!("add `queries: [{{{source}: ...}}]`")));
        }
        queries.iter().map(|query| self.query(query, kind)).collect()
    }

    fn query(&self, raw: &Spanned<RawQuery>, kind: &PanelKind) -> Result<Query, FileError> {
        let RawQuery { promql, logs, counter, read_as, by, legend } = &raw.value;
        let source = match (promql, logs, counter) {
            (Some(promql), None, None) => {
                self.filled("promql", promql)?;
                self.names_in("promql", promql)?;
                Source::Promql(promql.value.trim().to_owned())
            }
            (None, Some(logs), None) => {
                self.names_in("logs", logs)?;
                Source::Logs(logs.value.trim().to_owned())
            }
            (None, None, Some(counter)) => Source::Counter(self.counter(counter, read_as.as_ref(), by.as_ref())?),
            (None, None, None) => {
                return Err(self.error(raw, "the query asks nothing", "add one of `promql`, `logs`, `counter`"));
            }
            _ => {
                return Err(self.error(raw, "the query asks several things", "make two queries of it"));
            }
        };
        let is_logs = matches!(source, Source::Logs(_));
        if is_logs != (*kind == PanelKind::Logs) {
            let (has, needs) = if is_logs { ("logs", "promql` or `counter") } else { ("promql", "logs") };
            let message = format!("a panel of type `{}` cannot show `{has}`", kind_word(kind));
            return Err(self.error(raw, message, format!("ask by `{needs}`")));
        }
        if !matches!(source, Source::Counter(_)) {
            let odd = [
                read_as.as_ref().map(|read_as| ("as", read_as.referenced)),
                by.as_ref().map(|by| ("by", by.referenced)),
            ];
            if let Some((key, place)) = odd.into_iter().flatten().next() {
                let message = format!("only a query with `counter` has `{key}`");
                return Err(FileError::at(self.file, place, message, "leave it out"));
            }
        }
        if let Some(legend) = legend {
            self.names_in("legend", legend)?;
        }
        Ok(Query { source, legend: legend.as_ref().map(|legend| legend.value.clone()).unwrap_or_default() })
    }

    fn counter(
        &self,
        counter: &Spanned<String>,
        read_as: Option<&Spanned<String>>,
        by: Option<&Spanned<Vec<String>>>,
    ) -> Result<CounterQuery, FileError> {
        let reading = match read_as {
            None => Reading::Value,
            Some(word) => Reading::from_word(&word.value).ok_or_else(|| {
                let message = format!("`{}` is no way to read a counter", word.value);
                self.error(word, message, suggest(&word.value, &Reading::words()))
            })?,
        };
        let by = by.map(|by| by.value.clone()).unwrap_or_default();
        CounterQuery::parse(&counter.value, reading, by)
            .map_err(|why| self.error(counter, why, "write it like `sextant_wal_bytes_total{signal=\"logs\"}`"))
    }

    fn thresholds(&self, raw: &[Spanned<RawThreshold>]) -> Result<Vec<Threshold>, FileError> {
        if let Some(beyond) = raw.get(limits::THRESHOLDS_MAX) {
            let message = format!("a panel has at most {} thresholds", limits::THRESHOLDS_MAX);
            return Err(self.error(beyond, message, "leave out those from here on"));
        }
        let read = |threshold: &Spanned<RawThreshold>| {
            let RawThreshold { above, below, level } = &threshold.value;
            let (value, below) = match (above, below) {
                (Some(value), None) => (*value, false),
                (None, Some(value)) => (*value, true),
                _ => {
                    let remedy = "write it like `{above: 0.05, level: bad}`";
                    return Err(self.error(threshold, "a threshold has one of `above` and `below`", remedy));
                }
            };
            if !value.is_finite() {
                return Err(self.error(threshold, "a threshold is a finite number", "write one, like 0.05"));
            }
            let found = LEVELS.iter().find(|(word, _)| *word == level.value);
            let Some((_, found)) = found else {
                let message = format!("unknown level `{}`", level.value);
                return Err(self.error(level, message, suggest(&level.value, &LEVELS.map(|(word, _)| word))));
            };
            Ok(Threshold { value, below, level: *found })
        };
        raw.iter().map(read).collect()
    }

    fn duration(
        &self,
        key: &str,
        raw: Option<&Spanned<String>>,
        range: RangeInclusive<u64>,
    ) -> Result<Option<u64>, FileError> {
        let Some(raw) = raw else { return Ok(None) };
        let Some(millis) = duration_ms(&raw.value) else {
            let message = format!("`{}` is no duration", raw.value);
            return Err(self.error(raw, message, "write it like `30s`, `15m`, `1h`, `7d`"));
        };
        if !range.contains(&millis) {
            let message = format!("`{key}` lies outside {} s to {} s", *range.start() as f64 / 1e3, range.end() / 1000);
            return Err(self.error(raw, message, "choose another duration"));
        }
        Ok(Some(millis))
    }

    fn within<T: Copy + PartialOrd + std::fmt::Display>(
        &self,
        key: &str,
        raw: Option<&Spanned<T>>,
        range: RangeInclusive<T>,
    ) -> Result<Option<T>, FileError> {
        match raw {
            Some(raw) if !range.contains(&raw.value) => {
                let message = format!("`{key}` is {} here", raw.value);
                Err(self.error(raw, message, format!("write {} to {}", range.start(), range.end())))
            }
            other => Ok(other.map(|raw| raw.value)),
        }
    }

    fn filled(&self, key: &str, raw: &Spanned<String>) -> Result<String, FileError> {
        match raw.value.trim() {
            "" => Err(self.error(raw, format!("`{key}` is empty"), "write something")),
            text => Ok(text.to_owned()),
        }
    }

    // Every `$name` in a text must be known.
    fn names_in(&self, key: &str, raw: &Spanned<String>) -> Result<(), FileError> {
        let known = || self.names.iter().map(String::as_str).chain(BUILT_IN);
        for name in variables::names(&raw.value) {
            if !known().any(|other| other == name) {
                let known: Vec<&str> = known().collect();
                let message = format!("`{key}` names `${name}`, which is no variable of this board");
                return Err(self.error(raw, message, suggest(name, &known)));
            }
        }
        Ok(())
    }

    fn error<T>(&self, at: &Spanned<T>, message: impl Into<String>, remedy: impl Into<String>) -> FileError {
        FileError::at(self.file, at.referenced, message, remedy)
    }
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn kind_word(kind: &PanelKind) -> &'static str {
    match kind {
        PanelKind::Timeseries => "timeseries",
        PanelKind::Stat => "stat",
        PanelKind::Gauge => "gauge",
        PanelKind::Bar => "bar",
        PanelKind::Table => "table",
        PanelKind::Logs => "logs",
        PanelKind::AlertList(_) => "alertlist",
        PanelKind::Text(_) => "text",
    }
}
