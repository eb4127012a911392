//! From what is discovered to what is scraped: an address with labels becomes a target, or is dropped, by its job's rules. Pure.

use std::sync::Arc;

use hyper::Uri;
use model::duration::{format_duration, parse_duration};

use super::config::{Group, Job};
use super::labels::{LabelSet, Labels};
use super::relabel;
use crate::limits::SCRAPE_INTERVAL_MIN_MS;

/// What is scraped.
#[derive(Debug)]
pub struct Target {
    /// How.
    pub job: Arc<Job>,
    /// Its labels before relabelling.
    pub discovered: LabelSet,
    /// Its labels, which its series get.
    pub labels: LabelSet,
    /// Where.
    pub url: Uri,
    /// Between two scrapes.
    pub interval_ms: i64,
    /// How long one may take.
    pub timeout_ms: i64,
}

/// What tells targets of a job apart: labels, those included that series do not get, and address.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TargetKey {
    labels: LabelSet,
    url: String,
}

/// What became of something that was discovered.
#[derive(Debug)]
pub enum Made {
    /// It is scraped.
    Kept(TargetKey, Arc<Target>),
    /// A rule dropped it: its labels before that.
    Dropped(LabelSet),
    /// It cannot be scraped: its labels, and why.
    Bad(LabelSet, String),
}

const ADDRESS: &str = "__address__";
const SCHEME: &str = "__scheme__";
const PATH: &str = "__metrics_path__";
const INTERVAL: &str = "__scrape_interval__";
const TIMEOUT: &str = "__scrape_timeout__";
const PARAM: &str = "__param_";

/// The targets of a group.
pub fn of_group<'g>(job: &'g Arc<Job>, group: &'g Group) -> impl Iterator<Item = Made> + 'g {
    group.targets.iter().map(move |address| of_address(job, group, address))
}

fn of_address(job: &Arc<Job>, group: &Group, address: &str) -> Made {
    let mut labels = Labels::of([(ADDRESS, address)]);
    for (name, value) in &group.labels {
        labels.set(name.as_str(), value.as_str());
    }
    for (name, value) in [
        ("job", job.name.clone()),
        (INTERVAL, format_duration(job.interval_ms)),
        (TIMEOUT, format_duration(job.timeout_ms)),
        (PATH, job.metrics_path.clone()),
        (SCHEME, job.scheme.clone()),
    ] {
        if labels.get(name).is_empty() {
            labels.set(name, value);
        }
    }
    for (key, values) in &job.params {
        if let Some(first) = values.first() {
            labels.set(format!("{PARAM}{key}"), first.as_str());
        }
    }
    let discovered = labels.finish();
    if !relabel::apply(&job.relabel, &mut labels) {
        return Made::Dropped(discovered);
    }
    match finish(job, &discovered, labels) {
        Ok((key, target)) => Made::Kept(key, Arc::new(target)),
        Err(why) => Made::Bad(discovered, why),
    }
}

fn finish(job: &Arc<Job>, discovered: &LabelSet, mut labels: Labels<'_>) -> Result<(TargetKey, Target), String> {
    let address = labels.get(ADDRESS).to_owned();
    if address.is_empty() {
        return Err("it has no __address__".to_owned());
    }
    let millis = |name: &str| {
        let text = labels.get(name);
        parse_duration(text).map_err(|_| format!("{name} is no duration: {text:?}"))
    };
    let (interval_ms, timeout_ms) = (millis(INTERVAL)?, millis(TIMEOUT)?);
    if interval_ms < SCRAPE_INTERVAL_MIN_MS || !(1..=interval_ms).contains(&timeout_ms) {
        let (interval, timeout) = (format_duration(interval_ms), format_duration(timeout_ms));
        return Err(format!(
            "{INTERVAL} is {interval} and {TIMEOUT} {timeout}: the timeout must be at most the interval"
        ));
    }
    labels.retain(|name| !name.starts_with("__meta_"));
    if labels.get("instance").is_empty() {
        labels.set("instance", address.clone());
    }
    let url = url(job, &labels, &address)?;
    let all = labels.finish();
    labels.retain(|name| !name.starts_with("__"));
    let key = TargetKey { labels: all, url: url.to_string() };
    let (job, discovered) = (Arc::clone(job), discovered.clone());
    Ok((key, Target { job, discovered, labels: labels.finish(), url, interval_ms, timeout_ms }))
}

