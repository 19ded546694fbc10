//! The real `edge` as a process, which can be killed.

use crate::{appliance::eventually, http::Client, status::Status};
use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{
        OnceLock,
        mpsc::{Receiver, RecvTimeoutError, channel},
    },
    thread,
    time::Duration,
};

/// A binary of this workspace, built as the tests were built; or one that lies in the folder that
/// `BRINK_BINARIES` names, so that what is shipped can be tested as it is.
///
/// # Panics
/// When it cannot be built.
#[must_use]
pub fn binary(package: &str, name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let folder = BUILT.get_or_init(|| {
        if let Some(folder) = std::env::var_os("BRINK_BINARIES") {
            return folder.into();
        }
        // Test binaries lie in `deps`, below the folder of the profile.
        let test = std::env::current_exe().expect("a path");
        let folder = test.ancestors().nth(2).expect("target/<profile>/deps").to_owned();
        let mut cargo = Command::new(std::env::var("CARGO").unwrap_or("cargo".into()));
        cargo.args(["build", "--quiet"]);
        for package in ["edge", "brink-shipper", "brink-tuning", "brink-bench"] {
            cargo.args(["-p", package]);
        }
        if folder.ends_with("release") {
            cargo.arg("--release");
        }
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
        let target = folder.parent().expect("target");
        cargo.arg("--target-dir").arg(target).current_dir(workspace);
        assert!(cargo.status().expect("cargo runs").success(), "the binaries can be built");
        folder
    });
    let path = folder.join(name);
    assert!(path.exists(), "{package} has made {}", path.display());
    path
}

/// Runs `edge` to its end.
///
/// # Panics
/// When it cannot be run.
#[must_use]
pub fn edge(arguments: &[&str], dir: &Path) -> Output {
    let mut command = Command::new(binary("edge", "edge"));
    command.args(arguments).current_dir(dir).stdin(Stdio::null());
    command.output().expect("edge runs")
}

/// Runs `shipper` to its end.
///
/// # Panics
/// When it cannot be run.
#[must_use]
pub fn shipper(arguments: &[&str]) -> Output {
    let mut command = Command::new(binary("brink-shipper", "shipper"));
    command.args(arguments).stdin(Stdio::null());
    command.output().expect("shipper runs")
}

/// The process of a service, whose script left its id in a folder; nothing, if there is none.
#[must_use]
pub fn id_in(home: &Path) -> Option<u32> {
    fs::read_to_string(home.join("pid")).ok()?.trim().parse().ok()
}

/// Sends a signal by name to a process; whether there is one.
///
/// # Panics
/// When the signal is unknown.
pub fn signal(id: u32, name: &str) -> bool {
    let signal = match name {
        "TERM" => rustix::process::Signal::TERM,
        "KILL" => rustix::process::Signal::KILL,
        "STOP" => rustix::process::Signal::STOP,
        "CONT" => rustix::process::Signal::CONT,
        other => panic!("unknown signal {other}"),
    };
    let process = i32::try_from(id).ok().and_then(rustix::process::Pid::from_raw);
    process.is_some_and(|process| rustix::process::kill_process(process, signal).is_ok())
}

/// A running `edge serve`.
pub struct Serving {
    child: Child,
    /// Where its listeners listen, in their order.
    pub listeners: Vec<SocketAddr>,
    /// Where operators ask.
    pub admin: SocketAddr,
    /// BOUND: what one test lets it log.
    lines: Receiver<String>,
}

/// Longest that a start or a stop may take.
const PATIENCE: Duration = Duration::from_secs(120);

