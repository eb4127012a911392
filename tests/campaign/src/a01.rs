//! A01: `kill -9` at a random moment around the transitions of alerts and their notifications. After the restart no
//! transition is lost, no `for` clock has begun again, and a receiver hears each transition, at most twice and then with
//! the same idempotency key.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::task::{JoinSet, LocalSet};

use crate::alarms::{self, Told};
use crate::binary::{Setup, Subject};
use crate::receiver::{Behaviour, Receiver};
use crate::report::{Report, Trial};

const ALARMS: u64 = 4;

/// Every alarm is raised and cleared within this time, and so the kill meets some transition of some alarm.
const PLAN_MS: u64 = 8_500;

/// From the end of the plan until everything is told. A notification that was under way at the kill is tried again within
/// seconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// Trials at a time: a trial mostly waits.
const CONCURRENT: usize = 4;

/// Runs `trials` trials with `subject`, each in a fresh directory; `progress` is told after each.
pub async fn run(subject: &Subject, trials: u64, seed: u64, progress: impl FnMut(&Trial)) -> anyhow::Result<Report> {
    // Trials stay on this thread: they share nothing, and none of them computes.
    LocalSet::new().run_until(run_all(subject, trials, seed, progress)).await
}

async fn run_all(
    subject: &Subject,
    trials: u64,
    seed: u64,
    mut progress: impl FnMut(&Trial),
) -> anyhow::Result<Report> {
    let mut seeds = (0..trials).map(|number| seed.wrapping_add(number));
    let (mut running, mut done) = (JoinSet::new(), Vec::new());
    loop {
        while running.len() < CONCURRENT
            && let Some(seed) = seeds.next()
        {
            running.spawn_local(in_a_directory(subject.clone(), seed));
        }
        let Some(trial) = running.join_next().await else { break };
        let trial = trial.context("a trial panicked")??;
        progress(&trial);
        done.push(trial);
    }
    done.sort_by_key(|trial| trial.seed.wrapping_sub(seed));
    let transitions = done.iter().map(|trial| trial.acknowledged).sum();
    Ok(Report::new("A01", seed, transitions, done).of_alerts())
}

async fn in_a_directory(subject: Subject, seed: u64) -> anyhow::Result<Trial> {
    let directory = tempfile::tempdir()?;
    let trial = trial(&Setup::new(&subject, directory.path()), directory.path(), seed).await?;
    if !trial.wrong.is_empty() {
        let kept = directory.keep();
        eprintln!("the failed trial's directory is kept: {}", kept.display());
    }
    Ok(trial)
}

enum Step {
    Set { alarm: u64, value: i64 },
    Kill,
}

// When what happens, in milliseconds from the beginning.
fn plan(random: &mut fastrand::Rng) -> (Vec<(u64, Step)>, u64) {
    let mut steps = Vec::new();
    for alarm in 0..ALARMS {
        let raised = random.u64(0..1_500);
        // Long enough for two evaluations and the kill between them, on a busy machine too.
        let cleared = raised + random.u64(4_500..7_000);
        steps.push((raised, Step::Set { alarm, value: 1 }));
        steps.push((cleared, Step::Set { alarm, value: 0 }));
    }
    let killed = random.u64(0..PLAN_MS);
    steps.push((killed, Step::Kill));
    steps.sort_by_key(|(at, _)| *at);
    (steps, killed)
}

async fn trial(setup: &Setup, directory: &Path, seed: u64) -> anyhow::Result<Trial> {
    let mut random = fastrand::Rng::with_seed(seed);
    let receiver = Receiver::start(Behaviour::Takes).await?;
    configure(setup, directory, &receiver)?;
    let mut server = setup.start().await?;
    let (steps, killed_after_ms) = plan(&mut random);
    let (mut ready_after_ms, mut wrong) = (0, Vec::new());
    let started = Instant::now();
    for (at, step) in steps {
        tokio::time::sleep(Duration::from_millis(at).saturating_sub(started.elapsed())).await;
        match step {
            Step::Set { alarm, value } => alarms::set(&server, &id(alarm), value).await?,
            Step::Kill => {
                let before = alarms::active(&server.client()).await?;
                server.kill().await?;
                let restarted = Instant::now();
                server = setup.start().await?;
                ready_after_ms = u64::try_from(restarted.elapsed().as_millis())?;
                let after = alarms::active(&server.client()).await?;
                wrong.extend(other_clocks(&before, &after));
            }
        }
    }
    let client = server.client();
    let told = async || Ok((alarms::history(&client).await?, alarms::told(&receiver.calls())));
    let (history, told) = alarms::settled(PATIENCE, told, |(history, told)| judge(history, told).is_empty()).await?;
    wrong.extend(judge(&history, &told));
    server.kill().await?;
    Ok(Trial {
        seed,
        fault: String::new(),
        life: 1,
        killed_after_ms,
        acknowledged: history.values().map(|transitions| transitions.len() as u64).sum(),
        rows: receiver.calls().len() as u64,
        rows_in_parts: 0,
        ready_after_ms,
        wrong: wrong.join(", "),
    })
}

