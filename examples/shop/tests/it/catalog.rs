//! The catalog's answers, and what it tells of them.

use axum::http::{Method, StatusCode};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::{Value, json};
use shop::ServiceName;

use crate::alone::{Alone, all_components, has_histogram, told, value};
use crate::receiver::attribute;

#[tokio::test]
async fn products_are_shown_priced_reviewed_and_held_for_orders() {
    for (components, _servers) in all_components().await {
        let system = if components.postgres.is_some() { "postgresql" } else { "sqlite" };
        let catalog = Alone::start(ServiceName::Catalog, components).await;
        let ids = |list: &Value| -> Vec<String> {
            let list = list.as_array().expect("a list").iter();
            list.map(|product| product["id"].as_str().expect("an id").to_owned()).collect()
        };
        assert_eq!(catalog.get("/healthz").await.0, StatusCode::OK);
        let (status, list) = catalog.get("/products").await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(ids(&list), ["almanac", "compass", "kettle", "lantern", "sextant"]);
        let kettle = json!({"id": "kettle", "warehouse": "near", "price_cents": 3450, "stock": 60, "views": 0});
        assert_eq!(catalog.get("/products/kettle").await, (StatusCode::OK, kettle));

        // What is not there.
        for path in ["/products/unicorn", "/products/unicorn/price", "/products/unicorn/reviews", "/products/a%00b"] {
            assert_eq!(catalog.get(path).await.0, StatusCode::NOT_FOUND, "{path}");
        }

        // Prices.
        for (cents, status) in [(2_999, StatusCode::OK), (0, StatusCode::BAD_REQUEST), (-5, StatusCode::BAD_REQUEST)] {
            let answer = catalog.ask(Method::PUT, "/products/kettle/price", json!({"cents": cents})).await;
            assert_eq!(answer.0, status, "{cents}");
        }
        assert_eq!(catalog.get("/products/kettle/price").await, (StatusCode::OK, json!({"cents": 2999})));

        // Reviews.
        let review = |stars: u32| json!({"customer": "ada", "stars": stars, "text": "as described"});
        assert_eq!(catalog.ask(Method::POST, "/products/kettle/reviews", review(5)).await.0, StatusCode::CREATED);
        assert_eq!(catalog.ask(Method::POST, "/products/kettle/reviews", review(6)).await.0, StatusCode::BAD_REQUEST);
        assert_eq!(catalog.ask(Method::POST, "/products/unicorn/reviews", review(5)).await.0, StatusCode::NOT_FOUND);
        let (_, reviews) = catalog.get("/products/kettle/reviews").await;
        assert_eq!((reviews.as_array().map(Vec::len), &reviews[0]["text"]), (Some(1), &json!("as described")));

        // Views.
        for _ in 0..3 {
            assert_eq!(catalog.ask(Method::POST, "/products/kettle/views", Value::Null).await.0, StatusCode::ACCEPTED);
        }
        assert_eq!(catalog.get("/products/kettle").await.1["views"], 3);

        // Reservations.
        let reserve = async |product: &str, order: &str, quantity: u32| {
            let path = format!("/products/{product}/reservations");
            catalog.ask(Method::POST, &path, json!({"order": order, "quantity": quantity})).await
        };
        let held = (StatusCode::CREATED, json!({"amount_cents": 2 * 2999, "left": 58}));
        assert_eq!(reserve("kettle", "order-1", 2).await, held);
        assert_eq!(reserve("kettle", "order-1", 2).await, held, "once");
        assert_eq!(reserve("kettle", "order-2", 59).await.0, StatusCode::CONFLICT);
        assert_eq!(reserve("kettle", "order-2", 0).await.0, StatusCode::BAD_REQUEST);
        assert_eq!(reserve("unicorn", "order-2", 1).await.0, StatusCode::NOT_FOUND);
        assert_eq!(reserve("sextant", "order-3", 51).await.1, json!({"amount_cents": 51 * 24_900, "left": 69}));
        assert_eq!(catalog.get("/products/kettle").await.1["stock"], 58);
        for _ in 0..2 {
            let release = catalog.ask(Method::DELETE, "/products/kettle/reservations/order-1", Value::Null).await;
            assert_eq!(release.0, StatusCode::NO_CONTENT);
        }
        assert_eq!(catalog.get("/products/kettle").await.1["stock"], 60);

        let levels = |of: &str, level: f64| {
            let of = of.to_owned();
            move |received: &crate::receiver::Received| {
                value(received, "catalog", "shop.stock.level", &[("shop.item", &of)]) == Some(level)
            }
        };
        catalog.receiver.wait_for("the kettle's level", levels("kettle", 60.0)).await;
        catalog.receiver.wait_for("the sextant's level", levels("sextant", 69.0)).await;
        let received = catalog.stop().await;
        for (event, count) in [
            ("price.changed", 1),
            ("review.written", 1),
            ("stock.reserved", 2),
            ("stock.reserved_already", 1),
            ("stock.short", 1),
            ("stock.delivered", 1),
            ("stock.slow", 1),
            ("stock.released", 1),
        ] {
            assert_eq!(told(&received, "catalog", event), count, "{event}");
        }

        // The order's questions are spans below its request, in a transaction.
        let requests = received
            .spans
            .iter()
            .filter(|(_, span)| span.name == "POST /products/{id}/reservations" && span.kind() == SpanKind::Server);
        let request = requests.map(|(_, span)| span).next().expect("a request");
        let below = received.spans.iter().filter(|(_, span)| span.parent_span_id == request.span_id);
        let names: Vec<&str> = below.map(|(_, span)| span.name.as_str()).collect();
        let transaction = ["BEGIN stock", "SELECT prices", "INSERT reservations", "UPDATE stock", "COMMIT stock"];
        assert!(names.ends_with(&transaction), "{names:?}");
        let insert = received.spans.iter().find(|(_, span)| span.name == "INSERT reservations").map(|(_, span)| span);
        let attributes = &insert.expect("a span").attributes;
        assert_eq!(attribute(attributes, "db.system.name"), Some(system));
        assert_eq!(attribute(attributes, "db.namespace"), Some("catalog"));
        assert!(attribute(attributes, "db.query.text").is_some_and(|text| text.contains("VALUES ($1, $2")));
        let question = [("db.system.name", system), ("db.operation.name", "UPDATE"), ("db.collection.name", "stock")];
        assert!(has_histogram(&received, "catalog", "db.client.operation.duration", &question));
    }
}
