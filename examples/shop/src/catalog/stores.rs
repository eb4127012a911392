//! What the catalog's caches stand before: prices, views and reviews in the database. What is read may come from its replica.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::data::cache::{Load, Save, SaveAll};
use crate::data::{Database, DatabaseError, Freshness, Replicated, now_ms};
use crate::limits::{REVIEWS_KEPT, REVIEWS_SHOWN};

/// Where a product lies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Product {
    pub(super) id: String,
    pub(super) warehouse: String,
}

/// The products; cache-aside has no store of its own.
pub(super) async fn product(
    catalog: &Replicated,
    id: &str,
    freshness: Freshness,
) -> Result<Option<Product>, DatabaseError> {
    let read = |database: Database| async move {
        let select = "SELECT id, warehouse FROM products WHERE id = $1";
        database.ask("SELECT", "products", select).bind(id).optional::<(String, String)>().await
    };
    let row = catalog.read(freshness, read).await?;
    Ok(row.map(|(id, warehouse)| Product { id, warehouse }))
}

pub(super) async fn products(
    catalog: &Replicated,
    freshness: Freshness,
) -> Result<Option<Vec<Product>>, DatabaseError> {
    let read = |database: Database| async move {
        let select = "SELECT id, warehouse FROM products ORDER BY id LIMIT 100";
        database.ask("SELECT", "products", select).all::<(String, String)>().await
    };
    let rows = catalog.read(freshness, read).await?;
    Ok(Some(rows.into_iter().map(|(id, warehouse)| Product { id, warehouse }).collect()))
}

/// How many there are of each product.
pub(super) async fn levels(catalog: &Replicated, freshness: Freshness) -> Result<Vec<(String, i64)>, DatabaseError> {
    let read = |database: Database| async move {
        database.ask("SELECT", "stock", "SELECT id, level FROM stock ORDER BY id LIMIT 100").all().await
    };
    catalog.read(freshness, read).await
}

/// Cents.
pub(super) struct Prices(pub(super) Replicated);

#[async_trait]
impl Load<i64> for Prices {
    async fn load(&self, key: &str, freshness: Freshness) -> Result<Option<i64>, DatabaseError> {
        let read = |database: Database| async move {
            database
                .ask("SELECT", "prices", "SELECT cents FROM prices WHERE id = $1")
                .bind(key)
                .optional::<(i64,)>()
                .await
        };
        Ok(self.0.read(freshness, read).await?.map(|(cents,)| cents))
    }
}

#[async_trait]
impl Save<i64> for Prices {
    async fn save(&self, key: &str, cents: &i64) -> Result<bool, DatabaseError> {
        let update = "UPDATE prices SET cents = $1 WHERE id = $2";
        let updated = self.0.primary().ask("UPDATE", "prices", update).bind(*cents).bind(key).execute().await?;
        Ok(updated > 0)
    }
}

/// How often each product was looked at.
pub(super) struct Views(pub(super) Replicated);

#[async_trait]
impl Load<i64> for Views {
    async fn load(&self, key: &str, freshness: Freshness) -> Result<Option<i64>, DatabaseError> {
        let read = |database: Database| async move {
            database.ask("SELECT", "views", "SELECT seen FROM views WHERE id = $1").bind(key).optional::<(i64,)>().await
        };
        Ok(self.0.read(freshness, read).await?.map(|(seen,)| seen))
    }
}

#[async_trait]
impl SaveAll<i64> for Views {
    async fn save_all(&self, batch: &[(String, i64)]) -> Result<Vec<i64>, DatabaseError> {
        let mut transaction = self.0.primary().begin("views").await?;
        let mut all = Vec::new();
        for (key, seen) in batch {
            let add = "INSERT INTO views (id, seen) VALUES ($1, $2) \
                       ON CONFLICT (id) DO UPDATE SET seen = views.seen + excluded.seen RETURNING seen";
            let (seen,) = transaction.ask("INSERT", "views", add).bind(key).bind(*seen).one::<(i64,)>().await?;
            all.push(seen);
        }
        transaction.commit().await?;
        Ok(all)
    }
}

/// What a customer says of a product.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Review {
    pub(super) customer: String,
    pub(super) stars: u8,
    pub(super) text: String,
    /// Milliseconds since 1970; the shop's own clock.
    #[serde(default)]
    pub(super) written_ms: i64,
}

/// The newest of each product.
pub(super) struct Reviews(pub(super) Replicated);

#[async_trait]
impl Load<Vec<Review>> for Reviews {
    async fn load(&self, key: &str, freshness: Freshness) -> Result<Option<Vec<Review>>, DatabaseError> {
        let read = |database: Database| async move {
            let select = "SELECT customer, stars, said, written_ms FROM reviews WHERE product = $1 \
                          ORDER BY written_ms DESC, id LIMIT $2";
            let question = database.ask("SELECT", "reviews", select).bind(key).bind(REVIEWS_SHOWN);
            question.all::<(String, i64, String, i64)>().await
        };
        let rows = self.0.read(freshness, read).await?;
        let reviews = rows.into_iter().map(|(customer, stars, text, written_ms)| Review {
            customer,
            stars: u8::try_from(stars).unwrap_or_default(),
            text,
            written_ms,
        });
        Ok(Some(reviews.collect()))
    }
}

impl Reviews {
    /// Another one; the oldest goes when there are many.
    pub(super) async fn add(&self, product: &str, review: &Review) -> Result<(), DatabaseError> {
        let id = format!("{:032x}", fastrand::u128(..));
        let mut transaction = self.0.primary().begin("reviews").await?;
        let insert =
            "INSERT INTO reviews (id, product, customer, stars, said, written_ms) VALUES ($1, $2, $3, $4, $5, $6)";
        let question = transaction.ask("INSERT", "reviews", insert).bind(id).bind(product).bind(&review.customer);
        question.bind(i64::from(review.stars)).bind(&review.text).bind(now_ms()).execute().await?;
        let prune = "DELETE FROM reviews WHERE product = $1 AND id NOT IN \
                     (SELECT id FROM reviews WHERE product = $1 ORDER BY written_ms DESC, id LIMIT $2)";
        transaction.ask("DELETE", "reviews", prune).bind(product).bind(REVIEWS_KEPT).execute().await?;
        transaction.commit().await
    }
}
