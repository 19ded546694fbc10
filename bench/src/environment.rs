//! Where a run was made: everything about the machine that a latency may depend on.
//!
//! What a machine does not have (a governor, in most guests) is none, not an empty text. Nothing
//! here fails: a run on a strange machine is still a run.

use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    process::{Command, Stdio},
    time::Duration,
};

/// The machine, what was measured on it, and with what.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Environment {
    /// The kernel's release.
    pub kernel: String,
    /// The processor's model.
    pub cpu: String,
    /// Logical cores that are online.
    pub cores: usize,
    /// Whether the machine is a guest.
    pub guest: bool,
    /// Memory.
    pub memory_mib: u64,
    /// Frequency governors of the cores; a guest has none.
    pub governor: Option<String>,
    /// How long the guest's haltpoll driver polls before it halts; 0 when no such driver is in use.
    pub guest_halt_poll_ns: Option<u64>,
    /// The clock that the kernel reads.
    pub clocksource: Option<String>,
    /// TCP's congestion control.
    pub congestion_control: Option<String>,
    /// The queueing discipline of new devices.
    pub qdisc: Option<String>,
    /// The loopback device's.
    pub loopback_mtu: Option<u32>,
    /// Transparent huge pages.
    pub huge_pages: Option<String>,
    /// How the kernel works around the processor's faults; those that it does not have are absent.
    pub mitigations: BTreeMap<String, String>,
    /// Tasks that ran or waited for a core during the minute before.
    pub load: f64,
    /// The sources that this was built from, if they are still there.
    pub commit: Option<Commit>,
    /// This program: its version, and whether the compiler optimised it.
    pub bench: String,
    /// The server, if it told.
    pub server: Option<Server>,
}

/// A state of the sources.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// Its hash.
    pub hash: String,
    /// Whether files differed from it.
    pub dirty: bool,
}

/// What an appliance says of itself on `/status`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// Its version.
    pub version: String,
    /// The droplet profile that it runs with.
    pub profile: String,
    /// The hash of its configuration.
    pub config: String,
}

/// Why a server did not tell what it is.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// It could not be asked.
    #[error("{address} does not answer GET /status: {source}; is that the admin listener?")]
    Unreachable {
        /// Whom.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// It answered something else.
    #[error("what {address} answers to GET /status is not the status of an appliance")]
    Strange {
        /// Who.
        address: SocketAddr,
    },
}

/// How long a server may take for each step of telling its status.
const STATUS_TIMEOUT: Duration = Duration::from_secs(2);

/// BOUND: no status is longer.
const STATUS_BYTES_MAX: u64 = 1 << 20;

impl Environment {
    /// Looks at the machine that this runs on.
    #[must_use]
    pub fn look() -> Environment {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        Environment {
            kernel: read("/proc/sys/kernel/osrelease").unwrap_or_default(),
            cpu: cpu_model(&cpuinfo),
            cores: cpuinfo.lines().filter(|line| line.starts_with("processor")).count(),
            guest: is_guest(&cpuinfo),
            memory_mib: memory_mib(&read("/proc/meminfo").unwrap_or_default()),
            governor: governors(),
            guest_halt_poll_ns: halt_poll_ns(),
            clocksource: read("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
            congestion_control: read("/proc/sys/net/ipv4/tcp_congestion_control"),
            qdisc: read("/proc/sys/net/core/default_qdisc"),
            loopback_mtu: read("/sys/class/net/lo/mtu").and_then(|text| text.parse().ok()),
            huge_pages: read("/sys/kernel/mm/transparent_hugepage/enabled").map(|t| chosen(&t)),
            mitigations: mitigations(),
            load: load(&read("/proc/loadavg").unwrap_or_default()),
            commit: commit(),
            bench: bench(),
            server: None,
        }
    }

    /// Asks an appliance's admin listener what it is.
    ///
    /// # Errors
    /// [`StatusError`] when nobody answers there, or somebody else does.
    pub fn ask(&mut self, address: SocketAddr) -> Result<(), StatusError> {
        let answer =
            status(address).map_err(|source| StatusError::Unreachable { address, source })?;
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body);
        let server = body.and_then(|body| serde_json::from_str(body).ok());
        self.server = Some(server.ok_or(StatusError::Strange { address })?);
        Ok(())
    }

