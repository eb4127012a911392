"""Which numbered records the live parts of data directories hold, as DuckDB reads them.

Reads the path of a data directory from each line of stdin, and answers with one line of JSON:

    {"logs": [[1, 40, 1], ...], "spans": [...], "points": [...]}      records 1 to 40 are there once, ...
    {"error": "..."}

A log record has its number in the attribute `n`, a span as its span id, a point as its value. What Sextant tells of itself is left
out. Live are the parts that the manifest lists. The server has to be at rest.
"""

import json
import pathlib
import sys

import duckdb

OTHERS = "service IS DISTINCT FROM 'sextant'"

# By table: the number of a row, and which rows.
NUMBERS = {
    "logs": ('"attr:n"', OTHERS),
    "spans": ("('0x' || hex(span_id))::BIGINT", OTHERS),
    "points": ("value_int", f"series_id IN (SELECT series_id FROM {{series}} WHERE {OTHERS})"),
}

# Numbers that follow each other and are there as often, as one row.
RUNS = """
SELECT min(n), max(n), times FROM (
  SELECT n, times, n - row_number() OVER (PARTITION BY times ORDER BY n) AS run FROM (
    SELECT {number} AS n, count(*) AS times FROM {rows} WHERE {which} GROUP BY 1))
GROUP BY times, run ORDER BY 1
"""


def main():
    for line in sys.stdin:
        try:
            answer = numbers(pathlib.Path(line.rstrip("\n")))
        except Exception as error:  # Whatever it is, who asked is told.
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)
    return 0


def numbers(data):
    live = live_parts(data)
    return {table: runs(data, live, table) for table in NUMBERS}


def live_parts(data):
    """The names of the manifest's parts. Its first line is its checksum."""
    text = (data / "manifest.json").read_text(encoding="utf-8")
    return [part["name"] for part in json.loads(text.partition("\n")[2])["parts"]]


def runs(data, live, table):
    parts = [data / "parts" / name for name in live if name.startswith(table + "/")]
    if not parts:
        return []
    number, which = NUMBERS[table]
    which = which.format(series=source(parts, "series.parquet"))
    return duckdb.execute(RUNS.format(number=number, which=which, rows=source(parts, "rows.parquet"))).fetchall()


def source(parts, name):
    """The files of this name as one table; one may lack columns that others have."""
    files = [str(part / name) for part in parts]
    return f"read_parquet({files}, union_by_name = true, hive_partitioning = false)"


if __name__ == "__main__":
    sys.exit(main())
