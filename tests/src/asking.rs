//! Clients that ask for pixels for as long as they can, and know what was answered.

use crate::{http::Client, process::Serving};
use std::{
    io::ErrorKind,
    net::TcpStream,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Requests that a client sends before it reads the first answer.
const PIPELINED: usize = 4;

/// What one client asked, by nonce, and what was answered with 200.
#[derive(Debug, Default)]
pub struct Asked {
    /// Nonces sent.
    pub sent: Vec<String>,
    /// Of them, those that were answered.
    pub answered: Vec<String>,
    /// How the connection ended.
    pub end: Option<ErrorKind>,
}

/// Asks on and on, until the server closes the connection or is gone.
fn ask_until_closed(mut client: Client, name: String) -> JoinHandle<Asked> {
    thread::spawn(move || {
        let mut asked = Asked::default();
        loop {
            let from = asked.sent.len();
            asked.sent.extend((from..from + PIPELINED).map(|number| format!("{name}-{number}")));
            client.try_send(asked.sent[from..].iter().map(|n| pixel(n)).collect::<String>());
            for at in from..from + PIPELINED {
                match client.try_response(true) {
                    Ok(response) => {
                        assert_eq!(response.status, 200);
                        asked.answered.push(asked.sent[at].clone());
                    }
                    Err(error) => {
                        asked.end = Some(error.kind());
                        return asked;
                    }
                }
            }
        }
    })
}

/// A request for a pixel.
#[must_use]
pub fn pixel(nonce: &str) -> String {
    format!("GET /i.gif?n={nonce} HTTP/1.1\r\nHost: a\r\n\r\n")
}

/// Clients that ask until the server closes; none where it is gone already.
pub fn askers(serving: &Serving, names: impl Iterator<Item = String>) -> Vec<JoinHandle<Asked>> {
    let connect = || TcpStream::connect(serving.listeners[0]).ok().map(Client::of);
    names.filter_map(|name| Some(ask_until_closed(connect()?, name))).collect()
}

/// Lets time pass: when exactly a process is killed, or how slow something is, is what is varied.
pub fn let_live(time: Duration) {
    let until = Instant::now() + time;
    while let Some(left) = until.checked_duration_since(Instant::now()) {
        thread::park_timeout(left);
    }
}
