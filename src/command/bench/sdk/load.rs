//! Requests at a steady rate, whether or not earlier ones are answered: each has its moment, and its latency counts from then.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use axum::body::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::service::Order;

/// Requests that may be under way at once; a service that falls so far behind has failed the measurement.
const UNDER_WAY_MAX: usize = 512;

/// Latencies, ascending.
pub struct Latencies(Vec<Duration>);

impl Latencies {
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The latency that this share of the requests does not exceed.
    pub fn at(&self, share: f64) -> Duration {
        let place = (self.0.len() as f64 * share).ceil() as usize;
        self.0.get(place.saturating_sub(1)).copied().unwrap_or_default()
    }
}

/// Asks for a time.
pub async fn ask(address: SocketAddr, rate: u32, time: Duration) -> anyhow::Result<Latencies> {
    let client: Client<HttpConnector, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let order = Order { item: "kettle".to_owned(), quantity: 2, amount_cents: 3_450 };
    let body = Bytes::from(serde_json::to_vec(&order)?);
    let latencies = Arc::new(Mutex::new(Vec::new()));
    let mut under_way: JoinSet<anyhow::Result<()>> = JoinSet::new();
    let begun = Instant::now();
    for number in 0..(u64::from(rate) * time.as_millis() as u64 / 1_000) {
        let moment = begun + Duration::from_secs(1) / rate * u32::try_from(number)?;
        tokio::time::sleep_until(moment).await;
        // The timer is good for a millisecond; what is measured begins when it has rung.
        let moment = Instant::now();
        while let Some(ended) = under_way.try_join_next() {
            ended??;
        }
        ensure!(under_way.len() < UNDER_WAY_MAX, "the service does not keep up with {rate} requests a second");
        let (client, body, latencies) = (client.clone(), body.clone(), Arc::clone(&latencies));
        under_way.spawn(async move {
            let request =
                Request::post(format!("http://{address}/orders/{number}")).header("content-type", "application/json");
            let request = request.header("user-agent", "sextant-bench").body(Full::new(body))?;
            let answer = client.request(request).await.context("the service did not answer")?;
            ensure!(answer.status().is_success(), "the service answered {}", answer.status());
            answer.into_body().collect().await?;
            latencies.lock().unwrap_or_else(PoisonError::into_inner).push(moment.elapsed());
            Ok(())
        });
    }
    while let Some(ended) = under_way.join_next().await {
        ended??;
    }
    let mut latencies = std::mem::take(&mut *latencies.lock().unwrap_or_else(PoisonError::into_inner));
    latencies.sort_unstable();
    Ok(Latencies(latencies))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_latency_that_occurred() {
        let latencies = Latencies((1..=100).map(Duration::from_micros).collect());
        for (share, micros) in [(0.5, 50), (0.99, 99), (1.0, 100), (0.0, 1)] {
            assert_eq!(latencies.at(share), Duration::from_micros(micros));
        }
        assert_eq!(Latencies(vec![]).at(0.5), Duration::ZERO);
    }
}
