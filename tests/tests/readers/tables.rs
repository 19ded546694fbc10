//! The statements that `shipper ddl` prints, run by Spark SQL with Hive support: what its tables
//! hold, and what a query of them touches.

use crate::{COOKIE, TOPIC, spark_type, two_starts, types};
use brink_proto::schema::IMPRESSIONS;
use brink_tests::{process, services::Python};
use serde_json::{Value, json};
use std::fs;

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