fn url(job: &Job, labels: &Labels<'_>, address: &str) -> Result<Uri, String> {
    let mut params: Vec<(String, Vec<String>)> = job.params.clone();
    for (name, value) in labels.iter() {
        let Some(key) = name.strip_prefix(PARAM) else { continue };
        match params.iter_mut().find(|(known, _)| known == key) {
            Some((_, values)) if !values.is_empty() => values[0] = value.to_owned(),
            Some((_, values)) => values.push(value.to_owned()),
            None => params.push((key.to_owned(), vec![value.to_owned()])),
        }
    }
    // In the order of their keys, as Go writes them: the address of a target does not depend on the order of its rules.
    params.sort();
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (key, values) in &params {
        for value in values {
            query.append_pair(key, value);
        }
    }
    let query = query.finish();
    let (scheme, path) = (labels.get(SCHEME), labels.get(PATH));
    if !matches!(scheme, "http" | "https") {
        return Err(format!("{SCHEME} is {scheme:?}, neither http nor https"));
    }
    let slash = if path.starts_with('/') { "" } else { "/" };
    let question = if query.is_empty() {
        ""
    } else if path.contains('?') {
        "&"
    } else {
        "?"
    };
    let text = format!("{scheme}://{address}{slash}{path}{question}{query}");
    let wrong = || format!("{text:?} is no address that can be asked");
    let uri: Uri = text.parse().map_err(|_| wrong())?;
    // What stands before the first slash is a host and a port, and nothing else.
    let is_plain = uri.authority().is_some_and(|authority| authority.as_str() == address && !address.contains('@'));
    if is_plain { Ok(uri) } else { Err(format!("{address:?} is not a valid hostname")) }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::config::Config;
    use super::*;

    // The job's keys, and its targets as their labels and URL.
    fn check(keys: &str, expected: &[&str]) {
        let text = format!("scrape_configs:\n- job_name: j\n{keys}");
        let config = Config::parse("prometheus.yml", &text, Path::new("")).expect(keys);
        let job = Arc::new(config.jobs[0].clone());
        let made = job.static_groups.iter().flat_map(|group| of_group(&job, group));
        let told: Vec<String> = made
            .map(|made| match made {
                Made::Kept(_, target) => {
                    let labels: Vec<_> = target.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
                    format!("{} {} {}/{}", labels.join(" "), target.url, target.interval_ms, target.timeout_ms)
                }
                Made::Dropped(discovered) => format!("dropped {}", discovered.get(ADDRESS)),
                Made::Bad(_, why) => format!("bad: {why}"),
            })
            .collect();
        assert_eq!(told, expected, "{keys}");
    }

    #[test]
    fn labels_make_the_target() {
        check("  static_configs: [{targets: [a:1]}]", &["instance=a:1 job=j http://a:1/metrics 60000/10000"]);
        check(
            "  static_configs: [{targets: ['[::1]:1']}]",
            &["instance=[::1]:1 job=j http://[::1]:1/metrics 60000/10000"],
        );
        check(
            "  static_configs: [{targets: [a], labels: {instance: i, job: k, __metrics_path__: x, __meta_m: m, __tmp: t}}]",
            &["instance=i job=k http://a/x 60000/10000"],
        );
        check(
            "  metrics_path: /probe\n  scheme: https\n  params: {module: [m, n], b: ['c d']}\n  \
             static_configs: [{targets: [a.example:1]}]\n  relabel_configs:\n  \
             - {source_labels: [__address__], target_label: __param_target}\n  \
             - {source_labels: [__param_target], target_label: instance}\n  \
             - {target_label: __address__, replacement: 'prober:9115'}\n  \
             - {target_label: __param_module, replacement: x}\n  \
             - {target_label: __scrape_interval__, replacement: 5s}\n  - {target_label: __scrape_timeout__, replacement: 1s}",
            &[
                "instance=a.example:1 job=j https://prober:9115/probe?b=c+d&module=x&module=n&target=a.example%3A1 5000/1000",
            ],
        );
        check(
            "  static_configs: [{targets: [a, b]}]\n  relabel_configs: [{action: drop, source_labels: [__address__], regex: a}]",
            &["dropped a", "instance=b job=j http://b/metrics 60000/10000"],
        );
    }

    #[test]
    fn what_cannot_be_scraped_is_told() {
        let with = |label: &str, value: &str| {
            format!(
                "  static_configs: [{{targets: [a]}}]\n  relabel_configs: [{{target_label: {label}, replacement: '{value}'}}]"
            )
        };
        check(&with(ADDRESS, ""), &["bad: it has no __address__"]);
        check(&with(ADDRESS, "a/b"), &["bad: \"a/b\" is not a valid hostname"]);
        check(&with(ADDRESS, "u:p@a"), &["bad: \"u:p@a\" is not a valid hostname"]);
        check(&with(ADDRESS, "a b"), &["bad: \"http://a b/metrics\" is no address that can be asked"]);
        check(&with(SCHEME, "ftp"), &["bad: __scheme__ is \"ftp\", neither http nor https"]);
        check(&with(INTERVAL, "soon"), &["bad: __scrape_interval__ is no duration: \"soon\""]);
        check(
            &with(TIMEOUT, "2m"),
            &["bad: __scrape_interval__ is 1m and __scrape_timeout__ 2m: the timeout must be at most the interval"],
        );
    }
}
