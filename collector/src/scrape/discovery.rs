//! Lists of targets that change: files that are looked at again and again, and addresses that are asked. What cannot be read now
//! leaves the targets as they were.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use model::yaml::Source;
use model::{file_patterns, small_file};
use serde::Deserialize;
use tokio::sync::mpsc;

use super::client::{self, Question, Unanswered};
use super::config::{FileDiscovery, Group, HttpDiscovery, groups};
use super::repeat::Shared;
use crate::limits::{SCRAPE_FILE_BOUNDS, SCRAPE_FILE_BYTES_MAX, SCRAPE_FILES_POLL, TARGETS_MAX};

/// The targets of one source as they are now; the source's place in its job.
pub(super) struct Update {
    pub(super) source: usize,
    pub(super) groups: Vec<Group>,
}

/// Where updates go. Nobody listens any more when a job has ended.
#[derive(Clone)]
pub(super) struct Updates {
    pub(super) source: usize,
    pub(super) to: mpsc::Sender<Update>,
    pub(super) job: String,
}

impl Updates {
    async fn send(&self, groups: Vec<Group>) {
        let _ = self.to.send(Update { source: self.source, groups }).await;
    }
}

/// Looks at files for ever.
pub(super) async fn watch_files(discovery: FileDiscovery, shared: Arc<Shared>, updates: Updates) {
    let refresh = Duration::from_millis(discovery.refresh_ms.unsigned_abs());
    let mut seen: Option<(file_patterns::Signature, Duration)> = None;
    let mut known: BTreeMap<PathBuf, Vec<Group>> = BTreeMap::new();
    loop {
        let now = shared.clock.monotonic();
        let (patterns, was) = (discovery.patterns.clone(), known.clone());
        let old = seen.as_ref().filter(|(_, at)| now.saturating_sub(*at) < refresh).map(|(files, _)| files.clone());
        let looked = tokio::task::spawn_blocking(move || look(&patterns, old.as_ref(), was)).await;
        if let Ok(Some(look)) = looked {
            for error in &look.errors {
                shared.stats.discovery_failed(&updates.job, "file");
                tracing::warn!(
                    job = updates.job,
                    "a file of targets cannot be read, its targets stay as they were: {error}"
                );
            }
            let is_new = look.groups != known || seen.is_none();
            (seen, known) = (Some((look.signature, now)), look.groups);
            if is_new {
                updates.send(known.values().flatten().cloned().collect()).await;
            }
        }
        shared.clock.sleep_until(shared.clock.monotonic() + SCRAPE_FILES_POLL.min(refresh)).await;
    }
}

struct Look {
    signature: file_patterns::Signature,
    groups: BTreeMap<PathBuf, Vec<Group>>,
    errors: Vec<String>,
}

// The files' groups, unless the files are as they were.
fn look(
    patterns: &[String],
    old: Option<&file_patterns::Signature>,
    was: BTreeMap<PathBuf, Vec<Group>>,
) -> Option<Look> {
    let (mut paths, mut errors) = (Vec::new(), Vec::new());
    for pattern in patterns {
        match file_patterns::paths(pattern) {
            Ok(found) => paths.extend(found),
            Err(error) => errors.push(format!("{pattern}: {error}")),
        }
    }
    paths.sort();
    paths.dedup();
    let signature = file_patterns::signature(&paths);
    if old == Some(&signature) {
        return None;
    }
    let mut groups = BTreeMap::new();
    for path in paths {
        match read_file(&path) {
            Ok(read) => drop(groups.insert(path, read)),
            Err(error) => {
                // One that is gone has no targets; one that is being written will be read again.
                if let Some(last) = was.get(&path).filter(|_| path.exists()) {
                    groups.insert(path.clone(), last.clone());
                }
                errors.push(error);
            }
        }
    }
    Some(Look { signature, groups, errors })
}

fn read_file(path: &Path) -> Result<Vec<Group>, String> {
    let name = path.display().to_string();
    let text = small_file::read_text(path, SCRAPE_FILE_BYTES_MAX).map_err(|error| format!("{name}: {error}"))?;
    let is_json = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json"));
    let read =
        if is_json { read_json(&text).map_err(|error| format!("{name}:{error}")) } else { read_yaml(&name, &text) };
    let mut groups = read?;
    groups.iter_mut().for_each(|group| group.labels.push(("__meta_filepath".to_owned(), name.clone())));
    Ok(groups)
}

