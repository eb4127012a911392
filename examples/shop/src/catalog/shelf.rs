//! What customers see: products, their prices, how often they are looked at and what is said of them. Each behind the cache whose strategy suits it.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::stores::{self, Prices, Product, Review, Reviews, Views};
use crate::context::Context;
use crate::data::cache::{CacheAside, Caches, Eviction, ReadThrough, Settings, WriteAround, WriteBehind, WriteThrough};
use crate::data::{DatabaseError, Freshness, Replicated};
use crate::limits::CACHED_MAX;

/// Few, and asked for by everybody: the popular ones stay, and when one grows old a hundred ask for it at once.
const PRODUCTS: Settings =
    Settings { name: "products", eviction: Eviction::Lfu, capacity: CACHED_MAX, ttl: Duration::from_secs(20) };

/// Another instance's change is seen when the entry grows old.
const PRICES: Settings =
    Settings { name: "prices", eviction: Eviction::Lru, capacity: CACHED_MAX, ttl: Duration::from_secs(10) };

/// Counts, each as good as the other.
const VIEWS: Settings =
    Settings { name: "views", eviction: Eviction::Fifo, capacity: CACHED_MAX, ttl: Duration::from_secs(5) };

const REVIEWS: Settings =
    Settings { name: "reviews", eviction: Eviction::Lru, capacity: CACHED_MAX, ttl: Duration::from_secs(30) };

/// The key of all products together. No product is called that.
const ALL: &str = "*";

pub(super) struct Shelf {
    catalog: Replicated,
    one: CacheAside<Product>,
    all: CacheAside<Vec<Product>>,
    price: ReadThrough<i64, Prices>,
    new_price: WriteThrough<i64, Prices>,
    views: Arc<WriteBehind<i64, Views>>,
    reviews: WriteAround<Vec<Review>, Reviews>,
}

/// A product as customers see it.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    #[serde(flatten)]
    product: Product,
    price_cents: Option<i64>,
    stock: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    views: Option<i64>,
}

type Answer<T> = Result<T, Arc<DatabaseError>>;

impl Shelf {
    pub(super) fn new(context: &Context, catalog: &Replicated, caches: &Caches) -> Self {
        let products = caches.named(PRODUCTS);
        let (prices, store) = (caches.named(PRICES), Arc::new(Prices(catalog.clone())));
        let views = WriteBehind::new(caches.named(VIEWS), Arc::new(Views(catalog.clone())), &context.meter);
        views.run(&context.tasks);
        Self {
            catalog: catalog.clone(),
            one: CacheAside::new(Arc::clone(&products)),
            all: CacheAside::new(products),
            price: ReadThrough::new(&prices, &store),
            new_price: WriteThrough::new(&prices, &store),
            views,
            reviews: WriteAround::new(caches.named(REVIEWS), Arc::new(Reviews(catalog.clone()))),
        }
    }

    pub(super) async fn product(&self, id: &str) -> Answer<Option<Product>> {
        self.one.get(id, |freshness| stores::product(&self.catalog, id, freshness)).await
    }

    /// All of them; how many there are of each may be as old as the replica is.
    pub(super) async fn show_all(&self) -> Answer<Vec<Shown>> {
        let products = self.all.get(ALL, |freshness| stores::products(&self.catalog, freshness)).await?;
        let levels = stores::levels(&self.catalog, Freshness::Usual).await?;
        let mut shown = Vec::new();
        for product in products.unwrap_or_default() {
            let stock = levels.iter().find(|(id, _)| *id == product.id).map_or(0, |(_, level)| *level);
            let price_cents = self.price.get(&product.id).await?;
            shown.push(Shown { product, price_cents, stock, views: None });
        }
        Ok(shown)
    }

    /// One, with how many there are just now: the customer is about to buy it.
    pub(super) async fn show(&self, id: &str) -> Answer<Option<Shown>> {
        let Some(product) = self.product(id).await? else { return Ok(None) };
        let price_cents = self.price.get(id).await?;
        let views = self.views.get(id).await?;
        let read = |database: crate::data::Database| async move {
            database.ask("SELECT", "stock", "SELECT level FROM stock WHERE id = $1").bind(id).optional::<(i64,)>().await
        };
        let stock = self.catalog.read(Freshness::Strict, read).await?.map_or(0, |(level,)| level);
        Ok(Some(Shown { product, price_cents, stock, views }))
    }

    pub(super) async fn price(&self, id: &str) -> Answer<Option<i64>> {
        Ok(self.price.get(id).await?)
    }

    /// False if there is no such product.
    pub(super) async fn set_price(&self, id: &str, cents: i64) -> Answer<bool> {
        Ok(self.new_price.put(id, &cents).await?)
    }

    pub(super) async fn view(&self, id: &str) -> Answer<()> {
        Ok(self.views.put(id, 1).await?)
    }

    pub(super) async fn reviews(&self, id: &str) -> Answer<Vec<Review>> {
        Ok(self.reviews.get(id).await?.unwrap_or_default())
    }

    pub(super) async fn review(&self, id: &str, review: &Review) -> Answer<()> {
        Ok(self.reviews.write(id, self.reviews.store().add(id, review)).await?)
    }

    /// Has every cache forget what it knows of a product.
    pub(super) async fn forget(&self, id: &str) {
        for (cache, key) in [
            (self.one.cache(), id),
            (self.all.cache(), ALL),
            (self.price.cache(), id),
            (self.views.cache(), id),
            (self.reviews.cache(), id),
        ] {
            cache.invalidate(key, "explicit").await;
        }
    }
}
