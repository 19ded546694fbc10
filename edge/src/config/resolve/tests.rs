//! Configurations that work, and what is said of those that do not.

use super::*;
use brink_shipper::objects::store::StoreConfig;

const LOCAL: &str = include_str!("../../../config/local.toml");

fn host() -> Host {
    Host {
        cores: vec![0, 1],
        quota: None,
        memory_mib: 4000,
        interrupts: Vec::new(),
        kernel: String::new(),
    }
}

fn resolved(text: &str) -> Result<EdgeConfig, ConfigError> {
    resolve_text(Path::new("a.toml"), text, &Roles::standard(), &host())
}

#[test]
fn the_local_configuration_works_as_it_is() {
    let config = resolved(LOCAL).unwrap();
    assert_eq!(config.edge.as_str(), "local");
    assert_eq!(config.listeners[0].address, "127.0.0.1:8083".parse().unwrap());
    assert_eq!(config.admin, "127.0.0.1:8084".parse().unwrap());
    assert_eq!(config.listeners[0].ack("/i.gif"), Ack::Received);
    assert_eq!(config.hash.len(), 16);
}

/// One change to the local configuration, and what the error has to say.
fn check(from: &str, to: &str, want: &[&str]) {
    assert!(LOCAL.contains(from), "{from}");
    let error = resolved(&LOCAL.replacen(from, to, 1)).unwrap_err().to_string();
    for part in ["a.toml"].iter().chain(want) {
        assert!(error.contains(part), "{error:?} does not say {part:?}");
    }
}

#[test]
fn an_error_names_the_file_the_key_what_was_found_and_what_is_allowed() {
    check("name = \"local\"", "name = \"Local-1\"", &["edge.name", "Local-1", "a-z"]);
    check("profile = \"auto\"", "profile = \"big\"", &["edge.profile", "big", "s-1vcpu-1gb"]);
    check("role = \"pixel\"", "role = \"pixle\"", &["role", "pixle", "pixel"]);
    check("127.0.0.1:8083", "localhost", &["\"pixel\": address", "localhost", "[::]:8083"]);
    check("\"127.0.0.0/8\"", "\"127.0.0.1/8\"", &["allow", "127.0.0.1/8", "zeros behind"]);
    check("\"/i.gif\" =", "\"/x.gif\" =", &["ack", "/x.gif", "/i.gif"]);
    check("= \"received\"", "= \"maybe\"", &["maybe", "`received`", "`durable`"]);
    check("spin = \"off\"", "spin = \"on\"", &["unknown variant `on`", "`balanced`"]);
    check("file:brink-data/objects", "ftp://x", &["objects.url", "ftp://x", "s3://"]);
    check("[admin]", "[admin]\nport = 1", &["unknown field `port`", "`address`"]);
    check("[log]", "[log]\nformat = \"xml\"", &["log.format", "xml", "json"]);
    check("[spool]", "[spool]\nsegment_bytes = 1000", &["spool.segment_bytes", "1000", "to"]);
    check("[spool]", "[spool]\nquota_bytes = 1000", &["spool.quota_bytes", "1000", "to"]);
    check("[threads]", "[ring]\nwithout = [\"sqpoll\"]\n[threads]", &["sqpoll", "no_iowait"]);
    check("[threads]", "[drain]\ngrace_ms = -1\n[threads]", &["grace_ms = -1"]);
}

/// The local configuration with another provider and these keys.
fn with_provider(keys: &str) -> String {
    let listener = "[[listener]]\nname = \"g\"\nrole = \"provider\"\nexchange = \"g\"\n\
                    address = \"127.0.0.1:0\"\nallow = \"any\"\nbody_bytes_max = 1000000\n";
    format!("{LOCAL}\n{listener}\n[listener.provider]\n{keys}\n")
}

#[test]
fn the_memory_table_has_what_a_dialect_takes_on_each_shard() {
    let line = |text: &str| {
        let config = resolved(text).unwrap();
        let line = config.memory.iter().find(|line| line.what == "segment requests in JSON");
        (line.map(|line| line.bytes), config.cores.shards.len() as u64)
    };
    assert_eq!(line(LOCAL).0, None, "a query takes no memory");
    let one = with_provider("dialect = \"google\"");
    let (bytes, shards) = line(&one);
    let bytes = bytes.unwrap();
    // Two rooms for a body of 256 KiB, and what packs and unpacks.
    assert!((800 << 10..1 << 20).contains(&(bytes / shards)), "{bytes} for {shards} shards");
    let smaller = one.replace("body_bytes_max = 1000000", "body_bytes_max = 16384");
    assert_eq!(line(&smaller).0, Some(bytes - shards * 2 * ((256 << 10) - 16384)));
}

#[test]
fn what_a_dialect_does_not_say_is_its_own() {
    for (keys, budget_ms) in [
        ("", 7),
        ("dialect = \"google\"", 40),
        ("dialect = \"google\"\nbudget_ms = 30\nparameters = {}", 30),
    ] {
        let config = resolved(&with_provider(keys)).unwrap();
        let provider = config.listeners.last().unwrap().provider.as_ref().unwrap();
        assert_eq!(provider.budget, Duration::from_millis(budget_ms), "{keys}");
        assert_eq!(provider.text_bytes_max, 256 << 10);
    }
    let keys = "dialect = \"google\"\nparameters = { user_id = \"u\" }";
    let error = resolved(&with_provider(keys)).unwrap_err().to_string();
    for part in ["\"g\": provider.parameters", "user_id", "google", "no query"] {
        assert!(error.contains(part), "{error:?} does not say {part:?}");
    }
}

#[test]
fn stores_are_read_from_their_urls() {
    let store = |url: &str| resolved(&LOCAL.replace("file:brink-data/objects", url)).unwrap().store;
    assert_eq!(store("file:a/b"), StoreConfig::Folder("a/b".into()));
    assert_eq!(store("file:///a/b"), StoreConfig::Folder("/a/b".into()));
    let StoreConfig::S3 { bucket, prefix, .. } = store("s3://space/a/b/") else {
        panic!("no bucket");
    };
    assert_eq!((bucket.as_str(), prefix.as_str()), ("space", "a/b"));
    let (url, folder) = ("hdfs://namenode:8020".to_owned(), "a/b".to_owned());
    assert_eq!(store("hdfs://namenode:8020/a/b/"), StoreConfig::Hdfs { url, folder });
    for url in ["a/b", "file:", "s3:///a", "hdfs:///a", "hdfs:a", "ftp://a/b"] {
        let error = resolved(&LOCAL.replace("file:brink-data/objects", url)).unwrap_err();
        assert!(error.to_string().contains("hdfs://NAMENODE:PORT/FOLDER"), "{url}: {error}");
    }
}
