//! Reads find the replica, or the primary when it is better.

use super::*;
use crate::data::places::{Place, until};
use crate::faults::{Fault, FaultKind};

const THINGS: Followed = Followed {
    name: "things",
    create: "CREATE TABLE IF NOT EXISTS things (id TEXT PRIMARY KEY, number BIGINT, weight DOUBLE PRECISION)",
    triggers: crate::data::triggers!("things"),
    select: "SELECT id, number, weight FROM things WHERE id = $1",
    upsert: "INSERT INTO things (id, number, weight) VALUES ($1, $2, $3) ON CONFLICT (id) DO UPDATE SET number = excluded.number, weight = excluded.weight",
    delete: "DELETE FROM things WHERE id = $1",
};

const WRITE: &str = "INSERT INTO things (id, number, weight) VALUES ($1, $2, 0.5) ON CONFLICT (id) DO UPDATE SET number = excluded.number";

async fn open(place: &Place) -> (Replicated, Arc<Link>) {
    let opened = Replicated::connect(&place.components, &place.faults, &place.meter, &[THINGS]).await;
    let (replicated, link) = opened.expect("opened");
    (replicated, Arc::new(link.expect("there is a replica")))
}

/// What the tasks do.
async fn turn(link: &Link) {
    link.beat().await;
    if link.is_embedded() {
        link.copy().await;
    }
    link.look().await;
}

async fn write(replicated: &Replicated, id: &str, number: Option<i64>) {
    let question = replicated.primary().ask("INSERT", "things", WRITE).bind(id).bind(number);
    question.execute().await.expect("written");
}

/// The thing's number, and who said it.
async fn read(replicated: &Replicated, freshness: Freshness, id: &'static str) -> (Option<Option<i64>>, &'static str) {
    let answer = replicated.read(freshness, async |database: Database| {
        let select = "SELECT number FROM things WHERE id = $1";
        let number = database.ask("SELECT", "things", select).bind(id).optional::<(Option<i64>,)>().await?;
        Ok((number.map(|(number,)| number), database.namespace()))
    });
    answer.await.expect("an answer")
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_go_to_the_replica_unless_it_lags_or_they_are_strict() {
    for place in Place::all().await {
        let (replicated, link) = open(&place).await;
        write(&replicated, "a", Some(1)).await;
        assert_eq!(read(&replicated, Freshness::Usual, "a").await, (Some(Some(1)), "catalog"), "not looked at yet");
        until("the replica has it", async || {
            turn(&link).await;
            read(&replicated, Freshness::Usual, "a").await == (Some(Some(1)), "catalog_replica")
        })
        .await;
        write(&replicated, "a", None).await;
        assert_eq!(read(&replicated, Freshness::Strict, "a").await, (Some(None), "catalog"));

        place.faults.set([Fault::new(FaultKind::ReplicaLag)]);
        if !link.is_embedded() {
            link.pause().await;
        }
        write(&replicated, "a", Some(3)).await;
        until("it lags", async || {
            turn(&link).await;
            read(&replicated, Freshness::Usual, "a").await == (Some(Some(3)), "catalog")
        })
        .await;
        assert!(replicated.health.lag().is_some_and(|lag| lag > REPLICA_LAG_MAX), "{:?}", replicated.health);

        place.faults.set([]);
        if !link.is_embedded() {
            link.resume().await;
        }
        until("it has caught up", async || {
            turn(&link).await;
            read(&replicated, Freshness::Usual, "a").await == (Some(Some(3)), "catalog_replica")
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_is_away_is_not_missed() {
    for place in Place::all().await {
        let (replicated, link) = open(&place).await;
        write(&replicated, "a", Some(1)).await;
        until("the replica has it", async || {
            turn(&link).await;
            read(&replicated, Freshness::Usual, "a").await == (Some(Some(1)), "catalog_replica")
        })
        .await;
        replicated.replica.as_ref().expect("it is there").close().await;
        assert_eq!(read(&replicated, Freshness::Usual, "a").await, (Some(Some(1)), "catalog"));
        assert_eq!(replicated.health.lag(), None, "and is not asked again before somebody has looked");
        link.look().await;
        assert_eq!(replicated.health.lag(), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_embedded_replica_becomes_the_same_whoever_copies() {
    let place = Place::embedded();
    let (replicated, first) = open(&place).await;
    let (_, second) = open(&place).await;
    let copying = [first, second].map(|link| {
        tokio::spawn(async move {
            for _ in 0..40 {
                link.copy().await;
            }
            link
        })
    });
    for number in 0..200 {
        write(&replicated, ["a", "b", "c"][number % 3], Some(number as i64)).await;
        if number % 20 == 0 {
            let delete = replicated.primary().ask("DELETE", "things", "DELETE FROM things WHERE id = 'b'");
            delete.execute().await.expect("deleted");
        }
    }
    for link in copying {
        link.await.expect("no panic").copy().await;
    }
    let all = async |database: &Database| -> Vec<(String, i64, f64)> {
        let question = database.ask("SELECT", "things", "SELECT id, number, weight FROM things ORDER BY id");
        question.all().await.expect("read")
    };
    let expected = [("a", 198), ("b", 199), ("c", 197)].map(|(id, number)| (id.to_owned(), number, 0.5));
    assert_eq!(all(replicated.primary()).await, expected);
    assert_eq!(all(replicated.replica.as_ref().expect("it is there")).await, expected);
}
