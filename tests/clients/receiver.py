"""A receiver for test_clients.py: OTLP/gRPC and OTLP/HTTP on free ports, keeps the requests as they arrived."""

import http.server
import threading
from concurrent import futures

import grpc
from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc

from record import LOGS, PATHS, POINTS, RESPONSES, SPANS, decode

SERVICES = {
    LOGS: (logs_service_pb2_grpc.LogsServiceServicer, logs_service_pb2_grpc.add_LogsServiceServicer_to_server),
    SPANS: (trace_service_pb2_grpc.TraceServiceServicer, trace_service_pb2_grpc.add_TraceServiceServicer_to_server),
    POINTS: (
        metrics_service_pb2_grpc.MetricsServiceServicer,
        metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server,
    ),
}


class Receiver:
    """Runs inside a `with`. `answers` are the responses by signal, if not the plain one."""

    def __init__(self, answers=None):
        self.received = []
        self.encodings = set()
        self._answers = {signal: response() for signal, response in RESPONSES.items()} | (answers or {})

    def __enter__(self):
        self._grpc = grpc.server(futures.ThreadPoolExecutor(4))
        for signal, (servicer, add) in SERVICES.items():
            add(self._servicer(servicer, signal), self._grpc)
        grpc_port = self._grpc.add_insecure_port("127.0.0.1:0")
        self._grpc.start()
        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._http_handler())
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        http_endpoint = f"http://127.0.0.1:{self._http.server_port}"
        self.endpoints = {"grpc": f"http://127.0.0.1:{grpc_port}"}
        self.endpoints |= {"http/protobuf": http_endpoint, "http/json": http_endpoint}
        return self

    def __exit__(self, *_):
        self._grpc.stop(None).wait()
        self._http.shutdown()
        self._http.server_close()

    def _take(self, signal, request, encoding):
        self.received.append((signal, request))
        self.encodings.add(encoding)
        return self._answers[signal]

    def _servicer(self, servicer, signal):
        def export(_, request, context):
            metadata = dict(context.invocation_metadata())
            return self._take(signal, request, metadata.get("grpc-internal-encoding-request", "unknown"))

        return type("Servicer", (servicer,), {"Export": export})()

    def _http_handler(receiver):  # noqa: N805, `self` is the handler's
        signals = {path: signal for signal, path in PATHS.items()}

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):  # noqa: N802, the name is http.server's
                body = self.rfile.read(int(self.headers["content-length"]))
                encoding = self.headers.get("content-encoding", "identity")
                signal = signals[self.path]
                content_type = self.headers["content-type"]
                as_json = content_type == "application/json"
                _, request = decode(signal.lower() if as_json else signal, body)
                answer = receiver._take(signal, request, encoding)
                answer = json_format.MessageToJson(answer).encode() if as_json else answer.SerializeToString()
                self.send_response(200)
                self.send_header("content-type", content_type)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        return Handler
