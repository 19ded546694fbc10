//! Real services, as the scripts of `tests/services/` bring them.
//!
//! They come from package registries when they are asked for the first time; after that, no network
//! is needed. Where they cannot be had, a test says so on standard error, past the capture of the
//! test harness, and passes; with `BRINK_REQUIRE_SERVICES=1`, as CI sets it, it fails.

use crate::{appliance::eventually, process, proxy::Proxy};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    io::{self, BufRead, BufReader, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
};

/// What the scripts answer when a service cannot be had here.
const UNAVAILABLE: i32 = 69;

/// A file of `tests/services/`.
pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("services").join(name)
}

/// Says that a test has not run, where everybody sees it, or fails.
fn is_missing(what: &str, from: &str) {
    let text = format!(
        "{what} cannot be had here; why is said above by its script.\n  \
         It comes from the package registry that is set up for {from}; after that, no network is \
         needed."
    );
    let required = std::env::var("BRINK_REQUIRE_SERVICES").is_ok_and(|v| v == "1");
    assert!(!required, "{text}");
    let test = std::thread::current().name().unwrap_or("?").to_owned();
    let block = format!("\n  NOT RUN: {test}\n  {text}\n\n");
    // The harness captures what print macros write, and nothing else.
    io::stderr().write_all(block.as_bytes()).expect("standard error takes it");
}

/// BOUND: for one reader, start included: what a thousand kills leave takes some minutes.
const READER_SECONDS_MAX: &str = "900";

/// The folder of what Spark reads S3 with; nothing where it cannot be had.
///
/// # Panics
/// When it can be had and does not come, or services are required.
#[must_use]
pub fn s3a() -> Option<PathBuf> {
    jars("s3a.sh", "What Spark reads S3 with")
}

/// The folder of what the Spark of [`Python::find_protobuf`] reads Kafka and Protobuf with; nothing
/// where it cannot be had.
///
/// # Panics
/// As [`s3a`].
#[must_use]
pub fn spark_protobuf() -> Option<PathBuf> {
    jars("protobuf.sh", "What Spark reads Protobuf with")
}

/// The folder of the jars that a script collects.
fn jars(name: &str, what: &str) -> Option<PathBuf> {
    path_of(name, &[], what, "Maven").map(PathBuf::from)
}

/// The path that a script prints once it has brought something `from` there.
fn path_of(name: &str, arguments: &[&str], what: &str, from: &str) -> Option<String> {
    let mut command = Command::new(script(name));
    command.args(arguments).stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = command.output().expect("bash runs");
    if output.status.code() == Some(UNAVAILABLE) {
        is_missing(what, &format!("{from}, by `tests/services/{name}`"));
        return None;
    }
    assert!(output.status.success(), "tests/services/{name} failed: {}", output.status);
    Some(String::from_utf8(output.stdout).expect("a path").trim().to_owned())
}

/// A Python that has the readers.
pub struct Python {
    interpreter: String,
    variables: Vec<(String, String)>,
}

impl Python {
    /// Installs it, the first time; nothing where it cannot be had.
    ///
    /// # Panics
    /// When it can be had and does not work, or services are required.
    #[must_use]
    pub fn find() -> Option<Python> {
        Python::with(&[], "The readers (Spark, DuckDB, librdkafka, Google's Protobuf)")
    }

    /// One that has the Spark which decodes Protobuf, an older one, and nothing else.
    ///
    /// # Panics
    /// As [`Python::find`].
    #[must_use]
    pub fn find_protobuf() -> Option<Python> {
        Python::with(&["protobuf"], "The Spark that decodes Protobuf")
    }

    fn with(requirements: &[&str], what: &str) -> Option<Python> {
        let interpreter = path_of("python.sh", requirements, what, "pip")?;
        Some(Python { interpreter, variables: Vec::new() })
    }

