//! Products, their prices and their stock: a database with a replica for reads, and caches before it.

mod routes;
mod schema;
mod shelf;
mod stock;
mod stores;
mod warehouse;

use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;

use crate::context::Context;
use crate::data::Replicated;
use crate::data::cache::{Caches, flush_while_told};
use shelf::Shelf;
use stock::Stock;

/// Its routes, once what it stands on is there.
pub(crate) async fn open(context: &Context) -> anyhow::Result<Router> {
    let catalog = Replicated::open(context, &schema::FOLLOWED, &schema::PRIMARY).await;
    let catalog = catalog.context("cannot open the catalog")?;
    let caches = Caches::open(context).context("cannot open the catalog's caches")?;
    flush_while_told(context, &caches);
    let stock = Arc::new(Stock::new(catalog.primary(), &context.meter));
    stock.run(context);
    Ok(routes::routes(routes::Catalog { shelf: Shelf::new(context, &catalog, &caches), stock }))
}
