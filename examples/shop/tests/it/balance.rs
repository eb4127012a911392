//! How the gateway spreads requests by each algorithm, and the signals that show it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::atomic::Ordering;

use serde_json::json;

use crate::fakes::{Customer, Fake, Gateway, points, until, value};
use crate::receiver::{Received, Receiver};

/// A gateway with this algorithm and three instances of the catalog of these weights and loads.
struct Shop {
    receiver: Receiver,
    gateway: Gateway,
    instances: Vec<Fake>,
    algorithm: &'static str,
}

impl Shop {
    async fn open(algorithm: &'static str, instances: [(u32, f64); 3]) -> Self {
        let receiver = Receiver::start().await;
        let gateway = Gateway::start(&receiver, &["--balance", &algorithm.replace('_', "-")]).await;
        let mut fakes = Vec::new();
        for (number, (weight, cpu)) in instances.into_iter().enumerate() {
            let name = format!("catalog-{}", number + 1);
            fakes.push(Fake::with(&gateway, "catalog", &name, weight, json!({"cpu": cpu, "active": 0})).await);
        }
        Self { receiver, gateway, instances: fakes, algorithm }
    }

    fn products(&self) -> String {
        format!("{}/products", self.gateway.url)
    }

    fn counts(&self) -> Vec<usize> {
        self.instances.iter().map(Fake::asked).collect()
    }

    /// So many requests, one after the other.
    async fn ask(&self, requests: usize) {
        let customer = Customer::new();
        for _ in 0..requests {
            assert_eq!(customer.get(&self.products()).await.status, 200);
        }
    }

    /// So many at once.
    async fn ask_at_once(&self, requests: usize) {
        let customer = Customer::new();
        let mut asking = tokio::task::JoinSet::new();
        for _ in 0..requests {
            let (customer, url) = (customer.clone(), self.products());
            asking.spawn(async move { customer.get(&url).await });
        }
        for reply in asking.join_all().await {
            assert_eq!(reply.status, 200, "{}", reply.body);
        }
    }

    /// The metrics say of each instance what it has seen.
    async fn measured(self) {
        let counts = self.counts();
        // Gauges are those of the last time that the reader collected.
        let settled = |received: &Received| {
            let times = points(received, "shop.backend.response_time").len();
            value(received, "shop.backend.active_requests", &[]) == Some(0.0)
                && times == counts.iter().filter(|count| **count > 0).count()
        };
        let gauges = self.receiver.wait_for("the gauges", settled).await;
        self.gateway.stop().await;
        let received = self.receiver.received();
        for (instance, count) in self.instances.iter().zip(&counts) {
            let of = [("shop.backend.service", "catalog"), ("shop.backend.instance", instance.name())];
            let chosen =
                value(&received, "shop.backend.choices", &[of[0], of[1], ("shop.balance.algorithm", self.algorithm)]);
            assert_eq!(chosen.unwrap_or_default(), *count as f64, "{} was chosen", instance.name());
            let requests = value(&received, "shop.backend.requests", &[of[0], of[1], ("shop.outcome", "ok")]);
            assert_eq!(requests.unwrap_or_default(), *count as f64, "{} was asked", instance.name());
            assert_eq!(value(&gauges, "shop.backend.active_requests", &of), Some(0.0));
            assert_eq!(value(&gauges, "shop.backend.healthy", &of), Some(1.0));
            let measured = value(&gauges, "shop.backend.response_time", &of);
            assert_eq!(measured.is_some(), *count > 0, "{measured:?}");
        }
    }
}

#[tokio::test]
async fn round_robin_takes_one_after_the_other() {
    let shop = Shop::open("round_robin", [(1, 0.0), (9, 0.9), (1, 0.0)]).await;
    shop.ask(30).await;
    assert_eq!(shop.counts(), [10, 10, 10]);
    shop.instances[1].leave(&shop.gateway).await;
    shop.ask(10).await;
    assert_eq!(shop.counts(), [15, 10, 15]);
    let left =
        shop.receiver.wait_for("the metrics", |received| value(received, "shop.backend.healthy", &[]) == Some(2.0));
    left.await;
    shop.gateway.stop().await;
}

