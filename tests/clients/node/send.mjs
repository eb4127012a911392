// Sends logs, spans and points with the official Node SDK. What was sent is recorded by the relay that this sends to.
//
//     node send.mjs ENDPOINT grpc|http/protobuf|http/json none|gzip ITEMS
//
// Exits 1 if an export failed.

import { SpanKind, SpanStatusCode, TraceFlags, ROOT_CONTEXT, createTraceState, diag, DiagLogLevel, trace } from '@opentelemetry/api';
import { SeverityNumber } from '@opentelemetry/api-logs';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchLogRecordProcessor, LoggerProvider } from '@opentelemetry/sdk-logs';
import { AggregationTemporality, AggregationType, MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';

const [endpoint, protocol, compression, count] = process.argv.slice(2);
const items = Number(count);
// Two hours ago, in seconds: whoever asks for everything asks up to now.
const EARLIER = Math.floor(Date.now() / 1000) - 7200;
const SCHEMA = { schemaUrl: 'https://opentelemetry.io/schemas/1.30.0' };

let failures = 0;
const failed = (...message) => {
  failures += 1;
  console.error(...message);
};
// It warns of every attribute it drops; here it is meant to.
diag.setLogger({ error: failed, warn() {}, info() {}, debug() {}, verbose() {} }, DiagLogLevel.ERROR);

const FLAVOUR = { grpc: 'grpc', 'http/protobuf': 'proto', 'http/json': 'http' }[protocol];
const PATHS = { trace: '/v1/traces', logs: '/v1/logs', metrics: '/v1/metrics' };

// An exporter of the signal, which says when it could not.
async function exporter(signal, name, options = {}) {
  const exporters = await import(`@opentelemetry/exporter-${signal}-otlp-${FLAVOUR}`);
  const url = FLAVOUR === 'grpc' ? endpoint : endpoint + PATHS[signal];
  const made = new exporters[name]({ url, compression, ...options });
  const send = made.export.bind(made);
  made.export = (batch, done) =>
    send(batch, (result) => {
      if (result.code !== 0) failed(`${signal}:`, result.error);
      done(result);
    });
  return made;
}

const resource = resourceFromAttributes(
  { 'service.name': 'node-client', 'test.way': `${protocol} ${compression}`, 'host.cores': 8, tags: [1.5, -0.5] },
  SCHEMA,
);

const WORDS = ['lantern', 'Überfracht', '漢字', '🧭', 'tab\there', 'line\nbreak', '', 'a "quoted" \\ one'];
const word = (number) => WORDS[number % WORDS.length];

function attributes(number) {
  return {
    text: word(number),
    flag: number % 2 === 0,
    int: number - 50,
    large: Number.MAX_SAFE_INTEGER - number,
    double: number / 3,
    tiny: 5e-324,
    words: ['a', '', word(number)],
    numbers: [0, -1, 2 ** 40],
    'x-request-id': `request-${number}`,
  };
}

function nested(number) {
  return { list: [-1, 'x', 1.5e-300, null, [true]], map: { empty: '', number }, bytes: new Uint8Array([0, 255, number % 256]) };
}

function spanContext(number, isRemote) {
  const hex = (value, length) => value.toString(16).padStart(length, '0');
  const traceState = createTraceState('vendor=value,other=1');
  return { traceId: hex(number + 1, 32), spanId: hex(number + 7, 16), traceFlags: TraceFlags.SAMPLED, isRemote, traceState };
}

async function sendLogs() {
  const processor = new BatchLogRecordProcessor({
    exporter: await exporter('logs', 'OTLPLogExporter'),
    maxQueueSize: 512 + items,
  });
  const provider = new LoggerProvider({ resource, processors: [processor], logRecordLimits: { attributeCountLimit: 11 } });
  const loggers = [provider.getLogger('test.logs', '1.2.3', SCHEMA), provider.getLogger('test.bare')];
  for (let number = 0; number < items; number += 1) {
    const bodies = [`order ${number} ${word(number)}`, number, number / 7, true, new Uint8Array([0, 255]), nested(number), undefined];
    loggers[number % 2].emit({
      eventName: number % 5 === 0 ? 'order.placed' : undefined,
      timestamp: number % 3 === 0 ? undefined : [EARLIER + number, number * 1_000_001 % 1_000_000_000],
      severityNumber: number % 26 === 25 ? undefined : Object.values(SeverityNumber).filter(Number.isInteger)[number % 25],
      severityText: ['INFO', 'Hinweis', undefined][number % 3],
      body: bodies[number % bodies.length],
      attributes: { 'correlation.id': `order-${number >> 3}`, nested: nested(number), ...attributes(number), over: 'the limit' },
      context: number % 2 === 0 ? trace.setSpanContext(ROOT_CONTEXT, spanContext(number, true)) : ROOT_CONTEXT,
    });
  }
  await provider.shutdown();
}

async function sendSpans() {
  const processor = new BatchSpanProcessor(await exporter('trace', 'OTLPTraceExporter'), { maxQueueSize: 512 + items });
  const provider = new BasicTracerProvider({
    resource,
    spanProcessors: [processor],
    spanLimits: { eventCountLimit: 3, linkCountLimit: 2, attributeCountLimit: 9 },
  });
  const tracers = [provider.getTracer('test.spans', '1.2.3', SCHEMA), provider.getTracer('test.bare')];
  const kinds = [SpanKind.INTERNAL, SpanKind.SERVER, SpanKind.CLIENT, SpanKind.PRODUCER, SpanKind.CONSUMER];
  let parent = ROOT_CONTEXT;
  for (let number = 0; number < items; number += 1) {
    const links = Array.from({ length: number % 4 }, (_, link) => ({
      context: spanContext(number + link, link % 2 === 0),
      attributes: { link },
    }));
    const startTime = [EARLIER + number, 123_456_789];
    const span = tracers[number % 2].startSpan(
      `operation ${number % 20}`,
      { kind: kinds[number % kinds.length], attributes: attributes(number), links, startTime },
      parent,
    );
    span.setAttribute('correlation.id', `trace-${number >> 3}`);
    for (let event = 0; event < number % 5; event += 1) span.addEvent(`event ${event}`, { event, ok: true }, startTime);
    if (number % 10 === 0) span.recordException(new Error('something was wrong'), startTime);
    span.setStatus(
      [{ code: SpanStatusCode.UNSET }, { code: SpanStatusCode.OK }, { code: SpanStatusCode.ERROR, message: 'it broke \u202e' }][number % 3],
    );
    span.end([EARLIER + 1 + number, 987_654_321]);
    // Ten spans to a trace, each the child of the one before; some traces begin elsewhere.
    if (number % 10 !== 9) parent = trace.setSpan(ROOT_CONTEXT, span);
    else parent = number % 20 === 9 ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, spanContext(number, true));
  }
  await provider.shutdown();
}

