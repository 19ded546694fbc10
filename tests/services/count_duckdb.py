"""What DuckDB sees of a folder of objects, as JSON on standard output.

    count_duckdb.py OBJECTS TOPIC --cookie ID --absent ID... [--rows FILE]

OBJECTS is the folder that holds `ds=TOPIC`. `--cookie` is an id that is in the objects, `--absent` are
ids that are not: they are looked up, and held against the bloom filters. `--rows` writes every row as
one line of JSON.
"""

import argparse
import glob
import json

import duckdb

NONCE = "regexp_extract(raw_query, '(^|&)n=([^&]*)', 2)"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("objects")
    parser.add_argument("topic")
    parser.add_argument("--cookie", required=True)
    parser.add_argument("--absent", nargs="+", required=True)
    parser.add_argument("--rows")
    return parser.parse_args()


def records(connection, query, parameters=None):
    """The rows of a query, as dictionaries."""
    cursor = connection.execute(query, parameters)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row)) for row in cursor.fetchall()]


def bloom(connection, paths, cookie, absent):
    """In how many objects the bloom filters rule an id out: of those that hold it, and of all."""
    probe = (
        "SELECT count(*) FROM parquet_bloom_probe($paths, 'cookie_id', $id) "
        "WHERE bloom_filter_excludes"
    )
    # The empty text keeps DuckDB from asking the filter here as well.
    holds = (
        "SELECT filename FROM read_parquet($paths, filename = true) "
        "WHERE cookie_id || '' = $id"
    )

    def excluded(query, value):
        return connection.execute(query, {"paths": paths, "id": value}).fetchone()[0]

    return {
        "present": excluded(f"{probe} AND file_name IN ({holds})", cookie),
        "absent": [excluded(probe, value) for value in absent],
    }


def main():
    asked = arguments()
    pattern = f"{asked.objects}/ds={asked.topic}/*/*/*.parquet"
    paths = sorted(glob.glob(pattern))
    connection = duckdb.connect(config={"threads": 2})
    connection.execute("SET TimeZone = 'UTC'")
    # Partitions are text: hour 07 is not the number 7.
    connection.execute(
        "CREATE VIEW events AS SELECT * FROM "
        f"read_parquet('{pattern}', hive_partitioning = true, hive_types_autocast = false)"
    )
    columns = records(connection, "DESCRIBE events")
    types = {column["column_name"]: column["column_type"] for column in columns}
    nulls = ", ".join(f'count(*) - count("{name}") AS "{name}"' for name in types)

    def with_cookie(value):
        query = "SELECT count(*) FROM events WHERE cookie_id = ?"
        return connection.execute(query, [value]).fetchone()[0]

    report = {
        "reader": f"DuckDB {duckdb.__version__}",
        "objects": len(paths),
        "types": types,
        "time_type": connection.execute(
            "SELECT DISTINCT logical_type FROM parquet_schema(?) WHERE name = 'event_time'", [paths]
        ).fetchall(),
        **records(
            connection,
            f"SELECT count(*) AS rows, count(DISTINCT {NONCE}) AS nonces, "
            "sum(status)::BIGINT AS status_sum FROM events",
        )[0],
        "nulls": records(connection, f"SELECT {nulls} FROM events")[0],
        "streams": records(
            connection,
            "SELECT edge, incarnation, shard, count(*) AS rows, "
            "min(sequence) AS first, max(sequence) AS last FROM events GROUP BY ALL ORDER BY ALL",
        ),
        "cookie_rows": with_cookie(asked.cookie),
        "absent_rows": sum(with_cookie(value) for value in asked.absent),
        "bloom": bloom(connection, paths, asked.cookie, asked.absent),
    }
    if asked.rows:
        # A time as a number: text would depend on how a reader prints one.
        plain = "SELECT * REPLACE (epoch_us(event_time) AS event_time) FROM events"
        query = f"SELECT to_json(r) FROM ({plain}) r"
        with open(asked.rows, "w", encoding="utf-8") as rows:
            for (row,) in connection.execute(query).fetchall():
                rows.write(row + "\n")
    print(json.dumps(report))


main()
