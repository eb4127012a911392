//! The rate limit: a token bucket for each client, which is who a customer says to be, or else the address it comes from. The number of clients is bounded.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use sextant_sdk::opentelemetry::metrics::{Counter, Meter};
use tokio::time::Instant;

use super::answer;
use super::forward::{CUSTOMER, client_of, text_of};
use crate::limits::{CLIENTS_MAX, LIMITED_SAID};

/// So many requests at once for each that may be sent a second.
const BURST: f64 = 2.0;

/// The limit, shared by all requests.
pub(super) struct Limiter {
    clients: Mutex<Clients>,
    rejections: Counter<u64>,
}

impl Limiter {
    /// So many requests a second; zero is no limit.
    pub(super) fn new(rate: f64, meter: &Meter) -> Self {
        let rejections = meter.u64_counter("shop.rate_limit.rejections").with_unit("{request}");
        let rejections = rejections.with_description("Requests of clients that sent too many").build();
        Self { clients: Mutex::new(Clients::new(rate)), rejections }
    }
}

/// Lets a request through, or tells its client when to come back.
pub(super) async fn limited(State(limiter): State<Arc<Limiter>>, request: Request, next: Next) -> Response {
    let said = request.headers().get(CUSTOMER).and_then(text_of);
    let client = said.map_or_else(|| client_of(&request).to_string(), |customer| format!("customer {customer}"));
    let decision = {
        // Nothing panics half-way through a change.
        let mut clients = limiter.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.take(&client, Instant::now())
    };
    let Err(Limited { wait, say }) = decision else { return next.run(request).await };
    limiter.rejections.add(1, &[]);
    if say {
        tracing::warn!(name: "request.limited", { shop.client = client }, "a client sends too many requests");
    }
    let mut response = answer::refused(StatusCode::TOO_MANY_REQUESTS, "too many requests: come back later");
    let seconds = wait.as_secs_f64().ceil().max(1.0) as u64;
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}

/// Each client's bucket.
#[derive(Debug)]
struct Clients {
    rate: f64,
    buckets: HashMap<String, Bucket>,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
    said: Option<Instant>,
}

/// Not now.
#[derive(Debug, PartialEq)]
struct Limited {
    /// Until there is a token.
    wait: Duration,
    /// Whether the log has not heard of it lately.
    say: bool,
}

impl Clients {
    fn new(rate: f64) -> Self {
        Self { rate, buckets: HashMap::new() }
    }

    /// Takes a token out of this client's bucket.
    fn take(&mut self, client: &str, now: Instant) -> Result<(), Limited> {
        if self.rate.is_nan() || self.rate <= 0.0 {
            return Ok(());
        }
        // Who sends less than one a second may still send one.
        let most = (self.rate * BURST).max(1.0);
        if !self.buckets.contains_key(client) && self.buckets.len() >= CLIENTS_MAX {
            self.forget(now, most);
        }
        let full = || Bucket { tokens: most, at: now, said: None };
        let bucket = self.buckets.entry(client.to_owned()).or_insert_with(full);
        bucket.tokens = (bucket.tokens + self.rate * now.saturating_duration_since(bucket.at).as_secs_f64()).min(most);
        bucket.at = now;
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return Ok(());
        }
        let say = bucket.said.is_none_or(|said| now.saturating_duration_since(said) >= LIMITED_SAID);
        if say {
            bucket.said = Some(now);
        }
        // A rate of next to nothing has everybody wait for a day, and not for more than a duration holds.
        Err(Limited { wait: Duration::from_secs_f64(((1.0 - bucket.tokens) / self.rate).min(86_400.0)), say })
    }

    /// Makes room: whose bucket is full again is as good as unknown, and if those are few, the half that has been quiet longest goes.
    fn forget(&mut self, now: Instant, most: f64) {
        let rate = self.rate;
        let is_full =
            |bucket: &Bucket| bucket.tokens + rate * now.saturating_duration_since(bucket.at).as_secs_f64() >= most;
        self.buckets.retain(|_, bucket| !is_full(bucket));
        if self.buckets.len() > CLIENTS_MAX / 2 {
            let mut times: Vec<Instant> = self.buckets.values().map(|bucket| bucket.at).collect();
            let (_, median, _) = times.select_nth_unstable(CLIENTS_MAX / 2);
            let median = *median;
            self.buckets.retain(|_, bucket| bucket.at > median);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_may_burst_and_then_send_at_its_rate() {
        let begun = Instant::now();
        let mut clients = Clients::new(5.0);
        let through = (0..100).filter(|_| clients.take("a", begun).is_ok()).count();
        assert_eq!(through, 10);
        assert_eq!(clients.take("b", begun), Ok(()), "the others are not concerned");
        let at = |seconds| begun + Duration::from_secs_f64(seconds);
        let through = (0..1_000).filter(|step| clients.take("a", at(f64::from(*step) / 100.0)).is_ok()).count();
        assert!((49..=51).contains(&through), "{through} in ten seconds");
        assert_eq!((0..100).filter(|_| clients.take("a", at(1_000.0)).is_ok()).count(), 10, "no more than a burst");
    }

    #[test]
    fn who_is_limited_hears_when_to_come_back_and_the_log_seldom() {
        let begun = Instant::now();
        let mut clients = Clients::new(0.5);
        assert_eq!(clients.take("a", begun), Ok(()));
        let said: Vec<_> = (0..25)
            .filter(|tenth| {
                let limited = clients.take("a", begun + Duration::from_millis(tenth * 10)).expect_err("limited");
                assert!(limited.wait <= Duration::from_secs(2));
                limited.say
            })
            .collect();
        assert_eq!(said, [0]);
        assert_eq!(clients.take("a", begun + Duration::from_secs(2)), Ok(()));
    }

    #[test]
    fn clients_without_number_take_bounded_room() {
        let mut now = Instant::now();
        let mut clients = Clients::new(1.0);
        for client in 0..CLIENTS_MAX * 5 {
            now += Duration::from_micros(10);
            assert_eq!(clients.take(&client.to_string(), now), Ok(()));
            assert!(clients.buckets.len() <= CLIENTS_MAX);
        }
        for _ in 0..CLIENTS_MAX * 2 {
            assert_eq!(clients.take(&fastrand::u64(..).to_string(), now), Ok(()), "all at the same moment");
            assert!(clients.buckets.len() <= CLIENTS_MAX);
        }
    }

    #[test]
    fn no_rate_is_no_limit() {
        for rate in [0.0, f64::NAN, -1.0] {
            let mut clients = Clients::new(rate);
            assert!((0..1_000).all(|_| clients.take("a", Instant::now()).is_ok()));
        }
    }
}
