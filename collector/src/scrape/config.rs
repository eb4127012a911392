//! A `prometheus.yml`: what of it says how to scrape, and clear words for everything else.
//!
//! Nothing is ignored silently: a key is taken, refused by name with what to do, told once because another part of Sextant has its own
//! settings for it ([`Config::passed`]), or unknown.

mod discovery;
mod http;
mod job;
mod relabel;

pub use model::yaml::ConfigError;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use model::yaml::{Map, Source};
use model::{file_patterns, small_file};

use crate::limits::{SCRAPE_FILE_BOUNDS, SCRAPE_FILE_BYTES_MAX};

pub use self::discovery::{FileDiscovery, Group, HttpDiscovery};
pub use self::http::{Authorization, HttpConfig, Secret};
pub use self::job::Job;

pub(super) use self::discovery::groups;

/// How to scrape.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// By the order of the file; their names differ.
    pub jobs: Vec<Job>,
    /// What stands in the file and is not for scraping.
    pub passed: Vec<Passed>,
    /// Every file that was read: what is changed in one of them is a change of all this.
    pub files: Vec<PathBuf>,
    /// The patterns of further files with jobs.
    pub patterns: Vec<String>,
}

/// A part of the file that says nothing about scraping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// Its key.
    pub key: String,
    /// Where it stands.
    pub line: u64,
    /// Where Sextant has that.
    pub instead: &'static str,
}

/// What holds for jobs that do not say otherwise.
#[derive(Clone, Debug)]
pub(super) struct Defaults {
    interval_ms: i64,
    timeout_ms: i64,
    limits: job::Limits,
    accept: Option<Vec<job::Protocol>>,
}

// Of Prometheus.
const INTERVAL_MS: i64 = 60_000;
const TIMEOUT_MS: i64 = 10_000;

const NOTHING: &str = "there is nothing like it here";

/// A log of failed scrapes.
const FAILURE_LOG: (&str, &str) =
    ("scrape_failure_log_file", "a target's last error is among the answers of /api/v1/targets");

// What is not about scraping, and where Sextant has it.
const PASSED: [(&str, &str); 8] = [
    ("rule_files", "rules.files names rule files"),
    ("alerting", "rules.alertmanager names an alertmanager.yml"),
    ("remote_write", "nothing is sent on"),
    ("remote_read", "nothing is read from elsewhere"),
    ("storage", "[store] has the settings of storage"),
    ("tracing", NOTHING),
    ("otlp", NOTHING),
    ("runtime", NOTHING),
];

// The same of `global`.
const PASSED_GLOBALS: [(&str, &str); 5] = [
    ("evaluation_interval", "rules.evaluation_interval_s says it"),
    ("rule_query_offset", NOTHING),
    ("external_labels", "rules.external_labels are the labels of alerts; nothing that is scraped gets them"),
    ("query_log_file", NOTHING),
    FAILURE_LOG,
];

impl Config {
    /// Reads the file and those that it names.
    pub fn load(path: &Path) -> Result<Config, ConfigError> {
        let name = path.display().to_string();
        let text = read(path, &name)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut config = Config::parse(&name, &text, folder)?;
        config.files.insert(0, path.to_owned());
        Ok(config)
    }

    /// Reads a file's text. Files that it names are looked for in `folder`.
    pub fn parse(path: &str, text: &str, folder: &Path) -> Result<Config, ConfigError> {
        let source = Source { path, text };
        let document = source.parse(SCRAPE_FILE_BOUNDS)?;
        let top = document.map(source, "")?;
        let mut config = Config { jobs: Vec::new(), passed: Vec::new(), files: Vec::new(), patterns: Vec::new() };
        let defaults = match top.map("global")? {
            Some(global) => Defaults::read(&global, &mut config.passed)?,
            None => Defaults::default(),
        };
        Passed::add(&mut config.passed, &top, &PASSED);
        let mut reading = Reading { defaults: &defaults, folder, names: BTreeSet::new(), config: &mut config };
        reading.jobs(source, &top)?;
        for (pattern, line) in top.texts("scrape_config_files")? {
            let in_folder = folder.join(&pattern).display().to_string();
            let paths = file_patterns::paths(&in_folder);
            reading.config.patterns.push(in_folder);
            let unreadable = |error: std::io::Error| {
                source.error(line, format!("scrape_config_files: {pattern:?} cannot be read: {error}"), "")
            };
            for path in paths.map_err(unreadable)? {
                let name = path.display().to_string();
                let text = read(&path, &name)?;
                let source = Source { path: &name, text: &text };
                let document = source.parse(SCRAPE_FILE_BOUNDS)?;
                let map = document.map(source, "")?;
                reading.jobs(source, &map)?;
                map.end()?;
                reading.config.files.push(path);
            }
        }
        top.end()?;
        Ok(config)
    }
}

impl Passed {
    fn add(passed: &mut Vec<Passed>, map: &Map<'_>, keys: &[(&'static str, &'static str)]) {
        for (key, instead) in keys {
            let found = map.pass(&[key]).into_iter();
            passed.extend(found.map(|(key, line)| Passed { key: map.name(key), line, instead }));
        }
    }
}

struct Reading<'r> {
    defaults: &'r Defaults,
    folder: &'r Path,
    names: BTreeSet<String>,
    config: &'r mut Config,
}

impl Reading<'_> {
    fn jobs(&mut self, source: Source<'_>, map: &Map<'_>) -> Result<(), ConfigError> {
        for node in map.list("scrape_configs")? {
            let job = job::read(source, node, self.defaults, self.folder, &mut self.config.passed)?;
            if !self.names.insert(job.name.clone()) {
                let message = format!("there are two jobs named {:?}", job.name);
                return Err(source.error(node.place.line, message, "give each job a job_name of its own"));
            }
            self.config.files.extend(job.http.files());
            self.config.files.extend(job.http_sd.iter().flat_map(|discovery| discovery.http.files()));
            self.config.jobs.push(job);
        }
        Ok(())
    }
}

impl Default for Defaults {
    fn default() -> Self {
        Self { interval_ms: INTERVAL_MS, timeout_ms: TIMEOUT_MS, limits: job::Limits::default(), accept: None }
    }
}

impl Defaults {
    fn read(global: &Map<'_>, passed: &mut Vec<Passed>) -> Result<Self, ConfigError> {
        let interval_ms = job::interval(global)?.unwrap_or(INTERVAL_MS);
        let timeout_ms = global.duration("scrape_timeout")?.unwrap_or(TIMEOUT_MS.min(interval_ms));
        job::check_timeout(global, interval_ms, timeout_ms)?;
        Passed::add(passed, global, &PASSED_GLOBALS);
        let limits = job::Limits::default().read(global)?;
        let accept = job::protocols(global)?;
        job::refuse(global)?;
        global.end()?;
        Ok(Self { interval_ms, timeout_ms, limits, accept })
    }
}

fn read(path: &Path, name: &str) -> Result<String, ConfigError> {
    let unreadable = |error: std::io::Error| ConfigError {
        path: name.to_owned(),
        line: 1,
        message: format!("the file cannot be read: {error}"),
        hint: "scrape.file names the prometheus.yml; leave it empty to scrape nothing".to_owned(),
    };
    small_file::read_text(path, SCRAPE_FILE_BYTES_MAX).map_err(unreadable)
}

#[cfg(test)]
mod tests;
