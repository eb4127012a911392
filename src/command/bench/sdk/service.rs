//! The service that is measured: one handler that reads an order, works, tells three things and measures two, bare or observed.

use std::io::{Read as _, Write as _};

use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use sextant_sdk::http::ServerLayer;
use sextant_sdk::metrics;
use sextant_sdk::opentelemetry::KeyValue;
use sextant_sdk::opentelemetry::metrics::Counter;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;

#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Order {
    pub item: String,
    pub quantity: u32,
    pub amount_cents: u64,
}

/// Two measurements, where somebody measures.
#[derive(Clone)]
struct Instruments {
    amounts: metrics::Histogram,
    orders: Counter<u64>,
}

/// Says where it listens and serves until stdin ends.
pub async fn serve(observed: bool, work_kib: u32) -> anyhow::Result<()> {
    let guard = if observed { Some(sextant_sdk::init("bench")?) } else { None };
    let meter = metrics::meter("bench");
    let instruments = guard.as_ref().map(|_| Instruments {
        amounts: metrics::histogram(&meter, "bench.order.amount").build(),
        orders: meter.u64_counter("bench.orders").build(),
    });
    let handler = move |Json(order): Json<Order>| {
        let instruments = instruments.clone();
        async move { answer(&order, work_kib, instruments.as_ref()) }
    };
    let router = Router::new().route("/orders/{id}", post(handler));
    let router = if observed { router.layer(ServerLayer::new()) } else { router };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    std::io::stdout().flush()?;
    let (ended, end) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _ = std::io::stdin().lock().read_to_end(&mut Vec::new());
        let _ = ended.send(());
    });
    axum::serve(listener, router).with_graceful_shutdown(async { drop(end.await) }).await?;
    drop(guard);
    Ok(())
}

fn answer(order: &Order, work_kib: u32, instruments: Option<&Instruments>) -> Json<Order> {
    tracing::info!(name: "order.received", item = order.item, quantity = order.quantity, "order received");
    let digest = work(work_kib);
    tracing::info!(name: "stock.reserved", item = order.item, left = digest, "stock reserved");
    if let Some(instruments) = instruments {
        instruments.amounts.record(order.amount_cents as f64, &[KeyValue::new("item", order.item.clone())]);
        instruments.orders.add(1, &[KeyValue::new("outcome", "placed")]);
    }
    tracing::info!(name: "order.placed", item = order.item, amount_cents = order.amount_cents, "order placed");
    Json(order.clone())
}

fn work(kib: u32) -> u8 {
    let mut hash = Sha256::new();
    let block = [7; 1024];
    for _ in 0..kib {
        hash.update(block);
    }
    hash.finalize()[0]
}
