"""Reads the Parquet parts of a data directory with DuckDB and with pyarrow, which have to agree.

    parts.py DATA                                     how many parts and rows each table has
    parts.py DATA logs ingest_seq body ...            these columns of every row, in the order of ingest_seq

One JSON object a line: times as nanoseconds since 1970, bytes as hexadecimal, doubles as they are (NaN and the
infinities as text), maps and structs as objects, null where a part lacks the column. Exits 1 if the readers disagree.

Reads DATA/parts/TABLE/PARTITION/PART/rows.parquet of every part that is there, whether or not the manifest still lists
it, so let the server come to rest first.
"""

import argparse
import datetime
import json
import math
import pathlib
import sys

import duckdb
import pyarrow as pa
import pyarrow.parquet

TABLES = ["logs", "spans", "points", "exemplars"]
# Unique in every table but exemplars, where the ordinal decides.
ORDER = ["ingest_seq", "ordinal"]


def main():
    arguments = parse_arguments()
    data = pathlib.Path(arguments.data)
    if not (data / "parts").is_dir():
        print(f"error: {data} holds no parts", file=sys.stderr)
        return 2
    if arguments.table:
        return rows(files_of(data, arguments.table), arguments.columns)
    return max([counts(files_of(data, table), table) for table in TABLES])


def files_of(data, table):
    return sorted(str(path) for path in data.glob(f"parts/{table}/*/*/rows.parquet"))


def counts(files, table):
    by_pyarrow = sum(pyarrow.parquet.ParquetFile(file).metadata.num_rows for file in files)
    by_duckdb = duckdb.sql(f"SELECT count(*) FROM {source(files)}").fetchall()[0][0] if files else 0
    print(json.dumps({"table": table, "parts": len(files), "rows": by_duckdb}))
    return agree(table, by_duckdb, by_pyarrow)


def rows(files, columns):
    if not files:
        return 0
    by_duckdb = plain_rows(read_by_duckdb(files, columns), columns)
    by_pyarrow = plain_rows(read_by_pyarrow(files, columns), columns)
    for row in by_duckdb:
        print(json.dumps(row, ensure_ascii=False))
    for left, right in zip(by_duckdb, by_pyarrow):
        if json.dumps(left) != json.dumps(right):
            return agree("a row", left, right)
    return agree("the number of rows", len(by_duckdb), len(by_pyarrow))


def source(files):
    """All parts as one table; a part may lack columns that others have."""
    names = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
    return f"read_parquet([{names}], union_by_name = true, hive_partitioning = false)"


def read_by_duckdb(files, columns):
    there = set(duckdb.sql(f"SELECT * FROM {source(files)} LIMIT 0").columns)
    wanted = [name for name in columns if name in there]
    order = ", ".join(quoted(name) for name in ORDER if name in there)
    selected = ", ".join(quoted(name) for name in wanted) or "NULL"
    return duckdb.sql(f"SELECT {selected} FROM {source(files)} ORDER BY {order}").to_arrow_table()


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def read_by_pyarrow(files, columns):
    tables = [pyarrow.parquet.ParquetFile(file).read() for file in files]
    table = pa.concat_tables(tables, promote_options="permissive")
    table = table.sort_by([(name, "ascending") for name in ORDER if name in table.column_names])
    return table.select([name for name in columns if name in table.column_names])


def plain_rows(table, columns):
    values = {name: [plain(scalar) for scalar in table.column(name)] for name in table.column_names}
    return [{name: values[name][row] if name in values else None for name in columns} for row in range(table.num_rows)]


def plain(scalar):
    """An Arrow value as JSON."""
    if not scalar.is_valid:
        return None
    kind = scalar.type
    if pa.types.is_timestamp(kind):
        return scalar.value * {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}[kind.unit]
    if pa.types.is_map(kind):
        entries = scalar.values
        keys, items = entries.field(0), entries.field(1)
        return {key.as_py(): plain(item) for key, item in sorted(zip(keys, items), key=lambda entry: entry[0].as_py())}
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return [plain(element) for element in scalar.values]
    if pa.types.is_struct(kind):
        return {name: plain(scalar[name]) for name in scalar}
    value = scalar.as_py()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    return value


def agree(what, by_duckdb, by_pyarrow):
    if by_duckdb == by_pyarrow:
        return 0
    print(f"error: DuckDB and pyarrow disagree on {what}: {by_duckdb} and {by_pyarrow}", file=sys.stderr)
    return 1


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", help="the data directory")
    parser.add_argument("table", nargs="?", choices=TABLES)
    parser.add_argument("columns", nargs="*")
    arguments = parser.parse_args()
    if arguments.table and not arguments.columns:
        parser.error("name the columns")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
