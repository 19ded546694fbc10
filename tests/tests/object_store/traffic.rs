//! Pixels that are asked for, and what lies in the store for them.

use brink_tests::{appliance::Extra, audit::Audit, process::Serving, s3::S3Server, site::Site};
use std::collections::BTreeSet;

/// What the store has is below this.
pub(crate) const PREFIX: &str = "edge";

const DURABLE: Extra<'_> = Extra {
    listener: "ack = { \"/i.gif\" = \"durable\" }",
    sections: "",
    role: None,
    address: None,
};

/// Keys of `[objects]` for a server behind an address, with its credentials from a file.
pub(crate) fn settings(server: &S3Server, endpoint: &str) -> String {
    format!("endpoint = \"{endpoint}\"\ncredentials = \"{}\"", server.credentials().display())
}

/// An appliance that answers when a row is durable, and makes objects all the time.
pub(crate) fn site(server: &S3Server, settings: &str) -> Site {
    let site = Site::new(&DURABLE).with("age_max_ms = 60000", "age_max_ms = 100");
    let url = format!("url = \"file:{}/objects\"", site.path().display());
    site.with(&url, &format!("url = \"{}\"\n{settings}", server.url(PREFIX)))
}

/// Asks for a pixel with each nonce, and is answered.
pub(crate) fn ask(serving: &Serving, nonces: &BTreeSet<String>) {
    let mut client = serving.connect();
    // Several at once: an answer waits for a commit.
    for some in nonces.iter().collect::<Vec<_>>().chunks(20) {
        let request = |nonce| format!("GET /i.gif?n={nonce} HTTP/1.1\r\nHost: a\r\n\r\n");
        client.send(some.iter().map(request).collect::<String>());
        assert!(some.iter().all(|_| client.response().status == 200));
    }
}

/// What the store has.
pub(crate) fn delivered(server: &S3Server, site: &Site) -> Audit {
    server.download(PREFIX, &site.path().join("objects"));
    site.audit()
}
