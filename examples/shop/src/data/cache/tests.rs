//! Each strategy keeps its promise, in the process and in Redis.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use sextant_sdk::metrics::CacheStats;

use super::behind::SaveAll;
use super::*;
use crate::context::Tasks;
use crate::data::places::{Place, until};
use crate::limits::{UNWRITTEN_MAX, WRITE_BATCH_MAX};

/// A store that counts.
#[derive(Debug, Default)]
struct Shelf {
    values: Mutex<BTreeMap<String, i64>>,
    loads: AtomicUsize,
    strict_loads: AtomicUsize,
    batches: Mutex<Vec<usize>>,
    broken: AtomicBool,
    load_time: Duration,
}

impl Shelf {
    fn with(key: &str, value: i64) -> Arc<Self> {
        let shelf = Self { load_time: Duration::from_millis(50), ..Self::default() };
        shelf.values.lock().expect("no panic").insert(key.to_owned(), value);
        Arc::new(shelf)
    }

    fn value(&self, key: &str) -> Option<i64> {
        self.values.lock().expect("no panic").get(key).copied()
    }

    fn loads(&self) -> (usize, usize) {
        (self.loads.load(Ordering::SeqCst), self.strict_loads.load(Ordering::SeqCst))
    }

    fn works(&self) -> Result<(), DatabaseError> {
        let none = DatabaseError::NoConnection { namespace: "shelf", operation: "SELECT", collection: "values" };
        if self.broken.load(Ordering::SeqCst) { Err(none) } else { Ok(()) }
    }
}

#[async_trait]
impl Load<i64> for Shelf {
    async fn load(&self, key: &str, freshness: Freshness) -> Result<Option<i64>, DatabaseError> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        self.strict_loads.fetch_add(usize::from(freshness == Freshness::Strict), Ordering::SeqCst);
        let value = self.value(key);
        tokio::time::sleep(self.load_time).await;
        self.works().map(|()| value)
    }
}

#[async_trait]
impl Save<i64> for Shelf {
    async fn save(&self, key: &str, value: &i64) -> Result<bool, DatabaseError> {
        self.works()?;
        Ok(self.values.lock().expect("no panic").get_mut(key).map(|kept| *kept = *value).is_some())
    }
}

#[async_trait]
impl SaveAll<i64> for Shelf {
    async fn save_all(&self, batch: &[(String, i64)]) -> Result<Vec<i64>, DatabaseError> {
        self.works()?;
        self.batches.lock().expect("no panic").push(batch.len());
        let mut values = self.values.lock().expect("no panic");
        let add = |(key, value): &(String, i64)| {
            let kept = values.entry(key.clone()).or_default();
            *kept += value;
            *kept
        };
        Ok(batch.iter().map(add).collect())
    }
}

fn settings(eviction: Eviction) -> Settings {
    Settings { name: "prices", eviction, capacity: 100, ttl: Duration::from_secs(60) }
}

fn cache_of(place: &Place) -> Arc<NamedCache> {
    Caches::connect(&place.components, &place.meter).expect("caches").named(settings(Eviction::Lru))
}

async fn kept(cache: &NamedCache) -> String {
    let mut kept = String::new();
    for key in ["a", "b", "c", "d"] {
        if cache.look::<i64>(key).await.is_some() {
            kept.push_str(key);
        }
    }
    kept
}

#[tokio::test]
async fn what_goes_when_a_cache_is_full_is_its_policys_choice() {
    let place = Place::embedded();
    let caches = Caches::connect(&place.components, &place.meter).expect("caches");
    for (eviction, expected, evicted) in
        [(Eviction::Lru, "acd", 1), (Eviction::Lfu, "abc", 1), (Eviction::Fifo, "bcd", 1)]
    {
        let cache = caches.named(Settings { capacity: 3, ..settings(eviction) });
        for key in ["a", "b", "c"] {
            cache.put(key, &1_i64).await;
        }
        // All are asked for, b least lately; d has never been asked for.
        for key in ["b", "a", "c", "a", "c", "a"] {
            assert_eq!(cache.get::<i64>(key).await, Some(1), "{eviction:?}");
        }
        cache.put("d", &1_i64).await;
        assert_eq!(kept(&cache).await, expected, "{eviction:?}");
        assert_eq!(
            (cache.entries(), cache.evictions(), cache.hits(), cache.misses()),
            (3, evicted, 6, 0),
            "{eviction:?}"
        );
    }
}

#[tokio::test]
async fn entries_grow_old() {
    for place in Place::all().await {
        let caches = Caches::connect(&place.components, &place.meter).expect("caches");
        for eviction in [Eviction::Lru, Eviction::Lfu, Eviction::Fifo] {
            let cache = caches.named(Settings { ttl: Duration::from_millis(40), ..settings(eviction) });
            cache.put("a", &1_i64).await;
            until("it is gone", async || cache.look::<i64>("a").await.is_none()).await;
        }
    }
}

