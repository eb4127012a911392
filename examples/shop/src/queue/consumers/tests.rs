//! Consumers at work, on each queue that there is.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Semaphore;

use super::*;
use crate::faults::Fault;
use crate::queue::tests::{Place, message, places};

const PATIENCE: Duration = Duration::from_secs(20);

/// Works on what it is allowed to, and remembers it.
struct Worked {
    allowed: Semaphore,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
    attempts: Mutex<BTreeMap<String, u32>>,
}

impl Worked {
    fn new(allowed: usize) -> Arc<Self> {
        Arc::new(Self {
            allowed: Semaphore::new(allowed),
            at_once: AtomicUsize::default(),
            most_at_once: AtomicUsize::default(),
            attempts: Mutex::default(),
        })
    }

    fn attempts(&self, id: &str) -> u32 {
        self.attempts.lock().expect("whole").get(id).copied().unwrap_or_default()
    }
}

#[async_trait]
impl Handle for Worked {
    async fn handle(&self, message: &Message) -> Result<(), Failure> {
        let at_once = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(at_once, Ordering::SeqCst);
        let attempt = {
            let mut attempts = self.attempts.lock().expect("whole");
            let attempt = attempts.entry(message.id.clone()).or_default();
            *attempt += 1;
            *attempt
        };
        // Held back until the test says so; what is cut off here by its timeout has not been worked on.
        struct Leave<'a>(&'a AtomicUsize);
        impl Drop for Leave<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::SeqCst);
            }
        }
        let _leave = Leave(&self.at_once);
        self.allowed.acquire().await.expect("open").forget();
        match message.id.as_str() {
            "deadly" => panic!("on purpose"),
            "poison" => Err(Failure::Poison("no JSON".to_owned())),
            "hopeless" => Err(Failure::Passing("busy".to_owned())),
            "unlucky" if attempt < 3 => Err(Failure::Passing("busy".to_owned())),
            _ => Ok(()),
        }
    }
}

fn consumers(queue: &Arc<dyn Queue>) -> Consumers {
    let mut consumers = Consumers::of(queue, "testers");
    consumers.look = Duration::from_millis(50);
    consumers.idle = Duration::from_millis(100);
    consumers
}

async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let waited = timeout(PATIENCE, async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(waited.await.is_ok(), "{what}");
}

async fn publish(queue: &dyn Queue, ids: impl IntoIterator<Item = impl AsRef<str>>) {
    for id in ids {
        queue.publish(&message(id.as_ref())).await.expect("published");
    }
}

#[tokio::test]
async fn what_fails_is_tried_again_and_what_cannot_be_is_a_dead_letter() {
    for (kind, place) in places().await {
        let queue = place.queue().await;
        let worked = Worked::new(1_000);
        consumers(&queue).begin(&place.context, worked.clone());
        publish(&*queue, ["fine", "poison", "unlucky", "hopeless"]).await;
        until("all are done or dead", async || {
            let stats = queue.stats().await.expect("stats");
            (stats.ready, stats.in_flight, stats.dead) == (0, 0, 2)
        })
        .await;
        for (id, attempts) in [("fine", 1), ("poison", 1), ("unlucky", 3), ("hopeless", 5)] {
            assert_eq!(worked.attempts(id), attempts, "{kind}: {id}");
        }
        let mut letters = queue.dead_letters(10).await.expect("letters");
        letters.sort_by(|a, b| a.message.id.cmp(&b.message.id));
        let said =
            |letter: &crate::queue::DeadLetter| (letter.message.id.clone(), letter.reason.clone(), letter.attempts);
        let expected = [("hopeless".to_owned(), "busy".to_owned(), 5), ("poison".to_owned(), "no JSON".to_owned(), 1)];
        assert_eq!(letters.iter().map(said).collect::<Vec<_>>(), expected, "{kind}");
        place.context.tasks.stop(PATIENCE).await;
    }
}

#[tokio::test]
async fn a_panic_is_an_attempt_and_harms_nothing_else() {
    let place = Place::embedded();
    let queue = place.queue().await;
    let worked = Worked::new(1_000);
    publish(&*queue, ["deadly", "fine"]).await;
    consumers(&queue).begin(&place.context, worked.clone());
    until("one is done and one is dead", async || {
        let stats = queue.stats().await.expect("stats");
        (stats.ready, stats.in_flight, stats.dead) == (0, 0, 1)
    })
    .await;
    assert_eq!((worked.attempts("deadly"), worked.attempts("fine")), (5, 1));
    assert_eq!(queue.dead_letters(10).await.expect("letters")[0].reason, "the work on it panicked");
    place.context.tasks.stop(PATIENCE).await;
}

