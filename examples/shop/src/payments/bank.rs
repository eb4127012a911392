//! The bank: a third party, slow, sometimes away, and not instrumented. A small HTTP server of its own in this process, so that what goes wrong on the way is real. What it says
//! follows from the card's last digits, so that a test and a curious person can have every answer they want.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use crate::context::Tasks;
use crate::faults::{FaultKind, Faults};

/// Where it would be.
pub(super) const HOST: &str = "bank.example";

/// Cards that end so are declined.
pub(crate) const DECLINED: &str = "0002";
/// For cards that end so the bank does not answer in time.
pub(crate) const NO_ANSWER: &str = "0119";
/// For cards that end so the bank fails the first time, and works the second.
const FLAKY: &str = "0341";

/// Longer than anybody waits.
const NEVER: Duration = Duration::from_secs(5);

/// What it is asked.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Transfer {
    /// The same for each try, so that nobody pays twice.
    pub(super) reference: String,
    pub(super) amount_cents: u64,
    pub(super) card: String,
    pub(super) attempt: u32,
}

/// What it decides.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Decision {
    pub(super) accepted: bool,
}

/// Opens it; it closes with the service.
pub(super) async fn open(faults: Arc<Faults>, tasks: &Tasks) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("the bank cannot open")?;
    let address = listener.local_addr().context("cannot tell where the bank is")?;
    let routes = Router::new().route("/transfers", post(transfer)).with_state(faults);
    let stopping = tasks.clone();
    tasks.spawn(async move {
        // It is the bank's to go on; nobody waits for it.
        let served = axum::serve(listener, routes);
        tokio::select! {
            _ = async { served.await } => {}
            () = stopping.stopping() => {}
        }
    });
    Ok(address)
}

async fn transfer(
    State(faults): State<Arc<Faults>>,
    Json(transfer): Json<Transfer>,
) -> Result<Json<Decision>, StatusCode> {
    tokio::time::sleep(Duration::from_millis(fastrand::u64(10..60))).await;
    if faults.strikes(FaultKind::PaymentsError) {
        return Err(StatusCode::SERVICE_UNAVAILABLE);
    }
    match last_digits(&transfer.card) {
        DECLINED => Ok(Json(Decision { accepted: false })),
        NO_ANSWER => {
            tokio::time::sleep(NEVER).await;
            Err(StatusCode::GATEWAY_TIMEOUT)
        }
        FLAKY if transfer.attempt == 1 => Err(StatusCode::BAD_GATEWAY),
        _ => Ok(Json(Decision { accepted: true })),
    }
}

/// Of a card's number, what may be told.
pub(super) fn last_digits(card: &str) -> &str {
    card.get(card.len().saturating_sub(4)..).unwrap_or_default()
}
