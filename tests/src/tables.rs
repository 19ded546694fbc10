//! Segment tables for tests: made of users, published where an appliance looks.

use crate::{appliance::Extra, process, site::Site};
use brink_proto::{
    ids::PriceMicros,
    table::{Namespace, Segment, write},
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Keys of a listener that provides.
pub const LISTENER: &str = "exchange = \"xandr\"\n[listener.provider]\nlate_percent_max = 100";

/// Where tables come from; the folder is that of the site.
#[must_use]
pub fn sections(dir: &Path, more: &str) -> String {
    let dir = dir.display();
    format!(
        "[tables]\nurl = \"file:{dir}/tables\"\npath = \"{dir}/served\"\npoll_ms = 100\n{more}\n"
    )
}

/// An appliance that provides, on tables below a folder.
#[must_use]
pub fn provider<'a>(listener: &'a str, sections: &'a str) -> Extra<'a> {
    Extra { listener, sections, role: Some("provider"), ..Extra::default() }
}

/// A site that provides, with version 1 of a table in which user 7 is, and further sections.
#[must_use]
pub fn site(listener: &str, more: &str) -> Site {
    // Where tables come from is known once there is a folder.
    let mark = "[tables]\nurl = \"file:a\"\npath = \"b\"";
    let site = Site::new(&provider(listener, &format!("{mark}\n{more}")));
    let wanted = sections(site.path(), "");
    let site = site.with(mark, &wanted);
    publish(site.path(), 1, &table(&["7"], "sports"));
    site
}

/// The bytes of a table in which each of these users of the exchange has one segment for 0.75.
///
/// # Panics
/// When there is no such table.
#[must_use]
pub fn table(users: &[&str], code: &str) -> Vec<u8> {
    let namespace = Namespace::new("xandr");
    let price = PriceMicros::new(750_000);
    let entry = |id: &&str| write::Entry {
        key: namespace.key(id.as_bytes()),
        base_price: None,
        segments: vec![Segment { code: code.as_bytes(), price, score: None }],
    };
    let entries: Vec<_> = users.iter().map(entry).collect();
    write::assemble(&entries).expect("a table")
}

/// Writes a table into a folder and publishes it in the folder's store.
///
/// # Panics
/// When it is refused.
pub fn publish(dir: &Path, version: u64, table: &[u8]) {
    let file = file(dir, version, table);
    let version = version.to_string();
    let store = format!("file:{}/tables", dir.display());
    let path = file.to_str().expect("a text");
    let verb = ["table", "publish", "--table", path, "--store", &store, "--version", &version];
    let output = process::edge(&verb, dir);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Writes a table into a folder.
///
/// # Panics
/// When there is no room.
#[must_use]
pub fn file(dir: &Path, version: u64, table: &[u8]) -> PathBuf {
    let file = dir.join(format!("{version}.table"));
    fs::write(&file, table).expect("the folder takes a file");
    file
}
