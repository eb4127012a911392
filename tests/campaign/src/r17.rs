//! R17: receivers that are down, answer 500 or 429, are slow, or reset connections, for as long as an outage lasts. Once
//! they are back, each has heard every transition of every alert, in order.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::alarms::{self, Told};
use crate::binary::{Setup, Subject};
use crate::receiver::{Behaviour, Receiver};
use crate::report::{Report, Trial};

/// Longer than the time that a receiver is given to answer.
const SLOW_S: u64 = 15;

/// The receivers' names and what is wrong with them.
const RECEIVERS: [(&str, Behaviour); 6] = [
    ("healthy", Behaviour::Takes),
    ("down", Behaviour::IsDown),
    ("failing", Behaviour::Fails),
    ("busy", Behaviour::IsBusy),
    ("slow", Behaviour::IsSlow(SLOW_S)),
    ("resetting", Behaviour::Resets),
];

const ALARMS: u64 = 3;

/// The longest pause between two attempts, and some time for the rest.
const PATIENCE: Duration = Duration::from_secs(330);

/// Runs `trials` trials with `subject`, each with an outage of `outage`; `progress` is told after each.
pub async fn run(
    subject: &Subject,
    trials: u64,
    seed: u64,
    outage: Duration,
    mut progress: impl FnMut(&Trial),
) -> anyhow::Result<Report> {
    let mut done = Vec::new();
    for number in 0..trials {
        let directory = tempfile::tempdir()?;
        let setup = Setup::new(subject, directory.path());
        let trial = trial(&setup, directory.path(), seed.wrapping_add(number), outage).await?;
        progress(&trial);
        done.push(trial);
    }
    let transitions = done.iter().map(|trial| trial.acknowledged).sum();
    Ok(Report::new("R17", seed, transitions, done).of_alerts())
}

async fn trial(setup: &Setup, directory: &Path, seed: u64, outage: Duration) -> anyhow::Result<Trial> {
    let mut receivers = Vec::new();
    for (name, behaviour) in RECEIVERS {
        receivers.push((name, Receiver::start(behaviour).await?));
    }
    configure(setup, directory, &receivers)?;
    let mut server = setup.start().await?;
    let mut random = fastrand::Rng::with_seed(seed);
    let started = Instant::now();
    // Alarms come and go all the time; the last word of each is that it is resolved.
    let mut raised = [false; ALARMS as usize];
    while started.elapsed() < outage || raised.contains(&true) {
        let alarm = if started.elapsed() < outage { random.usize(..raised.len()) } else { first(&raised) };
        raised[alarm] = !raised[alarm];
        alarms::set(&server, &id(alarm), i64::from(raised[alarm])).await?;
        tokio::time::sleep(Duration::from_millis(random.u64(2_500..4_000))).await;
    }
    for (_, receiver) in &mut receivers {
        receiver.turn(Behaviour::Takes).await?;
    }
    let back = Instant::now();
    let client = server.client();
    let ask = async || {
        let history = alarms::history(&client).await?;
        let mut wrong = Vec::new();
        for (name, receiver) in &receivers {
            let calls = receiver.calls();
            let taken = alarms::told(calls.iter().filter(|call| call.taken));
            for alarm in 0..ALARMS {
                let alarm = id(usize::try_from(alarm)?);
                let expected: Vec<&str> = history.get(&alarm).into_iter().flatten().map(String::as_str).collect();
                let expected: Vec<&str> = expected.into_iter().filter(|word| *word != "pending").collect();
                wrong.extend(missing(name, &alarm, &expected, &taken));
            }
        }
        let transitions = history.values().map(|transitions| transitions.len() as u64).sum::<u64>();
        Ok((transitions, wrong))
    };
    let (acknowledged, wrong) = alarms::settled(PATIENCE, ask, |(_, wrong)| wrong.is_empty()).await?;
    let ready_after_ms = u64::try_from(back.elapsed().as_millis())?;
    server.kill().await?;
    Ok(Trial {
        seed,
        fault: String::new(),
        life: 1,
        killed_after_ms: u64::try_from(outage.as_millis())?,
        acknowledged,
        rows: receivers.iter().map(|(_, receiver)| receiver.calls().len() as u64).sum(),
        rows_in_parts: 0,
        ready_after_ms,
        wrong: wrong.join(", "),
    })
}

fn id(alarm: usize) -> String {
    format!("alarm-{alarm}")
}

fn first(raised: &[bool]) -> usize {
    raised.iter().position(|raised| *raised).unwrap_or_default()
}

// Repetitions under one key count once.
fn missing(receiver: &str, alarm: &str, expected: &[&str], told: &[Told]) -> Option<String> {
    let mut known = BTreeSet::new();
    let of_alarm = told.iter().filter(|told| told.id == alarm);
    let heard: Vec<&str> =
        of_alarm.filter(|told| known.insert(told.key.as_str())).map(|told| told.status.as_str()).collect();
    (heard != expected).then(|| format!("{receiver} heard of {alarm} {heard:?} instead of {expected:?}"))
}

fn configure(setup: &Setup, directory: &Path, receivers: &[(&str, Receiver)]) -> anyhow::Result<()> {
    std::fs::write(directory.join("rules.yml"), alarms::RULES)?;
    let mut alertmanager = "\
route:
  receiver: healthy
  group_by: [id]
  group_wait: 0s
  group_interval: 1s
  repeat_interval: 24h
  routes:
"
    .to_owned();
    for (name, _) in receivers {
        alertmanager.push_str(&format!("    - {{receiver: {name}, continue: true}}\n"));
    }
    alertmanager.push_str("receivers:\n");
    for (name, receiver) in receivers {
        let url = receiver.url();
        alertmanager.push_str(&format!("  - {{name: {name}, webhook_configs: [{{url: '{url}', timeout: 5s}}]}}\n"));
    }
    std::fs::write(directory.join("alertmanager.yml"), alertmanager)?;
    setup.configure(
        "log = \"error\"\n[rules]\nfiles = [\"rules.yml\"]\nalertmanager = \"alertmanager.yml\"\nallowed_receivers = [\"127.0.0.1\"]\n",
    )
}
