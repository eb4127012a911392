//! Who may send: requests that the owner of the token did not make are answered in the words of their protocol, before
//! anything of them is read.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use axum::middleware::{self, Next};
use axum::response::Response;

use super::{Door, grpc, http};
use crate::{Intake, Refusal, limits};

/// The router of a door, for those alone whose headers pass `check`.
pub fn protect(
    router: Router,
    door: Door,
    intake: &Intake,
    check: Arc<dyn Fn(&HeaderMap) -> bool + Send + Sync>,
) -> Router {
    let intake = intake.clone();
    router.layer(middleware::from_fn(move |request: Request, next: Next| {
        let (intake, check) = (intake.clone(), Arc::clone(&check));
        async move {
            if is_free(&request) || check(request.headers()) {
                return next.run(request).await;
            }
            refuse(door, &intake, request).await
        }
    }))
}

// Who asks for health has no token to show, and learns nothing else.
fn is_free(request: &Request) -> bool {
    request.uri().path().starts_with("/grpc.health.v1.Health/")
}

async fn refuse(door: Door, intake: &Intake, request: Request) -> Response {
    let refusal = Refusal::Unauthenticated;
    intake.counters().astray(door, &refusal);
    match door {
        Door::Grpc => grpc::refuse(&refusal),
        Door::Http | Door::RemoteWrite | Door::Scrape => {
            let response = http::refuse_as_asked(&refusal, request.headers());
            if !request.headers().contains_key(header::EXPECT) {
                let (body, clock) = (request.into_body(), intake.clock());
                let read = intake.drain().drop_rest(clock, body, limits::STRANGERS_BYTES_MAX);
                let patience = clock.sleep_until(clock.monotonic().saturating_add(limits::BODY_WINDOW));
                tokio::select! {
                    () = read => {}
                    () = patience => {}
                }
            }
            response
        }
    }
}
