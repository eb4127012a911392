"""Recommendations: GET /recommendations?product=sextant says what others bought. Part of whatever trace and correlation id it is called with.

    OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 python recommendations.py 127.0.0.1:7081
"""
import json, signal, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit
from opentelemetry import baggage, context, propagate, trace
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

resource = Resource.create({"service.name": "recommendations", "service.namespace": "shop"})
spans, logs = TracerProvider(resource=resource), LoggerProvider(resource=resource)
spans.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
tracer, logger = spans.get_tracer("recommendations"), logs.get_logger("recommendations")
BOUGHT_TOGETHER = {"sextant": ["chronometer", "almanac"], "kettle": ["tea", "cups"]}

class Recommendations(BaseHTTPRequestHandler):
    def do_GET(self):
        url, caller = urlsplit(self.path), propagate.extract({name.lower(): value for name, value in self.headers.items()})
        if url.path != "/recommendations":
            return self.send_error(404)
        order = {"correlation.id": str(baggage.get_baggage("correlation.id", caller) or "none")}
        known = {"http.request.method": "GET", "http.route": url.path, "url.path": url.path}
        with tracer.start_as_current_span(f"GET {url.path}", caller, trace.SpanKind.SERVER, known | order) as span:
            found = BOUGHT_TOGETHER.get(parse_qs(url.query).get("product", [""])[0], [])
            logger.emit(severity_number=SeverityNumber.INFO, severity_text="INFO", body=f"{len(found)} recommendations",
                        context=context.get_current(), event_name="recommendations.made", attributes=order)
            span.set_attribute("http.response.status_code", 200)
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(found).encode())

    def log_message(self, *_):
        "What it has to say is telemetry."

if __name__ == "__main__":
    host, port = sys.argv[1].rsplit(":", 1)
    server = ThreadingHTTPServer((host, int(port)), Recommendations)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    print(f"listening on {host}:{server.server_port}", flush=True)
    try:
        server.serve_forever()
    finally:
        spans.shutdown(), logs.shutdown()