fn read_yaml(name: &str, text: &str) -> Result<Vec<Group>, String> {
    let source = Source { path: name, text };
    let read =
        source.parse(SCRAPE_FILE_BOUNDS).and_then(|node| groups(source, node.list(source, "the file")?, "a group"));
    read.map_err(|error| error.to_string())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonGroup {
    #[serde(default)]
    targets: Vec<String>,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
    // Where it comes from, if it says so.
    #[serde(default, rename = "source")]
    _source: Option<String>,
}

// The complaint begins with its line.
fn read_json(text: &str) -> Result<Vec<Group>, String> {
    let read: Result<Vec<JsonGroup>, _> = serde_json::from_str(text);
    let read = read.map_err(|error| format!("{}: {error}", error.line().max(1)))?;
    let mut count = 0;
    let group = |group: JsonGroup| {
        count += group.targets.len();
        if count > TARGETS_MAX {
            return Err(format!("1: there are more than {TARGETS_MAX} targets"));
        }
        match group.targets.iter().find(|target| target.contains('/')) {
            Some(target) => Err(format!("1: {target:?} is no address: it has to be HOST:PORT")),
            None => {
                Ok(Group { targets: group.targets, labels: group.labels.unwrap_or_default().into_iter().collect() })
            }
        }
    };
    read.into_iter().map(group).collect()
}

/// Asks an address for ever.
pub(super) async fn ask_again(discovery: HttpDiscovery, shared: Arc<Shared>, updates: Updates) {
    let refresh = Duration::from_millis(discovery.refresh_ms.unsigned_abs());
    let mut known: Option<Vec<Group>> = None;
    loop {
        let started = shared.clock.monotonic();
        match ask(&discovery, &shared).await {
            Ok(groups) if known.as_ref() == Some(&groups) => {}
            Ok(groups) => {
                known = Some(groups.clone());
                updates.send(groups).await;
            }
            Err(error) => {
                shared.stats.discovery_failed(&updates.job, "http");
                let url = &discovery.url;
                tracing::warn!(job = updates.job, "no list of targets from {url}, they stay as they were: {error}");
            }
        }
        shared.clock.sleep_until(started + refresh).await;
    }
}

async fn ask(discovery: &HttpDiscovery, shared: &Shared) -> Result<Vec<Group>, String> {
    let refresh = Duration::from_millis(discovery.refresh_ms.unsigned_abs());
    let question = Question {
        url: &discovery.url,
        http: &discovery.http,
        headers: vec![
            ("accept", "application/json".to_owned()),
            ("x-prometheus-refresh-interval-seconds", refresh.as_secs_f64().to_string()),
        ],
        user_agent: &shared.user_agent,
        bytes_max: SCRAPE_FILE_BYTES_MAX as u64,
        limit: "split the list",
    };
    let late = shared.clock.sleep_until(shared.clock.monotonic() + refresh);
    let mut connection = None;
    let answer = tokio::select! {
        answer = client::ask(&question, &mut connection, None) => answer,
        () = late => return Err(format!("no answer within {} s", refresh.as_secs_f64())),
    };
    let answer = answer.map_err(|unanswered| match unanswered {
        Unanswered::Failed(failure) => failure.message,
        Unanswered::Refused(refusal) => refusal.to_string(),
    })?;
    let media_type = answer.content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if media_type != "application/json" {
        return Err(format!("the answer is {media_type:?}, not application/json"));
    }
    let text = std::str::from_utf8(&answer.body).map_err(|_| "the answer is not UTF-8".to_owned())?;
    let mut groups = read_json(text).map_err(|error| format!("line {error}"))?;
    let url = discovery.url.to_string();
    groups.iter_mut().for_each(|group| group.labels.push(("__meta_url".to_owned(), url.clone())));
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_in_both_forms() {
        let json = r#"[{"targets": ["a:1", "b:2"], "labels": {"zone": "x"}}, {"targets": []}, {"labels": null}]"#;
        let yaml = "- targets: [a:1, 'b:2']\n  labels: {zone: x}\n- targets: []\n- labels:\n";
        let expected = read_json(json).expect("a list");
        assert_eq!(read_yaml("a.yml", yaml), Ok(expected.clone()));
        assert_eq!((expected.len(), expected[0].targets.len()), (3, 2));
        assert_eq!(read_yaml("a.yml", ""), Ok(Vec::new()));
        for (text, what) in [
            ("[{]", "1: key must be a string"),
            ("{}", "1: invalid type: map, expected a sequence"),
            ("[\n{\"target\": []}]", "2: unknown field `target`"),
            ("[{\"targets\": [1]}]", "1: invalid type: integer"),
            ("[{\"targets\": [\"http://a\"]}]", "\"http://a\" is no address"),
            ("", "1: EOF"),
        ] {
            let error = read_json(text).expect_err(text);
            assert!(error.contains(what), "{text}: {error}");
        }
        let error = read_yaml("a.yml", "- targets: [a]\n- target: [b]\n").expect_err("a wrong key");
        assert_eq!(error, "a.yml:2: unknown key \"target\" in a group");
    }

    #[test]
    fn files_that_break_keep_their_targets_and_files_that_go_lose_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        let write = |name: &str, target: &str| {
            std::fs::write(at(name), format!("[{{\"targets\": [\"{target}\"]}}]")).expect("written");
        };
        let patterns = [at("*.json").display().to_string()];
        write("a.json", "a:1");
        write("b.json", "b:1");
        let first = look(&patterns, None, BTreeMap::new()).expect("it is new");
        assert_eq!((first.groups.len(), first.errors.len()), (2, 0));
        let [group] = &first.groups[&at("a.json")][..] else { panic!("one group") };
        assert_eq!(group.labels, [("__meta_filepath".to_owned(), at("a.json").display().to_string())]);
        assert!(look(&patterns, Some(&first.signature), first.groups.clone()).is_none(), "nothing has changed");
        std::fs::write(at("a.json"), "[{\"targets\": [\"a:2\"").expect("written");
        std::fs::remove_file(at("b.json")).expect("removed");
        let second = look(&patterns, Some(&first.signature), first.groups.clone()).expect("it has changed");
        assert_eq!((second.groups.len(), second.errors.len()), (1, 1));
        assert_eq!(second.groups[&at("a.json")], first.groups[&at("a.json")]);
        assert!(second.errors[0].contains("a.json:1: EOF"), "{:?}", second.errors);
    }
}
