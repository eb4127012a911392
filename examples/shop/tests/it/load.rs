//! The customers, and the line by which a parent learns of a whole order.

use std::collections::BTreeSet;

use crate::receiver::{Receiver, attribute};
use crate::shop::Open;

#[tokio::test]
async fn customers_keep_the_shop_busy_and_the_gateway_names_an_order_that_went_all_the_way() {
    let receiver = Receiver::start().await;
    let mut open = Open::embedded(&receiver.endpoint, 10.0).await;
    let id = open.shop.first_order().await.expect("an order goes through");
    let whole = receiver.wait_for("all about the order", |received| {
        let of_order =
            received.logs.iter().filter(|(_, log)| attribute(&log.attributes, "correlation.id") == Some(&id));
        let services: BTreeSet<&str> = of_order.map(|(service, _)| service.as_str()).collect();
        services.len() == 5
    });
    whole.await;
    open.close().await;
    let received = receiver.received();
    let orders: Vec<_> = received.logs.iter().filter(|(_, log)| log.event_name == "order.received").collect();
    let ids: BTreeSet<_> = orders.iter().filter_map(|(_, log)| attribute(&log.attributes, "correlation.id")).collect();
    assert!(ids.len() >= 10, "{} orders", ids.len());
    let answered = received.logs.iter().filter(|(_, log)| log.event_name == "order.answered").count();
    assert_eq!(answered, orders.len(), "none was cut off by the end");
}
