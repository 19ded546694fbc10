"""What Spark SQL with Hive support makes of a table in an S3 server and one in HDFS, as JSON on standard output.

    join_tables.py TOPIC --s3 STATEMENTS --hdfs STATEMENTS --jars FOLDER

Runs the statements that were printed for both, in databases `s3` and `hdfs`, with the settings of S3A that were
printed with them, and asks one query that joins the two. AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are the
server's.
"""

import argparse
import glob
import json
import os
import re
import tempfile

import pyspark
from spark_session import hive, session, statements

JOIN = """
SELECT count(*) AS rows, count(DISTINCT a.edge, a.incarnation, a.shard, a.sequence) AS distinct,
       sum(CAST(a.cookie_id <=> b.cookie_id AND a.raw_query <=> b.raw_query AS INT)) AS same
FROM s3.{topic} a JOIN hdfs.{topic} b
  ON a.edge = b.edge AND a.incarnation = b.incarnation AND a.shard = b.shard AND a.sequence = b.sequence
"""


def text_of(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def s3a(text, jars):
    """The printed settings, and what they leave to whoever reads them."""
    printed = dict(re.findall(r"^-- (spark\.hadoop\.fs\.s3a\.\S+)  (\S+)$", text, re.MULTILINE))
    assert len(printed) >= 10, f"only {printed} were printed"
    return printed | {
        "spark.jars": ",".join(glob.glob(f"{jars}/*.jar")),
        "spark.hadoop.fs.s3a.access.key": os.environ["AWS_ACCESS_KEY_ID"],
        "spark.hadoop.fs.s3a.secret.key": os.environ["AWS_SECRET_ACCESS_KEY"],
        # Spaces takes any; this server takes the one that it was started with.
        "spark.hadoop.fs.s3a.endpoint.region": "us-east-1",
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("topic")
    parser.add_argument("--s3", required=True)
    parser.add_argument("--hdfs", required=True)
    parser.add_argument("--jars", required=True)
    asking = parser.parse_args()
    texts = [text_of(asking.s3), text_of(asking.hdfs)]
    with tempfile.TemporaryDirectory(prefix="brink-join.") as scratch:
        spark = session(scratch, hive(scratch) | s3a(texts[0], asking.jars))
        for text in texts:
            for statement in statements(text):
                spark.sql(statement)
        files = {
            base: sorted({name.split("//")[0] for name in spark.table(f"{base}.{asking.topic}").inputFiles()})
            for base in ["s3", "hdfs"]
        }
        told = spark.sql(JOIN.format(topic=asking.topic)).first().asDict()
        print(json.dumps({"reader": f"Spark SQL {pyspark.__version__}", "files": files, **told}))
        spark.stop()


main()
