//! Where targets come from: the file itself, files of targets, and lists that are asked for over HTTP.

use std::path::{Path, PathBuf};

use hyper::Uri;

use super::http::HttpConfig;
use super::{ConfigError, http};
use crate::limits::{DISCOVERY_INTERVAL_MIN_MS, TARGETS_MAX};
use model::yaml::{Map, Node, Source};

/// Targets that share labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Their addresses.
    pub targets: Vec<String>,
    /// Their labels.
    pub labels: Vec<(String, String)>,
}

/// `file_sd_configs`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileDiscovery {
    /// Where the files are; `*` stands for any part of a file's name.
    pub patterns: Vec<String>,
    /// After so long they are read again whatever their times say.
    pub refresh_ms: i64,
}

/// `http_sd_configs`
#[derive(Clone, Debug, PartialEq)]
pub struct HttpDiscovery {
    /// What is asked.
    pub url: Uri,
    /// How often.
    pub refresh_ms: i64,
    /// How.
    pub http: HttpConfig,
}

// Of Prometheus.
const FILE_REFRESH_MS: i64 = 300_000;
const HTTP_REFRESH_MS: i64 = 60_000;

/// The service discoveries that Prometheus has and Sextant has not.
const OTHERS: [&str; 26] = [
    "azure_sd_configs",
    "consul_sd_configs",
    "digitalocean_sd_configs",
    "dns_sd_configs",
    "docker_sd_configs",
    "dockerswarm_sd_configs",
    "ec2_sd_configs",
    "eureka_sd_configs",
    "gce_sd_configs",
    "hetzner_sd_configs",
    "ionos_sd_configs",
    "kubernetes_sd_configs",
    "kuma_sd_configs",
    "lightsail_sd_configs",
    "linode_sd_configs",
    "marathon_sd_configs",
    "nerve_sd_configs",
    "nomad_sd_configs",
    "openstack_sd_configs",
    "ovhcloud_sd_configs",
    "puppetdb_sd_configs",
    "scaleway_sd_configs",
    "serverset_sd_configs",
    "stackit_sd_configs",
    "triton_sd_configs",
    "uyuni_sd_configs",
];

const REMEDY: &str =
    "write the targets into static_configs, or let a program list them for file_sd_configs or http_sd_configs";

pub(super) fn refuse_others(map: &Map<'_>) -> Result<(), ConfigError> {
    map.refuse(&[("vultr_sd_configs", REMEDY)])?;
    OTHERS.iter().try_for_each(|key| map.refuse(&[(key, REMEDY)]))
}

/// The groups of a list, in a `prometheus.yml` or in a file or answer of its own.
pub(in crate::scrape) fn groups(source: Source<'_>, list: &[Node], what: &str) -> Result<Vec<Group>, ConfigError> {
    let mut groups = Vec::with_capacity(list.len());
    let mut targets = 0;
    for node in list {
        let map = node.map(source, what)?;
        let mut group = Group::default();
        for (target, line) in map.texts("targets")? {
            check_address(source, &target, line)?;
            group.targets.push(target);
        }
        if let Some(labels) = map.map("labels")? {
            for (name, line, _) in labels.pairs() {
                if name.is_empty() {
                    return Err(source.error(line, "a label has no name", "remove it"));
                }
            }
            group.labels = labels.text_pairs()?.into_iter().map(|(name, value, _)| (name, value)).collect();
        }
        // Files of targets may say where they come from.
        let _ = map.pass(&["source"]);
        map.end()?;
        targets += group.targets.len();
        if targets > TARGETS_MAX {
            return Err(source.error(
                node.place.line,
                format!("there are more than {TARGETS_MAX} targets"),
                "split the job",
            ));
        }
        groups.push(group);
    }
    Ok(groups)
}

// As early as Prometheus: what is wrong for every rule of relabelling.
fn check_address(source: Source<'_>, target: &str, line: u64) -> Result<(), ConfigError> {
    if target.contains('/') {
        let hint = "write HOST:PORT; the path belongs into metrics_path, and https into scheme";
        return Err(source.error(line, format!("{target:?} is no address"), hint));
    }
    Ok(())
}

pub(super) fn files(source: Source<'_>, node: &Node, folder: &Path) -> Result<FileDiscovery, ConfigError> {
    const ENDINGS: [&str; 6] = [".json", ".yml", ".yaml", ".JSON", ".YML", ".YAML"];
    let map = node.map(source, "file_sd_configs")?;
    let mut patterns = Vec::new();
    for (pattern, line) in map.texts("files")? {
        let (path, name) = pattern.rsplit_once('/').unwrap_or(("", &pattern));
        if !ENDINGS.iter().any(|ending| name.ends_with(ending)) || path.contains('*') {
            let hint = "write a name that ends in .json, .yml or .yaml, with `*` in its last part alone";
            return Err(source.error(line, format!("{pattern:?} names no files of targets"), hint));
        }
        let path: PathBuf = folder.join(&pattern);
        patterns.push(path.display().to_string());
    }
    if patterns.is_empty() {
        return Err(source.error(map.line, "file_sd_configs names no files", "write `files:`"));
    }
    let refresh_ms = refresh(&map, FILE_REFRESH_MS)?;
    map.end()?;
    Ok(FileDiscovery { patterns, refresh_ms })
}

pub(super) fn over_http(source: Source<'_>, node: &Node, folder: &Path) -> Result<HttpDiscovery, ConfigError> {
    let map = node.map(source, "http_sd_configs")?;
    let url = map.text("url")?.unwrap_or_default();
    let is_asked = |uri: &Uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some();
    let url = url.parse::<Uri>().ok().filter(is_asked).ok_or_else(|| {
        map.error(
            "url",
            format!("http_sd_configs.url is no address: {url:?}"),
            "write it like http://127.0.0.1:8080/targets",
        )
    })?;
    let refresh_ms = refresh(&map, HTTP_REFRESH_MS)?;
    let http = http::read(source, &map, folder)?;
    map.end()?;
    Ok(HttpDiscovery { url, refresh_ms, http })
}

fn refresh(map: &Map<'_>, default: i64) -> Result<i64, ConfigError> {
    let refresh_ms = map.duration("refresh_interval")?.unwrap_or(default);
    if refresh_ms < DISCOVERY_INTERVAL_MIN_MS {
        let message = format!("{} is shorter than {DISCOVERY_INTERVAL_MIN_MS} ms", map.name("refresh_interval"));
        return Err(map.error("refresh_interval", message, "write a longer one"));
    }
    Ok(refresh_ms)
}
