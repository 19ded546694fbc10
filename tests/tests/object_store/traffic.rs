//! Pixels that are asked for, and what lies in the store for them.

use brink_tests::{
    appliance::Extra,
    audit::{Audit, hour_of},
    http::Client,
    process::{self, Serving},
    s3::S3Server,
    site::Site,
};
use serde_json::Value;
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
    site_at(&server.url(PREFIX), settings)
}

/// The same for any store, with further keys of `[objects]`.
pub(crate) fn site_at(store: &str, settings: &str) -> Site {
    let often = "age_max_ms = 100\nrequests_per_second_max = 1000";
    let site = Site::new(&DURABLE).with("age_max_ms = 60000", often);
    let url = format!("url = \"file:{}/objects\"", site.path().display());
    site.with(&url, &format!("url = \"{store}\"\n{settings}"))
}

/// Asks for a pixel with each nonce, and is answered.
pub(crate) fn ask(serving: &Serving, nonces: &BTreeSet<String>) {
    ask_on(&mut serving.connect(), nonces);
}

/// The same on a connection that is there: all of it goes to one shard.
pub(crate) fn ask_on(client: &mut Client, nonces: &BTreeSet<String>) {
    // Several at once: an answer waits for a commit.
    for some in nonces.iter().collect::<Vec<_>>().chunks(20) {
        let request = |nonce| format!("GET /i.gif?n={nonce} HTTP/1.1\r\nHost: a\r\n\r\n");
        client.send(some.iter().map(request).collect::<String>());
        assert!(some.iter().all(|_| client.response().status == 200));
    }
}

/// What the store has, which `shipper audit` has to find whole: every start is over.
pub(crate) fn delivered(server: &S3Server, site: &Site) -> Audit {
    let keys = server.download(PREFIX, &site.path().join("objects"));
    let hours: BTreeSet<String> = keys.iter().filter_map(|key| hour_of(key)).collect();
    for hour in hours {
        let found = prove(server, &hour);
        let empty = Value::Array(Vec::new());
        assert_eq!((&found["faults"], &found["notes"]), (&empty, &empty), "{found}");
        assert!(found["manifests"] != 0, "{found}");
    }
    site.audit()
}

/// What `shipper audit` finds in an hour.
pub(crate) fn prove(server: &S3Server, hour: &str) -> Value {
    let (store, credentials) = (server.url(PREFIX), server.credentials());
    let credentials = credentials.to_str().expect("a text");
    let place = ["--store", &store, "--endpoint", server.endpoint(), "--credentials", credentials];
    let output = process::shipper(&[&["audit", "--json", "--hour", hour], &place[..]].concat());
    let errors = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{errors}"))
}