    /// The same with variables in its environment.
    #[must_use]
    pub fn with_variables(mut self, variables: &[(&str, &str)]) -> Python {
        let text = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        self.variables.extend(variables.iter().map(text));
        self
    }

    /// Runs a script that reports on its standard output.
    ///
    /// # Panics
    /// When the script fails.
    pub fn report<A: AsRef<OsStr>>(
        &self,
        name: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> Value {
        let mut command = Command::new("timeout");
        command.args([READER_SECONDS_MAX, self.interpreter.as_str()]).arg(script(name));
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        let output = command.args(arguments).stdin(Stdio::null()).output();
        let output = output.expect("timeout and Python run");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {}\n{errors}", output.status);
        serde_json::from_slice(&output.stdout).expect("the report is JSON")
    }

    /// Runs a script that also writes rows to a file; gives both.
    ///
    /// # Panics
    /// As [`Python::report`].
    pub fn read<A: AsRef<OsStr>>(
        &self,
        name: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> (Value, Vec<Value>) {
        let mut rows = Vec::new();
        (self.read_each(name, arguments, |row| rows.push(row)), rows)
    }

    /// The same, one row at a time: there may be more than memory is for.
    ///
    /// # Panics
    /// As [`Python::report`].
    pub fn read_each<A: AsRef<OsStr>>(
        &self,
        name: &str,
        arguments: impl IntoIterator<Item = A>,
        take: impl FnMut(Value),
    ) -> Value {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("rows");
        let arguments = arguments.into_iter().map(|argument| argument.as_ref().to_owned());
        let with_rows = arguments.chain(["--rows".into(), path.as_os_str().to_owned()]);
        let report = self.report(name, with_rows);
        let rows = BufReader::new(fs::File::open(&path).expect("rows were written"));
        let row = |line: io::Result<String>| {
            serde_json::from_str(&line.expect("a text")).expect("a row is JSON")
        };
        rows.lines().map(row).for_each(take);
        report
    }
}

/// A service that a script runs, and that ends with this value.
pub(crate) struct Service {
    child: Child,
    /// The script stops the service when this is closed, which the kernel does if nobody else does.
    held: Option<ChildStdin>,
    /// What the script has told of it.
    pub(crate) facts: BTreeMap<String, String>,
}

impl Service {
    /// Starts `what` by a script, with variables; nothing where it cannot be had. It comes `from`
    /// there.
    pub(crate) fn start(
        name: &str,
        variables: &[(&str, String)],
        what: &str,
        from: &str,
    ) -> Option<Service> {
        let mut command = Command::new(script(name));
        command.envs(variables.iter().map(|(key, value)| (key, value)));
        command.arg("run").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("bash runs");
        let held = child.stdin.take();
        let told = BufReader::new(child.stdout.take().expect("piped"));
        let mut facts = BTreeMap::new();
        for line in told.lines().map_while(Result::ok) {
            let (key, value) = line.split_once('=').expect("the script tells facts");
            facts.insert(key.to_owned(), value.to_owned());
            // The version is told last.
            if key == "version" {
                return Some(Service { child, held, facts });
            }
        }
        let status = child.wait().expect("a child");
        assert_eq!(status.code(), Some(UNAVAILABLE), "tests/services/{name} failed: {status}");
        is_missing(what, from);
        None
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.held.take());
        let _ = self.child.wait();
    }
}

/// A real Kafka broker, which ends with this value.
pub struct Broker {
    /// Ends it when this is dropped.
    _service: Service,
    /// Where it takes clients in the clear.
    pub address: SocketAddr,
    /// Where it takes them with TLS and a user: [`Broker::USER`] with [`Broker::PASSWORD`].
    pub secure: SocketAddr,
    /// The certificate that vouches for it there.
    pub ca_file: PathBuf,
    /// Its version.
    pub version: String,
    /// What it keeps.
    pub home: PathBuf,
}

impl Broker {
    /// Whom it knows.
    pub const USER: &'static str = "edge";
    /// The user's password.
    pub const PASSWORD: &'static str = "sesame";