#[tokio::test]
async fn entries_are_counted_and_taken_out() {
    for place in Place::all().await {
        let cache = cache_of(&place);
        for key in ["a", "b", "c", "d"] {
            cache.put(key, &1_i64).await;
        }
        cache.tidy().await;
        assert_eq!(cache.entries(), 4);
        cache.invalidate("b", "explicit").await;
        assert_eq!(kept(&cache).await, "acd");
        cache.flush().await;
        assert_eq!(kept(&cache).await, "");
        cache.tidy().await;
        assert_eq!(cache.entries(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_hundred_that_miss_at_once_one_loads() {
    for place in Place::all().await {
        let shelf = Shelf::with("kettle", 3_450);
        let is_shared = place.components.redis.is_some();
        // As two processes, where two share a cache.
        let processes: Vec<_> =
            (0..1 + usize::from(is_shared)).map(|_| Arc::new(CacheAside::new(cache_of(&place)))).collect();
        let readers = (0..100).map(|number| {
            let (cache, shelf) = (Arc::clone(&processes[number % processes.len()]), Arc::clone(&shelf));
            tokio::spawn(async move { cache.get("kettle", |freshness| shelf.load("kettle", freshness)).await })
        });
        for reader in readers.collect::<Vec<_>>() {
            assert_eq!(reader.await.expect("no panic").expect("loaded"), Some(3_450));
        }
        assert_eq!(shelf.loads(), (1, 0));
        let cache = &processes[0];
        assert_eq!(cache.get("unicorn", |freshness| shelf.load("unicorn", freshness)).await.expect("loaded"), None);
        shelf.broken.store(true, Ordering::SeqCst);
        let readers = [(); 3].map(|()| cache.get("lantern", |freshness| shelf.load("lantern", freshness)));
        let [first, second, third] = readers;
        let failed = tokio::join!(first, second, third);
        assert!(failed.0.is_err() && failed.1.is_err() && failed.2.is_err());
        assert_eq!(shelf.loads(), (3, 0), "an error is shared too");
    }
}

#[tokio::test]
async fn a_cache_is_read_through() {
    for place in Place::all().await {
        let shelf = Shelf::with("kettle", 3_450);
        let reads = ReadThrough::new(&cache_of(&place), &shelf);
        for _ in 0..3 {
            assert_eq!(reads.get("kettle").await.expect("loaded"), Some(3_450));
            assert_eq!(reads.get("unicorn").await.expect("loaded"), None);
        }
        assert_eq!(shelf.loads(), (1 + 3, 0), "what is not there is not kept");
        assert_eq!((reads.cache().hits(), reads.cache().misses()), (2, 4));
        reads.cache().invalidate("kettle", "explicit").await;
        assert_eq!(reads.get("kettle").await.expect("loaded"), Some(3_450));
        assert_eq!(shelf.loads(), (5, 1), "and strictly");
    }
}

#[tokio::test]
async fn a_cache_is_written_through() {
    for place in Place::all().await {
        let (shelf, cache) = (Shelf::with("kettle", 1), cache_of(&place));
        let (reads, writes) = (ReadThrough::new(&cache, &shelf), WriteThrough::new(&cache, &shelf));
        assert!(writes.put("kettle", &2).await.expect("written"));
        assert_eq!((shelf.value("kettle"), reads.get("kettle").await.expect("kept")), (Some(2), Some(2)));
        assert!(!writes.put("unicorn", &2).await.expect("nothing to write"));
        assert_eq!(reads.get("unicorn").await.expect("none"), None);
        assert_eq!(shelf.loads().0, 1, "of the unicorn");
        shelf.broken.store(true, Ordering::SeqCst);
        assert!(writes.put("kettle", &3).await.is_err());
        assert!(reads.get("kettle").await.is_err(), "nobody knows");
        shelf.broken.store(false, Ordering::SeqCst);
        assert_eq!(reads.get("kettle").await.expect("loaded"), Some(2));
    }
}

#[tokio::test]
async fn a_load_that_a_write_overtakes_is_not_kept() {
    for place in Place::all().await {
        let (shelf, cache) = (Shelf::with("kettle", 1), cache_of(&place));
        let (reads, writes) = (ReadThrough::new(&cache, &shelf), WriteThrough::new(&cache, &shelf));
        let (read, written) = tokio::join!(reads.get("kettle"), async {
            until("it is being loaded", async || shelf.loads().0 == 1).await;
            writes.put("kettle", &2).await
        });
        assert_eq!((read.expect("loaded"), written.expect("written")), (Some(1), true), "it was 1 when it was asked");
        assert_eq!(reads.get("kettle").await.expect("kept"), Some(2));
    }
}

#[tokio::test]
async fn a_cache_is_written_around() {
    for place in Place::all().await {
        let (shelf, cache) = (Shelf::with("kettle", 1), cache_of(&place));
        let around = WriteAround::new(cache, shelf);
        assert_eq!(around.get("kettle").await.expect("loaded"), Some(1));
        assert!(around.write("kettle", around.store().save("kettle", &2)).await.expect("written"));
        assert_eq!(around.cache().look::<i64>("kettle").await, None, "it is not kept before somebody reads it");
        assert_eq!(around.get("kettle").await.expect("loaded"), Some(2));
        assert_eq!(around.get("kettle").await.expect("kept"), Some(2));
        assert_eq!(around.store().loads(), (2, 1), "what was written just now is not asked of a replica");
    }
}

#[tokio::test]
async fn what_is_written_behind_is_read_at_once_and_written_together() {
    for place in Place::all().await {
        let shelf = Shelf::with("kettle", 10);
        let views = WriteBehind::new(cache_of(&place), Arc::clone(&shelf), &place.meter);
        for key in ["kettle", "lantern", "kettle", "kettle"] {
            views.put(key, 1).await.expect("accepted");
        }
        assert_eq!((shelf.value("kettle"), views.unwritten()), (Some(10), 2));
        assert_eq!(views.get("kettle").await.expect("read"), Some(13));
        assert_eq!(views.get("lantern").await.expect("read"), Some(1));
        assert_eq!(views.get("unicorn").await.expect("read"), None);
        views.flush().await.expect("written");
        assert_eq!((shelf.value("kettle"), shelf.value("lantern"), views.unwritten()), (Some(13), Some(1), 0));
        let loads = shelf.loads();
        assert_eq!(views.get("kettle").await.expect("read"), Some(13));
        assert_eq!(shelf.loads(), loads, "what was written is kept");
        assert_eq!(*shelf.batches.lock().expect("no panic"), [2]);
    }
}

#[tokio::test]
async fn what_cannot_be_written_waits_up_to_a_bound() {
    let place = Place::embedded();
    let shelf = Shelf::with("kettle", 10);
    let views = WriteBehind::new(cache_of(&place), Arc::clone(&shelf), &place.meter);
    shelf.broken.store(true, Ordering::SeqCst);
    for number in 0..UNWRITTEN_MAX {
        views.put(&format!("key-{number}"), 1).await.expect("accepted");
    }
    assert!(views.flush().await.is_err());
    assert!(views.put("one more", 1).await.is_err());
    views.put("key-1", 1).await.expect("it waits already");
    assert_eq!(views.unwritten(), UNWRITTEN_MAX);
    shelf.broken.store(false, Ordering::SeqCst);
    views.put("one more", 1).await.expect("room was made");
    assert_eq!((shelf.value("key-1"), views.unwritten()), (Some(2), 1));
    assert!(shelf.batches.lock().expect("no panic").iter().all(|batch| *batch == WRITE_BATCH_MAX));
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_written_before_the_service_ends() {
    let place = Place::embedded();
    let shelf = Shelf::with("kettle", 10);
    let views = WriteBehind::new(cache_of(&place), Arc::clone(&shelf), &place.meter);
    let tasks = Tasks::new();
    views.run(&tasks);
    views.put("kettle", 1).await.expect("accepted");
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(shelf.value("kettle"), Some(11), "by and by");
    views.put("kettle", 1).await.expect("accepted");
    tasks.stop(Duration::from_secs(3)).await;
    assert_eq!((shelf.value("kettle"), views.unwritten()), (Some(12), 0));
}

#[cfg(feature = "real")]
#[tokio::test]
async fn a_cache_that_is_away_is_a_miss_and_no_error() {
    let redis = crate::real::Redis::start().await;
    let mut place = Place::embedded();
    place.components.redis = Some(redis.url());
    let shelf = Shelf::with("kettle", 1);
    let aside = CacheAside::new(cache_of(&place));
    let get = async || aside.get("kettle", |freshness| shelf.load("kettle", freshness)).await.expect("loaded");
    assert_eq!((get().await, get().await, shelf.loads().0), (Some(1), Some(1), 1));
    drop(redis);
    for _ in 0..5 {
        assert_eq!(get().await, Some(1));
    }
    assert_eq!(shelf.loads().0, 6);
    let begun = tokio::time::Instant::now();
    get().await;
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[cfg(not(feature = "redis"))]
#[tokio::test]
async fn what_is_not_compiled_in_is_named() {
    let mut place = Place::embedded();
    place.components.redis = Some("redis://127.0.0.1/".to_owned());
    let error = Caches::connect(&place.components, &place.meter).err().expect("no client").to_string();
    assert!(error.contains("--features redis"), "{error}");
}
