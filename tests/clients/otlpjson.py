"""OTLP/JSON, read with protobuf's own reader of JSON. Used by record.py and canonical.py."""

import base64
import re

from google.protobuf import json_format

ID_KEYS = {"traceId", "spanId", "parentSpanId"}
HEX = re.compile(r"(?:[0-9a-fA-F]{2})*")


def message(request_type, document, ignore_unknown_fields=False):
    """The message that a JSON document is."""
    return json_format.ParseDict(ids_to_base64(document), request_type(), ignore_unknown_fields)


def ids_to_base64(node):
    """OTLP/JSON differs from protobuf's JSON in one thing: ids are hexadecimal."""
    if isinstance(node, list):
        return [ids_to_base64(child) for child in node]
    if not isinstance(node, dict):
        return node
    return {key: id_to_base64(key, child) if key in ID_KEYS else ids_to_base64(child) for key, child in node.items()}


def id_to_base64(key, text):
    if not isinstance(text, str) or not HEX.fullmatch(text):
        raise ValueError(f"{key} is not hexadecimal: {text!r}")
    return base64.b64encode(bytes.fromhex(text)).decode()
