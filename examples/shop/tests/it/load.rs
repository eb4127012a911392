//! The load generator, and the line by which a parent learns of a whole order.

use std::collections::BTreeSet;

use opentelemetry_proto::tonic::common::v1::KeyValue;

use crate::receiver::{Receiver, attribute};
use crate::shop::Shop;

#[tokio::test]
async fn the_gateway_names_an_order_that_went_all_the_way() {
    let receiver = Receiver::start().await;
    let mut shop = Shop::open(&receiver.endpoint, 10.0).await;
    let line = shop.gateway.line().await;
    let id = line.strip_prefix("correlation_id=").unwrap_or_else(|| panic!("unexpected line: {line}"));
    let has_id = |attributes: &[KeyValue]| attribute(attributes, "correlation.id") == Some(id);

    assert!(
        receiver
            .received()
            .exemplars("shop.order.duration")
            .iter()
            .any(|exemplar| has_id(&exemplar.filtered_attributes)),
        "{id}"
    );
    let all = |services: BTreeSet<&str>| services == BTreeSet::from(["gateway", "orders", "payments"]);
    let complete = "spans and log records of the order from all three services";
    let received = receiver.wait_for(complete, |received| {
        let spans =
            received.spans.iter().filter(|(_, span)| has_id(&span.attributes)).map(|(service, _)| service.as_str());
        let logs = received.logs.iter().filter(|(_, log)| has_id(&log.attributes)).map(|(service, _)| service.as_str());
        all(spans.collect()) && all(logs.collect())
    });
    received.await;
    shop.close().await;

    let received = receiver.received();
    let orders: Vec<_> = received.logs.iter().filter(|(_, log)| log.event_name == "order.received").collect();
    let ids: BTreeSet<_> = orders.iter().filter_map(|(_, log)| attribute(&log.attributes, "correlation.id")).collect();
    assert!(orders.len() >= 10, "{} orders", orders.len());
    assert_eq!(ids.len(), orders.len(), "one id per order");
    let answered = received.logs.iter().filter(|(_, log)| log.event_name == "order.answered").count();
    assert_eq!(answered, orders.len(), "none was cut off by the end");
}
