"""What Spark's from_protobuf makes of topics, and Spark of the objects of the same events, as JSON on standard output.

    read_protobuf.py BROKER DESCRIPTORS OBJECTS GUIDE TOPIC=MESSAGE... --jars FOLDER --rows FILE

Runs the function `events` that stands in GUIDE, docs/kafka.md, as whoever reads it there would. `--rows` gets every
row as one line of JSON, with null where it is null, `@from` (kafka or objects) and `@topic`.
"""

import argparse
import glob
import json
import re
import tempfile

import pyspark
from pyspark.sql import functions as f
from spark_session import session


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("broker", "descriptors", "objects", "guide"):
        parser.add_argument(name)
    parser.add_argument("topics", nargs="+")
    parser.add_argument("--jars", required=True)
    parser.add_argument("--rows", required=True)
    return parser.parse_args()


def documented(guide):
    """The function that the guide shows."""
    with open(guide, encoding="utf-8") as file:
        (code,) = re.findall(r"^```python\n(.*?)^```$", file.read(), re.DOTALL | re.MULTILINE)
    names = {}
    exec(compile(code, guide, "exec"), names)
    return names["events"]


def texts(rows, source, topic):
    """Every row as a text; a time as a number, as text would depend on how a reader prints one."""
    plain = rows.withColumn("event_time", f.expr("unix_micros(event_time)"))
    marked = plain.withColumn("@from", f.lit(source)).withColumn("@topic", f.lit(topic))
    return [row[0] for row in marked.select(f.to_json(f.struct("*"), {"ignoreNullFields": "false"})).collect()]


def main():
    asked = arguments()
    events = documented(asked.guide)
    types = {}
    with tempfile.TemporaryDirectory(prefix="brink-protobuf.") as scratch:
        spark = session(scratch, {"spark.jars": ",".join(glob.glob(f"{asked.jars}/*.jar"))})
        with open(asked.rows, "w", encoding="utf-8") as file:
            for topic, message in (text.split("=") for text in asked.topics):
                kafka = events(spark, asked.broker, topic, message, asked.descriptors)
                objects = spark.read.parquet(f"{asked.objects}/ds={topic}").drop("dt", "hour")
                types[topic] = {"kafka": dict(kafka.dtypes), "objects": dict(objects.dtypes)}
                for source, rows in [("kafka", kafka), ("objects", objects)]:
                    file.writelines(text + "\n" for text in texts(rows, source, topic))
        print(json.dumps({"reader": f"Spark {pyspark.__version__}", "types": types}))
        spark.stop()


main()
