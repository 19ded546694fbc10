//! A real appliance in this process: real sockets, real io_uring, a folder of its own.

use crate::http::Client;
use brink_shipper::objects::readback::{self, AuditRow};
use brink_tuning::host::Host;
use edge::{
    appliance::{Appliance, Board, Ended, StartOptions},
    config::resolve_text,
    roles::Roles,
};
use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};
use tempfile::TempDir;

/// A running appliance, and the folder that goes with it.
pub struct Running {
    appliance: Option<Appliance>,
    /// Its folder: `spool` and `objects` are in it.
    pub dir: TempDir,
}

/// Sections that a test adds to the usual configuration.
#[derive(Debug, Clone, Default)]
pub struct Extra<'a> {
    /// Keys of the one listener.
    pub listener: &'a str,
    /// Further sections.
    pub sections: &'a str,
    /// The listener's role, if it is not the pixel.
    pub role: Option<&'a str>,
    /// The listener's address, if it is not 127.0.0.1.
    pub address: Option<&'a str>,
}

/// A configuration on ports of the kernel's choice, with small bounds, below a folder.
#[must_use]
pub fn configuration(dir: &Path, extra: &Extra<'_>) -> String {
    let role = extra.role.unwrap_or("pixel");
    let address = extra.address.unwrap_or("127.0.0.1:0");
    let allow = if extra.listener.contains("allow =") { "" } else { "allow = \"any\"" };
    let dir = dir.display();
    format!(
        r#"
[edge]
name = "test"
profile = "s-1vcpu-1gb"

[[listener]]
name = "first"
role = "{role}"
address = "{address}"
{allow}
{listener}

[admin]
address = "127.0.0.1:0"

[spool]
path = "{dir}/spool"
segment_bytes = 4194304
quota_bytes = 67108864

[objects]
url = "file:{dir}/objects"
age_max_ms = 60000

[drain]
grace_ms = 0
deliver_ms = 20000

{sections}
"#,
        listener = extra.listener,
        sections = extra.sections,
    )
}

/// Starts an appliance with the usual roles.
#[must_use]
pub fn start(extra: &Extra<'_>) -> Running {
    start_in(tempfile::tempdir().expect("a folder"), &Roles::standard(), extra)
}

/// Starts an appliance in a folder, with these roles.
///
/// # Panics
/// When it does not start.
#[must_use]
pub fn start_in(dir: TempDir, roles: &Roles, extra: &Extra<'_>) -> Running {
    // One core is enough, and tests run beside each other.
    start_on(vec![0], dir, roles, extra)
}

/// Starts an appliance on these cores, a shard on each.
///
/// # Panics
/// When it does not start.
#[must_use]
pub fn start_on(cores: Vec<usize>, dir: TempDir, roles: &Roles, extra: &Extra<'_>) -> Running {
    let text = configuration(dir.path(), extra);
    let host = Host { cores, ..Host::look() };
    let config = resolve_text(Path::new("test.toml"), &text, roles, &host);
    let config = config.unwrap_or_else(|error| panic!("{error}"));
    let appliance = Appliance::start(config, roles, StartOptions { signals: false });
    let appliance = appliance.unwrap_or_else(|error| panic!("{error}"));
    Running { appliance: Some(appliance), dir }
}

impl Running {
    fn appliance(&self) -> &Appliance {
        self.appliance.as_ref().expect("it runs until it is stopped")
    }

    /// What can be seen of it.
    #[must_use]
    pub fn board(&self) -> Arc<Board> {
        Arc::clone(self.appliance().board())
    }

    /// Where its one listener listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.board().listening[0].1
    }

    /// A connection to it.
    #[must_use]
    pub fn connect(&self) -> Client {
        Client::connect(self.address())
    }

    /// Stops it in order; its folder stays until it is dropped.
    ///
    /// # Panics
    /// When its ledger does not add up.
    pub fn stop(mut self) -> (Ended, TempDir) {
        let appliance = self.appliance.take().expect("it runs until it is stopped");
        let ended = appliance.stop();
        let faults = ended.ledger.faults(true);
        assert!(faults.is_empty(), "{faults:?}");
        (ended, self.dir)
    }
}

/// The rows of all objects below a folder, with one text column.
///
/// # Panics
/// When one cannot be read.
#[must_use]
pub fn rows(dir: &Path, text: &str) -> Vec<AuditRow> {
    let objects = readback::objects_below(&dir.join("objects")).expect("objects");
    let rows = |path| readback::rows(path, text).unwrap_or_else(|e| panic!("{e}"));
    objects.iter().flat_map(|path| rows(path)).collect()
}

/// Waits until something is so.
///
/// # Panics
/// When it is not so after a minute.
pub fn eventually(what: &str, mut so: impl FnMut() -> bool) {
    for _ in 0..12_000 {
        if so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("{what}: not after a minute");
}
