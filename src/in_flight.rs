//! Counts requests that are not answered to the end, so that stopping waits for them and not for connections on which nobody
//! asks anything.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use http_body_util::BodyExt as _;
use tokio::sync::watch;

/// The requests under way. Cheap to clone: clones count together.
#[derive(Clone, Debug)]
pub struct InFlight(Arc<watch::Sender<usize>>);

struct Place(Arc<watch::Sender<usize>>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

impl InFlight {
    /// None yet.
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }

    /// The router, with every request to it counted.
    pub fn around(&self, router: Router) -> Router {
        router.layer(middleware::from_fn_with_state(self.clone(), count))
    }

    /// Resolves when there is no request under way.
    pub async fn none(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        let _ = self.0.subscribe().wait_for(|count| *count == 0).await;
    }

    fn enter(&self) -> Place {
        self.0.send_modify(|count| *count += 1);
        Place(Arc::clone(&self.0))
    }
}

async fn count(State(in_flight): State<InFlight>, request: Request, next: Next) -> Response {
    let place = in_flight.enter();
    let response = next.run(request).await;
    // The place lives as long as the body: an answer that streams is under way until its last frame.
    response.map(|body| {
        Body::new(body.map_err(move |error| {
            let _held = &place;
            error
        }))
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::http::StatusCode;
    use axum::routing::get;
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn an_answer_is_under_way_until_its_body_is_done() {
        let in_flight = InFlight::new();
        let router = in_flight.around(Router::new().route("/", get(async || "answer")));
        let request = Request::get("/").body(Body::empty()).expect("a request");
        let response = router.oneshot(request).await.expect("infallible");
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(axum::body::HttpBody::size_hint(response.body()).exact(), Some(6), "the length is still known");
        assert!(tokio::time::timeout(Duration::from_millis(20), in_flight.none()).await.is_err());
        let body = response.into_body().collect().await.expect("whole").to_bytes();
        assert_eq!(body.as_ref(), b"answer");
        tokio::time::timeout(Duration::from_secs(5), in_flight.none()).await.expect("nothing is under way");
    }
}
