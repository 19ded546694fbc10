"""What Spark sees of a folder of objects, as JSON on standard output.

    count_spark.py OBJECTS TOPIC --cookie ID --absent ID... [--rows FILE]

The same as count_duckdb.py, without the bloom filters: Spark uses them and does not tell.
"""

import argparse
import json
import tempfile

import pyspark
from pyspark.sql import functions as f
from spark_session import session


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("objects")
    parser.add_argument("topic")
    parser.add_argument("--cookie", required=True)
    parser.add_argument("--absent", nargs="+", required=True)
    parser.add_argument("--rows")
    return parser.parse_args()


# Partitions are text: hour 07 is not the number 7.
SETTINGS = {"spark.sql.sources.partitionColumnTypeInference.enabled": "false"}


def report(spark, asked):
    events = spark.read.parquet(f"{asked.objects}/ds={asked.topic}")
    nonce = f.regexp_extract("raw_query", "(^|&)n=([^&]*)", 2)
    identity = ["edge", "incarnation", "shard"]
    totals = events.agg(
        f.count(f.lit(1)).alias("rows"),
        f.count_distinct(nonce).alias("nonces"),
        f.sum("status").alias("status_sum"),
    )
    nulls = events.agg(*(f.count_if(f.col(name).isNull()).alias(name) for name in events.columns))
    streams = events.groupBy(*identity).agg(
        f.count(f.lit(1)).alias("rows"),
        f.min("sequence").alias("first"),
        f.max("sequence").alias("last"),
    )
    if asked.rows:
        # A time as a number: text would depend on how a reader prints one.
        plain = events.withColumn("event_time", f.unix_micros("event_time"))
        texts = plain.select(f.to_json(f.struct("*"), {"ignoreNullFields": "false"})).collect()
        with open(asked.rows, "w", encoding="utf-8") as rows:
            rows.writelines(row[0] + "\n" for row in texts)
    return {
        "reader": f"Spark {pyspark.__version__}",
        "objects": len(events.inputFiles()),
        "types": dict(events.dtypes),
        **totals.first().asDict(),
        "nulls": nulls.first().asDict(),
        "streams": [row.asDict() for row in streams.orderBy(*identity).collect()],
        "cookie_rows": events.where(f.col("cookie_id") == asked.cookie).count(),
        "absent_rows": events.where(f.col("cookie_id").isin(asked.absent)).count(),
    }


def main():
    asked = arguments()
    with tempfile.TemporaryDirectory(prefix="brink-spark.") as scratch:
        spark = session(scratch, SETTINGS)
        print(json.dumps(report(spark, asked)))
        spark.stop()


main()