    /// Everything, as names and texts in the order in which a person wants to read them.
    #[must_use]
    pub fn rows(&self) -> Vec<(String, String)> {
        let absent = || "none".to_owned();
        let text = |value: &Option<String>| value.clone().unwrap_or_else(absent);
        let number = |value: Option<String>, unit: &str| {
            value.map_or_else(absent, |value| format!("{value}{unit}"))
        };
        let kind = if self.guest { "guest" } else { "no guest" };
        let mut rows = vec![
            ("kernel", self.kernel.clone()),
            ("processor", format!("{}, {} cores, {kind}", self.cpu, self.cores)),
            ("memory", format!("{} MiB", self.memory_mib)),
            ("governor", text(&self.governor)),
            ("guest halt poll", number(self.guest_halt_poll_ns.map(|n| n.to_string()), " ns")),
            ("clock source", text(&self.clocksource)),
            ("congestion control", text(&self.congestion_control)),
            ("queueing discipline", text(&self.qdisc)),
            ("loopback MTU", number(self.loopback_mtu.map(|n| n.to_string()), " bytes")),
            ("huge pages", text(&self.huge_pages)),
            ("load before", format!("{:.2}", self.load)),
            ("bench", self.bench.clone()),
        ];
        if let Some(commit) = &self.commit {
            let state = if commit.dirty { ", with changes" } else { "" };
            rows.push(("commit", format!("{}{state}", commit.hash)));
        }
        if let Some(server) = &self.server {
            rows.push(("server", server.version.clone()));
            rows.push(("profile", server.profile.clone()));
            rows.push(("configuration", server.config.clone()));
        }
        let named = rows.into_iter().map(|(name, value)| (name.to_owned(), value));
        named.chain(self.mitigations.clone()).collect()
    }
}

/// The text of a small file of the kernel's.
fn read(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// The value of the first line `name : value` of `/proc/cpuinfo`.
fn cpu_field<'a>(cpuinfo: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = cpuinfo.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim())
}

fn cpu_model(cpuinfo: &str) -> String {
    let model = cpu_field(cpuinfo, "model name");
    // Arm's have no name there, only the number of the implementer's part.
    let part = || cpu_field(cpuinfo, "CPU part").map(|part| format!("part {part}"));
    model.map(str::to_owned).or_else(part).unwrap_or_else(|| "unknown".to_owned())
}

fn is_guest(cpuinfo: &str) -> bool {
    let flags = cpu_field(cpuinfo, "flags").unwrap_or_default();
    flags.split_whitespace().any(|flag| flag == "hypervisor")
}

fn memory_mib(meminfo: &str) -> u64 {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) / 1024
}

/// Cores may differ, so all names are said.
fn governors() -> Option<String> {
    let cores = fs::read_dir("/sys/devices/system/cpu").ok()?;
    let path = |core: fs::DirEntry| core.path().join("cpufreq/scaling_governor");
    let texts = cores.flatten().filter_map(|core| fs::read_to_string(path(core)).ok());
    let names: BTreeSet<String> = texts.map(|text| text.trim().to_owned()).collect();
    Some(names.into_iter().collect::<Vec<_>>().join(", ")).filter(|names| !names.is_empty())
}

/// The parameter stands there even when another driver, or none, looks after idle cores.
fn halt_poll_ns() -> Option<u64> {
    let parameter = read("/sys/module/haltpoll/parameters/guest_halt_poll_ns")?.parse().ok()?;
    let driver = read("/sys/devices/system/cpu/cpuidle/current_driver");
    Some(if driver.is_some_and(|name| name.contains("haltpoll")) { parameter } else { 0 })
}

/// The word in brackets of a list of choices.
fn chosen(choices: &str) -> String {
    let word = choices.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    word.map_or(choices, |(word, _)| word).to_owned()
}

