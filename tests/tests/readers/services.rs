//! The independent readers and the real broker, as `tests/services/` brings them.
//!
//! They come from package registries when they are asked for the first time. Where they cannot be
//! had, a test says so on standard error, past the capture of the test harness, and passes; with
//! `BRINK_REQUIRE_SERVICES=1`, as CI sets it, it fails.

use serde_json::Value;
use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
};

/// What the scripts answer when a service cannot be had here.
const UNAVAILABLE: i32 = 69;

/// BOUND: for one reader, start included.
const READER_SECONDS_MAX: &str = "240";

/// A file of `tests/services/`.
fn service(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("services").join(name)
}

/// Says that a test has not run, where everybody sees it, or fails.
fn is_missing(what: &str) {
    let text = format!(
        "{what} cannot be had here; why is said above by its script.\n  \
         It comes from the package registries that mvn and pip are set up for, by\n  \
         `tests/services/kafka.sh fetch` and `tests/services/python.sh`; after that, no network is needed."
    );
    let required = std::env::var("BRINK_REQUIRE_SERVICES").is_ok_and(|v| v == "1");
    assert!(!required, "{text}");
    let test = std::thread::current().name().unwrap_or("?").to_owned();
    let block = format!("\n  NOT RUN: {test}\n  {text}\n\n");
    // The harness captures what print macros write, and nothing else.
    std::io::stderr().write_all(block.as_bytes()).expect("standard error takes it");
}

/// A Python that has the readers.
pub(crate) struct Python {
    interpreter: String,
}

impl Python {
    /// Installs it, the first time; nothing where it cannot be had.
    pub(crate) fn find() -> Option<Python> {
        let mut command = Command::new(service("python.sh"));
        let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
        let output = output.expect("bash runs");
        if output.status.code() == Some(UNAVAILABLE) {
            is_missing("The readers (Spark, DuckDB, librdkafka, Google's Protobuf)");
            return None;
        }
        assert!(output.status.success(), "tests/services/python.sh failed: {}", output.status);
        let interpreter = String::from_utf8(output.stdout).expect("a path").trim().to_owned();
        Some(Python { interpreter })
    }

    /// Runs a script that reports on its standard output and writes rows to a file; gives both.
    pub(crate) fn read<A: AsRef<OsStr>>(
        &self,
        script: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> (Value, Vec<Value>) {
        let dir = tempfile::tempdir().expect("a folder");
        let rows = dir.path().join("rows");
        let mut command = Command::new("timeout");
        command.args([READER_SECONDS_MAX, self.interpreter.as_str()]).arg(service(script));
        command.args(arguments).arg("--rows").arg(&rows).stdin(Stdio::null());
        let output = command.output().expect("timeout and Python run");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script}: {}\n{errors}", output.status);
        let report = serde_json::from_slice(&output.stdout).expect("the report is JSON");
        let rows = fs::read_to_string(&rows).expect("rows were written");
        let row = |line| serde_json::from_str(line).expect("a row is JSON");
        (report, rows.lines().map(row).collect())
    }
}

/// A real Kafka broker, which ends with this value.
pub(crate) struct Broker {
    child: Child,
    /// The script stops the broker when this is closed, which the kernel does if nobody else does.
    held: Option<ChildStdin>,
    pub(crate) address: SocketAddr,
    pub(crate) version: String,
}

impl Broker {
    /// Starts one; nothing where it cannot be had.
    pub(crate) fn start() -> Option<Broker> {
        let mut command = Command::new(service("kafka.sh"));
        command.arg("run").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("bash runs");
        let held = child.stdin.take();
        let told = BufReader::new(child.stdout.take().expect("piped"));
        let mut facts = BTreeMap::new();
        for line in told.lines().map_while(Result::ok) {
            let (key, value) = line.split_once('=').expect("the script tells facts");
            facts.insert(key.to_owned(), value.to_owned());
            if let (Some(address), Some(version)) = (facts.get("address"), facts.get("version")) {
                let address = address.parse().expect("an address");
                return Some(Broker { child, held, address, version: version.clone() });
            }
        }
        let status = child.wait().expect("a child");
        assert_eq!(status.code(), Some(UNAVAILABLE), "tests/services/kafka.sh failed: {status}");
        is_missing("The Kafka broker");
        None
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        drop(self.held.take());
        let _ = self.child.wait();
    }
}
