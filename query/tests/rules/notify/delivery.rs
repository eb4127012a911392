//! Delivery to a receiver that misbehaves, on a clock that the test owns.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt as _;
use model::stats::Stats;
use model::{Clock as _, ManualClock};
use query::api::{ApiState, Server, router};
use query::rules::notify::webhook::signature;
use query::rules::notify::{Delivery, Notifier, Outcome};
use store::disk::SimDisk;
use tower::ServiceExt as _;

use super::receiver::{Behaviour, Receiver};
use super::world::{World, alert, at, no_hook, start};

struct Scene {
    world: World,
    receiver: Receiver,
    _folder: tempfile::TempDir,
    config: PathBuf,
}

fn write(folder: &Path, url: &str, more: &str) -> PathBuf {
    let path = folder.join("alertmanager.yml");
    let text = format!(
        "route:\n  receiver: hook\n  group_by: [alertname]\n  group_wait: 0s\n  group_interval: 1m\n\
         receivers:\n- name: hook\n  webhook_configs:\n  - url: {url}\n    hmac_secret: signs\n{more}"
    );
    std::fs::write(&path, text).expect("written");
    path
}

impl Scene {
    async fn new(script: Vec<Behaviour>, more: &str) -> Scene {
        let receiver = Receiver::new(script).await;
        let folder = tempfile::tempdir().expect("a folder");
        let config = write(folder.path(), &receiver.url(), more);
        let clock = Arc::new(ManualClock::new(start()));
        let world = World::open(Arc::new(SimDisk::new(1)), Path::new("/data"), &config, &clock, no_hook());
        Scene { world, receiver, _folder: folder, config }
    }

    // Attempts until one arrives; answers the errors before it.
    async fn until_delivered(&mut self) -> (Vec<Delivery>, Delivery) {
        let mut failed = Vec::new();
        loop {
            let delivery = self.world.delivery().await;
            if delivery.outcome == Outcome::Delivered {
                return (failed, delivery);
            }
            assert_eq!(delivery.outcome, Outcome::Retried, "{delivery:?}");
            failed.push(delivery);
            if !self.world.notifier.status().queued.is_empty() {
                self.world.advance_to_next_attempt();
            }
        }
    }
}

#[tokio::test]
async fn a_notification_arrives_with_its_headers() {
    let mut scene = Scene::new(vec![], "").await;
    scene.world.tell(vec![alert("alertname=A", 0, None)]).await;
    let received = scene.receiver.next().await;
    let delivery = scene.world.delivery().await;
    assert_eq!((delivery.outcome, delivery.attempt, delivery.error), (Outcome::Delivered, 1, None));
    let header = |name: &str| received.headers[name].as_str();
    assert_eq!(received.path, "/hook?token=topsecret");
    assert_eq!((header("content-type"), header("user-agent")), ("application/json", "Sextant/1.2.3"));
    assert_eq!(header("host"), scene.receiver.address.to_string());
    assert_eq!(header("x-sextant-signature"), signature("signs", received.text.as_bytes()));
    assert_eq!(received.key(), delivery.idempotency_key);
    assert_eq!(received.json()["externalURL"], "http://sextant.example");
    assert_eq!(scene.world.notifier.last_sent(alert("alertname=A", 0, None).fingerprint()), Some(start()));
    // The store forgets what has arrived.
    scene
        .world
        .until("an empty outbox", |world| world.store.as_ref().expect("a store").state("notify_outbox").is_empty())
        .await;
    assert!(scene.world.notifier.status().queued.is_empty());
    let metrics = scene.world.stats.to_prometheus_text();
    assert!(metrics.contains("sextant_notifications_delivered_total{receiver=\"hook\"} 1\n"), "{metrics}");
    scene.world.stop().await;
}

#[tokio::test]
async fn every_failure_is_retried_until_it_arrives() {
    use Behaviour::{Answer, Reset};
    let script = vec![
        Answer(500, "", "down \u{7}for topsecret reasons"),
        Reset,
        Answer(503, "", ""),
        Answer(404, "", ""),
        Answer(401, "", ""),
        Answer(307, "Location: http://169.254.169.254/\r\n", ""),
        Answer(200, "", ""),
    ];
    let mut scene = Scene::new(script, "").await;
    scene.world.tell(vec![alert("alertname=A", 0, None)]).await;
    let (failed, delivered) = scene.until_delivered().await;
    let errors: Vec<String> = failed.into_iter().map(|failed| failed.error.expect("an error")).collect();
    let expected =
        ["500 Internal Server Error: down", "the connection broke", "503", "404", "401", "redirects are not followed"];
    for (error, part) in errors.iter().zip(expected) {
        assert!(error.contains(part), "{error}");
        assert!(!error.contains("topsecret") && !error.contains('\u{7}') || part.starts_with("500"), "{error}");
    }
    assert_eq!((errors.len(), delivered.attempt), (6, 7));
    // All with one key and one body; of the reset one nothing was read.
    let received = scene.receiver.rest();
    assert_eq!(received.len(), 6);
    assert!(received.iter().all(|one| one.key() == delivered.idempotency_key && one.text == received[0].text));
    scene.world.stop().await;
}

