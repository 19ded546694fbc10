"""What Spark SQL with Hive support makes of printed statements, as JSON on standard output.

    query_tables.py STATEMENTS DATABASE TOPIC --location FOLDER --user ID --absent ID

Runs the statements of the file STATEMENTS in a metastore of its own, then asks the table: how much is in
it, of which types, and which files and rows a query touches. At the end it adds a partition whose one file is
no Parquet at all, as the statements say it, and shows that only a query that wants it fails.
"""

import argparse
import json
import os
import re
import tempfile

import pyspark
from spark_session import hive, session, statements


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("statements")
    parser.add_argument("database")
    parser.add_argument("topic")
    parser.add_argument("--location", required=True)
    parser.add_argument("--user", required=True)
    parser.add_argument("--absent", required=True)
    return parser.parse_args()


def adding(text, topic, dt, hour):
    """The printed way to add a partition, for this hour."""
    line = next(l for l in text.splitlines() if "ADD IF NOT EXISTS" in l and f"`{topic}`" in l)
    line = line.removeprefix("-- ").rstrip(";")
    return line.replace("YYYY-MM-DD", dt).replace("HH", hour)


def asked(spark, query):
    """The one row of a query, and what its scan touched."""
    frame = spark.sql(query)
    row = frame.collect()[0].asDict()
    plan = frame._jdf.queryExecution().executedPlan()
    scan = plan.collectLeaves().head()
    metrics = scan.metrics()
    text = plan.toString()

    def filters(kind):
        return re.search(rf"{kind}: \[([^\]]*)\]", text).group(1)

    return {
        **row,
        "files": metrics.apply("numFiles").value(),
        "rows_read": metrics.apply("numOutputRows").value(),
        "partition_filters": filters("PartitionFilters"),
        "pushed_filters": filters("PushedFilters"),
    }


def lookups(spark, table, user):
    """One user: as Spark is set up, then with bloom filters alone, then with nothing that prunes."""
    query = f"SELECT count(*) AS n FROM {table} WHERE cookie_id = '{user}'"
    found = {"usual": asked(spark, query)}
    others = ["stats", "dictionary", "columnindex", "record-level"]
    for other in others:
        spark.conf.set(f"parquet.filter.{other}.enabled", "false")
    found["bloom"] = asked(spark, query)
    spark.conf.set("parquet.filter.bloom.enabled", "false")
    found["nothing"] = asked(spark, query)
    for name in [*others, "bloom"]:
        spark.conf.unset(f"parquet.filter.{name}.enabled")
    return found


def report(spark, asking):
    with open(asking.statements, encoding="utf-8") as file:
        text = file.read()
    ran = statements(text)
    for statement in ran:
        spark.sql(statement)
    table = f"{asking.database}.{asking.topic}"
    columns = spark.catalog.listColumns(table)
    partitions = [row[0] for row in spark.sql(f"SHOW PARTITIONS {table}").collect()]
    dt, hour = (part.split("=")[1] for part in partitions[0].split("/"))
    where = f"WHERE dt = '{dt}' AND hour = '{hour}'"
    totals = spark.sql(f"SELECT count(*) AS rows, sum(status) AS status_sum FROM {table}")
    told = {
        "reader": f"Spark SQL {pyspark.__version__}",
        "statements": len(ran),
        "types": dict(spark.table(table).dtypes),
        "comments": {c.name: c.description for c in columns},
        "partitioned_by": [c.name for c in columns if c.isPartition],
        "kind": spark.catalog.getTable(table).tableType,
        **totals.first().asDict(),
        "files": len(spark.table(table).inputFiles()),
        "present": lookups(spark, table, asking.user),
        "absent": lookups(spark, table, asking.absent),
    }
    # An hour goes and comes back, and its objects stay where they are.
    count = f"SELECT count(*) AS n FROM {table} {where}"
    before = asked(spark, count)
    spark.sql(f"ALTER TABLE {table} DROP PARTITION (dt = '{dt}', hour = '{hour}')")
    told["dropped"] = spark.sql(count).first()["n"]
    spark.sql(adding(text, asking.topic, dt, hour))
    # A file that nobody can read lies in another hour.
    other = f"{asking.location}/ds={asking.topic}/dt=2001-01-01/hour=07"
    os.makedirs(other)
    with open(f"{other}/none.parquet", "w", encoding="utf-8") as file:
        file.write("no Parquet at all")
    spark.sql(adding(text, asking.topic, "2001-01-01", "07"))
    told["hour"] = {"before": before["n"], **asked(spark, count)}
    told["hour"]["pairs"] = spark.sql(
        f"SELECT DISTINCT dt, hour FROM {table} {where}"
    ).first().asDict()
    try:
        spark.sql(f"SELECT sum(status) FROM {table}").collect()
        told["broken"] = None
    except Exception as error:  # whatever Spark makes of it
        told["broken"] = str(error)
    return told


def main():
    asking = arguments()
    with tempfile.TemporaryDirectory(prefix="brink-tables.") as scratch:
        spark = session(scratch, hive(scratch))
        print(json.dumps(report(spark, asking)))
        spark.stop()


main()
