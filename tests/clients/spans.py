"""Spans: every kind, status, nesting, events, links, remote parents, trace state, dropped counts. Used by send.py."""

import time

from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from values import attributes

LIMITS = SpanLimits(max_span_attributes=8, max_events=4, max_links=3, max_event_attributes=4, max_link_attributes=4)


def send(exporter, resource, random, items):
    """Sends that many spans in traces of different sizes."""
    provider = TracerProvider(resource=resource, span_limits=LIMITS, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=items + 256, max_export_batch_size=256))
    tracers = [
        provider.get_tracer("test.spans", "1.2.3", schema_url="https://opentelemetry.io/schemas/1.30.0"),
        provider.get_tracer("test.scoped", attributes={"scope.kind": "with attributes", "scope.number": 7}),
        provider.get_tracer("test.bare"),
    ]
    left = items
    while left > 0:
        left -= trace(tracers, random, min(left, random.randrange(1, 13)))
    flushed = provider.force_flush(60_000)
    provider.shutdown()
    return flushed


def trace(tracers, random, size):
    """One trace of `size` spans; answers `size`."""
    parents = [remote_parent(random) if random.random() < 0.3 else None]
    for number in range(size):
        span = random.choice(tracers).start_span(
            f"span {number}" if number else "",
            context=random.choice(parents),
            kind=random.choice(list(SpanKind)),
            attributes=attributes(random, 10),
            links=[link(random) for _ in range(random.randrange(5))] if random.random() < 0.3 else None,
            start_time=time.time_ns() - random.randrange(10**9),
        )
        span.set_attribute("correlation.id", f"trace-{random.randrange(200)}")
        for event in range(random.randrange(7)):
            span.add_event(f"event {event}", attributes(random), timestamp=time.time_ns() - random.randrange(10**9))
        if random.random() < 0.1:
            span.record_exception(ValueError("something was wrong"))
        status(span, random)
        parents.append(set_span_in_context(span))
        span.end()
    return size


def status(span, random):
    chance = random.random()
    if chance < 0.2:
        span.set_status(Status(StatusCode.ERROR, "a reason, at length"))
    elif chance < 0.3:
        span.set_status(Status(StatusCode.ERROR))
    elif chance < 0.6:
        span.set_status(Status(StatusCode.OK))


def remote_parent(random):
    return set_span_in_context(NonRecordingSpan(context(random, is_remote=True)))


def link(random):
    return Link(context(random, is_remote=random.random() < 0.5), attributes(random))


def context(random, is_remote):
    state = TraceState([("vendor", "value"), ("other", "1")]) if random.random() < 0.5 else None
    return SpanContext(
        random.getrandbits(128) | 1, random.getrandbits(64) | 1, is_remote, TraceFlags(TraceFlags.SAMPLED), state
    )
