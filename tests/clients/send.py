"""Sends logs, spans and points with the official Python SDK, and records what was acknowledged.

    send.py --endpoint http://127.0.0.1:4317 --protocol grpc --compression gzip --items 1000 --record sent.otlp

Exits 1 if something was refused or not acknowledged. Says on stdout how many items of each signal were.
"""

import argparse
import logging
import random
import sys
import uuid
import warnings

from opentelemetry.sdk.resources import Resource

import logs
import points
import spans
from record import LOGS, POINTS, PROTOCOLS, SPANS, Recorder, exporter


def main():
    arguments = parse_arguments()
    # The SDK warns of every attribute it drops; here it is meant to.
    warnings.simplefilter("ignore")
    logging.basicConfig(level=logging.ERROR, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("opentelemetry.attributes").setLevel(logging.CRITICAL)

    recorder = Recorder(arguments.record)
    chance = random.Random(arguments.seed)
    resource = Resource(
        {
            "service.name": arguments.service,
            "service.instance.id": str(uuid.uuid4()),
            "test.protocol": arguments.protocol,
            "test.nested": {"numbers": [1, 2.5, None], "inner": {"yes": True}},
        },
        "https://opentelemetry.io/schemas/1.29.0",
    )

    def make(signal, **options):
        return exporter(signal, arguments.protocol, arguments.endpoint, arguments.compression, recorder, **options)

    preferences = [points.temporality(points.CUMULATIVE), points.temporality(points.DELTA)]
    flushed = [
        logs.send(make(LOGS), resource, chance, arguments.items),
        spans.send(make(SPANS), resource, chance, arguments.items),
        points.send([make(POINTS, preferred_temporality=p) for p in preferences], resource, chance, arguments.items),
    ]
    recorder.close()
    acknowledged = recorder.items
    print(f"logs={acknowledged[LOGS]} spans={acknowledged[SPANS]} points={acknowledged[POINTS]}")
    for refusal in recorder.refused:
        print(f"error: the server refused items: {refusal}", file=sys.stderr)
    missing = min(acknowledged.values()) < arguments.items
    if missing:
        print(f"error: fewer than {arguments.items} items of a signal were acknowledged", file=sys.stderr)
    return 1 if recorder.refused or missing or not all(flushed) else 0


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--endpoint", required=True, help="http://HOST:PORT of the OTLP receiver")
    parser.add_argument("--protocol", choices=PROTOCOLS, default="grpc")
    parser.add_argument("--compression", choices=["none", "gzip"], default="none")
    parser.add_argument("--items", type=int, default=1000, help="of each signal, at least")
    parser.add_argument("--service", default="python-client", help="service.name")
    parser.add_argument("--seed", type=int, default=1, help="the same seed sends the same values; ids and times differ")
    parser.add_argument("--record", help="the file for the recording")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