#[tokio::test]
async fn a_receiver_says_when_it_wants_to_be_asked_again() {
    let date = "Retry-After: Sat, 31 Jan 2026 12:02:00 GMT\r\n";
    let script = vec![Behaviour::Answer(429, "Retry-After: 30\r\n", ""), Behaviour::Answer(503, date, "")];
    let mut scene = Scene::new(script, "").await;
    scene.world.tell(vec![alert("alertname=A", 0, None)]).await;
    for moment in [30, 120] {
        assert_eq!(scene.world.delivery().await.outcome, Outcome::Retried);
        let status = scene.world.notifier.status();
        assert_eq!(status.queued[0].next_attempt, Some(at(moment).to_string()));
        scene.world.advance_to_next_attempt();
    }
    assert_eq!(scene.world.delivery().await.outcome, Outcome::Delivered);
    assert_eq!(scene.world.clock.now(), at(120));
    scene.world.stop().await;
}

#[tokio::test]
async fn an_answer_that_is_cut_short_is_an_answer_if_it_said_yes() {
    let mut scene = Scene::new(vec![Behaviour::Cut], "").await;
    scene.world.tell(vec![alert("alertname=A", 0, None)]).await;
    let (failed, delivered) = scene.until_delivered().await;
    // The head may be cut as well; then it is tried again, with the same key.
    assert!(failed.iter().all(|failed| failed.idempotency_key == delivered.idempotency_key));
    scene.world.stop().await;
}

#[tokio::test]
async fn a_receiver_that_hangs_delays_no_other() {
    let mut other = Receiver::new(vec![]).await;
    let more = format!("  - url: {}\n", other.url());
    let mut scene = Scene::new(vec![Behaviour::Hang], &more).await;
    scene.world.tell(vec![alert("alertname=A", 0, None)]).await;
    scene.receiver.next().await;
    // The first webhook hangs; the second hears of everything.
    assert_eq!(other.next().await.alerts(), [("A".to_owned(), "firing".to_owned())]);
    assert_eq!(scene.world.delivery().await.endpoint.webhook, 1);
    scene.world.tell(vec![alert("alertname=B", 0, None)]).await;
    assert_eq!(other.next().await.alerts(), [("B".to_owned(), "firing".to_owned())]);
    // B goes to the first webhook too, which answers again.
    let mut ended = vec![scene.world.delivery().await, scene.world.delivery().await];
    ended.sort_by_key(|delivery| delivery.endpoint.webhook);
    assert!(ended.iter().all(|delivery| delivery.outcome == Outcome::Delivered), "{ended:?}");
    // After its time the attempt is given up and made again.
    scene.world.clock.advance(Duration::from_secs(60));
    let late = scene.world.delivery().await;
    assert_eq!((late.outcome, late.error.as_deref()), (Outcome::Retried, Some("no answer within 60 s")));
    scene.world.advance_to_next_attempt();
    let (_, delivered) = scene.until_delivered().await;
    assert_eq!(delivered.idempotency_key, late.idempotency_key);
    scene.world.stop().await;
}

#[tokio::test]
async fn a_receiver_that_was_down_for_five_minutes_hears_of_every_transition_in_order() {
    let mut scene = Scene::new(vec![Behaviour::Answer(500, "", ""); 1_000], "").await;
    let mut expected = vec!["firing"];
    scene.world.tell(vec![alert("alertname=A", 0, None)]).await;
    assert_eq!(scene.world.delivery().await.outcome, Outcome::Retried);
    // It is resolved and fires again and again while nobody takes it; each time the group is looked at.
    let mut fires_since = Some(0);
    while scene.world.clock.now() < at(300) {
        let now = scene.world.clock.now().as_nanos().saturating_sub(start().as_nanos()) / 1_000_000_000;
        let (since, ends) = fires_since.map_or((now, None), |since| (since, Some(now)));
        scene.world.tell(vec![alert("alertname=A", since, ends)]).await;
        expected.push(if ends.is_none() { "firing" } else { "resolved" });
        fires_since = ends.is_none().then_some(since);
        let waiting = expected.len();
        scene
            .world
            .until("the decision", |world| {
                world.clock.advance(Duration::from_millis(100));
                world.notifier.status().queued.len() == waiting
            })
            .await;
    }
    assert!(expected.len() > 2);
    scene.receiver.script(vec![]);
    let mut told: Vec<String> = Vec::new();
    while told.len() < expected.len() {
        let (_, delivered) = scene.until_delivered().await;
        told.push(delivered.status);
    }
    assert_eq!(told, expected);
    scene.world.stop().await;
}