fn mitigations() -> BTreeMap<String, String> {
    let folder = fs::read_dir("/sys/devices/system/cpu/vulnerabilities");
    let files = folder.into_iter().flatten().flatten();
    let each = files.filter_map(|file| {
        let text = fs::read_to_string(file.path()).ok()?;
        let name = file.file_name().into_string().ok()?;
        Some((name, text.trim().to_owned())).filter(|(_, text)| text != "Not affected")
    });
    each.collect()
}

fn load(loadavg: &str) -> f64 {
    loadavg.split_whitespace().next().and_then(|text| text.parse().ok()).unwrap_or(0.0)
}

fn bench() -> String {
    let build = if cfg!(debug_assertions) { "debug build, too slow to measure" } else { "release" };
    format!("{} ({build})", env!("CARGO_PKG_VERSION"))
}

fn commit() -> Option<Commit> {
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.arg("-C").arg(env!("CARGO_MANIFEST_DIR")).args(arguments);
        let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
        let text = output.status.success().then_some(output.stdout)?;
        String::from_utf8(text).ok()
    };
    let hash = git(&["rev-parse", "HEAD"])?.trim().to_owned();
    // Files that nobody added do not count: they are as often results as sources.
    let changes = git(&["status", "--porcelain", "--untracked-files=no"])?;
    Some(Commit { hash, dirty: !changes.trim().is_empty() })
}

fn status(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, STATUS_TIMEOUT)?;
    stream.set_read_timeout(Some(STATUS_TIMEOUT))?;
    stream.set_write_timeout(Some(STATUS_TIMEOUT))?;
    let request = format!("GET /status HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.take(STATUS_BYTES_MAX).read_to_string(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io::BufRead, io::BufReader, net::TcpListener, thread};

    /// Asks a server that answers once with these bytes.
    fn asked(answer: &'static str) -> Result<Option<Server>, StatusError> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(&stream).lines();
            while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
            (&stream).write_all(answer.as_bytes()).unwrap();
        });
        let mut environment = Environment::default();
        let result = environment.ask(address);
        server.join().unwrap();
        result.map(|()| environment.server)
    }

    #[test]
    fn this_machine_is_described() {
        let environment = Environment::look();
        assert!(environment.kernel.contains('.'), "{environment:?}");
        assert!(environment.cores > 0 && environment.memory_mib > 0, "{environment:?}");
        assert!(environment.loopback_mtu.is_some_and(|mtu| mtu >= 1500), "{environment:?}");
        let text = serde_json::to_string(&environment).unwrap();
        assert_eq!(serde_json::from_str::<Environment>(&text).unwrap(), environment);
        assert!(environment.rows().iter().all(|(_, value)| !value.is_empty()));
    }

    #[test]
    fn a_processor_is_named_on_either_architecture() {
        let x86 = "processor\t: 0\nmodel name\t: A B\nflags\t\t: fpu hypervisor\n\
                   processor\t: 1\nmodel name\t: C\n";
        assert_eq!((cpu_model(x86).as_str(), is_guest(x86)), ("A B", true));
        let arm = "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n";
        assert_eq!((cpu_model(arm).as_str(), is_guest(arm)), ("part 0xd0c", false));
        assert_eq!(chosen("always [madvise] never"), "madvise");
        assert_eq!((memory_mib("MemTotal:  2048 kB\n"), load("1.5 2 3 1/2 3")), (2, 1.5));
    }

    #[test]
    fn an_appliance_tells_what_it_is() {
        let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n\
                      {\"edge\":\"a\",\"version\":\"1\",\"profile\":\"p\",\"config\":\"c\"}";
        let server = asked(answer).unwrap().unwrap();
        let told = (server.version.as_str(), server.profile.as_str(), server.config.as_str());
        assert_eq!(told, ("1", "p", "c"));
        for strange in ["", "HTTP/1.1 404 Not Found\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n{}"] {
            let error = asked(strange).unwrap_err();
            assert!(matches!(error, StatusError::Strange { .. }), "{error}");
        }
    }
}
