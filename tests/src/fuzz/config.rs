//! Configuration: any text is a configuration that makes sense, or an error that says where it does
//! not.

use super::feature::reached;
use brink_tuning::host::Host;
use edge::{
    config::{
        ConfigError, EdgeConfig,
        cidr::{Cidr, Cidrs},
        file::EdgeFile,
        resolve_text,
    },
    roles::Roles,
};
use std::path::Path;

/// The body: see [`super::TARGETS`].
///
/// # Panics
/// When it does not hold.
pub fn config(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match resolve(&text) {
        Ok(config) => {
            makes_sense(&config);
            let file: EdgeFile = toml::from_str(&text).expect("it was read before");
            let written = toml::to_string(&file).expect("what was read can be written");
            let again = resolve(&written).expect("and makes sense again");
            assert_eq!(format!("{:?}", again.listeners), format!("{:?}", config.listeners));
            reached((config.listeners.len().min(3), config.log.json));
        }
        Err(error) => {
            assert!(error.to_string().contains("fuzz.toml"), "{error}");
            if let ConfigError::Value { key, allowed, .. } = &error {
                assert!(!allowed.is_empty());
                let field = key.rsplit([' ', '.']).next().unwrap_or_default();
                reached(field);
            }
        }
    }
    text.lines().for_each(range);
}

fn resolve(text: &str) -> Result<EdgeConfig, ConfigError> {
    let host = Host {
        cores: vec![0, 1],
        quota: None,
        memory_mib: 4000,
        interrupts: Vec::new(),
        kernel: String::new(),
    };
    resolve_text(Path::new("fuzz.toml"), text, &Roles::standard(), &host)
}

fn makes_sense(config: &EdgeConfig) {
    assert!(!config.listeners.is_empty() && !config.cores.shards.is_empty());
    for (at, listener) in config.listeners.iter().enumerate() {
        let others = &config.listeners[..at];
        assert!(others.iter().all(|other| other.name != listener.name));
        assert!(listener.connections_max > 0 && !listener.allow.is_empty());
    }
    let spool = &config.spool;
    assert!(spool.segment_bytes.is_multiple_of(4096));
    assert!(spool.quota_bytes >= 4 * u64::from(spool.segment_bytes));
}

/// A range of addresses contains the address that it is written with.
fn range(text: &str) {
    let Some(cidr) = Cidr::parse(text) else { return };
    let address = text.split('/').next().unwrap_or_default().parse().expect("it was one before");
    // A range of mapped addresses contains nobody: clients are looked at as IPv4.
    let is_mapped = std::net::IpAddr::to_canonical(&address) != address;
    assert_eq!(Cidrs::List(vec![cidr]).contain(address), !is_mapped, "{text}");
    reached("range");
}

pub(super) fn seeds() -> Vec<Vec<u8>> {
    let local = include_str!("../../../edge/config/local.toml");
    let bare = "[edge]\nname = \"a\"\nprofile = \"s-1vcpu-1gb\"\n[[listener]]\nname = \"p\"\n\
                role = \"pixel\"\naddress = \"[::]:0\"\nallow = \"any\"\n\
                trusted_proxies = [\"10.0.0.0/8\"]\nconnections_max = 10\n\
                ack = { \"/i.gif\" = \"durable\" }\n[admin]\naddress = \"127.0.0.1:0\"\n\
                [spool]\npath = \"s\"\nsegment_bytes = 1048576\nquota_bytes = 67108864\n\
                [objects]\nurl = \"s3://b/p\"\nendpoint = \"https://s.example\"\n\
                [ring]\nwithout = []\n[drain]\ngrace_ms = 0\n[log]\nformat = \"json\"\n";
    let ranges = "10.0.0.0/8\n::1\n2001:db8::/32\n::ffff:10.0.0.0/104\n0.0.0.0/0\n192.0.2.7/33\n";
    [local, bare, ranges].map(|text| text.as_bytes().to_vec()).to_vec()
}

pub(super) const WORDS: &[&[u8]] = &[
    b"[[listener]]\n",
    b"[ring]\nwithout = [\"send_zc\"]\n",
    b"[threads]\nspin = \"dedicated\"\n",
    b"connections_max = 32768\n",
    b"body_bytes_max = 0\n",
    b"head_timeout_ms = 50\n",
    b"segment_bytes = 9223372036854775807\n",
    b"quota_bytes = 0\n",
    b"bytes_max = 1\n",
    b"rows_max = 1\n",
    b"cookie = \"\"\n",
    b"= -1\n",
    b"= 1e400\n",
    b"\"\"\"",
    b"[[[[[[[[",
    b"{{{{{{{{",
    b"\"any\"",
    b"::/0",
    b"/128",
    b"\\u0000",
    b"\n",
];