fn id(alarm: u64) -> String {
    format!("alarm-{alarm}")
}

fn configure(setup: &Setup, directory: &Path, receiver: &Receiver) -> anyhow::Result<()> {
    std::fs::write(directory.join("rules.yml"), alarms::RULES)?;
    let alertmanager = format!(
        "\
route: {{receiver: campaign, group_by: [id], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}}
receivers:
  - name: campaign
    webhook_configs: [{{url: '{}'}}]
",
        receiver.url()
    );
    std::fs::write(directory.join("alertmanager.yml"), alertmanager)?;
    setup.configure(&format!(
        "log = \"warn\"\n[rules]\nfiles = [\"rules.yml\"]\nalertmanager = \"alertmanager.yml\"\nallowed_receivers = [\"{}\"]\n",
        receiver.address()
    ))
}

// An alarm that was active before the kill and is active after it has been active since the same moment.
fn other_clocks(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<String> {
    let differing = before.iter().filter_map(|(id, since)| {
        let now = after.get(id)?;
        (now != since).then(|| format!("the clock of {id} began at {since} and, after the kill, at {now}"))
    });
    differing.collect()
}

fn judge(history: &BTreeMap<String, Vec<String>>, told: &[Told]) -> Vec<String> {
    let mut wrong = Vec::new();
    for alarm in (0..ALARMS).map(id) {
        let transitions = history.get(&alarm).map(Vec::as_slice).unwrap_or_default();
        if transitions != ["pending", "firing", "resolved"] {
            wrong.push(format!("the history of {alarm} is {transitions:?}"));
        }
        for status in ["firing", "resolved"] {
            let calls: Vec<&Told> = told.iter().filter(|told| told.id == alarm && told.status == status).collect();
            let keys: std::collections::BTreeSet<&str> = calls.iter().map(|told| told.key.as_str()).collect();
            if !(1..=2).contains(&calls.len()) || keys.len() != 1 {
                wrong.push(format!("{alarm} was told {status} {} times with {} keys", calls.len(), keys.len()));
            }
        }
        let starts: std::collections::BTreeSet<&str> =
            told.iter().filter(|told| told.id == alarm).map(|told| told.starts_at.as_str()).collect();
        if starts.len() > 1 {
            wrong.push(format!("{alarm} began to fire at {starts:?}"));
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(id: &str, status: &str, key: &str) -> Told {
        let text = str::to_owned;
        Told { id: text(id), status: text(status), starts_at: text("1"), key: text(key) }
    }

    #[test]
    fn sees_what_is_lost_doubled_and_begun_again() {
        let all = ["pending", "firing", "resolved"].map(str::to_owned).to_vec();
        let history: BTreeMap<_, _> = (0..ALARMS).map(|alarm| (id(alarm), all.clone())).collect();
        let fine: Vec<Told> = (0..ALARMS)
            .flat_map(|alarm| {
                [told(&id(alarm), "firing", &format!("f{alarm}")), told(&id(alarm), "resolved", &format!("r{alarm}"))]
            })
            .collect();
        assert_eq!(judge(&history, &fine), Vec::<String>::new());
        let again = |call: Told| [fine.clone(), vec![call]].concat();
        assert!(judge(&history, &again(told("alarm-0", "firing", "f0"))).is_empty(), "one duplicate is allowed");
        assert_eq!(judge(&history, &again(told("alarm-0", "firing", "new"))).len(), 1);
        assert_eq!(judge(&history, &fine[1..]).len(), 1);
        let mut restarted = history.clone();
        restarted.insert(id(2), ["pending", "pending", "firing", "resolved"].map(str::to_owned).to_vec());
        assert_eq!(judge(&restarted, &fine).len(), 1);
        let clock = |since: &str| BTreeMap::from([("a".to_owned(), since.to_owned())]);
        assert!(other_clocks(&clock("1"), &clock("1")).is_empty());
        assert_eq!(other_clocks(&clock("1"), &clock("2")).len(), 1);
    }
}
