"""Every item of an OTLP request as one text, equal for equal items: attributes are maps, absent and empty are the same.
Used by compare.py. Reads protobuf messages and OTLP/JSON alike."""

import json
import re

import otlpjson
from record import LOGS, POINTS, REQUESTS, SPANS

TOP_KEYS = {"resourceLogs": LOGS, "resourceSpans": SPANS, "resourceMetrics": POINTS}


def requests_of_json(text):
    """The requests of an answer, as (signal, message): one JSON document, or one a line. `_meta` is no data."""
    for document in documents(text):
        document.pop("_meta", None)
        if not document:
            continue
        signal = next((signal for key, signal in TOP_KEYS.items() if key in document), None)
        if signal is None:
            raise ValueError(f"no OTLP/JSON request: {json.dumps(document)[:200]}")
        yield signal, otlpjson.message(REQUESTS[signal], document)


def documents(text):
    decoder, position = json.JSONDecoder(), 0
    while match := re.compile(r"\s*(?=\S)").match(text, position):
        document, position = decoder.raw_decode(text, match.end())
        yield document


def items(signal, request):
    """The items of a request as canonical texts, each with its resource, scope and, for points, metric."""
    if signal == LOGS:
        groups = [(r, r.scope_logs, "log_records") for r in request.resource_logs]
    elif signal == SPANS:
        groups = [(r, r.scope_spans, "spans") for r in request.resource_spans]
    else:
        groups = [(r, r.scope_metrics, "metrics") for r in request.resource_metrics]
    for of_resource, scopes, name in groups:
        for of_scope in scopes:
            envelope = {
                "resource": plain(of_resource.resource),
                "resource_schema_url": of_resource.schema_url,
                "scope": plain(of_scope.scope),
                "scope_schema_url": of_scope.schema_url,
            }
            for record in getattr(of_scope, name):
                for part in points_of(record) if signal == POINTS else [{"record": plain(record)}]:
                    yield json.dumps(envelope | part, sort_keys=True, ensure_ascii=False)


def points_of(metric):
    """A metric's points, each with the metric without its points."""
    kind = metric.WhichOneof("data")
    if kind is None:
        return
    rest = type(metric)()
    rest.CopyFrom(metric)
    getattr(rest, kind).ClearField("data_points")
    described = plain(rest) | {"type": kind}
    for point in getattr(metric, kind).data_points:
        yield {"metric": described, "point": plain(point)}


def plain(message):
    """A message as plain data. Fields at their default are left out, so that absent and empty are the same."""
    if message.DESCRIPTOR.name == "AnyValue":
        return any_value(message)
    fields = {}
    for field, value in message.ListFields():
        if field.message_type is not None and field.message_type.name == "KeyValue":
            fields[field.name] = attribute_map(value)
        elif is_list(value):
            fields[field.name] = [leaf(field, element) for element in value]
        else:
            fields[field.name] = leaf(field, value)
    # An empty message that is present means what an absent one means.
    return {name: value for name, value in fields.items() if value is not None and value != {}}


def is_list(value):
    return not isinstance(value, (str, bytes)) and hasattr(value, "__len__") and not hasattr(value, "DESCRIPTOR")


def leaf(field, value):
    if field.message_type is not None:
        return plain(value)
    if isinstance(value, bytes):
        return value.hex()
    # Text keeps what JSON numbers lose: -0.0, NaN, the difference between 1 and 1.0.
    return repr(value) if isinstance(value, float) else value


def attribute_map(pairs):
    """Of several attributes with one key the last counts."""
    return {pair.key: any_value(pair.value) for pair in pairs}


def any_value(value):
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    inner = getattr(value, kind)
    if kind == "array_value":
        return {"array": [any_value(element) for element in inner.values]}
    if kind == "kvlist_value":
        return {"map": attribute_map(inner.values)}
    if kind == "bytes_value":
        return {"bytes": inner.hex()}
    return {kind.removesuffix("_value"): repr(inner) if isinstance(inner, float) else inner}
