//! Databases answer alike, whoever keeps them.

use super::super::places::Place;
use super::*;
use crate::faults::Fault;

const TABLES: [&str; 2] = [
    "CREATE TABLE IF NOT EXISTS things (id TEXT PRIMARY KEY, number BIGINT NOT NULL, weight DOUBLE PRECISION, picture BYTEA)",
    "INSERT INTO things (id, number) VALUES ('first', 1) ON CONFLICT (id) DO NOTHING",
];

const COUNT: &str = "SELECT COUNT(*), CAST(SUM(number) AS BIGINT) FROM things";

async fn things(place: &Place) -> Database {
    let database = place.open(Name::Orders(Shard::of("ada"))).await;
    database.create(&TABLES).await.expect("tables");
    database
}

async fn count(database: &Database) -> (i64, Option<i64>) {
    database.ask("SELECT", "things", COUNT).one().await.expect("a count")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_is_read_again() {
    for place in Place::all().await {
        let database = things(&place).await;
        let insert = "INSERT INTO things (id, number, weight, picture) VALUES ($1, $2, $3, $4) \
                      ON CONFLICT (id) DO UPDATE SET number = things.number + excluded.number RETURNING number";
        for (number, sum) in [(i64::from(u32::MAX), 4_294_967_295), (5, 4_294_967_300)] {
            let question = database.ask("INSERT", "things", insert).bind("Zoë's").bind(number);
            let (kept,): (i64,) = question.bind(1.5_f64).bind(vec![0_u8, 255]).one().await.expect("kept");
            assert_eq!(kept, sum);
        }
        let select = "SELECT number, weight, picture FROM things WHERE id = $1";
        type Thing = (i64, Option<f64>, Option<Vec<u8>>);
        let row: Option<Thing> = database.ask("SELECT", "things", select).bind("Zoë's").optional().await.expect("read");
        assert_eq!(row, Some((4_294_967_300, Some(1.5), Some(vec![0, 255]))));
        let row: Option<Thing> = database.ask("SELECT", "things", select).bind("first").optional().await.expect("read");
        assert_eq!(row, Some((1, None, None)));
        let row: Option<Thing> =
            database.ask("SELECT", "things", select).bind("nobody").optional().await.expect("read");
        assert_eq!(row, None);
        let all: Vec<(String,)> =
            database.ask("SELECT", "things", "SELECT id FROM things ORDER BY number").all().await.expect("read");
        assert_eq!(all, [("first".to_owned(),), ("Zoë's".to_owned(),)]);
        let delete = database.ask("DELETE", "things", "DELETE FROM things WHERE number > $1").bind(0_i64);
        assert_eq!(delete.execute().await.expect("deleted"), 2);
        assert_eq!(count(&database).await, (0, None));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_may_be_made_by_several_at_once() {
    for place in Place::all().await {
        let making = (0..6).map(|_| {
            let (components, faults, meter) = (place.components.clone(), place.faults.clone(), place.meter.clone());
            tokio::spawn(async move {
                // A pool each, like processes that start together.
                let database = Database::connect(&components, Name::Catalog, &faults, &meter).await.expect("opened");
                database.create(&TABLES).await.expect("made");
                count(&database).await
            })
        });
        for made in making.collect::<Vec<_>>() {
            assert_eq!(made.await.expect("no panic"), (1, Some(1)));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_happens_whole_or_not_at_all() {
    for place in Place::all().await {
        let database = things(&place).await;
        let insert = "INSERT INTO things (id, number) VALUES ($1, $2)";
        for end in ["drop", "roll back", "fail"] {
            let mut transaction = database.begin("things").await.expect("begun");
            transaction.ask("INSERT", "things", insert).bind("second").bind(2_i64).execute().await.expect("inserted");
            match end {
                "drop" => drop(transaction),
                "roll back" => transaction.roll_back().await.expect("rolled back"),
                _ => {
                    let twice = transaction.ask("INSERT", "things", insert).bind("first").bind(2_i64).execute().await;
                    let error = twice.expect_err("it is there");
                    assert!(!error.is_unreachable(), "{error:?}");
                    assert!(error.to_string().contains("INSERT things in orders_0 failed"), "{error}");
                }
            }
            assert_eq!(count(&database).await, (1, Some(1)), "{end}");
        }
        let mut transaction = database.begin("things").await.expect("begun");
        transaction.ask("INSERT", "things", insert).bind("second").bind(2_i64).execute().await.expect("inserted");
        let inside: (i64, Option<i64>) = transaction.ask("SELECT", "things", COUNT).one().await.expect("counted");
        assert_eq!((inside, count(&database).await), ((2, Some(3)), (1, Some(1))), "nobody else sees it yet");
        transaction.commit().await.expect("committed");
        assert_eq!(count(&database).await, (2, Some(3)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_wait_for_each_other() {
    for place in Place::all().await {
        let database = things(&place).await;
        let writers = (0..20).map(|_| {
            let database = database.clone();
            tokio::spawn(async move {
                let mut transaction = database.begin("things").await?;
                let add = "UPDATE things SET number = number + 1 WHERE id = 'first' RETURNING number";
                let _: (i64,) = transaction.ask("UPDATE", "things", add).one().await?;
                transaction.commit().await
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.expect("no panic").expect("written");
        }
        assert_eq!(count(&database).await, (1, Some(21)));
    }
}

#[tokio::test]
async fn a_pool_that_is_used_up_says_so() {
    let place = Place::embedded();
    let database = things(&place).await;
    let mut held = Vec::new();
    for _ in 0..CONNECTIONS_MAX {
        held.push(database.inner.pool.acquire().await.expect("a connection"));
    }
    assert_eq!((database.inner.used(), database.inner.idle(), database.inner.pending()), (6, 0, 0));
    tokio::time::pause();
    let error = database.ask("SELECT", "things", COUNT).one::<(i64, Option<i64>)>().await.expect_err("none is left");
    assert!(error.is_unreachable());
    assert!(
        error.to_string().starts_with("SELECT things got no connection to orders_0 within 3 s: 6 are in use"),
        "{error}"
    );
}

#[tokio::test]
async fn a_slow_database_is_slow() {
    let place = Place::embedded();
    let database = things(&place).await;
    place.faults.set(["slow-database:40ms".parse::<Fault>().expect("a fault")]);
    let begun = Instant::now();
    count(&database).await;
    database.begin("things").await.expect("begun").roll_back().await.expect("rolled back");
    assert!(begun.elapsed() > Duration::from_millis(60), "twice 30 to 50 ms: {:?}", begun.elapsed());
    place.faults.set(["slow-database:10000ms".parse::<Fault>().expect("a fault")]);
    count(&database.quietly()).await;
    assert!(begun.elapsed() < Duration::from_secs(7), "housekeeping is not slow");
}

#[cfg(not(feature = "postgres"))]
#[tokio::test]
async fn what_is_not_compiled_in_is_named() {
    let mut place = Place::embedded();
    place.components.postgres = Some("postgres://127.0.0.1/shop".to_owned());
    let opened = Database::connect(&place.components, Name::Catalog, &place.faults, &place.meter).await;
    let error = opened.expect_err("no driver").to_string();
    assert!(error.contains("--features postgres"), "{error}");
}

#[test]
fn a_servers_url_gets_a_schema_and_a_files_path_is_escaped() {
    let url = of_server("postgres://shop@db/shop?sslmode=disable", Name::CatalogReplica);
    assert!(url.starts_with("postgres://shop@db/shop?sslmode=disable&options[search_path]=catalog&"), "{url}");
    let directory = tempfile::tempdir().expect("a directory");
    let url = of_file(&directory.path().join("a b?#%"), Name::Queue).expect("made");
    assert!(url.ends_with("/a%20b%3F%23%25/queue.sqlite?mode=rwc"), "{url}");
}
