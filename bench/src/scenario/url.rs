//! Whom to ask: `http://HOST:PORT/PATH`.

use std::{
    fmt, io,
    net::{SocketAddr, ToSocketAddrs},
    str::FromStr,
};

/// A URL, and the address that it has led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// The server.
    pub address: SocketAddr,
    /// Name and port, as they stood in the URL: what the Host header says.
    pub host: String,
    /// The path with its query; `/` when the URL has none.
    pub path: String,
}

/// Why a text is no URL.
#[derive(Debug, thiserror::Error)]
pub enum UrlError {
    /// It does not look like one.
    #[error("{text:?} is no URL; it has to be http://HOST:PORT/PATH, without blanks")]
    Shape {
        /// What was given.
        text: String,
    },
    /// The host has no address.
    #[error("the host {host:?} has no address: {source}")]
    Host {
        /// What was given.
        host: String,
        /// What the system said.
        source: io::Error,
    },
}

const PORT: u16 = 80;

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Url, UrlError> {
        let wrong = || UrlError::Shape { text: text.to_owned() };
        let rest = text.strip_prefix("http://").ok_or_else(wrong)?;
        let (host, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let is_sound = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if host.is_empty() || path.starts_with('?') || !is_sound(rest) {
            return Err(wrong());
        }
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
        let looked_up =
            if has_port { host.to_socket_addrs() } else { (host, PORT).to_socket_addrs() };
        let address = looked_up
            .and_then(|mut addresses| addresses.next().ok_or(io::ErrorKind::NotFound.into()))
            .map_err(|source| UrlError::Host { host: host.to_owned(), source })?;
        let path = if path.is_empty() { "/" } else { path };
        Ok(Url { address, host: host.to_owned(), path: path.to_owned() })
    }
}

impl fmt::Display for Url {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "http://{}{}", self.host, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_who_is_asked_and_for_what() {
        for (text, address, host, path) in [
            ("http://127.0.0.1:8083/i.gif", "127.0.0.1:8083", "127.0.0.1:8083", "/i.gif"),
            ("http://127.0.0.1/a?b=c", "127.0.0.1:80", "127.0.0.1", "/a?b=c"),
            ("http://127.0.0.1:1", "127.0.0.1:1", "127.0.0.1:1", "/"),
            ("http://[::1]:81/x", "[::1]:81", "[::1]:81", "/x"),
        ] {
            let url: Url = text.parse().unwrap();
            assert_eq!(url.address, address.parse().unwrap(), "{text}");
            assert_eq!((url.host.as_str(), url.path.as_str()), (host, path));
        }
    }

    #[test]
    fn what_is_no_url_is_told_with_what_was_given() {
        for text in ["", "https://a/", "http://", "http:///x", "http://127.0.0.1:1/a b", "i.gif"] {
            let error = text.parse::<Url>().unwrap_err().to_string();
            assert!(error.contains(&format!("{text:?}")), "{error}");
        }
        assert!(matches!("http://127.0.0.1:99999/".parse::<Url>(), Err(UrlError::Host { .. })));
    }
}
