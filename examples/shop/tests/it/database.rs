//! What the catalog tells of its databases: pools, slow questions, and a replica that falls behind.

use axum::http::StatusCode;
use shop::ServiceName;

use crate::alone::{Alone, all_components, told, value};
use crate::receiver::{Received, attribute};

fn reads(received: &Received, target: &str, reason: &str) -> f64 {
    let attributes = [("shop.db.target", target), ("shop.db.reason", reason)];
    value(received, "catalog", "shop.db.reads", &attributes).unwrap_or_default()
}

#[tokio::test]
async fn pools_and_slow_questions_are_told() {
    for (components, _servers) in all_components().await {
        let catalog = Alone::start(ServiceName::Catalog, components).await;
        catalog.set_faults(&["slow-database:600ms"]);
        catalog.receiver.wait_for("the fault", |received| told(received, "catalog", "fault.started") == 1).await;
        assert_eq!(catalog.get("/products/lantern").await.0, StatusCode::OK);
        let received =
            catalog.receiver.wait_for("the slow question", |received| told(received, "catalog", "db.slow") > 0).await;
        let (_, slow) = received.logs.iter().find(|(_, log)| log.event_name == "db.slow").expect("it was told");
        assert_eq!(slow.severity_text, "WARN");
        assert!(attribute(&slow.attributes, "db.namespace").is_some_and(|name| name.starts_with("catalog")));
        assert!(attribute(&slow.attributes, "db.collection.name").is_some());
        let span =
            received.spans.iter().map(|(_, span)| span).find(|span| span.span_id == slow.span_id).expect("its span");
        assert!(
            span.end_time_unix_nano - span.start_time_unix_nano > 400_000_000,
            "the wait is in the question's span"
        );
        for pool in ["catalog", "catalog_replica"] {
            let named = ("db.client.connection.pool.name", pool);
            assert_eq!(value(&received, "catalog", "db.client.connection.max", &[named]), Some(6.0));
            let waiting = value(&received, "catalog", "db.client.connection.pending_requests", &[named]);
            assert_eq!(waiting, Some(0.0));
            assert!(value(&received, "catalog", "db.client.connection.count", &[named]).is_some());
        }
        let received = catalog.stop().await;
        let heartbeats = received.spans.iter().filter(|(_, span)| span.name.contains("heartbeats")).count();
        assert_eq!(heartbeats, 0, "housekeeping is no span");
    }
}

#[tokio::test]
async fn a_replica_that_falls_behind_is_told_and_not_asked() {
    for (components, _servers) in all_components().await {
        let catalog = Alone::start(ServiceName::Catalog, components).await;
        let visit = async || assert_eq!(catalog.get("/products").await.0, StatusCode::OK);
        let lag = |received: &Received| {
            value(received, "catalog", "shop.db.replication.lag", &[("db.namespace", "catalog_replica")])
        };
        catalog.receiver.wait_for("a lag", |received| lag(received).is_some_and(|lag| lag < 1.5)).await;
        visit().await;
        let fresh =
            catalog.receiver.wait_for("a fresh read", |received| reads(received, "replica", "fresh") > 0.0).await;
        assert_eq!(told(&fresh, "catalog", "replica.lagging"), 0);

        catalog.set_faults(&["replica-lag"]);
        catalog.receiver.wait_for("a lag", |received| lag(received).is_some_and(|lag| lag > 2.5)).await;
        visit().await;
        catalog
            .receiver
            .wait_for("a read of the primary", |received| reads(received, "primary", "lagging") > 0.0)
            .await;

        catalog.set_faults(&[]);
        catalog
            .receiver
            .wait_for("the end of the lag", |received| told(received, "catalog", "replica.caught_up") > 0)
            .await;
        let before = reads(&catalog.receiver.received(), "replica", "fresh");
        visit().await;
        catalog.receiver.wait_for("a fresh read", |received| reads(received, "replica", "fresh") > before).await;
        let received = catalog.stop().await;
        assert_eq!(received.log("catalog", "replica.lagging").severity_text, "WARN");
        received.log("catalog", "replica.caught_up");
    }
}