#[tokio::test]
async fn what_no_process_survives_is_not_tried_for_ever() {
    let place = Place::embedded();
    let queue = place.queue_with_lease(Duration::from_millis(20)).await;
    publish(&*queue, ["fatal"]).await;
    for attempt in 1..=5 {
        let delivery = &queue.receive(1, PATIENCE).await.expect("received")[0];
        assert_eq!(delivery.attempt, attempt, "nothing is said of it: its process has ended");
    }
    let worked = Worked::new(1_000);
    consumers(&queue).begin(&place.context, worked.clone());
    until("it is dead", async || queue.stats().await.expect("stats").dead == 1).await;
    assert_eq!(worked.attempts("fatal"), 0);
    place.context.tasks.stop(PATIENCE).await;
}

#[tokio::test]
async fn work_that_hangs_is_cut_off_and_tried_again() {
    let place = Place::embedded();
    let queue = place.queue().await;
    let worked = Worked::new(0);
    let mut consumers = consumers(&queue);
    consumers.timeout = Duration::from_millis(50);
    consumers.begin(&place.context, worked.clone());
    publish(&*queue, ["slow"]).await;
    until("a second attempt", async || worked.attempts("slow") == 2).await;
    worked.allowed.add_permits(1);
    until("done", async || queue.stats().await.expect("stats") == super::super::Stats::default()).await;
    place.context.tasks.stop(PATIENCE).await;
}

#[tokio::test]
async fn workers_come_with_the_work_and_go_without_it() {
    for (kind, place) in places().await {
        let queue = place.queue().await;
        publish(&*queue, (0..250).map(|number| format!("m{number}"))).await;
        let worked = Worked::new(0);
        let signals = Arc::new(Signals::new(&place.context.meter, "test", "testers"));
        let consumers = consumers(&queue);
        let channel = Channel::new(queue.system(), "test").consumer_group("testers");
        let (faults, tasks) = (Arc::clone(&place.context.faults), place.context.tasks.clone());
        let handler: Arc<dyn Handle> = worked.clone();
        let work = Arc::new(Work { consumers, channel, handler, signals: Arc::clone(&signals), faults });
        place.context.tasks.spawn(supervise(work, tasks));
        until("eight at once", async || worked.at_once.load(Ordering::SeqCst) == 8).await;
        assert_eq!(signals.workers_now(), 8, "{kind}");
        worked.allowed.add_permits(1_000);
        until("one worker", async || signals.workers_now() == 1).await;
        assert_eq!(queue.stats().await.expect("stats").ready, 0, "{kind}");
        assert_eq!(worked.most_at_once.load(Ordering::SeqCst), 8, "{kind}");
        place.context.tasks.stop(PATIENCE).await;
        assert_eq!(signals.workers_now(), 0, "{kind}");
    }
}

#[tokio::test]
async fn a_stall_stops_consumption_until_it_is_over() {
    for (kind, place) in places().await {
        let queue = place.queue().await;
        place.context.faults.set([Fault::new(FaultKind::QueueStall)]);
        let worked = Worked::new(1_000);
        consumers(&queue).begin(&place.context, worked.clone());
        publish(&*queue, ["a", "b"]).await;
        until("some age", async || queue.stats().await.expect("stats").oldest > Duration::from_millis(300)).await;
        assert_eq!(worked.attempts("a"), 0, "{kind}");
        assert_eq!(queue.stats().await.expect("stats").ready, 2, "{kind}");
        place.context.faults.set([]);
        until("done", async || queue.stats().await.expect("stats") == super::super::Stats::default()).await;
        place.context.tasks.stop(PATIENCE).await;
    }
}

#[tokio::test]
async fn what_is_worked_on_when_the_service_stops_is_finished_and_the_rest_is_given_back() {
    for (kind, place) in places().await {
        let queue = place.queue().await;
        publish(&*queue, ["a", "b", "c"]).await;
        let worked = Worked::new(0);
        consumers(&queue).begin(&place.context, worked.clone());
        until("one is begun", async || worked.at_once.load(Ordering::SeqCst) == 1).await;
        let stopping = async {
            until("told", async || place.context.tasks.is_stopping()).await;
            worked.allowed.add_permits(10);
        };
        tokio::join!(place.context.tasks.stop(PATIENCE), stopping);
        let begun: u32 = ["a", "b", "c"].iter().map(|id| worked.attempts(id)).sum();
        assert_eq!(begun, 1, "{kind}: nothing new is begun");
        until("the rest is ready", async || {
            queue.stats().await.expect("stats").ready + in_flight(kind, &*queue).await == 2
        })
        .await;
    }
}

/// A broker counts what was given back as under way until somebody takes it.
async fn in_flight(kind: &str, queue: &dyn Queue) -> u64 {
    if kind == "nats" { queue.stats().await.expect("stats").in_flight } else { 0 }
}
