//! An `alertmanager.yml`: what of it Sextant takes, and clear words for everything else. Receivers are read by `receiver`.
//!
//! Nothing is ignored silently: a key is taken, refused by name with what to do, or unknown.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use model::small_file;
use model::yaml::{Map, Node, Source};

use super::error::{ConfigError, NotifyError};
use super::guard::Allowed;
use super::limits::{CONFIG_BOUNDS, CONFIG_BYTES_MAX, ROUTE_DEPTH_MAX};
use super::matcher::{self, Matcher, Operator};
use super::receiver::{self, HttpConfig, Receiver};
use super::route::{GroupBy, Route, RouteConfig};

/// Who is told of what.
#[derive(Clone, Debug)]
pub struct Config {
    /// The root of the tree.
    pub route: Route,
    /// By name.
    pub receivers: BTreeMap<String, Receiver>,
}

impl Config {
    /// Reads the file. Receivers whose address stands in it must be public or allowed.
    pub fn load(path: &Path, allowed: &Allowed) -> Result<Config, NotifyError> {
        let read = |source| NotifyError::Read { path: path.to_owned(), source };
        let text = small_file::read_text(path, CONFIG_BYTES_MAX).map_err(read)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Ok(Config::parse(&path.display().to_string(), &text, folder, allowed)?)
    }

    /// Reads a file's text. Files that it names are looked for in `folder`, and must be there.
    pub fn parse(path: &str, text: &str, folder: &Path, allowed: &Allowed) -> Result<Config, ConfigError> {
        let source = Source { path, text };
        let document = source.parse(CONFIG_BOUNDS)?;
        let top = document.map(source, "")?;
        const LATER: &str = "it comes with a later version; remove it, or keep an Alertmanager for it";
        top.refuse(&[
            ("inhibit_rules", LATER),
            ("mute_time_intervals", LATER),
            ("time_intervals", LATER),
            ("templates", "a webhook gets the alerts' data; only text receivers have templates: remove it"),
            ("tracing", "remove it"),
        ])?;
        let http = match top.map("global")? {
            Some(global) => read_global(source, &global, folder)?,
            None => HttpConfig::default(),
        };
        let mut receivers = BTreeMap::new();
        for node in top.get("receivers").map_or(Ok(&[][..]), |list| list.list(source, "receivers"))? {
            let (name, receiver) = receiver::read(source, node, &http, folder, allowed)?;
            if receivers.insert(name.clone(), receiver).is_some() {
                let message = format!("a second receiver named {name:?}");
                return Err(source.error(node.place.line, message, "give each receiver a name of its own"));
            }
        }
        let Some(root) = top.get("route") else {
            return Err(source.error(
                document.place.line,
                "there is no route",
                "write `route:` with a default `receiver:`",
            ));
        };
        let route = read_root(source, root, &receivers)?;
        top.end()?;
        Ok(Config { route: Route::new(&route), receivers })
    }
}

fn read_global(source: Source<'_>, global: &Map<'_>, folder: &Path) -> Result<HttpConfig, ConfigError> {
    // It is for clients that do not say when an alert ends; the rules always do.
    global.duration("resolve_timeout")?;
    const OTHER: &str = "only webhook_configs are supported; remove it, or keep an Alertmanager for such receivers";
    global.refuse(&[
        ("smtp_from", OTHER),
        ("smtp_hello", OTHER),
        ("smtp_smarthost", OTHER),
        ("smtp_auth_username", OTHER),
        ("smtp_auth_password", OTHER),
        ("smtp_auth_password_file", OTHER),
        ("smtp_auth_secret", OTHER),
        ("smtp_auth_secret_file", OTHER),
        ("smtp_auth_identity", OTHER),
        ("smtp_require_tls", OTHER),
        ("smtp_tls_config", OTHER),
        ("smtp_force_implicit_tls", OTHER),
        ("slack_api_url", OTHER),
        ("slack_api_url_file", OTHER),
        ("slack_app_token", OTHER),
        ("slack_app_token_file", OTHER),
        ("slack_app_url", OTHER),
        ("pagerduty_url", OTHER),
        ("opsgenie_api_url", OTHER),
        ("opsgenie_api_key", OTHER),
        ("opsgenie_api_key_file", OTHER),
        ("wechat_api_url", OTHER),
        ("wechat_api_secret", OTHER),
        ("wechat_api_secret_file", OTHER),
        ("wechat_api_corp_id", OTHER),
        ("victorops_api_url", OTHER),
        ("victorops_api_key", OTHER),
        ("victorops_api_key_file", OTHER),
        ("telegram_api_url", OTHER),
        ("telegram_bot_token", OTHER),
        ("telegram_bot_token_file", OTHER),
        ("webex_api_url", OTHER),
        ("rocketchat_api_url", OTHER),
        ("rocketchat_token", OTHER),
        ("rocketchat_token_file", OTHER),
        ("rocketchat_token_id", OTHER),
        ("rocketchat_token_id_file", OTHER),
        ("jira_api_url", OTHER),
        ("mattermost_webhook_url", OTHER),
        ("mattermost_webhook_url_file", OTHER),
    ])?;
    let http = global.map("http_config")?.map(|http| receiver::read_http(source, &http, folder)).transpose()?;
    global.end()?;
    Ok(http.unwrap_or_default())
}

