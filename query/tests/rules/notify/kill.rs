//! The power is cut, or the process killed, at every step of a notification: nothing is lost, and what comes twice comes with
//! the same key.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use model::ManualClock;
use query::rules::notify::Outcome;
use store::disk::SimDisk;
use store::disk::sim::{Fault, FaultKind, Operation};

use super::receiver::{Behaviour, Received, Receiver};
use super::world::{Hook, World, alert, no_hook, start};

fn config(folder: &Path, receiver: &Receiver) -> PathBuf {
    let path = folder.join("alertmanager.yml");
    let text = format!(
        "route: {{receiver: hook, group_by: [alertname], group_wait: 0s, group_interval: 1m}}\n\
         receivers:\n- name: hook\n  webhook_configs:\n  - url: {}\n",
        receiver.url()
    );
    std::fs::write(&path, text).expect("written");
    path
}

fn open(disk: &SimDisk, config: &Path, clock: &Arc<ManualClock>, hook: Hook) -> World {
    World::open(Arc::new(disk.clone()), Path::new("/data"), config, clock, hook)
}

// Each transition's keys, by `name status`.
fn keys(received: &[Received]) -> BTreeMap<String, Vec<String>> {
    let mut keys: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for one in received {
        for (name, status) in one.alerts() {
            keys.entry(format!("{name} {status}")).or_default().push(one.key().to_owned());
        }
    }
    keys
}

fn check(received: &[Received], expected: &[&str], kills: usize, what: &str) {
    let keys = keys(received);
    assert!(keys.keys().eq(expected), "{what}: {keys:?}");
    for (transition, keys) in keys {
        assert!(keys.len() <= 1 + kills, "{what}: {transition} came {} times", keys.len());
        assert!(keys.iter().all(|key| *key == keys[0]), "{what}: {transition} came with several keys");
    }
}

// Lets the world run until everything that is known has been told and the store knows it.
async fn finish(world: &World) {
    world
        .until("the end", |world| {
            let store = world.store.as_ref().expect("a store");
            let told = store.state("notify_log").values().any(|told| String::from_utf8_lossy(told).contains("[["));
            told && store.state("notify_outbox").is_empty() && world.notifier.status().queued.is_empty()
        })
        .await;
}

#[derive(Clone, Copy, Debug)]
enum Moment {
    Committed,
    Accepted,
    Requested,
    Answered,
    Settled,
}

#[tokio::test]
async fn nothing_is_lost_at_any_step() {
    for moment in [Moment::Committed, Moment::Accepted, Moment::Requested, Moment::Answered, Moment::Settled] {
        for (number, power) in [true, false].into_iter().enumerate() {
            let what = format!("{moment:?}, power cut {power}");
            let disk = SimDisk::new(7 + number as u64);
            let mut receiver = Receiver::new(vec![]).await;
            let folder = tempfile::tempdir().expect("a folder");
            let config = config(folder.path(), &receiver);
            let clock = Arc::new(ManualClock::new(start()));
            let next: Arc<std::sync::Mutex<Option<SimDisk>>> = Arc::default();
            let cut = {
                let (disk, next) = (disk.clone(), Arc::clone(&next));
                move || {
                    let mut next = next.lock().expect("a disk");
                    next.get_or_insert_with(|| if power { disk.crash() } else { disk.kill() });
                }
            };
            let hook = no_hook();
            if matches!(moment, Moment::Answered) {
                // Before the store can hear of it.
                let cut = cut.clone();
                *hook.lock().expect("a hook") = Some(Box::new(move |_| cut()));
            }
            if matches!(moment, Moment::Requested) {
                receiver.script(vec![Behaviour::Hang]);
            }
            let mut world = open(&disk, &config, &clock, hook);
            let alerts = vec![alert("alertname=A", 0, None)];
            let changes = world.notifier.changes(&alerts);
            world.store.as_ref().expect("a store").writer().change_state(changes).await.expect("committed");
            let mut received = Vec::new();
            if !matches!(moment, Moment::Committed) {
                world.notifier.accept(alerts);
            }
            match moment {
                Moment::Committed | Moment::Accepted => {}
                Moment::Requested => received.push(receiver.next().await),
                Moment::Answered => assert_eq!(world.delivery().await.outcome, Outcome::Delivered),
                Moment::Settled => finish(&world).await,
            }
            cut();
            world.kill().await;
            let disk = next.lock().expect("a disk").take().expect("it was cut");
            let world = open(&disk, &config, &clock, no_hook());
            finish(&world).await;
            // And its end is told as well.
            world.tell(vec![alert("alertname=A", 0, Some(0))]).await;
            clock.advance(Duration::from_secs(60));
            world
                .until("the end of the alert", |world| {
                    let alerts = world.store.as_ref().expect("a store").state("notify_alerts");
                    alerts.values().all(|record| String::from_utf8_lossy(record).contains("finished"))
                        && world.store.as_ref().expect("a store").state("notify_outbox").is_empty()
                })
                .await;
            received.extend(receiver.rest());
            check(&received, &["A firing", "A resolved"], 1, &what);
            world.stop().await;
        }
    }
}

// The disk refuses at its n-th write or sync, for ever, and then the power is cut.
#[tokio::test]
async fn nothing_is_lost_wherever_the_disk_fails() {
    let mut failed = 0;
    for count in 0..24 {
        let disk = SimDisk::new(count);
        let mut receiver = Receiver::new(vec![]).await;
        let folder = tempfile::tempdir().expect("a folder");
        let config = config(folder.path(), &receiver);
        let clock = Arc::new(ManualClock::new(start()));
        let world = open(&disk, &config, &clock, no_hook());
        let writes = |operation, _: &Path| matches!(operation, Operation::Append | Operation::Sync);
        disk.inject(Fault::new(FaultKind::Io, writes).after(count));
        let alerts = vec![alert("alertname=A", 0, None), alert("alertname=B", 0, None)];
        let writer = world.store.as_ref().expect("a store").writer();
        // The rules try again until it is committed; here they do after the restart.
        let known = writer.change_state(world.notifier.changes(&alerts)).await.is_ok();
        if known {
            world.notifier.accept(alerts.clone());
            world
                .until("an end, or a failure", |world| {
                    let store = world.store.as_ref().expect("a store");
                    let failures = world.stats.to_prometheus_text();
                    let stuck = !failures.contains("sextant_notifications_commit_failures_total 0");
                    let done = world.notifier.status().queued.is_empty() && store.state("notify_log").len() == 2;
                    stuck || done && store.state("notify_outbox").is_empty()
                })
                .await;
            failed += usize::from(!world.stats.to_prometheus_text().contains("commit_failures_total 0"));
        }
        let after = disk.crash();
        world.kill().await;
        let world = open(&after, &config, &clock, no_hook());
        world.tell(alerts).await;
        world
            .until("both are told", |world| {
                let store = world.store.as_ref().expect("a store");
                store.state("notify_log").len() == 2 && store.state("notify_outbox").is_empty()
            })
            .await;
        let received = receiver.rest();
        check(&received, &["A firing", "B firing"], 1, &format!("after {count} writes"));
        world.stop().await;
    }
    assert!(failed > 3, "the disk failed {failed} times while something was to be told");
}
