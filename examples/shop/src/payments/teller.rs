//! Who speaks to the bank: bounded tries behind a breaker.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::http::header::CONTENT_TYPE;
use axum::http::{Request, StatusCode};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use sextant_sdk::http::Call;

use super::bank::{self, Decision, Transfer};
use crate::context::Context;
use crate::limits::{BANK_TRY_MAX, BODY_BYTES_MAX};
use crate::net::{Breaker, Retries};
use crate::order::Charge;

/// Why there is no decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unanswered {
    BreakerOpen,
    Timeout,
    Refused,
    Broken,
}

impl Unanswered {
    /// The word in attributes.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::BreakerOpen => "breaker_open",
            Self::Timeout => "timeout",
            Self::Refused => "refused",
            Self::Broken => "broken",
        }
    }
}

impl std::fmt::Display for Unanswered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

pub(super) struct Teller {
    client: Client<HttpConnector, Full<Bytes>>,
    bank: SocketAddr,
    breaker: Arc<Breaker>,
    retries: Retries,
}

impl Teller {
    pub(super) fn new(context: &Context, bank: SocketAddr) -> Self {
        Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
            bank,
            breaker: context.peers.breaker("bank"),
            retries: context.peers.retries("bank"),
        }
    }

    /// Whether the bank accepts. It knows by the order whether it has been asked before, so that asking again is safe.
    pub(super) async fn transfer(&self, charge: &Charge) -> Result<bool, Unanswered> {
        let mut tries = self.retries.begin();
        for attempt in 1.. {
            let Some(permit) = self.breaker.enter() else {
                self.breaker.reject();
                return Err(Unanswered::BreakerOpen);
            };
            let decided = self.ask(charge, attempt).await;
            permit.ended(decided.is_ok());
            let why = match decided {
                Ok(decision) => return Ok(decision.accepted),
                Err(why) => why,
            };
            let Some(pause) = tries.again(why.as_str()) else { return Err(why) };
            tracing::warn!(
                name: "bank.unreachable",
                { error.type = why.as_str(), shop.attempt = attempt, pause_s = pause.as_secs_f64() },
                "the bank failed ({why}), it is asked again"
            );
            tokio::time::sleep(pause).await;
        }
        Err(Unanswered::Broken)
    }

    async fn ask(&self, charge: &Charge, attempt: u32) -> Result<Decision, Unanswered> {
        let transfer = Transfer {
            reference: charge.order.clone(),
            amount_cents: charge.amount_cents,
            card: charge.card.clone(),
            attempt,
        };
        let body = serde_json::to_vec(&transfer).map_err(|_| Unanswered::Broken)?;
        let request = Request::post(format!("http://{}/transfers", self.bank)).header(CONTENT_TYPE, "application/json");
        let request = request.body(Full::from(body)).map_err(|_| Unanswered::Broken)?;
        // Strangers are not told of the trace.
        let call = Call::to("/transfers", request.method(), &format!("https://{}/transfers", bank::HOST));
        let exchange = async {
            let answer = self.client.request(request).await.map_err(|_| Unanswered::Broken)?;
            let status = answer.status();
            if status.is_server_error() {
                return Ok((status, Err(Unanswered::Refused)));
            }
            let body = Limited::new(answer.into_body(), BODY_BYTES_MAX).collect().await;
            let body = body.map_err(|_| Unanswered::Broken)?.to_bytes();
            Ok((status, serde_json::from_slice(&body).map_err(|_| Unanswered::Broken)))
        };
        let bounded = async {
            let answer = tokio::time::timeout(BANK_TRY_MAX, exchange).await;
            answer.unwrap_or(Err(Unanswered::Timeout))
        };
        call.run(bounded, |(status, _): &(StatusCode, _)| *status).await?.1
    }
}
