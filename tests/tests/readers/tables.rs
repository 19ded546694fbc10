//! The statements that `shipper ddl` prints, run by Spark SQL with Hive support: what its tables
//! hold, and what a query of them touches.

use crate::{COOKIE, TOPIC, spark_type, two_starts, types};
use brink_proto::schema::IMPRESSIONS;
use brink_tests::{
    hdfs::HdfsCluster,
    process,
    s3::S3Server,
    services::{Python, s3a},
};
use serde_json::{Value, json};
use std::{fs, path::Path};

/// A cookie that none has, between those that some have: only a bloom filter can tell.
const BETWEEN: &str = "u17x";

#[test]
fn spark_runs_the_printed_statements_and_prunes_what_a_query_does_not_want() {
    let Some(python) = Python::find() else { return };
    for dialect in ["hive", "spark"] {
        let (traffic, dir) = two_starts();
        let objects = dir.path().join("objects").display().to_string();
        let location = format!("file://{objects}");
        let printed = process::shipper(&[
            "ddl",
            "--dialect",
            dialect,
            "--location",
            &location,
            "--database",
            "ads",
        ]);
        assert_eq!(printed.status.code(), Some(0), "{printed:?}");
        let statements = dir.path().join("tables.sql");
        // Of the other topic there is nothing here, and its table is as good as this one.
        fs::write(&statements, &printed.stdout).expect("a file");
        let statements = statements.display().to_string();
        let arguments = [&statements, "ads", TOPIC, "--location", &objects, "--user", COOKIE];
        let told =
            python.report("query_tables.py", [&arguments[..], &["--absent", BETWEEN]].concat());

        let count = traffic.count();
        assert_eq!(told["rows"], count, "{dialect}: the ledger's count");
        assert_eq!(told["status_sum"], 200 * count, "{dialect}");
        assert_eq!(told["types"], json!(types(spark_type, &["dt", "hour"])), "{dialect}");
        assert_eq!(
            (&told["partitioned_by"], &told["kind"]),
            (&json!(["dt", "hour"]), &json!("EXTERNAL"))
        );
        for field in IMPRESSIONS.fields() {
            assert_eq!(told["comments"][field.name], field.about, "{dialect}");
        }
        check_lookups(&told, count, traffic.with("cookie_id", COOKIE));
        check_hour(&told);
        let (reader, files) = (&told["reader"], &told["files"]);
        println!("{reader}, {dialect}: {count} rows of {files} objects");
        println!(
            "  hour: {}\n  present: {}\n  absent: {}",
            told["hour"], told["present"], told["absent"]
        );
    }
}

#[test]
fn spark_joins_the_objects_of_a_store_with_a_table_in_hdfs() {
    let Some(python) = Python::find() else { return };
    let Some(jars) = s3a() else { return };
    let Some(cluster) = HdfsCluster::start() else { return };
    let Some(server) = S3Server::start() else { return };
    let (traffic, dir) = two_starts();
    let objects = format!("file:{}", dir.path().join("objects").display());
    let credentials = server.credentials().display().to_string();
    let (at_s3, at_hdfs) = (server.url("ads"), cluster.url("ads"));
    let place = ["--endpoint", server.endpoint(), "--credentials", &credentials];
    for line in
        [vec!["sync", &objects, &at_hdfs], [&["sync", &objects, &at_s3], &place[..]].concat()]
    {
        let synced = process::shipper(&line);
        assert_eq!(synced.status.code(), Some(0), "{synced:?}");
    }
    let location = at_s3.replacen("s3:", "s3a:", 1);
    let at_s3 = ["--location", &location, "--s3a-endpoint", server.endpoint(), "--database", "s3"];
    let s3 = statements(&at_s3, &dir.path().join("s3.sql"));
    let at_hdfs = ["--location", &at_hdfs, "--database", "hdfs"];
    let hdfs = statements(&at_hdfs, &dir.path().join("hdfs.sql"));
    let told = python.with_variables(&server.variables()).report(
        "join_tables.py",
        [TOPIC, "--s3", &s3, "--hdfs", &hdfs, "--jars", jars.to_str().expect("text")],
    );
    let count = json!(traffic.count());
    assert_eq!(
        (&told["rows"], &told["distinct"], &told["same"]),
        (&count, &count, &count),
        "{told}"
    );
    // Each side was read where it lies.
    assert_eq!(told["files"], json!({ "s3": ["s3a:"], "hdfs": ["hdfs:"] }));
    println!("{}: {count} rows of S3 joined with those of HDFS", told["reader"]);
}

/// What `shipper ddl` prints of a topic for Spark, in a file.
fn statements(more: &[&str], path: &Path) -> String {
    let line = [&["ddl", "--dialect", "spark", "--topic", TOPIC], more].concat();
    let printed = process::shipper(&line);
    assert_eq!(printed.status.code(), Some(0), "{printed:?}");
    fs::write(path, &printed.stdout).expect("a file");
    path.display().to_string()
}

/// A user that some rows have is found; of one that none has, nothing is read.
fn check_lookups(told: &Value, count: u64, rows: u64) {
    for how in ["usual", "bloom", "nothing"] {
        assert_eq!(told["present"][how]["n"], rows, "{how}: {told}");
        assert_eq!(told["absent"][how]["n"], 0, "{how}: {told}");
        let pushed = told["absent"][how]["pushed_filters"].as_str().expect("text");
        assert!(pushed.contains("EqualTo(cookie_id"), "{how}: {pushed}");
    }
    let read = |of: &str, how: &str| told[of][how]["rows_read"].as_u64().expect("a number");
    assert_eq!(read("absent", "usual"), 0, "{told}");
    assert_eq!(read("absent", "bloom"), 0, "bloom filters alone: {told}");
    assert_eq!(read("absent", "nothing"), count, "without them all is read: {told}");
    assert!(read("present", "bloom") >= rows, "{told}");
}

/// A query of one hour reads the files of that hour, and no other, which would be its end.
fn check_hour(told: &Value) {
    let hour = &told["hour"];
    assert_eq!(told["dropped"], 0);
    assert_eq!(hour["n"], hour["before"], "the hour came back: {told}");
    let filters = hour["partition_filters"].as_str().expect("text");
    assert!(filters.contains("dt#") && filters.contains("hour#"), "{filters}");
    let files = hour["files"].as_u64().expect("a number");
    assert!(files > 0 && files <= told["files"].as_u64().expect("a number"), "{told}");
    let text = |column: &str| hour["pairs"][column].as_str().map(str::len);
    assert_eq!((text("dt"), text("hour")), (Some(10), Some(2)), "{told}");
    let broken = told["broken"].as_str().expect("a query of all hours meets the broken file");
    assert!(broken.contains("none.parquet"), "{broken}");
}
