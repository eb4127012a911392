//! How many there are of each product, and for which orders some are held. Never more than there are, and for one order once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use sextant_sdk::opentelemetry::KeyValue;
use sextant_sdk::opentelemetry::metrics::Meter;

use crate::context::Context;
use crate::data::{Database, DatabaseError, Transaction, now_ms};
use crate::limits::{METRIC_INTERVAL, RESERVATION_AGE_MAX, RESERVATIONS_PRUNED, TIDY_INTERVAL};

/// A delivery comes when fewer than this many are left.
const LOW: i64 = 10;
/// The size of a delivery.
const DELIVERY: i64 = 60;

const PRICE: &str = "SELECT cents FROM prices WHERE id = $1";
const HOLD: &str = "INSERT INTO reservations (order_id, product, quantity, amount_cents, held_ms) \
                    VALUES ($1, $2, $3, $4, $5) ON CONFLICT (order_id, product) DO NOTHING";
const HELD: &str = "SELECT amount_cents FROM reservations WHERE order_id = $1 AND product = $2";
const TAKE: &str = "UPDATE stock SET level = level - $1 WHERE id = $2 AND level >= $1 RETURNING level";
const PUT: &str = "UPDATE stock SET level = level + $1 WHERE id = $2 RETURNING level";
const LEVEL: &str = "SELECT level FROM stock WHERE id = $1";
const RELEASE: &str = "DELETE FROM reservations WHERE order_id = $1 AND product = $2 RETURNING quantity";
const LEVELS: &str = "SELECT id, level FROM stock ORDER BY id LIMIT 100";
const PRUNE: &str = "DELETE FROM reservations WHERE order_id IN \
                     (SELECT order_id FROM reservations WHERE held_ms < $1 ORDER BY held_ms LIMIT $2) AND held_ms < $1";

/// What became of a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reservation {
    Held {
        amount_cents: i64,
        left: i64,
        /// How many came, because few were left.
        delivered: Option<i64>,
        /// It was held before.
        again: bool,
    },
    /// Only so many are there.
    Short { left: i64 },
    /// Nobody knows the product.
    Unknown,
}

#[derive(Debug)]
pub(super) struct Stock {
    database: Database,
    levels: Levels,
}

/// As known last, for the metric.
type Levels = Arc<Mutex<BTreeMap<String, i64>>>;

impl Stock {
    pub(super) fn new(database: &Database, meter: &Meter) -> Self {
        let levels = Levels::default();
        let observed = Arc::downgrade(&levels);
        let gauge = meter.i64_observable_gauge("shop.stock.level").with_unit("{item}");
        let gauge = gauge.with_description("Items on the shelves");
        gauge
            .with_callback(move |gauge| {
                if let Some(levels) = observed.upgrade() {
                    for (item, level) in &*levels.lock().unwrap_or_else(PoisonError::into_inner) {
                        gauge.observe(*level, &[KeyValue::new("shop.item", item.clone())]);
                    }
                }
            })
            .build();
        Self { database: database.clone(), levels }
    }

    /// Keeps the metric and the table of reservations up to date, until the service stops.
    pub(super) fn run(self: &Arc<Self>, context: &Context) {
        let stock = Arc::clone(self);
        context.tasks.repeat(METRIC_INTERVAL, move || {
            let stock = Arc::clone(&stock);
            async move { stock.look().await }
        });
        let stock = Arc::clone(self);
        context.tasks.repeat(TIDY_INTERVAL, move || {
            let stock = Arc::clone(&stock);
            async move { stock.tidy(now_ms()).await }
        });
    }

    async fn look(&self) {
        let rows = self.database.quietly().ask("SELECT", "stock", LEVELS).all::<(String, i64)>().await;
        if let Ok(rows) = rows {
            *self.levels.lock().unwrap_or_else(PoisonError::into_inner) = rows.into_iter().collect();
        }
    }

    /// An order that is older does not come again.
    async fn tidy(&self, now_ms: i64) {
        let before = now_ms - i64::try_from(RESERVATION_AGE_MAX.as_millis()).unwrap_or(i64::MAX);
        let question = self.database.quietly();
        let prune = question.ask("DELETE", "reservations", PRUNE).bind(before).bind(RESERVATIONS_PRUNED);
        // The next time may do better.
        let _ = prune.execute().await;
    }

    /// Holds so many for an order. The same order again is answered as before.
    pub(super) async fn reserve(
        &self,
        product: &str,
        order: &str,
        quantity: i64,
    ) -> Result<Reservation, DatabaseError> {
        let mut transaction = self.database.begin("stock").await?;
        let reservation = reserve_in(&mut transaction, product, order, quantity).await?;
        match reservation {
            Reservation::Held { again: false, left, .. } => {
                transaction.commit().await?;
                self.know(product, left);
            }
            _ => transaction.roll_back().await?,
        }
        Ok(reservation)
    }

    /// Puts back what is held for an order: how many that were, and how many there are now. Nothing the second time.
    pub(super) async fn release(&self, product: &str, order: &str) -> Result<Option<(i64, i64)>, DatabaseError> {
        let mut transaction = self.database.begin("stock").await?;
        let release = transaction.ask("DELETE", "reservations", RELEASE).bind(order).bind(product);
        let Some((quantity,)) = release.optional::<(i64,)>().await? else {
            transaction.roll_back().await?;
            return Ok(None);
        };
        let (left,) = transaction.ask("UPDATE", "stock", PUT).bind(quantity).bind(product).one::<(i64,)>().await?;
        transaction.commit().await?;
        self.know(product, left);
        Ok(Some((quantity, left)))
    }

    fn know(&self, product: &str, left: i64) {
        self.levels.lock().unwrap_or_else(PoisonError::into_inner).insert(product.to_owned(), left);
    }
}

async fn reserve_in(
    transaction: &mut Transaction,
    product: &str,
    order: &str,
    quantity: i64,
) -> Result<Reservation, DatabaseError> {
    let price = transaction.ask("SELECT", "prices", PRICE).bind(product).optional::<(i64,)>().await?;
    let Some((cents,)) = price else { return Ok(Reservation::Unknown) };
    let amount_cents = cents.saturating_mul(quantity);
    // First of all: of two requests for one order, the second waits here for the first.
    let hold = transaction.ask("INSERT", "reservations", HOLD).bind(order).bind(product);
    let held = hold.bind(quantity).bind(amount_cents).bind(now_ms()).execute().await?;
    if held == 0 {
        let before = transaction.ask("SELECT", "reservations", HELD).bind(order).bind(product);
        let (amount_cents,) = before.one::<(i64,)>().await?;
        let (left,) = transaction.ask("SELECT", "stock", LEVEL).bind(product).one::<(i64,)>().await?;
        return Ok(Reservation::Held { amount_cents, left, delivered: None, again: true });
    }
    let taken = transaction.ask("UPDATE", "stock", TAKE).bind(quantity).bind(product).optional::<(i64,)>().await?;
    let Some((left,)) = taken else {
        let level = transaction.ask("SELECT", "stock", LEVEL).bind(product).optional::<(i64,)>().await?;
        return Ok(level.map_or(Reservation::Unknown, |(left,)| Reservation::Short { left }));
    };
    if left >= LOW {
        return Ok(Reservation::Held { amount_cents, left, delivered: None, again: false });
    }
    let (left,) = transaction.ask("UPDATE", "stock", PUT).bind(DELIVERY).bind(product).one::<(i64,)>().await?;
    Ok(Reservation::Held { amount_cents, left, delivered: Some(DELIVERY), again: false })
}

#[cfg(test)]
mod tests;