    /// Starts one; nothing where it cannot be had.
    ///
    /// # Panics
    /// When it can be had and does not start, or services are required.
    #[must_use]
    pub fn start() -> Option<Broker> {
        Broker::start_with(&[])
    }

    /// Starts one that sends its clients to a proxy, with further variables of the script.
    ///
    /// # Panics
    /// As [`Broker::start`].
    #[must_use]
    pub fn start_behind(proxy: SocketAddr, variables: &[(&str, String)]) -> Option<Broker> {
        let advertised = ("BRINK_KAFKA_ADVERTISED", proxy.to_string());
        Broker::start_with(&[variables, &[advertised]].concat())
    }

    /// Starts one that is reached through a proxy alone, to which it sends its clients, with
    /// further variables of the script.
    ///
    /// # Panics
    /// As [`Broker::start`].
    #[must_use]
    pub fn start_proxied(variables: &[(&str, String)]) -> Option<(Proxy, Broker)> {
        let proxy = Proxy::start();
        let broker = Broker::start_behind(proxy.address, variables)?;
        proxy.send_to(Some(broker.address));
        Some((proxy, broker))
    }

    /// Starts one with variables of the script.
    ///
    /// # Panics
    /// As [`Broker::start`].
    #[must_use]
    pub fn start_with(variables: &[(&str, String)]) -> Option<Broker> {
        let from = "Maven, by `tests/services/kafka.sh fetch`";
        let service = Service::start("kafka.sh", variables, "The Kafka broker", from)?;
        let fact = |key: &str| service.facts[key].clone();
        let address = |key: &str| fact(key).parse().expect("an address");
        Some(Broker {
            address: address("address"),
            secure: address("secure"),
            ca_file: fact("ca_file").into(),
            version: fact("version"),
            home: Path::new(&fact("dir")).join("1"),
            _service: service,
        })
    }

    /// What Apache's own consumer sees of a topic, decoded with a descriptor set.
    ///
    /// # Panics
    /// When it sees nothing.
    #[must_use]
    pub fn read(&self, topic: &str, descriptors: &Path, message: &str) -> Value {
        let mut command = Command::new(script("kafka.sh"));
        command.args(["read", &self.address.to_string(), topic]).arg(descriptors).arg(message);
        let output = command.stdin(Stdio::null()).output().expect("bash runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "the Java consumer: {}\n{errors}", output.status);
        serde_json::from_slice(&output.stdout).expect("the report is JSON")
    }

    /// Stops its process in its tracks, or lets it go on.
    ///
    /// # Panics
    /// When there is no such process.
    pub fn freeze(&self, frozen: bool) {
        signal_broker(&self.home, if frozen { "STOP" } else { "CONT" });
    }

    /// Kills it, and waits until it is gone.
    ///
    /// # Panics
    /// When it does not run.
    pub fn kill(&self) {
        let id = signal_broker(&self.home, "KILL");
        // One whose parent has not asked for it yet has no command line any more.
        let line = format!("/proc/{id}/cmdline");
        eventually("it is gone", || fs::read(&line).unwrap_or_default().is_empty());
    }

    /// Starts it again, where it was, with what it has.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_again(&self) {
        start_broker_again(&self.home);
    }
}

/// Sends a signal by name to the broker of a folder; its process.
pub(crate) fn signal_broker(home: &Path, name: &str) -> u32 {
    let id = process::id_in(home).expect("its id");
    assert!(process::signal(id, name), "the broker lives");
    id
}

/// Starts the broker of a folder again, and waits until it takes part.
pub(crate) fn start_broker_again(home: &Path) {
    let mut command = Command::new(script("kafka.sh"));
    command.arg("again").arg(home).stdin(Stdio::null());
    let status = command.status().expect("bash runs");
    assert!(status.success(), "the broker of {} does not start: {status}", home.display());
}