async function sendPoints(temporalityPreference) {
  const reader = new PeriodicExportingMetricReader({
    exporter: await exporter('metrics', 'OTLPMetricExporter', { temporalityPreference }),
    exportIntervalMillis: 3_600_000,
  });
  const views = [{ instrumentName: 'histogram.exponential', aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM } }];
  const provider = new MeterProvider({ resource, readers: [reader], views });
  const meter = provider.getMeter('test.points', '1.2.3', SCHEMA);
  const lanes = Array.from({ length: Math.ceil(items / 16) }, (_, lane) => ({ lane, even: lane % 2 === 0, word: word(lane) }));
  const counter = meter.createCounter('counter', { unit: '{order}', description: 'Orders' });
  const seconds = meter.createCounter('counter.double', { unit: 's' });
  const upDown = meter.createUpDownCounter('up_down');
  const gauge = meter.createGauge('gauge', { unit: 'Cel' });
  const histogram = meter.createHistogram('histogram', { unit: 's', advice: { explicitBucketBoundaries: [0, 0.5, 2.5] } });
  const exponential = meter.createHistogram('histogram.exponential');
  const observe = (value) => (observer) => lanes.forEach((lane) => observer.observe(value(lane.lane), lane));
  meter.createObservableCounter('observed.counter').addCallback(observe((lane) => lane * 3));
  meter.createObservableUpDownCounter('observed.up_down').addCallback(observe((lane) => -lane));
  meter.createObservableGauge('observed.gauge').addCallback(observe((lane) => lane / 7));
  lanes.forEach((lane, number) => {
    counter.add(number, lane);
    seconds.add(number / 9, lane);
    upDown.add(10 - number, lane);
    gauge.record(number % 2 ? 20.5 - number : Number.MAX_SAFE_INTEGER, lane);
    for (let step = 0; step < 9; step += 1) {
      histogram.record(step * 0.37, lane);
      exponential.record(step * number * 1.5, lane);
    }
  });
  await provider.shutdown();
}

await sendLogs();
await sendSpans();
await sendPoints(AggregationTemporality.CUMULATIVE);
await sendPoints(AggregationTemporality.DELTA);
process.exit(failures === 0 ? 0 : 1);
