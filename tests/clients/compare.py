"""Compares what was sent with what comes back: the same multiset of (resource, scope, record).

    compare.py sent.otlp --url http://127.0.0.1:3300
    compare.py sent.otlp answer-logs.json answer-spans.json answer-points.json

Answers are OTLP/JSON: one request, or one a line. Exits 1 with the differences on stderr. Several recordings are joined
with --also. With --only-same-resources, answered items of other resources than the recorded ones are not looked at.
"""

import argparse
import difflib
import json
import sys
import time
import urllib.request
from collections import Counter

import canonical
import record

NAMES = {record.LOGS: "logs", record.SPANS: "spans", record.POINTS: "points"}
SHOWN_MAX = 3


def main():
    arguments = parse_arguments()
    sent = multisets(pair for path in [arguments.recording, *arguments.also] for pair in record.read(path))
    texts = [open(path, encoding="utf-8").read() for path in arguments.answers]
    if arguments.url:
        texts += [fetch(arguments.url, name) for name in NAMES.values()]
    answered = multisets(pair for text in texts for pair in canonical.requests_of_json(text))
    if arguments.only_same_resources:
        resources = {resource_of(item) for items in sent.values() for item in items}
        for items in answered.values():
            for item in [item for item in items if resource_of(item) not in resources]:
                del items[item]
    equal = [compare(NAMES[signal], sent[signal], answered[signal]) for signal in NAMES]
    return 0 if all(equal) else 1


def multisets(requests):
    found = {signal: Counter() for signal in NAMES}
    for signal, request in requests:
        found[signal].update(canonical.items(signal, request))
    return found


def resource_of(item):
    return json.dumps(json.loads(item)["resource"], sort_keys=True)


def fetch(url, name):
    end = int(time.time()) + 86_400
    address = f"{url.rstrip('/')}/api/v1/{name}?format=otlp&limit=none&start=0&end={end}"
    # No proxy: the server is on this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(address, timeout=120) as answer:
        return answer.read().decode("utf-8")


def compare(name, sent, answered):
    missing, unexpected = sent - answered, answered - sent
    differences = f"missing={missing.total()} unexpected={unexpected.total()}"
    print(f"{name}: sent={sent.total()} answered={answered.total()} {differences}")
    if not missing and not unexpected:
        return True
    rest = list(unexpected)
    for item in list(missing)[:SHOWN_MAX]:
        print(f"\n{name}: sent {sent[item]} times, answered {answered[item]} times", file=sys.stderr)
        nearest = take_nearest(item, rest)
        if nearest is None:
            print(pretty(item), file=sys.stderr)
        else:
            lines = difflib.unified_diff(
                pretty(item).split("\n"), pretty(nearest).split("\n"), "sent", "answered", lineterm="", n=2
            )
            print("\n".join(lines), file=sys.stderr)
    for item in rest[:SHOWN_MAX]:
        print(f"\n{name}: sent {sent[item]} times, answered {answered[item]} times\n{pretty(item)}", file=sys.stderr)
    return False


def take_nearest(item, others):
    """Takes out of `others` the one that shares the most lines, if it shares most of them."""
    lines = set(pretty(item).split("\n"))
    shared = [len(lines & set(pretty(other).split("\n"))) for other in others]
    if not shared or max(shared) * 2 < len(lines):
        return None
    return others.pop(shared.index(max(shared)))


def pretty(item):
    return json.dumps(json.loads(item), indent=1, ensure_ascii=False)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recording", help="what send.py recorded")
    parser.add_argument("answers", nargs="*", help="files with OTLP/JSON")
    parser.add_argument("--also", action="append", default=[], help="another recording")
    parser.add_argument("--url", help="a server to ask for everything it has")
    parser.add_argument("--only-same-resources", action="store_true")
    arguments = parser.parse_args()
    if not arguments.answers and not arguments.url:
        parser.error("name answers, or a server with --url")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
