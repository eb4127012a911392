"""Metric points: every instrument the SDK has, as integers and doubles, cumulative and delta, with exemplars.
Used by send.py."""

import math

from opentelemetry.metrics import Observation
from opentelemetry.sdk.metrics import (
    Counter,
    Histogram,
    MeterProvider,
    ObservableCounter,
    ObservableGauge,
    ObservableUpDownCounter,
    UpDownCounter,
)
from opentelemetry.sdk.metrics import _Gauge as Gauge
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View

from spans import remote_parent

CUMULATIVE, DELTA = AggregationTemporality.CUMULATIVE, AggregationTemporality.DELTA
ALL_INSTRUMENTS = (
    Counter,
    UpDownCounter,
    Histogram,
    Gauge,
    ObservableCounter,
    ObservableUpDownCounter,
    ObservableGauge,
)
SERIES_PER_ATTRIBUTE = 13
COLLECTIONS = 2

VIEWS = [
    View(instrument_name="*.exponential", aggregation=ExponentialBucketHistogramAggregation(max_size=40)),
    # What a view filters out of the attributes stays on the exemplars.
    View(instrument_name="test.filtered", attribute_keys={"test.number"}),
]


def temporality(preferred):
    """What the exporter prefers, for every instrument."""
    return {instrument: preferred for instrument in ALL_INSTRUMENTS}


def send(exporters, resource, random, items):
    """Sends at least that many points; each exporter has its own temporality and half of them."""
    width = math.ceil(items / (len(exporters) * SERIES_PER_ATTRIBUTE * COLLECTIONS))
    return all([send_through(exporter, resource, random, width) for exporter in exporters])


def send_through(exporter, resource, random, width):
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=math.inf)
    provider = MeterProvider([reader], resource, shutdown_on_exit=False, views=VIEWS)
    meters = [
        provider.get_meter("test.points", "1.2.3", schema_url="https://opentelemetry.io/schemas/1.30.0"),
        provider.get_meter("test.scoped", attributes={"scope.kind": "with attributes"}),
    ]
    instruments = Instruments(meters[0], meters[1], random, width)
    flushed = True
    for _ in range(COLLECTIONS):
        instruments.measure()
        flushed = provider.force_flush(60_000) and flushed
    # A last collection by the shutdown sends the cumulative points once more.
    provider.shutdown()
    return flushed


class Instruments:
    """One of each, and as many attribute sets as `width`."""

    def __init__(self, meter, scoped, random, width):
        self.random, self.width = random, width
        self.adders = [
            (meter.create_counter("test.counter.int", "{order}", "Orders"), lambda: random.randrange(2**40)),
            (meter.create_counter("test.counter.double", "s", "Time"), random.random),
            (meter.create_up_down_counter("test.updown.int", "{order}"), lambda: random.randrange(-9, 9)),
            (scoped.create_up_down_counter("test.updown.double", "By"), lambda: random.uniform(-9, 9)),
        ]
        bounds = [0.0, 0.5, 1.0, 2.5]
        self.histograms = [
            meter.create_histogram("test.histogram", "s", "Durations"),
            scoped.create_histogram("test.histogram.bounds", "ms", explicit_bucket_boundaries_advisory=bounds),
            meter.create_histogram("test.histogram.exponential", "s", "Durations again"),
            meter.create_histogram("test.filtered", "s", "Durations, without most attributes"),
        ]
        self.gauges = [meter.create_gauge("test.gauge", "Cel"), scoped.create_gauge("test.gauge.odd")]
        meter.create_observable_counter("test.observable.counter", [self.observe(lambda: random.randrange(10**6))], "1")
        meter.create_observable_up_down_counter(
            "test.observable.updown", [self.observe(lambda: random.randrange(-9, 9))]
        )
        meter.create_observable_gauge("test.observable.gauge", [self.observe(random.random)], "%", "Load")

    def attributes(self, number):
        """Distinct by `number`, with values of several types."""
        return {"test.number": number, "test.even": number % 2 == 0, "http.route": f"/orders/{number % 5}"}

    def observe(self, draw):
        return lambda _: [Observation(draw(), self.attributes(number)) for number in range(self.width)]

    def measure(self):
        random = self.random
        for number in range(self.width):
            attributes = self.attributes(number)
            # Exemplars come of measurements inside a sampled trace.
            context = remote_parent(random) if random.random() < 0.7 else None
            for instrument, draw in self.adders:
                instrument.add(draw(), attributes, context=context)
            for histogram in self.histograms:
                extra = (
                    {"correlation.id": f"order-{random.randrange(200)}"} if histogram.name == "test.filtered" else {}
                )
                for _ in range(3):
                    histogram.record(random.expovariate(1.0) - 0.1, attributes | extra, context=context)
            self.gauges[0].set(random.gauss(20, 5), attributes, context=context)
            self.gauges[1].set(random.choice([-0.0, 0, 2**53 + 1, -(2**63), 5e-324, 1.7e308]), attributes)