#[tokio::test]
async fn weighted_obeys_the_weights() {
    let shop = Shop::open("weighted", [(5, 0.0), (1, 0.0), (1, 0.0)]).await;
    shop.ask(70).await;
    assert_eq!(shop.counts(), [50, 10, 10]);
    shop.measured().await;
}

#[tokio::test]
async fn least_connections_spares_the_slow_one() {
    let shop = Shop::open("least_connections", [(1, 0.0); 3]).await;
    shop.ask(9).await;
    assert_eq!(shop.counts(), [3, 3, 3], "idle, they take turns");
    shop.instances[0].behaviour.delay_ms.store(6_000, Ordering::SeqCst);
    let waiting = tokio::spawn({
        let url = shop.products();
        async move {
            let customer = Customer::new();
            tokio::join!(customer.get(&url), customer.get(&url), customer.get(&url))
        }
    });
    until("the slow one is busy", async || shop.instances[0].asked() == 4).await;
    shop.ask(30).await;
    assert_eq!(shop.instances[0].asked(), 4, "{:?}", shop.counts());
    waiting.await.expect("answers");
    shop.measured().await;
}

#[tokio::test]
async fn weighted_least_connections_fills_by_weight() {
    let shop = Shop::open("weighted_least_connections", [(4, 0.0), (1, 0.0), (1, 0.0)]).await;
    for instance in &shop.instances {
        instance.behaviour.delay_ms.store(4_000, Ordering::SeqCst);
    }
    shop.ask_at_once(30).await;
    assert_eq!(shop.counts(), [20, 5, 5]);
    shop.measured().await;
}

#[tokio::test]
async fn least_response_time_leaves_the_slow_one() {
    let shop = Shop::open("least_response_time", [(1, 0.0); 3]).await;
    shop.instances[2].behaviour.delay_ms.store(2_000, Ordering::SeqCst);
    shop.ask(60).await;
    assert_eq!(shop.instances[2].asked(), 1, "asked once, and then known: {:?}", shop.counts());
    let slow = [("shop.backend.instance", "catalog-3")];
    let received =
        shop.receiver.wait_for("its time", |received| value(received, "shop.backend.response_time", &slow).is_some());
    let seconds = value(&received.await, "shop.backend.response_time", &slow).expect("measured");
    assert!(seconds >= 2.0, "{seconds}");
    shop.measured().await;
}

#[tokio::test]
async fn ip_hash_keeps_clients_where_they_are() {
    let shop = Shop::open("ip_hash", [(1, 0.0); 3]).await;
    let mut homes = BTreeMap::new();
    let clients: Vec<_> = (1..=40).map(|number| (number, Customer::at(Ipv4Addr::new(127, 0, 1, number)))).collect();
    for _ in 0..3 {
        for (number, customer) in &clients {
            let reply = customer.get(&shop.products()).await;
            let home = homes.entry(*number).or_insert_with(|| reply.instance().to_owned());
            assert_eq!(home, reply.instance(), "client {number} comes to the same instance");
        }
    }
    assert_eq!(homes.values().collect::<BTreeSet<_>>().len(), 3);
    shop.instances[1].leave(&shop.gateway).await;
    for (number, customer) in &clients {
        let reply = customer.get(&shop.products()).await;
        assert_ne!(reply.instance(), "catalog-2");
        assert!(homes[number] == "catalog-2" || homes[number] == reply.instance(), "client {number} stays");
    }
    shop.gateway.stop().await;
    let received = shop.receiver.received();
    assert_eq!(value(&received, "shop.backend.choices", &[("shop.balance.algorithm", "ip_hash")]), Some(160.0));
}

#[tokio::test]
async fn resource_follows_what_the_instances_say() {
    let shop = Shop::open("resource", [(1, 0.2), (1, 0.6), (1, 1.0)]).await;
    shop.ask(60).await;
    assert_eq!(shop.counts(), [40, 20, 0]);
    shop.measured().await;
}
