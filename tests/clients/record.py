"""Exporters that remember what was acknowledged, and the file they remember it in.

A recording is a sequence of frames: one byte for the signal (L, S, P), the length as a little-endian u32, and an
Export...ServiceRequest in protobuf; in JSON if the letter is a small one; gzipped or not. A request is recorded when the
server has acknowledged it, and exactly as it was sent: over HTTP the body is taken from the connection, over gRPC the
message from the stub.

Used by send.py; written by Rust too, for the other clients; read by compare.py.
"""

import gzip
import json
import struct
import threading

import requests
from grpc import Compression as GrpcCompression
from opentelemetry.exporter.http.transport._requests import RequestsHTTPTransport
from opentelemetry.exporter.otlp.common.http import Compression as JsonCompression
from opentelemetry.exporter.otlp.json.http._log_exporter import OTLPLogExporter as JsonLogs
from opentelemetry.exporter.otlp.json.http.metric_exporter import OTLPMetricExporter as JsonPoints
from opentelemetry.exporter.otlp.json.http.trace_exporter import OTLPSpanExporter as JsonSpans
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcPoints
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http import Compression as HttpCompression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpPoints
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

import otlpjson

# Per signal: its byte in a recording, the messages, the HTTP path, and the exporters.
LOGS, SPANS, POINTS = b"L", b"S", b"P"
REQUESTS = {
    LOGS: logs_service_pb2.ExportLogsServiceRequest,
    SPANS: trace_service_pb2.ExportTraceServiceRequest,
    POINTS: metrics_service_pb2.ExportMetricsServiceRequest,
}
RESPONSES = {
    LOGS: logs_service_pb2.ExportLogsServiceResponse,
    SPANS: trace_service_pb2.ExportTraceServiceResponse,
    POINTS: metrics_service_pb2.ExportMetricsServiceResponse,
}
PATHS = {LOGS: "/v1/logs", SPANS: "/v1/traces", POINTS: "/v1/metrics"}
GRPC = {LOGS: GrpcLogs, SPANS: GrpcSpans, POINTS: GrpcPoints}
HTTP = {LOGS: HttpLogs, SPANS: HttpSpans, POINTS: HttpPoints}
JSON = {LOGS: JsonLogs, SPANS: JsonSpans, POINTS: JsonPoints}
PROTOCOLS = ["grpc", "http/protobuf", "http/json"]
GZIP_MAGIC = b"\x1f\x8b"


class Recorder:
    """Takes requests and their answers from any thread, and writes the acknowledged ones."""

    def __init__(self, path):
        self._file = open(path, "wb") if path else None
        self._lock = threading.Lock()
        self.refused = []
        self.items = {LOGS: 0, SPANS: 0, POINTS: 0}

    def acknowledged(self, frame, request_bytes, response):
        """Takes a request in the form of a recording's frame."""
        signal, request = decode(frame, request_bytes)
        with self._lock:
            if response.HasField("partial_success"):
                self.refused.append(str(response.partial_success))
            self.items[signal] += count(signal, request)
            if self._file:
                self._file.write(frame + struct.pack("<I", len(request_bytes)) + request_bytes)
                self._file.flush()

    def close(self):
        if self._file:
            self._file.close()


def read(path):
    """The recorded requests as (signal, message)."""
    with open(path, "rb") as file:
        while head := file.read(5):
            if len(head) < 5 or head[:1].upper() not in REQUESTS:
                raise ValueError(f"{path} is no recording, or is cut off")
            (length,) = struct.unpack("<I", head[1:])
            body = file.read(length)
            if len(body) < length:
                raise ValueError(f"{path} is cut off")
            yield decode(head[:1], body)


def decode(frame, body):
    """The signal and the message of a frame."""
    signal = frame.upper()
    if body[:2] == GZIP_MAGIC:
        body = gzip.decompress(body)
    if frame == signal:
        return signal, REQUESTS[signal].FromString(body)
    # Node's exporter writes the resource's schema inside the resource too, where OTLP has no such field.
    return signal, otlpjson.message(REQUESTS[signal], json.loads(body), ignore_unknown_fields=True)


def count(signal, request):
    """How many items a request carries."""
    if signal == LOGS:
        return sum(len(scope.log_records) for resource in request.resource_logs for scope in resource.scope_logs)
    if signal == SPANS:
        return sum(len(scope.spans) for resource in request.resource_spans for scope in resource.scope_spans)
    metrics = (m for resource in request.resource_metrics for scope in resource.scope_metrics for m in scope.metrics)
    return sum(len(getattr(metric, metric.WhichOneof("data")).data_points) for metric in metrics)


def exporter(signal, protocol, endpoint, compression, recorder, **options):
    """The official exporter of a signal, recording."""
    gzipped = compression == "gzip"
    if protocol == "http/json":
        session = _RecordingSession(signal.lower(), recorder)
        return JSON[signal](
            endpoint=endpoint.rstrip("/") + PATHS[signal],
            compression=JsonCompression.GZIP if gzipped else JsonCompression.NONE,
            _transport=RequestsHTTPTransport(session=session),
            **options,
        )
    if protocol == "http/protobuf":
        return HTTP[signal](
            endpoint=endpoint.rstrip("/") + PATHS[signal],
            compression=HttpCompression.Gzip if gzipped else HttpCompression.NoCompression,
            session=_RecordingSession(signal, recorder),
            **options,
        )

    class RecordingGrpc(GRPC[signal]):
        # Called once at the start, and again when the exporter reconnects.
        def _initialize_channel_and_stub(self):
            super()._initialize_channel_and_stub()
            self._client = _RecordingStub(self._client, signal, recorder)

    return RecordingGrpc(
        endpoint=endpoint,
        insecure=True,
        compression=GrpcCompression.Gzip if gzipped else GrpcCompression.NoCompression,
        **options,
    )


class _RecordingStub:
    def __init__(self, stub, signal, recorder):
        self._stub, self._signal, self._recorder = stub, signal, recorder

    def Export(self, request, **kwargs):  # noqa: N802, the name is gRPC's
        response = self._stub.Export(request=request, **kwargs)
        self._recorder.acknowledged(self._signal, request.SerializeToString(), response)
        return response


class _RecordingSession(requests.Session):
    def __init__(self, frame, recorder):
        super().__init__()
        # A proxy of the machine is none of the tests' business.
        self.trust_env = False
        self._frame, self._recorder = frame, recorder

    def send(self, request, **kwargs):
        response = super().send(request, **kwargs)
        if response.ok:
            self._recorder.acknowledged(self._frame, request.body, self._answer(response.content))
        return response

    def _answer(self, body):
        response_type = RESPONSES[self._frame.upper()]
        if self._frame.isupper():
            return response_type.FromString(body)
        return otlpjson.message(response_type, json.loads(body))
