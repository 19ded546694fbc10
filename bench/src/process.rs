//! Servers as processes: started on chosen cores, awaited, and ended again, whatever happens.

use crate::{cores::pin, server};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs, io,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

/// A server that was started by us. Is killed when it is dropped.
#[derive(Debug)]
pub struct Serving {
    child: Child,
    ended: bool,
}

/// How to start a server.
#[derive(Debug)]
pub struct Launch<'a> {
    /// Its program and arguments.
    pub command: Command,
    /// The cores that it may use; all of ours, if there are none.
    pub cores: &'a [usize],
    /// Where it is going to listen.
    pub address: SocketAddr,
    /// A request that it answers rightly once it is ready.
    pub request: &'a [u8],
    /// Where it may write its log to.
    pub log: &'a Path,
}

/// Why a server does not run.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// Somebody listens already, and would be measured in its place.
    #[error("{address} is taken: somebody answers there before the server is started")]
    Taken {
        /// Where.
        address: SocketAddr,
    },
    /// It cannot be started.
    #[error("{program} cannot be started: {source}")]
    Start {
        /// What.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// It has ended before it was ready.
    #[error("{program} has ended with {status} before it answered; it said: {said}")]
    Ended {
        /// What.
        program: String,
        /// How.
        status: ExitStatus,
        /// The end of its log.
        said: String,
    },
    /// It does not answer.
    #[error("{program} does not answer on {address} within {} s; it said: {said}", READY.as_secs())]
    Mute {
        /// What.
        program: String,
        /// Where.
        address: SocketAddr,
        /// The end of its log.
        said: String,
    },
    /// It does not end when it is asked to.
    #[error("the server did not end within {} s of SIGTERM and was killed", STOP.as_secs())]
    Stubborn,
}

/// How long a server may take to be ready.
const READY: Duration = Duration::from_secs(20);

/// How long it may take to end: an appliance delivers what it holds.
const STOP: Duration = Duration::from_secs(30);

/// How long an address may still be taken: the kernel closes what an io_uring holds some time
/// after its process has ended.
const FREE: Duration = Duration::from_secs(5);

/// How long to wait until looking again for what has no event to wait for.
const AGAIN: Duration = Duration::from_millis(20);

/// Of what a server said, so much is passed on.
const SAID_BYTES: usize = 600;

impl Serving {
    /// Starts a server and waits until it answers.
    ///
    /// # Errors
    /// [`ProcessError`] when it does not.
    pub fn start(launch: Launch<'_>) -> Result<Serving, ProcessError> {
        let Launch { mut command, cores, address, request, log } = launch;
        let program = command.get_program().to_string_lossy().into_owned();
        let failed = |source| ProcessError::Start { program: program.clone(), source };
        let begun = Instant::now();
        while TcpStream::connect(address).is_ok() {
            if begun.elapsed() > FREE {
                return Err(ProcessError::Taken { address });
            }
            thread::sleep(AGAIN);
        }
        let out = fs::File::create(log).map_err(failed)?;
        command.stdin(Stdio::null()).stdout(out.try_clone().map_err(failed)?).stderr(out);
        let child = spawn_on(cores, &mut command).map_err(failed)?;
        let mut serving = Serving { child, ended: false };
        let begun = Instant::now();
        while !answers(address, request) {
            if let Some(status) = serving.child.try_wait().map_err(failed)? {
                serving.ended = true;
                return Err(ProcessError::Ended { program, status, said: said(log) });
            }
            if begun.elapsed() > READY {
                return Err(ProcessError::Mute { program, address, said: said(log) });
            }
            thread::sleep(AGAIN);
        }
        Ok(serving)
    }

    /// The process and all that it has forked.
    #[must_use]
    pub fn processes(&self) -> Vec<u32> {
        server::family(self.child.id())
    }

