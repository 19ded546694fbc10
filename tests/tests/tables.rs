//! Tables as a person builds them: rows through a pipe, a table out, and what it holds looked up.

use brink_bench::gen_table::user_id;
use brink_tests::process;
use serde_json::Value;
use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
};

const USERS: u64 = 2000;

/// Makes rows and builds a table of them, through a pipe.
fn build(dir: &Path, format: &str, output: &str) -> Output {
    let users = USERS.to_string();
    let mut rows = Command::new(process::binary("brink-bench", "bench"))
        .args(["gen-table", "--users", &users, "--seed", "9", "--format", format, "--output", "-"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let built = Command::new(process::binary("edge", "edge"))
        .args(["table", "build", "--input", "-", "--output", output, "--json"])
        .current_dir(dir)
        .stdin(rows.stdout.take().unwrap())
        .output()
        .unwrap();
    assert!(rows.wait().unwrap().success());
    built
}

fn inspect(dir: &Path, more: &[&str]) -> (Option<i32>, Value) {
    let arguments = [&["table", "inspect", "--table", "users.table", "--json"], more].concat();
    let output = process::edge(&arguments, dir);
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or_default())
}

#[test]
fn rows_through_a_pipe_become_a_table_that_holds_each_user() {
    let dir = tempfile::tempdir().unwrap();
    let built = build(dir.path(), "ndjson", "users.table");
    let summary: Value = serde_json::from_slice(&built.stdout).unwrap();
    assert_eq!((built.status.code(), &summary["users"]), (Some(0), &Value::from(USERS)));

    let (code, seen) = inspect(dir.path(), &[]);
    assert_eq!((code, &seen["users"], &seen["fault"]), (Some(0), &summary["users"], &Value::Null));
    for index in [0, 1, USERS - 1] {
        let name = format!("xandr:{}", user_id(9, index));
        let (code, seen) = inspect(dir.path(), &["--user", &name]);
        let segments = seen["user"]["segments"].as_array().unwrap();
        assert_eq!((code, &seen["user"]["found"]), (Some(0), &Value::from(true)));
        assert!((1..=16).contains(&segments.len()), "{seen}");
    }
    let absent = format!("xandr:{}", user_id(9, USERS));
    assert_eq!(inspect(dir.path(), &["--user", &absent]).0, Some(1), "who is not there");
    assert_eq!(inspect(dir.path(), &["--user", "xandr"]).0, Some(2), "no id");
}

#[test]
fn a_byte_that_turned_round_is_found_out() {
    let dir = tempfile::tempdir().unwrap();
    assert!(build(dir.path(), "csv", "users.table").status.success());
    let table = dir.path().join("users.table");
    let mut bytes = fs::read(&table).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&table, &bytes).unwrap();
    let (code, seen) = inspect(dir.path(), &[]);
    assert_eq!(
        (code, seen["fault"].as_str()),
        (Some(1), Some("checksum mismatch in the table's buckets"))
    );
    fs::write(&table, &bytes[..last]).unwrap();
    assert_eq!(inspect(dir.path(), &[]).0, Some(10), "not all of it is there");
}

#[test]
fn rows_that_make_no_sense_end_the_build_with_the_place_and_the_code_of_tables() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("rows.csv"), "xandr,1,auto,5,\nxandr,2,auto,dear,\n").unwrap();
    let build = ["table", "build", "--input", "rows.csv", "--output", "users.table"];
    let output = process::edge(&build, dir.path());
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(10), "{text}");
    assert!(text.contains("rows.csv:line 2: price \"dear\"; allowed are"), "{text}");
    assert!(!dir.path().join("users.table").exists());
}
