//! The peers: what they are, what they need, and how each is started.

use super::layout::Layout;
use crate::process::program;
use clap::ValueEnum;
use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Somebody who answers pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ValueEnum)]
pub enum Peer {
    /// The appliance.
    Edge,
    /// nginx with `empty_gif` and an access log.
    Nginx,
    /// hyper on tokio.
    Hyper,
    /// axum, with a log of JSON.
    Axum,
    /// libh2o on its own event loop.
    H2o,
    /// A bare io_uring loop that logs nothing.
    Floor,
}

/// What a peer is started with.
#[derive(Debug)]
pub struct Place<'a> {
    /// Its folder.
    pub folder: &'a Path,
    /// Where it listens.
    pub address: SocketAddr,
    /// Where the appliance's operators would look.
    pub admin: SocketAddr,
    /// Who runs where.
    pub layout: &'a Layout,
}

/// Why a peer cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum Missing {
    /// Its program is not there.
    #[error("not here: {remedy}")]
    Program {
        /// How to have it.
        remedy: &'static str,
    },
    /// It cannot be compiled.
    #[error("it does not compile: {said}")]
    Compile {
        /// The compiler's words.
        said: String,
    },
    /// Its folder cannot be written.
    #[error("its files cannot be written: {0}")]
    System(#[from] io::Error),
}

/// The source of [`Peer::H2o`].
const H2O: &str = include_str!("../../peers/h2o.c");

impl Peer {
    /// All, the appliance first.
    pub const ALL: [Peer; 6] =
        [Peer::Edge, Peer::Nginx, Peer::Hyper, Peer::Axum, Peer::H2o, Peer::Floor];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Peer::Edge => "edge",
            Peer::Nginx => "nginx",
            Peer::Hyper => "hyper",
            Peer::Axum => "axum",
            Peer::H2o => "h2o",
            Peer::Floor => "floor",
        }
    }

    /// What it is, and what it does with a request besides answering it.
    #[must_use]
    pub fn what(self) -> &'static str {
        match self {
            Peer::Edge => "this appliance: every event into its spool and into Parquet",
            Peer::Nginx => "nginx, one worker, empty_gif: a buffered access_log",
            Peer::Hyper => "hyper on tokio, one thread: a buffered line of text",
            Peer::Axum => "axum on tokio, one thread: a buffered line of JSON by serde_json",
            Peer::H2o => "libh2o on its own event loop, one thread: a buffered line of text",
            Peer::Floor => "a bare io_uring loop, one thread: logs nothing, parses next to nothing",
        }
    }

    fn remedy(self) -> &'static str {
        match self {
            Peer::Edge => "cargo build --release (into the folder of this program)",
            Peer::Nginx => "apt-get install nginx-light",
            Peer::H2o => "apt-get install gcc libh2o-evloop-dev",
            Peer::Hyper | Peer::Axum | Peer::Floor => {
                "cargo build --release -p brink-peers (into the folder of this program)"
            }
        }
    }

    fn found(self, name: &str) -> Result<PathBuf, Missing> {
        program(name).ok_or(Missing::Program { remedy: self.remedy() })
    }

    /// The program that it is, made if it has to be.
    ///
    /// # Errors
    /// [`Missing`] with the remedy.
    pub fn program(self, folder: &Path) -> Result<PathBuf, Missing> {
        match self {
            Peer::Edge => self.found("edge"),
            Peer::Nginx => self.found("nginx"),
            Peer::Hyper => self.found("peer-hyper"),
            Peer::Axum => self.found("peer-axum"),
            Peer::Floor => self.found("peer-floor"),
            Peer::H2o => self.compiled(folder),
        }
    }

    fn compiled(self, folder: &Path) -> Result<PathBuf, Missing> {
        let missing = || Missing::Program { remedy: self.remedy() };
        let compiler = program("cc").ok_or_else(missing)?;
        let (source, made) = (folder.join("h2o.c"), folder.join("peer-h2o"));
        fs::write(&source, H2O)?;
        let mut command = Command::new(compiler);
        command.args(["-O2", "-o"]).arg(&made).arg(&source).stdin(Stdio::null());
        let output = command.args(["-lh2o-evloop", "-lssl", "-lcrypto"]).output()?;
        if output.status.success() {
            return Ok(made);
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let is_absent = said.contains("h2o.h: No such file") || said.contains("-lh2o-evloop");
        Err(if is_absent { missing() } else { Missing::Compile { said } })
    }

    /// How it is started.
    ///
    /// # Errors
    /// [`Missing`] when its files cannot be written.
    pub fn command(self, program: &Path, place: &Place<'_>) -> Result<Command, Missing> {
        let mut command = Command::new(program);
        command.current_dir(place.folder);
        match self {
            Peer::Edge => {
                let path = place.folder.join("edge.toml");
                fs::write(&path, edge_config(place))?;
                command.arg("serve").arg("--config").arg(path);
            }
            Peer::Nginx => {
                let path = place.folder.join("nginx.conf");
                fs::write(&path, nginx_config(place))?;
                command.arg("-p").arg(place.folder).arg("-c").arg(path);
            }
            Peer::Hyper | Peer::Axum | Peer::H2o => {
                command.arg(place.address.to_string()).arg("access.log");
            }
            Peer::Floor => {
                command.arg(place.address.to_string());
            }
        }
        Ok(command)
    }
}

/// The appliance as somebody would run it on such a droplet: nothing is turned off.
fn edge_config(place: &Place<'_>) -> String {
    let (address, admin, profile) = (place.address, place.admin, &place.layout.profile);
    format!(
        "[edge]\nname = \"peers\"\nprofile = \"{profile}\"\n\n\
         [[listener]]\nname = \"pixel\"\nrole = \"pixel\"\naddress = \"{address}\"\n\
         allow = [\"127.0.0.0/8\"]\n\n\
         [admin]\naddress = \"{admin}\"\n\n\
         [spool]\npath = \"spool\"\n\n[objects]\nurl = \"file:objects\"\n\n\
         [log]\nlevel = \"warn\"\n"
    )
}

/// `Expires` makes its head as long as the others': nginx says who it is and how old the pixel is
/// instead of how it may be cached.
fn nginx_config(place: &Place<'_>) -> String {
    let (address, folder) = (place.address, place.folder.display());
    format!(
        "worker_processes 1;\ndaemon off;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log;\n\
         events {{ worker_connections 4096; }}\n\
         http {{\n  server_tokens off;\n  keepalive_requests 1000000000;\n  tcp_nodelay on;\n\
         \x20 log_format pixel '$msec $remote_addr \"$request\" $status \"$http_referer\" \
         \"$http_user_agent\" \"$http_cookie\"';\n\
         \x20 access_log {folder}/access.log pixel buffer=64k flush=1s;\n\
         \x20 server {{\n    listen {address} reuseport;\n\
         \x20   location = /i.gif {{ add_header Expires 0; empty_gif; }}\n  }}\n}}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_peer_has_a_name_of_its_own_and_says_what_it_does() {
        for (at, peer) in Peer::ALL.into_iter().enumerate() {
            assert!(Peer::ALL[..at].iter().all(|other| other.name() != peer.name()));
            assert!(peer.what().contains(':') && !peer.remedy().is_empty());
        }
    }

    #[test]
    fn a_peer_that_is_not_here_says_how_to_have_it() {
        for peer in Peer::ALL {
            let missing = peer.found("there-is-no-such-program").unwrap_err().to_string();
            assert!(missing.starts_with("not here: ") && missing.contains(peer.remedy()));
        }
    }
}