impl Serving {
    /// Starts it with a configuration that logs JSON, and waits until it is ready.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(config: &Path) -> Serving {
        let mut serving = Serving::launch(config);
        serving.await_ready();
        serving
    }

    /// Starts it and does not wait: it is good for nothing but to be killed.
    ///
    /// # Panics
    /// When there is no process.
    #[must_use]
    pub fn launch(config: &Path) -> Serving {
        Serving::launch_with(config, &[])
    }

    /// Starts it with these variables in its environment, and waits until it is ready.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start_with(config: &Path, variables: &[(&str, &str)]) -> Serving {
        let mut serving = Serving::launch_with(config, variables);
        serving.await_ready();
        serving
    }

    /// Starts it with these variables in its environment, and does not wait.
    ///
    /// # Panics
    /// When there is no process.
    #[must_use]
    pub fn launch_with(config: &Path, variables: &[(&str, &str)]) -> Serving {
        let mut command = Command::new(binary("edge", "edge"));
        command.args(["serve", "--config"]).arg(config).stdin(Stdio::null());
        command.envs(variables.iter().copied());
        let mut child = command.stderr(Stdio::piped()).spawn().expect("edge runs");
        let errors = child.stderr.take().expect("piped");
        let (told, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(errors).lines().map_while(Result::ok) {
                let _ = told.send(line);
            }
        });
        let unknown = ([0, 0, 0, 0], 0).into();
        Serving { child, listeners: Vec::new(), admin: unknown, lines }
    }

    fn await_ready(&mut self) {
        assert!(self.becomes_ready(), "edge ended before it was ready");
    }

    /// Waits until it is ready; `false` when it ends before.
    ///
    /// # Panics
    /// When it takes too long, or says why it does not start.
    #[must_use]
    pub fn becomes_ready(&mut self) -> bool {
        loop {
            let line = match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => line,
                Err(RecvTimeoutError::Disconnected) => return false,
                Err(RecvTimeoutError::Timeout) => panic!("edge does not say that it is ready"),
            };
            let json: serde_json::Value = serde_json::from_str(&line)
                .unwrap_or_else(|_| panic!("edge does not start: {line}"));
            let fields = &json["fields"];
            let address = |key: &str| fields[key].as_str().and_then(|a| a.parse().ok());
            match fields["message"].as_str() {
                Some("listening") => self.listeners.extend(address("address")),
                Some("ready") => {
                    self.admin = address("admin").expect("an address");
                    return true;
                }
                _ => {}
            }
        }
    }

    /// Where its first listener listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.listeners[0]
    }

    /// A connection to its first listener.
    #[must_use]
    pub fn connect(&self) -> Client {
        Client::connect(self.address())
    }

    /// What `/status` says.
    ///
    /// # Panics
    /// When it says nothing.
    #[must_use]
    pub fn status(&self) -> Status {
        let answer = Client::connect(self.admin).get("/status");
        assert_eq!(answer.status, 200);
        Status::parse(&answer.body)
    }

    /// A number of `/metrics`, by its name and labels.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn metric(&self, series: &str) -> u64 {
        let page = Client::connect(self.admin).get("/metrics").body;
        let page = String::from_utf8(page).expect("a text");
        let of_series = |line: &str| Some(line.strip_prefix(series)?.strip_prefix(' ')?.to_owned());
        let found = page.lines().find_map(of_series);
        found.unwrap_or_else(|| panic!("no {series} in {page}")).parse().expect("a number")
    }

    /// Its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by name.
    ///
    /// # Panics
    /// When it cannot be sent.
    pub fn signal(&self, name: &str) {
        assert!(signal(self.child.id(), name), "the process lives");
    }

    /// Has it stand still, and waits until its shards do: on a busy machine a thread may go on for
    /// some milliseconds after the signal was sent.
    ///
    /// # Panics
    /// When they do not.
    pub fn freeze(&self) {
        self.signal("STOP");
        let tasks = format!("/proc/{}/task", self.child.id());
        eventually("its shards stand still", || {
            let tasks = fs::read_dir(&tasks).expect("the process lives");
            let stats =
                tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("stat")).ok());
            stats.filter(|stat| stat.contains("(shard-")).all(|stat| stat.contains(") T "))
        });
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it does not end.
    #[must_use]
    pub fn wait(&mut self) -> ExitStatus {
        let until = std::time::Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return status;
            }
            assert!(std::time::Instant::now() < until, "edge does not end");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Stops it in order.
    #[must_use]
    pub fn stop(mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    /// Kills it.
    pub fn kill(mut self) {
        self.signal("KILL");
        let _ = self.wait();
    }

    /// Waits for its end, and for the last line of its log. What it logged since it was ready.
    #[must_use]
    pub fn wait_with_log(mut self) -> (ExitStatus, Vec<String>) {
        let status = self.wait();
        (status, self.lines.iter().collect())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