    /// Ends it as an operator would.
    ///
    /// # Errors
    /// [`ProcessError::Stubborn`] when it has to be killed.
    pub fn stop(mut self) -> Result<(), ProcessError> {
        if let Some(pid) = Pid::from_raw(self.child.id().cast_signed()) {
            // One that has ended already needs no signal.
            let _ = kill_process(pid, Signal::TERM);
        }
        let begun = Instant::now();
        while begun.elapsed() < STOP {
            if !matches!(self.child.try_wait(), Ok(None)) {
                self.ended = true;
                return Ok(());
            }
            thread::sleep(AGAIN);
        }
        Err(ProcessError::Stubborn)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if !self.ended {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// A child runs where the thread runs that forks it; so that is a thread of its own.
fn spawn_on(cores: &[usize], command: &mut Command) -> io::Result<Child> {
    if cores.is_empty() {
        return command.spawn();
    }
    let spawn = || {
        pin(cores)?;
        command.spawn()
    };
    let died = |_| Err(io::Error::other("the thread that starts it has panicked"));
    thread::scope(|scope| scope.spawn(spawn).join().unwrap_or_else(died))
}

/// Whether a request is answered with a status of success.
fn answers(address: SocketAddr, request: &[u8]) -> bool {
    let ask = || -> io::Result<bool> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(request)?;
        let mut status = [0; 10];
        stream.read_exact(&mut status)?;
        Ok(&status == b"HTTP/1.1 2")
    };
    ask().unwrap_or(false)
}

/// The end of a log.
fn said(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let end = text.len().saturating_sub(SAID_BYTES);
    let text = String::from_utf8_lossy(&text[end..]).trim().to_owned();
    if text.is_empty() { "nothing".to_owned() } else { text }
}

/// A program of ours that was built beside this one, or one of the system's.
#[must_use]
pub fn program(name: &str) -> Option<PathBuf> {
    let own = std::env::current_exe().ok();
    let beside = own.as_deref().and_then(Path::parent).map(Path::to_owned);
    // Tests live one folder below what they test.
    let above = beside.as_deref().and_then(Path::parent).map(Path::to_owned);
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Daemons lie where only root looks for them.
    let system = ["/usr/sbin", "/usr/local/sbin", "/sbin"].map(PathBuf::from);
    let folders = beside.into_iter().chain(above);
    let mut folders = folders.chain(std::env::split_paths(&path)).chain(system);
    folders.find_map(|folder| Some(folder.join(name)).filter(|path| path.is_file()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cores;
    use crate::responder::Null;
    use std::net::TcpListener;

    const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    /// A server in one line of Python: it answers, and says on which cores it may run.
    const SERVER: &str = "import os, sys, http.server as h\n\
        class A(h.BaseHTTPRequestHandler):\n    protocol_version = 'HTTP/1.1'\n\
        \x20   def do_GET(self):\n        self.send_response(204); self.end_headers()\n\
        print(sorted(os.sched_getaffinity(0)), flush=True)\n\
        h.HTTPServer(('127.0.0.1', int(sys.argv[1])), A).serve_forever()\n";

    fn free_address() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
    }

    fn launch<'a>(command: Command, address: SocketAddr, log: &'a Path) -> Launch<'a> {
        Launch { command, cores: &[], address, request: GET, log }
    }

    #[test]
    fn a_server_runs_on_its_cores_until_it_is_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let address = free_address();
        let mut command = Command::new("python3");
        command.args(["-c", SERVER, &address.port().to_string()]);
        let allowed = cores::allowed().unwrap();
        let core = *allowed.last().unwrap();
        let launch = Launch { cores: &[core], ..launch(command, address, &log) };
        let serving = Serving::start(launch).unwrap();
        assert_eq!(fs::read_to_string(&log).unwrap().lines().next(), Some(&*format!("[{core}]")));
        assert!(server::Usage::read(&serving.processes()).is_ok());
        serving.stop().unwrap();
        assert!(!answers(address, GET));
        // The thread that asked for it may still go wherever it could before.
        assert_eq!(cores::allowed().unwrap(), allowed);
    }

    #[test]
    fn a_server_that_does_not_run_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut command = Command::new("sh");
        command.args(["-c", "echo no such port >&2; exit 3"]);
        let error = Serving::start(launch(command, free_address(), &log)).unwrap_err().to_string();
        assert!(error.contains("exit status: 3") && error.contains("no such port"), "{error}");
        let missing = Command::new("there-is-no-such-program");
        let error = Serving::start(launch(missing, free_address(), &log)).unwrap_err();
        assert!(matches!(error, ProcessError::Start { .. }), "{error}");
        let null = Null::start(None).unwrap();
        let taken = launch(Command::new("true"), null.address(), &log);
        let error = Serving::start(taken).unwrap_err();
        assert!(matches!(error, ProcessError::Taken { .. }), "{error}");
    }

    #[test]
    fn programs_are_found_where_they_are() {
        assert!(program("sh").is_some_and(|path| path.is_absolute()));
        assert_eq!(program("there-is-no-such-program"), None);
    }
}
