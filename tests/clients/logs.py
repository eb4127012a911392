"""Log records: every severity, bodies of every type, with and without times, traces, event names. Used by send.py."""

import time

from opentelemetry._logs import SeverityNumber
from opentelemetry.context import Context
from opentelemetry.sdk._logs import LoggerProvider, LogRecordLimits
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

from spans import remote_parent
from values import attributes, value

LIMITS = LogRecordLimits(max_attributes=6)


def send(exporter, resource, random, items):
    """Sends that many log records."""
    provider = LoggerProvider(resource=resource, log_record_limits=LIMITS, shutdown_on_exit=False)
    provider.add_log_record_processor(
        BatchLogRecordProcessor(exporter, max_queue_size=items + 256, max_export_batch_size=256)
    )
    loggers = [
        provider.get_logger("test.logs", "1.2.3", schema_url="https://opentelemetry.io/schemas/1.30.0"),
        provider.get_logger("test.scoped", attributes={"scope.kind": "with attributes"}),
        provider.get_logger("test.bare"),
    ]
    severities = list(SeverityNumber)
    for number in range(items):
        severity = severities[number % len(severities)]
        random.choice(loggers).emit(
            timestamp=random.choice([None, time.time_ns() - random.randrange(10**9)]),
            observed_timestamp=random.choice([None, time.time_ns()]),
            context=remote_parent(random) if random.random() < 0.5 else Context(),
            severity_number=severity if random.random() < 0.9 else None,
            severity_text=random.choice([None, severity.name, "Hinweis"]),
            body=f"record {number} of the test" if random.random() < 0.5 else value(random, 3),
            attributes={"correlation.id": f"order-{random.randrange(200)}"} | attributes(random, 9),
            event_name=random.choice([None, "test.event"]),
            exception=ValueError("something was wrong") if random.random() < 0.05 else None,
        )
    flushed = provider.force_flush(60_000)
    provider.shutdown()
    return flushed
