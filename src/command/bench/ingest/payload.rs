//! What `sextant bench ingest` sends: requests that follow from their number alone, so that every run on every machine sends
//! the same bytes. Logs, spans and points are of the kind that a middle-sized shop sends: ten services of four pods each.

mod logs;
mod points;
mod spans;

use model::Signal;

use crate::command::bench::wire::Message;

/// A request as it goes over the wire.
#[derive(Debug)]
pub struct Request {
    /// OTLP's protobuf.
    pub body: Vec<u8>,
    /// Items in it.
    pub items: u64,
}

/// The request of this number.
pub fn request(signal: Signal, number: u64) -> Request {
    match signal {
        Signal::Logs => logs::request(number),
        Signal::Spans => spans::request(number),
        Signal::Points => points::request(number),
    }
}

/// When the first item happened: fixed, so that the bytes are.
const BEGIN_NANOS: u64 = 1_767_247_200_000_000_000;

const SERVICES: [&str; 10] = [
    "gateway",
    "orders",
    "payments",
    "catalog",
    "inventory",
    "shipping",
    "accounts",
    "search",
    "recommendations",
    "notifications",
];

const PODS: u64 = 4;

const ROUTES: [&str; 19] = [
    "/api/orders",
    "/api/orders/{id}",
    "/api/orders/{id}/items",
    "/api/payments",
    "/api/payments/{id}",
    "/api/refunds/{id}",
    "/api/catalog",
    "/api/catalog/{sku}",
    "/api/inventory/{sku}",
    "/api/shipments/{id}",
    "/api/accounts/{id}",
    "/api/accounts/{id}/cards",
    "/api/search",
    "/api/suggestions",
    "/api/carts/{id}",
    "/api/carts/{id}/items",
    "/api/sessions",
    "/healthz",
    "/metrics",
];

const METHODS: [&str; 4] = ["GET", "POST", "PUT", "DELETE"];

/// Numbers that look random and follow from a seed (splitmix64).
pub struct Random(u64);

impl Random {
    /// Those of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0xd129_0d3a_57ed_4f9b))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// The next one, less than `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn id<const N: usize>(&mut self) -> [u8; N] {
        let mut id = [0; N];
        id.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&self.next().to_be_bytes()[..chunk.len()]));
        id[0] |= 1;
        id
    }

    fn uuid(&mut self) -> String {
        let (high, low) = (self.next(), self.next());
        let (a, b, c) = (high >> 32, high >> 16 & 0xffff, high & 0xfff);
        format!("{a:08x}-{b:04x}-4{c:03x}-{:04x}-{:012x}", low >> 48 & 0x3fff | 0x8000, low & 0xffff_ffff_ffff)
    }

    fn user(&mut self) -> String {
        format!("user-{:05}", self.below(50_000))
    }
}

// Seventeen attributes, as the SDK's and the Collector's detectors find them.
fn resource(out: &mut Message, service: u64, pod: u64) {
    let name = SERVICES[(service % 10) as usize];
    out.message(1, |resource| {
        let text = |resource: &mut Message, key: &str, value: &str| attribute(resource, 1, key, Value::Text(value));
        let pod_name = format!("{name}-7c9f{service:x}d-{:05x}", 0x3_1a4b + pod * 977);
        text(resource, "service.name", name);
        text(resource, "service.namespace", "shop");
        text(resource, "service.version", "4.17.2");
        text(resource, "service.instance.id", &pod_name);
        text(resource, "deployment.environment.name", "production");
        text(resource, "cloud.provider", "aws");
        text(resource, "cloud.region", "eu-central-1");
        text(resource, "k8s.cluster.name", "shop-production");
        text(resource, "k8s.namespace.name", "shop");
        text(resource, "k8s.deployment.name", name);
        text(resource, "k8s.pod.name", &pod_name);
        text(resource, "k8s.node.name", &format!("ip-10-0-{}-{}", service, 10 + pod));
        text(resource, "host.arch", "arm64");
        text(resource, "os.type", "linux");
        text(resource, "telemetry.sdk.name", "opentelemetry");
        text(resource, "telemetry.sdk.language", "java");
        attribute(resource, 1, "process.pid", Value::Int(7 + pod));
    });
}

fn scope(out: &mut Message, name: &str) {
    out.message(1, |scope| {
        scope.text(1, name);
        scope.text(2, "2.11.0");
    });
}

enum Value<'a> {
    Text(&'a str),
    Int(u64),
    Double(f64),
}

fn attribute(out: &mut Message, field: u32, key: &str, value: Value<'_>) {
    out.message(field, |entry| {
        entry.text(1, key);
        entry.message(2, |any| match value {
            Value::Text(text) => any.text(1, text),
            Value::Int(number) => any.number(3, number),
            Value::Double(number) => any.fixed64(4, number.to_bits()),
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_follow_from_their_number_and_are_otlp() {
        for (signal, bytes) in [(Signal::Logs, 332), (Signal::Spans, 328), (Signal::Points, 89)] {
            let (mut items, mut total) = (0, 0);
            for number in 0..10 {
                let sent = request(signal, number);
                assert_eq!(sent.body, request(signal, number).body, "{signal} {number}");
                let decoded = collector::convert::yardstick(signal, &sent.body).expect("OTLP");
                assert_eq!(decoded as u64, sent.items, "{signal} {number}");
                items += sent.items;
                total += sent.body.len() as u64;
            }
            let average = total / items;
            assert!(average.abs_diff(bytes) <= bytes / 20, "{signal}: {average} bytes an item");
        }
    }
}
