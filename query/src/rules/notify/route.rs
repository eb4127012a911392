//! The route tree: which routes an alert takes, and which group of each it belongs to. Keys are written exactly as
//! Alertmanager writes them, so that receivers that know them go on knowing them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::matcher::{self, Matcher, quote};

/// What a route does with its alerts; children inherit what they do not say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Who is told.
    pub receiver: String,
    /// What alerts of one group have in common.
    pub group_by: GroupBy,
    /// Nanoseconds from a group's first alert to its first notification.
    pub group_wait: i64,
    /// Nanoseconds between two looks at a group.
    pub group_interval: i64,
    /// Nanoseconds after which a group that has not changed is told again.
    pub repeat_interval: i64,
}

impl Default for Options {
    fn default() -> Self {
        const SECOND: i64 = 1_000_000_000;
        Options {
            receiver: String::new(),
            group_by: GroupBy::Labels(BTreeSet::new()),
            group_wait: 30 * SECOND,
            group_interval: 300 * SECOND,
            repeat_interval: 4 * 3_600 * SECOND,
        }
    }
}

/// What alerts of one group have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// These labels.
    Labels(BTreeSet<String>),
    /// `...`: all of them.
    All,
}

/// A route as the file has it: `None` is inherited.
#[derive(Clone, Debug, Default)]
pub struct RouteConfig {
    /// See [`Options`].
    pub receiver: Option<String>,
    /// See [`Options`].
    pub group_by: Option<GroupBy>,
    /// See [`Options`].
    pub group_wait: Option<i64>,
    /// See [`Options`].
    pub group_interval: Option<i64>,
    /// See [`Options`].
    pub repeat_interval: Option<i64>,
    /// All of them have to match.
    pub matchers: Vec<Matcher>,
    /// Whether later siblings are asked although this one matches.
    pub goes_on: bool,
    /// Children.
    pub routes: Vec<RouteConfig>,
}

/// A node of the tree.
#[derive(Clone, Debug)]
pub struct Route {
    /// Alertmanager's key: the matchers from the root to here.
    pub key: String,
    /// The key, made unique among routes that have the same one.
    pub id: Arc<str>,
    /// What it does.
    pub options: Options,
    matchers: Vec<Matcher>,
    goes_on: bool,
    routes: Vec<Route>,
}

impl Route {
    /// The tree.
    pub fn new(config: &RouteConfig) -> Route {
        Route::below(config, None, &mut BTreeMap::new())
    }

    fn below(config: &RouteConfig, parent: Option<&Route>, known: &mut BTreeMap<String, usize>) -> Route {
        let inherited = parent.map_or_else(Options::default, |parent| parent.options.clone());
        let options = Options {
            receiver: config.receiver.clone().unwrap_or(inherited.receiver),
            group_by: config.group_by.clone().unwrap_or(inherited.group_by),
            group_wait: config.group_wait.unwrap_or(inherited.group_wait),
            group_interval: config.group_interval.unwrap_or(inherited.group_interval),
            repeat_interval: config.repeat_interval.unwrap_or(inherited.repeat_interval),
        };
        let mut matchers = config.matchers.clone();
        matcher::sort(&mut matchers);
        let own: Vec<String> = matchers.iter().map(ToString::to_string).collect();
        let above = parent.map_or_else(String::new, |parent| format!("{}/", parent.key));
        let key = format!("{above}{{{}}}", own.join(","));
        let count = known.entry(key.clone()).or_default();
        *count += 1;
        let id = if *count == 1 { key.clone() } else { format!("{key}#{count}") };
        let mut route = Route { key, id: id.into(), options, matchers, goes_on: config.goes_on, routes: Vec::new() };
        route.routes = config.routes.iter().map(|child| Route::below(child, Some(&route), known)).collect();
        route
    }

    /// The routes that an alert with these labels takes, in their order.
    pub fn matching(&self, labels: &BTreeMap<String, String>) -> Vec<&Route> {
        if !self.matchers.iter().all(|matcher| matcher.matches(labels)) {
            return Vec::new();
        }
        let mut found = Vec::new();
        for route in &self.routes {
            let below = route.matching(labels);
            let last = !below.is_empty() && !route.goes_on;
            found.extend(below);
            if last {
                break;
            }
        }
        if found.is_empty() { vec![self] } else { found }
    }

    /// The labels that name the alert's group in this route.
    pub fn group_labels(&self, labels: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let belongs = |name: &String| match &self.options.group_by {
            GroupBy::All => true,
            GroupBy::Labels(names) => names.contains(name),
        };
        labels.iter().filter(|(name, _)| belongs(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// Alertmanager's key of a group: `{}/{severity="page"}:{alertname="X"}`.
    pub fn group_key(&self, labels: &BTreeMap<String, String>) -> String {
        format!("{}:{}", self.key, label_text(labels))
    }
}

/// Labels as Prometheus's Go library prints them.
pub fn label_text(labels: &BTreeMap<String, String>) -> String {
    let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={}", quote(value))).collect();
    format!("{{{}}}", pairs.join(", "))
}
