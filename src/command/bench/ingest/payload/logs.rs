//! Log records: twenty templates, three to nine attributes, a trace id on seven of ten, a correlation id on each.

use super::{BEGIN_NANOS, METHODS, PODS, ROUTES, Random, Request, Value, attribute, resource, scope};
use crate::command::bench::wire::Message;

const RECORDS_PER_POD: u64 = 250;

/// Ten thousand records a second.
const STEP_NANOS: u64 = 100_000;

// Severity, its text, and the body around a number, a user and a duration.
const TEMPLATES: [(u64, &str, [&str; 4]); 20] = [
    (9, "INFO", ["order ", " of ", " was accepted in ", " ms"]),
    (9, "INFO", ["payment ", " for ", " authorized by the bank in ", " ms"]),
    (9, "INFO", ["request ", " from ", " answered in ", " ms"]),
    (9, "INFO", ["shipment ", " to ", " handed to the carrier after ", " ms"]),
    (9, "INFO", ["cart ", " of ", " priced with three discounts in ", " ms"]),
    (9, "INFO", ["message ", " about ", " published to topic orders in ", " ms"]),
    (9, "INFO", ["session ", " of ", " renewed, idle for ", " ms"]),
    (9, "INFO", ["item ", " reserved for ", " in the warehouse within ", " ms"]),
    (5, "DEBUG", ["cache miss for key ", " of ", ", loaded in ", " ms"]),
    (5, "DEBUG", ["cache hit for key ", " of ", ", age ", " ms"]),
    (5, "DEBUG", ["connection ", " taken for ", " from the pool after ", " ms"]),
    (5, "DEBUG", ["query ", " for ", " returned its rows in ", " ms"]),
    (5, "DEBUG", ["retry of call ", " for ", " planned in ", " ms"]),
    (9, "INFO", ["search ", " by ", " found its results in ", " ms"]),
    (9, "INFO", ["suggestions ", " for ", " computed in ", " ms"]),
    (13, "WARN", ["slow call ", " for ", " took ", " ms"]),
    (13, "WARN", ["stock of item ", " is low, seen by ", ", checked in ", " ms"]),
    (17, "ERROR", ["payment ", " of ", " declined by the bank after ", " ms"]),
    (17, "ERROR", ["timeout of call ", " for ", " after ", " ms"]),
    (9, "INFO", ["webhook ", " for ", " delivered in ", " ms"]),
];

pub(super) fn request(number: u64) -> Request {
    let mut request = Message::default();
    for pod in 0..PODS {
        request.message(1, |of_resource| {
            resource(of_resource, number % 10, pod);
            of_resource.message(2, |of_scope| {
                scope(of_scope, "io.opentelemetry.logback-appender-1.0");
                for record in 0..RECORDS_PER_POD {
                    let position = (number * RECORDS_PER_POD + record) * PODS + pod;
                    of_scope.message(2, |out| write(out, position));
                }
            });
        });
    }
    Request { body: request.finish(), items: PODS * RECORDS_PER_POD }
}

fn write(out: &mut Message, position: u64) {
    let random = &mut Random::new(position);
    let (severity, severity_text, pieces) = TEMPLATES[random.below(20) as usize];
    let (user, millis) = (random.user(), random.below(4_000));
    let time = BEGIN_NANOS + position * STEP_NANOS + random.below(STEP_NANOS);
    out.fixed64(1, time);
    out.number(2, severity);
    out.text(3, severity_text);
    let [before, of, took, after] = pieces;
    let body = format!("{before}{}{of}{user}{took}{millis}{after}", random.below(1_000_000));
    out.message(5, |any| any.text(1, &body));
    let route = ROUTES[random.below(19) as usize];
    let (correlation_id, status) = (random.uuid(), [200, 200, 200, 201, 204, 404, 500][random.below(7) as usize]);
    let client = format!("10.{}.{}.{}", random.below(4), random.below(256), random.below(256));
    let attributes = [
        ("correlation.id", Value::Text(&correlation_id)),
        ("user.id", Value::Text(&user)),
        ("http.route", Value::Text(route)),
        ("http.request.method", Value::Text(METHODS[random.below(4) as usize])),
        ("http.response.status_code", Value::Int(status)),
        ("duration_ms", Value::Double(millis as f64 + random.below(1_000) as f64 / 1_000.0)),
        ("client.address", Value::Text(&client)),
        ("code.function.name", Value::Text("com.shop.Handler.handle")),
        ("thread.id", Value::Int(random.below(64))),
    ];
    let count = 3 + random.below(7) as usize;
    attributes.into_iter().take(count).for_each(|(key, value)| attribute(out, 6, key, value));
    if random.below(10) < 7 {
        out.fixed32(8, 1);
        out.bytes(9, &random.id::<16>());
        out.bytes(10, &random.id::<8>());
    }
    out.fixed64(11, time + random.below(2_000_000));
}