#[tokio::test]
async fn what_waits_and_what_was_given_up_is_told() {
    let script = vec![Behaviour::Answer(413, "", "too large"), Behaviour::Answer(500, "", "")];
    let mut scene = Scene::new(script, "").await;
    let world = &mut scene.world;
    world.tell(vec![alert("alertname=A", 0, None)]).await;
    assert_eq!(world.delivery().await.outcome, Outcome::Dead);
    world.tell(vec![alert("alertname=B", 0, None)]).await;
    assert_eq!(world.delivery().await.outcome, Outcome::Retried);
    let server = Arc::new(Server::new("1.2.3", start()));
    let store = world.store.clone().expect("a store");
    let state = ApiState::new(store, world.clock.clone(), world.stats.clone(), query::Config::default(), server);
    let nobody = router(state.clone());
    let somebody = router(state.with_notifier(world.notifier.clone()));
    let ask = |router: axum::Router| async move {
        let request = axum::http::Request::get("/api/v1/notifications").body(axum::body::Body::empty());
        let answer = router.oneshot(request.expect("a request")).await.expect("an answer");
        let body = answer.into_body().collect().await.expect("a body").to_bytes();
        serde_json::from_slice::<serde_json::Value>(&body).expect("JSON")
    };
    assert_eq!(ask(nobody).await, serde_json::json!({"queued": [], "dead": []}));
    let told = ask(somebody).await;
    let (waits, dead) = (&told["queued"][0], &told["dead"][0]);
    let error = "the receiver answered 413 Payload Too Large: too large";
    assert_eq!((&waits["receiver"], &waits["status"], &waits["alerts"]), (&"hook".into(), &"firing".into(), &1.into()));
    assert_eq!((&waits["attempts"], &waits["created"]), (&1.into(), &start().to_string().into()));
    assert_eq!(waits["group_key"], "{}:{alertname=\"B\"}");
    assert!(waits["next_attempt"].is_string() && dead.get("next_attempt").is_none());
    assert_eq!((&dead["last_error"], &dead["group_key"]), (&error.into(), &"{}:{alertname=\"A\"}".into()));
    // After a restart all of it is still told.
    let (notifier, store) = (&world.notifier, world.store.as_ref().expect("a store"));
    let before = notifier.status();
    world.until("the records", |_| store.state("notify_outbox").len() == 2).await;
    let again = Notifier::open(&world.settings, store, world.clock.clone(), &Stats::new()).expect("it opens");
    assert_eq!(again.status().dead, before.dead);
    assert_eq!(again.status().queued[0].idempotency_key, before.queued[0].idempotency_key);
    scene.world.stop().await;
}

#[tokio::test]
async fn a_broken_configuration_leaves_the_old_one_in_force() {
    let mut scene = Scene::new(vec![], "").await;
    std::fs::write(&scene.config, "route: {receiver: gone}").expect("written");
    let settings = scene.world.settings.clone();
    let error = scene.world.notifier.reload(&settings).expect_err("it is broken");
    assert!(error.to_string().contains("alertmanager.yml:1: there is no receiver \"gone\""), "{error}");
    scene.world.tell(vec![alert("alertname=A", 0, None)]).await;
    assert_eq!(scene.world.delivery().await.outcome, Outcome::Delivered);
    let other = Receiver::new(vec![]).await;
    let folder = scene.config.parent().expect("a folder");
    write(folder, &other.url(), "");
    scene.world.notifier.reload(&settings).expect("it is taken");
    scene.world.tell(vec![alert("alertname=B", 0, None)]).await;
    assert_eq!(scene.world.delivery().await.outcome, Outcome::Delivered);
    scene.world.stop().await;
}

#[tokio::test]
async fn a_private_receiver_behind_a_name_is_not_called() {
    let mut scene = Scene::new(vec![], "").await;
    let port = scene.receiver.address.port();
    let folder = scene.config.parent().expect("a folder").to_owned();
    write(&folder, &format!("http://rebinds.example.org:{port}/"), "");
    let mut settings = scene.world.settings.clone();
    settings.allowed_receivers.clear();
    settings.lookup = Some(Arc::new(|_, port| Box::pin(async move { Ok(vec![([127, 0, 0, 1], port).into()]) })));
    scene.world.notifier.reload(&settings).expect("it is taken");
    scene.world.tell(vec![alert("alertname=A", 0, None)]).await;
    let refused = scene.world.delivery().await;
    let error = refused.error.expect("an error");
    assert_eq!(refused.outcome, Outcome::Retried);
    assert!(error.contains("this machine; rules.allowed_receivers can allow it"), "{error}");
    assert!(scene.receiver.rest().is_empty());
    scene.world.stop().await;
}

#[tokio::test]
async fn a_receiver_without_tls_is_no_https_receiver() {
    let mut scene = Scene::new(vec![], "").await;
    let folder = scene.config.parent().expect("a folder").to_owned();
    let url = format!("https://{}/", scene.receiver.address);
    write(&folder, &url, "    http_config: {tls_config: {insecure_skip_verify: true}}\n");
    let settings = scene.world.settings.clone();
    scene.world.notifier.reload(&settings).expect("it is taken");
    scene.receiver.script(vec![Behaviour::Reset]);
    scene.world.tell(vec![alert("alertname=A", 0, None)]).await;
    let failed = scene.world.delivery().await;
    assert!(failed.error.as_deref().is_some_and(|error| error.starts_with("no TLS with 127.0.0.1")), "{failed:?}");
    scene.world.stop().await;
}
