//! Spans: traces of eight over five services, one operation calling the next.

use super::{BEGIN_NANOS, METHODS, PODS, ROUTES, Random, Request, SERVICES, Value, attribute, resource, scope};
use crate::command::bench::wire::Message;

const SPANS_PER_TRACE: u64 = 8;
const TRACES: u64 = 125;
const SERVICES_PER_REQUEST: u64 = 5;

/// Five thousand spans a second.
const TRACE_STEP_NANOS: u64 = 1_600_000;

pub(super) fn request(number: u64) -> Request {
    let mut request = Message::default();
    for place in 0..SERVICES_PER_REQUEST {
        let service = (number + place) % 10;
        request.message(1, |of_resource| {
            resource(of_resource, service, number % PODS);
            of_resource.message(2, |of_scope| {
                scope(of_scope, "io.opentelemetry.netty-4.1");
                for trace in 0..TRACES {
                    for span in (0..SPANS_PER_TRACE).filter(|span| span % SERVICES_PER_REQUEST == place) {
                        of_scope.message(2, |out| write(out, number * TRACES + trace, span, service));
                    }
                }
            });
        });
    }
    Request { body: request.finish(), items: TRACES * SPANS_PER_TRACE }
}

// Each span is the child of the one before it, or of the root.
fn write(out: &mut Message, trace: u64, span: u64, service: u64) {
    let of_trace = &mut Random::new(trace.wrapping_mul(2));
    let (trace_id, correlation_id, user) = (of_trace.id::<16>(), of_trace.uuid(), of_trace.user());
    let total = 2_000_000 + of_trace.below(200_000_000);
    let span_id = |span: u64| Random::new(trace * SPANS_PER_TRACE * 2 + span * 2 + 1).id::<8>();
    let random = &mut Random::new((trace * SPANS_PER_TRACE + span).wrapping_mul(2) + 1);
    let _ = random.id::<8>();
    let begin = BEGIN_NANOS + trace * TRACE_STEP_NANOS + span * total / 16 + random.below(100_000);
    out.bytes(1, &trace_id);
    out.bytes(2, &span_id(span));
    if span > 0 {
        let parent = if random.below(2) == 0 { 0 } else { span - 1 };
        out.bytes(4, &span_id(parent));
    }
    let (method, route) = (METHODS[random.below(4) as usize], ROUTES[(trace % 17) as usize]);
    out.text(5, &format!("{method} {route}"));
    out.number(6, if span == 0 { 2 } else { 2 + span % 2 });
    out.fixed64(7, begin);
    out.fixed64(8, begin + total / (span + 1) + random.below(500_000));
    let failed = random.below(50) == 0;
    attribute(out, 9, "correlation.id", Value::Text(&correlation_id));
    attribute(out, 9, "user.id", Value::Text(&user));
    attribute(out, 9, "http.route", Value::Text(route));
    attribute(out, 9, "http.request.method", Value::Text(method));
    attribute(out, 9, "http.response.status_code", Value::Int(if failed { 500 } else { 200 }));
    attribute(out, 9, "server.address", Value::Text(SERVICES[((service + 1) % 10) as usize]));
    attribute(out, 9, "thread.id", Value::Int(random.below(64)));
    if failed {
        out.message(11, |event| {
            event.fixed64(1, begin + total / 16);
            event.text(2, "exception");
            attribute(event, 3, "exception.type", Value::Text("java.util.concurrent.TimeoutException"));
        });
        out.message(15, |status| {
            status.text(2, "upstream timed out");
            status.number(3, 2);
        });
    }
    out.fixed32(16, 0x101);
}
