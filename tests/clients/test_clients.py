"""Tests of the programs here: that send.py sends everything and records what was sent, that compare.py and parts.py
see differences, and only differences.

    python -m unittest test_clients
"""

import contextlib
import io
import json
import os
import sys
import tempfile
import unittest
from unittest import mock

import pyarrow as pa
import pyarrow.parquet
from google.protobuf import json_format

import canonical
import compare
import parts
import record
import send
from receiver import Receiver


def log_request(**changes):
    log = {"timeUnixNano": "5", "body": {"stringValue": "hello"}, "traceId": "0af7651916cd43dd8448eb211c80319c"}
    log |= changes.pop("log", {})
    scope = {"scope": {"name": "s"}, "schemaUrl": "u", "logRecords": [log]} | changes.pop("scope", {})
    resource = {
        "resource": {"attributes": [attribute("a", {"intValue": "1"}), attribute("b", {})]},
        "scopeLogs": [scope],
    }
    return {"resourceLogs": [resource | changes]}


def point_request(metric):
    return {"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}


def attribute(key, value):
    return {"key": key, "value": value}


def items(*documents):
    text = "\n".join(json.dumps(document) for document in documents)
    return [item for signal, request in canonical.requests_of_json(text) for item in canonical.items(signal, request)]


class CanonicalTest(unittest.TestCase):
    def test_what_means_the_same_is_the_same(self):
        reordered = {"attributes": [attribute("b", {}), attribute("a", {"intValue": 1})]}
        twice = {"attributes": [attribute("a", {"intValue": 9}), attribute("b", {}), attribute("a", {"intValue": 1})]}
        for same in [
            log_request(resource=reordered),
            log_request(resource=twice),
            log_request(resource=reordered | {"droppedAttributesCount": 0}, schemaUrl=""),
            log_request(log={"severityNumber": 0, "attributes": [], "flags": 0}),
            log_request(log={"traceId": "0AF7651916CD43DD8448EB211C80319C"}),
            log_request() | {"_meta": {"partial": False}},
        ]:
            self.assertEqual(items(log_request()), items(same), same)

    def test_every_difference_shows(self):
        for other in [
            log_request(log={"timeUnixNano": "6"}),
            log_request(log={"observedTimeUnixNano": "1"}),
            log_request(log={"body": {"stringValue": "Hello"}}),
            log_request(log={"body": {"bytesValue": "aGVsbG8="}}),
            log_request(log={"traceId": "0af7651916cd43dd8448eb211c80319d"}),
            log_request(log={"droppedAttributesCount": 1}),
            log_request(log={"eventName": "e"}),
            log_request(log={"attributes": [attribute("k", {})]}),
            log_request(scope={"schemaUrl": "v"}),
            log_request(scope={"scope": {"name": "s", "version": "1"}}),
            log_request(schemaUrl="r"),
            log_request(resource={"attributes": [attribute("a", {"intValue": "1"})]}),
            log_request(resource={"attributes": [attribute("a", {"doubleValue": 1}), attribute("b", {})]}),
        ]:
            self.assertNotEqual(items(log_request()), items(other), other)

    def test_points_are_told_apart_by_their_metric_and_by_every_bit(self):
        def gauge(value):
            return {"name": "m", "gauge": {"dataPoints": [{"timeUnixNano": "1", **value}]}}

        def total(monotonic, temporality):
            point = {"timeUnixNano": "1", "asDouble": 0}
            return {
                "name": "m",
                "sum": {"isMonotonic": monotonic, "aggregationTemporality": temporality, "dataPoints": [point]},
            }

        metrics = [
            gauge({"asDouble": 0}),
            gauge({"asDouble": -0.0}),
            gauge({"asInt": "0"}),
            gauge({"asDouble": "NaN"}),
            gauge({"asDouble": "-Infinity"}),
            gauge({"asDouble": 0, "flags": 1}),
            gauge({}),
            {**gauge({"asDouble": 0}), "unit": "s"},
            {**gauge({"asDouble": 0}), "metadata": [attribute("k", {"stringValue": "v"})]},
            total(True, 2),
            total(True, 1),
            total(False, 2),
        ]
        texts = [text for metric in metrics for text in items(point_request(metric))]
        self.assertEqual(len(set(texts)), len(metrics))

    def test_an_answer_that_is_not_otlp_is_refused(self):
        for wrong in [
            '{"rows": []}',
            json.dumps(log_request(log={"traceId": "CvdlGRbNQ92ESOshHIAxnA=="})),
            '{"resourceLogs": [{"x": 1}]}',
        ]:
            with self.assertRaises((ValueError, json_format.ParseError), msg=wrong):
                list(canonical.requests_of_json(wrong))


class SendTest(unittest.TestCase):
    def send(self, receiver, protocol, compression, items):
        with tempfile.TemporaryDirectory() as directory:
            recording = os.path.join(directory, "sent.otlp")
            endpoint = receiver.endpoints[protocol]
            flags = ["--protocol", protocol, "--compression", compression, "--items", str(items), "--record", recording]
            code, out, err = run(send, ["--endpoint", endpoint, *flags])
            return code, out, err, list(record.read(recording))

    def test_what_is_recorded_is_what_arrives(self):
        for protocol in record.PROTOCOLS:
            for compression in ["none", "gzip"]:
                with self.subTest(protocol=protocol, compression=compression), Receiver() as receiver:
                    code, out, err, recorded = self.send(receiver, protocol, compression, 300)
                    self.assertEqual((code, err), (0, ""))
                    if protocol != "grpc":
                        self.assertEqual(receiver.encodings, {"gzip" if compression == "gzip" else "identity"})
                    self.assertEqual(compare.multisets(recorded), compare.multisets(receiver.received))
                    for signal, name in compare.NAMES.items():
                        items = compare.multisets(recorded)[signal].total()
                        self.assertGreaterEqual(items, 300)
                        self.assertIn(f"{name}={items}", out)

    def test_everything_the_sdk_can_say_is_said(self):
        with Receiver() as receiver:
            self.send(receiver, "grpc", "none", 1000)
        logs, spans, metrics = ([m for s, m in receiver.received if s == signal] for signal in compare.NAMES)
        records = [log for m in logs for r in m.resource_logs for scope in r.scope_logs for log in scope.log_records]
        self.assertEqual({log.severity_number for log in records}, set(range(25)))
        bodies = {log.body.WhichOneof("value") for log in records}
        kinds = ["string", "bool", "int", "double", "bytes", "array", "kvlist"]
        self.assertEqual(bodies, {f"{kind}_value" for kind in kinds} | {None})
        self.assertTrue(any(log.dropped_attributes_count for log in records))
        self.assertTrue(any(log.event_name for log in records) and any(not log.time_unix_nano for log in records))

        all_spans = [span for m in spans for r in m.resource_spans for scope in r.scope_spans for span in scope.spans]
        self.assertEqual({span.kind for span in all_spans}, {1, 2, 3, 4, 5})
        self.assertEqual({span.status.code for span in all_spans}, {0, 1, 2})
        for field in ["events", "links", "trace_state", "parent_span_id"]:
            self.assertTrue(any(getattr(span, field) for span in all_spans), field)
        for field in ["dropped_attributes_count", "dropped_events_count", "dropped_links_count"]:
            self.assertTrue(any(getattr(span, field) for span in all_spans), field)

        all_metrics = [
            m for message in metrics for r in message.resource_metrics for s in r.scope_metrics for m in s.metrics
        ]
        shapes = set()
        for metric in all_metrics:
            data = getattr(metric, metric.WhichOneof("data"))
            temporality = getattr(data, "aggregation_temporality", None)
            shapes.add((metric.WhichOneof("data"), temporality, getattr(data, "is_monotonic", None)))
        sums = {("sum", temporality, monotonic) for temporality in (1, 2) for monotonic in (False, True)}
        histograms = {
            (kind, temporality, None) for kind in ("histogram", "exponential_histogram") for temporality in (1, 2)
        }
        self.assertEqual(shapes, sums | histograms | {("gauge", None, None)})
        names = {metric.name for metric in all_metrics}
        self.assertEqual(len(names), 13, names)
        filtered = [m.histogram for m in all_metrics if m.name == "test.filtered"]
        exemplars = [exemplar for data in filtered for point in data.data_points for exemplar in point.exemplars]
        self.assertTrue(any(exemplar.trace_id and exemplar.filtered_attributes for exemplar in exemplars))

    def test_a_refusal_is_an_error(self):
        refusing = record.RESPONSES[record.LOGS]()
        refusing.partial_success.rejected_log_records = 3
        for protocol in record.PROTOCOLS:
            with self.subTest(protocol=protocol), Receiver({record.LOGS: refusing}) as receiver:
                code, _, err, _ = self.send(receiver, protocol, "none", 20)
                self.assertEqual(code, 1)
                self.assertIn("rejected_log_records: 3", err)


class CompareTest(unittest.TestCase):
    def compare(self, sent, answered, *flags):
        with tempfile.TemporaryDirectory() as directory:
            recording, answer = os.path.join(directory, "sent.otlp"), os.path.join(directory, "answer.json")
            recorder = record.Recorder(recording)
            for signal, request in canonical.requests_of_json("\n".join(map(json.dumps, sent))):
                recorder.acknowledged(signal, request.SerializeToString(), record.RESPONSES[signal]())
            recorder.close()
            with open(answer, "w", encoding="utf-8") as file:
                file.write("\n".join(map(json.dumps, answered)))
            return run(compare, [recording, answer, *flags])

    def test_multisets_are_compared(self):
        one, other = log_request(), log_request(log={"timeUnixNano": "6"})
        self.assertEqual(self.compare([one, other, one], [other, one, one])[0], 0)
        self.assertEqual(self.compare([one, one], [one])[0], 1)
        code, out, err = self.compare([one], [one, one])
        self.assertEqual(code, 1)
        self.assertIn("logs: sent=1 answered=2 missing=0 unexpected=1", out)
        code, out, err = self.compare([one], [other])
        self.assertEqual(code, 1)
        self.assertIn('-  "time_unix_nano": 5', err)
        self.assertIn('+  "time_unix_nano": 6', err)

    def test_items_of_other_resources_can_be_left_out(self):
        foreign = log_request(resource={"attributes": [attribute("foreign", {})]})
        self.assertEqual(self.compare([log_request()], [log_request(), foreign])[0], 1)
        self.assertEqual(self.compare([log_request()], [log_request(), foreign], "--only-same-resources")[0], 0)


class PartsTest(unittest.TestCase):
    def test_rows_of_several_parts_read_the_same_in_both(self):
        time = pa.timestamp("ns", "UTC")
        nested = pa.list_(pa.struct([("timestamp", time), ("name", pa.string())]))
        first = pa.table(
            {
                "timestamp": pa.array([1_700_000_000_123_456_789, None], time),
                "ingest_seq": pa.array([2**63 + 5, 1], pa.uint64()),
                "trace_id": pa.array([bytes(range(16)), None], pa.binary(16)),
                "events": pa.array([[(1, "e")], []], nested),
                "overflow": pa.array([[("b", "2"), ("a", "1")], []], pa.map_(pa.string(), pa.string())),
                "attr:x.y": pa.array([1.5, float("nan")], pa.float64()),
            }
        )
        second = pa.table({"timestamp": pa.array([7], time), "ingest_seq": pa.array([2], pa.uint64())})
        with tempfile.TemporaryDirectory() as data:
            for number, table in enumerate([first, second]):
                directory = os.path.join(data, "parts", "logs", "2026-01-31", f"{number:016}")
                os.makedirs(directory)
                pyarrow.parquet.write_table(table, os.path.join(directory, "rows.parquet"))
            code, out, _ = run(parts, [data])
            self.assertEqual((code, json.loads(out.splitlines()[0])), (0, {"table": "logs", "parts": 2, "rows": 3}))
            columns = ["timestamp", "ingest_seq", "trace_id", "events", "overflow", "attr:x.y", "nowhere"]
            code, out, err = run(parts, [data, "logs", *columns])
            self.assertEqual((code, err), (0, ""))
            expected = [
                [None, 1, None, [], {}, "nan", None],
                [7, 2, None, None, None, None, None],
                [
                    1_700_000_000_123_456_789,
                    2**63 + 5,
                    bytes(range(16)).hex(),
                    [{"timestamp": 1, "name": "e"}],
                    {"a": "1", "b": "2"},
                    1.5,
                    None,
                ],
            ]
            self.assertEqual([list(json.loads(line).values()) for line in out.splitlines()], expected)


def run(program, arguments):
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["program", *arguments]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        code = program.main()
    return code, out.getvalue(), err.getvalue()


if __name__ == "__main__":
    unittest.main()