fn read_root(
    source: Source<'_>,
    node: &Node,
    receivers: &BTreeMap<String, Receiver>,
) -> Result<RouteConfig, ConfigError> {
    let root = node.map(source, "route")?;
    for key in ["matchers", "match", "match_re"] {
        if let Some(found) = root.get(key) {
            let hint = "the root takes every alert; put the matchers into a route below `routes:`";
            return Err(source.error(found.place.line, "the root route has matchers", hint));
        }
    }
    if root.boolean("continue")? == Some(true) {
        return Err(source.error(root.line, "the root route has `continue`", "remove it: the root has no siblings"));
    }
    if root.get("receiver").is_none() {
        return Err(source.error(root.line, "the root route names no receiver", "write `receiver:` into it"));
    }
    read_route(source, node, receivers, 0)
}

fn read_route(
    source: Source<'_>,
    node: &Node,
    receivers: &BTreeMap<String, Receiver>,
    depth: usize,
) -> Result<RouteConfig, ConfigError> {
    if depth >= ROUTE_DEPTH_MAX {
        return Err(source.error(
            node.place.line,
            format!("routes are nested deeper than {ROUTE_DEPTH_MAX}"),
            "flatten them",
        ));
    }
    let map = node.map(source, "route")?;
    const LATER: &str = "it comes with a later version; remove it";
    map.refuse(&[("mute_time_intervals", LATER), ("active_time_intervals", LATER), ("labels", LATER)])?;
    let mut route = RouteConfig {
        receiver: map.text("receiver")?,
        group_by: map.get("group_by").map(|node| read_group_by(source, node)).transpose()?,
        group_wait: nanos(&map, "group_wait")?,
        group_interval: nanos(&map, "group_interval")?,
        repeat_interval: nanos(&map, "repeat_interval")?,
        matchers: read_matchers(source, &map)?,
        goes_on: map.boolean("continue")?.unwrap_or(false),
        routes: Vec::new(),
    };
    for (key, value) in [("group_interval", route.group_interval), ("repeat_interval", route.repeat_interval)] {
        if value == Some(0) {
            let line = map.get(key).map_or(map.line, |node| node.place.line);
            return Err(source.error(line, format!("route.{key} is 0"), "it has to be longer"));
        }
    }
    if let Some(name) = route.receiver.as_ref().filter(|name| !receivers.contains_key(*name)) {
        let line = map.get("receiver").map_or(map.line, |node| node.place.line);
        let nearest = receivers.keys().min_by_key(|known| strsim::damerau_levenshtein(known, name));
        let hint = nearest.map_or_else(
            || "there are no receivers; write them below `receivers:`".to_owned(),
            |nearest| format!("the nearest receiver is {nearest:?}"),
        );
        return Err(source.error(line, format!("there is no receiver {name:?}"), hint));
    }
    let children = map.get("routes").map_or(Ok(&[][..]), |list| list.list(source, "route.routes"))?;
    for child in children {
        route.routes.push(read_route(source, child, receivers, depth + 1)?);
    }
    map.end()?;
    Ok(route)
}

fn read_group_by(source: Source<'_>, node: &Node) -> Result<GroupBy, ConfigError> {
    let names = node.texts(source, "route.group_by")?;
    let mut labels = BTreeSet::new();
    for (name, line) in &names {
        if name == "..." {
            if names.len() > 1 {
                let hint = "`...` groups by all labels; write it alone or leave it out";
                return Err(source.error(*line, "group_by has `...` and other labels", hint));
            }
            return Ok(GroupBy::All);
        }
        if name.is_empty() {
            return Err(source.error(*line, "group_by has a label without a name", "remove it"));
        }
        if !labels.insert(name.clone()) {
            return Err(source.error(*line, format!("group_by names {name:?} twice"), "remove one of them"));
        }
    }
    Ok(GroupBy::Labels(labels))
}

fn nanos(map: &Map<'_>, key: &'static str) -> Result<Option<i64>, ConfigError> {
    Ok(map.duration(key)?.map(|millis| millis.saturating_mul(1_000_000)))
}

fn read_matchers(source: Source<'_>, map: &Map<'_>) -> Result<Vec<Matcher>, ConfigError> {
    let mut matchers = Vec::new();
    if let Some(node) = map.get("match") {
        for (name, value, line) in node.map(source, "route.match")?.text_pairs()? {
            check_old_name(source, &name, line)?;
            matchers.extend(Matcher::new(name, Operator::Equal, value).ok());
        }
    }
    if let Some(node) = map.get("match_re") {
        for (name, value, line) in node.map(source, "route.match_re")?.text_pairs()? {
            check_old_name(source, &name, line)?;
            matchers.push(Matcher::of_match_re(name, &value).map_err(|reason| source.error(line, reason, ""))?);
        }
    }
    if let Some(node) = map.get("matchers") {
        for (text, line) in node.texts(source, "route.matchers")? {
            let read = matcher::parse(&text).map_err(|reason| {
                let message = format!("the matcher {text:?} cannot be read: {reason}");
                source.error(line, message, "write it like severity=\"page\" or team=~\"a|b\"")
            })?;
            matchers.extend(read);
        }
    }
    Ok(matchers)
}

fn check_old_name(source: Source<'_>, name: &str, line: u64) -> Result<(), ConfigError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(plain) {
        let hint = "names with other characters need `matchers:`, quoted";
        return Err(source.error(line, format!("{name:?} is no label name"), hint));
    }
    Ok(())
}
