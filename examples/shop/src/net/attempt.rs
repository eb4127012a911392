//! One try of a call at one instance: a client span of its own, a bound on time, and what the caller learns from how it ended.

use std::time::Duration;

use axum::http::{Request, StatusCode};
use http_body_util::Full;
use sextant_sdk::http::Call;
use sextant_sdk::opentelemetry::trace::TraceContextExt;
use sextant_sdk::opentelemetry::{Context, KeyValue};
use tokio::time::{Instant, timeout};

use super::backend::Backend;
use super::http::HttpError;
use super::peer::{Answer, CallError, Outgoing};
use super::upstream::{Chosen, Upstream};

/// Tries it.
pub(super) async fn attempt(
    upstream: &Upstream,
    chosen: Chosen,
    outgoing: &Outgoing,
    patience: Duration,
) -> Result<Answer, CallError> {
    let Chosen { backend, permit, under_way, algorithm } = chosen;
    let url = format!("http://{}{}", backend.address(), outgoing.path);
    let call = Call::to(outgoing.template, &outgoing.method, &url);
    let request = Request::builder().method(outgoing.method.clone()).uri(url).body(Full::from(outgoing.body.clone()));
    let mut request =
        request.map_err(|error| CallError::Request { service: upstream.service, why: error.to_string() })?;
    *request.headers_mut() = outgoing.headers.clone();
    call.inject(request.headers_mut());

    let begun = Instant::now();
    let instance = || backend.instance().to_owned();
    let exchange = async {
        describe(&backend, algorithm);
        match timeout(patience, upstream.http.send(request)).await {
            Ok(Ok(reply)) => {
                Ok(Answer { status: reply.status, headers: reply.headers, body: reply.body, instance: instance() })
            }
            Ok(Err(error)) => Err(CallError::NoAnswer { instance: instance(), error }),
            Err(_) => Err(CallError::Timeout { instance: instance(), after: patience }),
        }
    };
    let answer = call.run(exchange, |answer| answer.status).await;
    drop(under_way);

    permit.ended(!speaks_against_it(&answer));
    if !matches!(answer, Err(CallError::NoAnswer { error: HttpError::Connect(_), .. })) {
        // How fast a connection is refused says nothing of how fast it works.
        backend.took(begun.elapsed());
    }
    upstream.signals.count_request(&backend, outcome(&answer));
    answer
}

/// The client span says who was chosen, and how.
fn describe(backend: &Backend, algorithm: &'static str) {
    Context::map_current(|context| {
        let span = context.span();
        span.set_attributes(backend.attributes().iter().cloned());
        span.set_attribute(KeyValue::new("shop.balance.algorithm", algorithm));
    });
}

/// Whether its breaker counts it as a failure.
fn speaks_against_it(answer: &Result<Answer, CallError>) -> bool {
    match answer {
        Ok(answer) => answer.status.is_server_error() && answer.status != StatusCode::SERVICE_UNAVAILABLE,
        Err(_) => true,
    }
}

/// `shop.outcome` of a try.
fn outcome(answer: &Result<Answer, CallError>) -> &'static str {
    match answer {
        Ok(answer) if answer.status.is_server_error() => "error",
        Ok(_) => "ok",
        Err(CallError::Timeout { .. }) => "timeout",
        Err(CallError::NoAnswer { error: HttpError::TooLarge, .. }) => "error",
        Err(_) => "unreachable",
    }
}
