"""Spark in this process, and what `shipper ddl` prints for it."""

import os
import re
import sys

from pyspark.sql import SparkSession


def session(scratch, more):
    """On loopback, with everything that it writes below `scratch`, and with further settings."""
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    os.environ["PYSPARK_PYTHON"] = sys.executable
    java = f"-Djava.io.tmpdir={scratch} -Dderby.system.home={scratch} -Duser.timezone=UTC"
    settings = {
        "spark.driver.memory": "1g",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.extraJavaOptions": f"{java} -XX:+UseSerialGC -XX:TieredStopAtLevel=1",
        "spark.local.dir": scratch,
        "spark.sql.warehouse.dir": f"{scratch}/warehouse",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "1",
        "spark.ui.enabled": "false",
    }
    builder = SparkSession.builder.master("local[2]").appName("brink readers")
    for key, value in (settings | more).items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def hive(scratch):
    """Settings of a metastore of its own below `scratch`."""
    return {
        "spark.hadoop.javax.jdo.option.ConnectionURL":
            f"jdbc:derby:;databaseName={scratch}/metastore;create=true",
        "spark.hadoop.hive.exec.scratchdir": f"{scratch}/hive",
        # A plan that is run as it is printed, so that its figures can be asked for.
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.catalogImplementation": "hive",
    }


def statements(text):
    """The statements of a script: what ends in a semicolon, outside comments and literals."""
    tokens = re.findall(r"--[^\n]*|'(?:\\.|[^'\\])*'|`[^`]*`|;|[^-'`;]+|.", text, re.DOTALL)
    found, now = [], ""
    for token in tokens:
        if token.startswith("--"):
            continue
        if token == ";":
            found.append(now.strip())
            now = ""
        else:
            now += token
    assert not now.strip(), f"no semicolon behind {now!r}"
    return found
