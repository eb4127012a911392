//! The caches' metrics, and the fault that empties them.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use shop::ServiceName;

use crate::alone::{Alone, all_components, told, value};
use crate::receiver::Received;

fn of(received: &Received, metric: &str, attributes: &[(&str, &str)]) -> f64 {
    value(received, "catalog", metric, attributes).unwrap_or_default()
}

#[tokio::test]
async fn each_strategy_shows_in_its_numbers() {
    for (components, _servers) in all_components().await {
        let is_shared = components.redis.is_some();
        let catalog = Alone::start(ServiceName::Catalog, components).await;
        for _ in 0..4 {
            assert_eq!(catalog.get("/products/compass").await.0, StatusCode::OK);
            assert_eq!(catalog.get("/products/compass/reviews").await.0, StatusCode::OK);
        }
        let views = catalog.ask(Method::POST, "/products/compass/views", Value::Null).await;
        assert_eq!(views.0, StatusCode::ACCEPTED);
        let written = |received: &Received| {
            received.spans.iter().any(|(_, span)| span.name == "INSERT views")
                && of(received, "cache.requests", &[("cache.name", "views"), ("cache.result", "hit")]) == 3.0
        };
        let received = catalog.receiver.wait_for("views that are written behind", written).await;
        assert_eq!(value(&received, "catalog", "shop.cache.unwritten", &[("cache.name", "views")]), Some(0.0));
        for (name, strategy) in [
            ("products", "cache_aside"),
            ("prices", "read_through"),
            ("views", "write_behind"),
            ("reviews", "write_around"),
        ] {
            let loads = of(&received, "shop.cache.loads", &[("cache.name", name), ("shop.cache.strategy", strategy)]);
            assert_eq!(loads, 1.0, "{name}");
            let requests = |result| of(&received, "cache.requests", &[("cache.name", name), ("cache.result", result)]);
            assert_eq!(requests("miss"), 1.0, "{name}");
            // The product is looked up by each request.
            assert!(requests("hit") >= 3.0, "{name}: {}", requests("hit"));
        }
        if is_shared {
            assert!(received.spans.iter().any(|(_, span)| span.name == "GET prices"));
        }

        assert_eq!(catalog.get("/products/compass").await.1["views"], 1, "also once they are written");
        let review = json!({"customer": "ada", "stars": 4, "text": "points north"});
        catalog.ask(Method::POST, "/products/compass/reviews", review).await;
        assert_eq!(catalog.get("/products/compass/reviews").await.1[0]["text"], "points north");
        let forgotten = catalog.ask(Method::DELETE, "/products/compass/cache", Value::Null).await;
        assert_eq!(forgotten.0, StatusCode::NO_CONTENT);
        let received = catalog.stop().await;
        for (name, reason) in
            [("reviews", "write"), ("prices", "explicit"), ("views", "explicit"), ("reviews", "explicit")]
        {
            let attributes = [("cache.name", name), ("shop.cache.reason", reason)];
            assert_eq!(of(&received, "shop.cache.invalidations", &attributes), 1.0, "{name} {reason}");
        }
        let both = [("cache.name", "products"), ("shop.cache.reason", "explicit")];
        assert_eq!(of(&received, "shop.cache.invalidations", &both), 2.0, "the product and the list");
    }
}

#[tokio::test]
async fn views_are_written_before_the_service_ends() {
    let catalog = Alone::start(ServiceName::Catalog, Default::default()).await;
    for _ in 0..5 {
        catalog.ask(Method::POST, "/products/lantern/views", Value::Null).await;
    }
    let received = catalog.stop().await;
    let written = received.spans.iter().filter(|(_, span)| span.name == "INSERT views").count();
    assert!(written > 0, "{:?}", received.span_names());
}

#[tokio::test]
async fn caches_that_are_emptied_again_and_again_say_so_once() {
    for (components, _servers) in all_components().await {
        let catalog = Alone::start(ServiceName::Catalog, components).await;
        catalog.set_faults(&["cache-flush"]);
        let flushes = |received: &Received, name: &str| {
            of(received, "shop.cache.invalidations", &[("cache.name", name), ("shop.cache.reason", "flush")])
        };
        let all = |received: &Received| {
            ["products", "prices", "views", "reviews"].iter().all(|name| flushes(received, name) >= 5.0)
        };
        let received = catalog.receiver.wait_for("flushes", all).await;
        assert_eq!(told(&received, "catalog", "cache.flushed"), 4, "each cache, once");
        catalog.set_faults(&[]);
        catalog.receiver.wait_for("its end", |received| told(received, "catalog", "fault.stopped") == 1).await;
        assert_eq!(catalog.get("/products/lantern").await.0, StatusCode::OK);
        catalog.stop().await;
    }
}
