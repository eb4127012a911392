// Shipping: GET /shipping?product=sextant&quantity=2 says what it costs to send. Part of whatever trace and correlation id it is called with.
//
//     OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318 node shipping.js 127.0.0.1:7082

import { createServer } from 'node:http';
import { ROOT_CONTEXT, SpanKind, propagation, trace } from '@opentelemetry/api';
import { SeverityNumber } from '@opentelemetry/api-logs';
import { CompositePropagator, W3CBaggagePropagator, W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPLogExporter } from '@opentelemetry/exporter-logs-otlp-proto';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs';
import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';

const resource = resourceFromAttributes({ 'service.name': 'shipping', 'service.namespace': 'shop' });
const spans = new BasicTracerProvider({ resource, spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())] });
const logs = new LoggerProvider({ resource, processors: [new BatchLogRecordProcessor({ exporter: new OTLPLogExporter() })] });
const propagator = new CompositePropagator({ propagators: [new W3CTraceContextPropagator(), new W3CBaggagePropagator()] });
propagation.setGlobalPropagator(propagator);

const server = createServer((request, response) => {
  const url = new URL(request.url, 'http://shop');
  if (url.pathname !== '/shipping') return response.writeHead(404).end();
  const caller = propagation.extract(ROOT_CONTEXT, request.headers);
  const order = { 'correlation.id': propagation.getBaggage(caller)?.getEntry('correlation.id')?.value ?? 'none' };
  const known = { 'http.request.method': request.method, 'http.route': url.pathname, 'url.path': url.pathname };
  const options = { kind: SpanKind.SERVER, attributes: { ...known, ...order } };
  const span = spans.getTracer('shipping').startSpan(`${request.method} ${url.pathname}`, options, caller);
  const cents = 490 + 150 * (Number(url.searchParams.get('quantity')) || 1);
  logs.getLogger('shipping').emit({
    eventName: 'shipping.priced', severityNumber: SeverityNumber.INFO, severityText: 'INFO',
    body: `shipping costs ${cents} cents`, attributes: order, context: trace.setSpan(caller, span),
  });
  span.setAttribute('http.response.status_code', 200);
  response.on('close', () => span.end());
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ amount_cents: cents }));
});

const [host, port] = process.argv[2].split(':');
server.listen(Number(port), host, () => console.log(`listening on ${host}:${server.address().port}`));
process.on('SIGTERM', async () => {
  server.closeAllConnections();
  server.close();
  await Promise.all([spans.shutdown(), logs.shutdown()]);
  process.exit();
});
