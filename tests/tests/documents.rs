//! The reference pages are held against the code: what the code can say, no page says otherwise.
//!
//! A page has blocks between two markers. `BRINK_BLESS=1 cargo test -p brink-tests --test
//! documents` writes them anew; what stands around them stays, and so do the columns of a table
//! that are written by hand. (docs/events.md is made from the schema as a whole;
//! `proto/tests/golden.rs` holds it.)

mod page;

use brink_proto::ids::{Class, ShedReason};
use brink_shipper::alarms::Alarm;
use brink_tests::appliance::{Extra, start};
use brink_tuning::{
    host::Host,
    memory::{self, Load},
    profile::{self, Profile},
};
use edge::{
    admin::metrics,
    config::{
        ConfigError, EdgeConfig,
        file::{EdgeFile, ProviderSection},
        resolve_text,
    },
    exit,
    http::error::HttpError,
    ring::uring::rungs::RUNGS,
    roles::Roles,
};
use page::{Block, Content, Item, code, hold, items, pictures, source, table, with_notes};
use serde_json::{Value, json};
use std::{collections::BTreeSet, path::Path};

#[test]
fn the_operators_page_lists_every_exit_code_and_every_alarm() {
    let exits = exit::ALL.iter().map(|e| vec![e.code.to_string(), e.meaning.to_owned()]);
    let variants = items(&source("shipper/src/alarms.rs"), "pub enum Alarm {");
    assert_eq!(variants.len(), Alarm::ALL.len());
    let alarms = Alarm::ALL.iter().zip(variants).map(|(alarm, variant)| {
        assert_eq!(format!("{alarm:?}"), variant.name);
        vec![code(alarm.label()), variant.about, alarm.remedy().to_owned()]
    });
    hold(
        "docs/operating.md",
        &[
            with_notes(
                "exit codes",
                "edge/src/exit.rs",
                &["code", "meaning"],
                &["what to do", "systemd tries again"],
                exits.collect(),
            ),
            with_notes(
                "alarms",
                "shipper/src/alarms.rs",
                &["alarm", "what it means", "remedy"],
                &["how it ends"],
                alarms.collect(),
            ),
        ],
    );
}

/// The least that a configuration has to say, by section and key.
fn least() -> Value {
    json!({
        "edge": { "name": "a" },
        "listener": { "name": "a", "role": "pixel", "address": "127.0.0.1:0", "allow": "any" },
        "admin": { "address": "127.0.0.1:0" },
        "spool": { "path": "spool" },
        "objects": { "url": "file:objects" },
        "tables": { "url": "file:tables", "path": "tables" },
        "kafka": { "brokers": ["localhost:9092"] },
    })
}

/// Values that are refused, in TOML. What the error says is allowed stands in the page.
const REFUSED: [(&str, &str, &str); 51] = [
    ("edge", "name", "\"A\""),
    ("edge", "profile", "\"x\""),
    ("listener", "name", "\"\""),
    ("listener", "role", "\"x\""),
    ("listener", "address", "\"x\""),
    ("listener", "exchange", "\"\""),
    ("listener", "datacenter", "\"\""),
    ("listener", "allow", "\"x\""),
    ("listener", "trusted_proxies", "[\"x\"]"),
    ("listener", "connections_max", "0"),
    ("listener", "body_bytes_max", "4294967296"),
    ("listener", "head_timeout_ms", "0"),
    ("listener", "body_timeout_ms", "0"),
    ("listener", "idle_timeout_ms", "0"),
    ("listener", "write_timeout_ms", "0"),
    ("listener", "ack", "{ \"/x\" = \"durable\" }"),
    ("listener", "cookie", "\"\""),
    ("listener", "auction_parameter", "\"\""),
    ("admin", "address", "\"x\""),
    ("spool", "segment_bytes", "0"),
    ("spool", "commit_interval_ms", "0"),
    ("spool", "replay_bytes_per_s", "0"),
    ("objects", "url", "\"x\""),
    ("objects", "bytes_max", "0"),
    ("objects", "rows_max", "0"),
    ("objects", "age_max_ms", "0"),
    ("objects", "requests_per_second_max", "0"),
    ("objects", "request_timeout_ms", "0"),
    ("kafka", "brokers", "[\"x\"]"),
    ("kafka", "topic_prefix", "\" \""),
    ("kafka", "partitions", "0"),
    ("kafka", "replication", "0"),
    ("kafka", "producer_expiration_ms", "0"),
    ("kafka", "ca_file", "\"x\""),
    ("kafka", "sasl", "\"x\""),
    ("kafka", "username", "\"x\""),
    ("kafka", "password_file", "\"x\""),
    ("listener.provider", "budget_ms", "0"),
    ("listener.provider", "rate_limit", "10000001"),
    ("listener.provider", "late_percent_max", "101"),
    ("listener.provider", "namespace", "\"\""),
    ("listener.provider", "external_namespace", "\"\""),
    ("listener.provider", "parameters", "{ uid = \"x\" }"),
    ("tables", "url", "\"x\""),
    ("tables", "poll_ms", "0"),
    ("tables", "age_max_ms", "0"),
    ("consent", "vendor", "0"),
    ("consent", "purposes", "[12]"),
    ("consent", "legitimate_interests", "[1]"),
    ("consent", "flexible", "[1]"),
    ("log", "format", "\"x\""),
];

/// The same, where the error is the parser's or says more than what is allowed.
const ALLOWED: [(&str, &str, &str, &str); 8] = [
    ("spool", "quota_bytes", "16777215", "4 segments or more"),
    ("listener.provider", "dialect", "\"x\"", "`xandr`, `google`"),
    ("listener.provider", "form", "\"x\"", "`price`, `code`"),
    ("tables", "bytes_max", "0", "1 MiB to a quarter of the memory"),
    ("threads", "spin", "\"x\"", "`off`, `balanced`, `dedicated`"),
    ("ring", "without", "[\"x\"]", "names of rungs"),
    ("drain", "grace_ms", "3600001", "0 to 3600000"),
    ("drain", "deliver_ms", "3600001", "0 to 3600000"),
];

/// Keys that take whatever stands there; the world decides whether it works.
const FREE: [(&str, &str); 16] = [
    ("spool", "path"),
    ("spool", "second_path"),
    ("objects", "endpoint"),
    ("objects", "region"),
    ("objects", "credentials"),
    ("listener.provider", "keep_query"),
    ("kafka", "create_topics"),
    ("kafka", "transactions"),
    ("kafka", "tls"),
    ("tables", "endpoint"),
    ("tables", "region"),
    ("tables", "credentials"),
    ("tables", "path"),
    ("tables", "pin"),
    ("consent", "serve_without_signal"),
    ("log", "level"),
];

/// Resolves the least configuration with one value put in its place.
fn resolved(section: &str, key: &str, value: &str) -> Result<EdgeConfig, ConfigError> {
    let mut text = String::new();
    let least = least();
    let mut sections: BTreeSet<&str> =
        least.as_object().expect("sections").keys().map(|k| &**k).collect();
    sections.insert(section);
    for name in sections {
        let brackets = if name == "listener" { ("[[", "]]") } else { ("[", "]") };
        let is_provider = name == "listener" && section == "listener.provider";
        text.push_str(&format!("{}{name}{}\n", brackets.0, brackets.1));
        for (other, value) in least[name].as_object().into_iter().flatten() {
            if is_provider && other == "role" {
                text.push_str("role = \"provider\"\nexchange = \"a\"\n");
            } else if (name, other.as_str()) != (section, key) {
                text.push_str(&format!("{other} = {value}\n"));
            }
        }
        if name == section {
            text.push_str(&format!("{key} = {value}\n"));
            // Segments of a size that the table of values can count on.
            if key == "quota_bytes" {
                text.push_str("segment_bytes = 4194304\n");
            }
        }
    }
    resolve_text(Path::new("a.toml"), &text, &Roles::standard(), &Host::look())
}

/// What may stand at a key, from what is said of a value that may not.
fn allowed(section: &str, key: &str) -> String {
    let here = |s: &str, k: &str| (s, k) == (section, key);
    if let Some((.., value)) = REFUSED.iter().find(|(s, k, _)| here(s, k)) {
        return match resolved(section, key, value) {
            Err(ConfigError::Value { allowed, .. }) => {
                allowed.replace("or: there is no profile \"x\"; there are ", "")
            }
            other => panic!("{section}.{key} = {value}: {other:?}"),
        };
    }
    if let Some((.., value, text)) = ALLOWED.iter().find(|(s, k, ..)| here(s, k)) {
        assert!(resolved(section, key, value).is_err(), "{section}.{key} takes {value}");
        return (*text).to_owned();
    }
    assert!(FREE.iter().any(|(s, k)| here(s, k)), "[{section}] {key}: what is allowed?");
    "anything".to_owned()
}

fn kind(item: &Item) -> &'static str {
    match item.kind.strip_prefix("Option<").unwrap_or(&item.kind).trim_end_matches('>') {
        "String" | "SpinWord" | "DialectWord" | "FormWord" => "text",
        "PathBuf" => "path",
        "Vec<String" => "list of texts",
        "Ranges" => "text, or list of texts",
        "BTreeMap<String, AckWord" | "BTreeMap<String, String" => "table of texts",
        "Vec<u8" => "list of numbers",
        "bool" => "true or false",
        "u32" | "u64" if item.name.ends_with("_ms") => "milliseconds",
        "u32" | "u64" if item.name.contains("bytes") => "bytes",
        "u16" | "u32" | "u64" => "number",
        other => panic!("what does a person write for {other}?"),
    }
}

fn default_of(item: &Item, is_required: bool, value: &Value) -> String {
    match value {
        _ if is_required => "(required)".to_owned(),
        Value::Null if item.about.contains("From the profile") => "(profile)".to_owned(),
        Value::Null => "(none)".to_owned(),
        value => code(&value.to_string()),
    }
}

/// Sections that `shipper drain` reads as well.
const OF_SHIPPER: [&str; 2] = ["objects", "kafka"];

/// Where a section stands.
fn place_of(section: &str) -> &'static str {
    match OF_SHIPPER.contains(&section) {
        true => "shipper/src/config/file.rs",
        false => "edge/src/config/file.rs",
    }
}

/// The source of all sections.
fn configuration() -> String {
    source(place_of("edge")) + &source(place_of("objects"))
}

/// The sections of a configuration file: name, whether there may be several, type.
fn sections(file: &str) -> Vec<(String, bool, String)> {
    let fields = items(file, "pub struct EdgeFile {").into_iter();
    let section = |field: Item| {
        let one = field.kind.trim_start_matches("Vec<").trim_start_matches("Option<");
        let one = one.trim_end_matches('>').to_owned();
        (field.name, field.kind.starts_with("Vec<"), one)
    };
    let mut sections: Vec<_> = fields.map(section).collect();
    let listener = sections.iter().position(|(name, ..)| name == "listener").expect("listeners");
    let provider = ("listener.provider".to_owned(), false, "ProviderSection".to_owned());
    sections.insert(listener + 1, provider);
    sections
}

#[test]
fn the_configuration_page_lists_every_key_as_the_code_takes_it() {
    let file = configuration();
    let least = least();
    let mut whole = least.clone();
    whole["listener"] = json!([least["listener"]]);
    let parsed: EdgeFile = serde_json::from_value(whole.clone()).expect("the least configuration");
    let mut defaults = serde_json::to_value(parsed).expect("a value");
    defaults["listener.provider"] =
        serde_json::to_value(ProviderSection::default()).expect("a value");
    let mut blocks = Vec::new();
    for (section, is_many, struct_name) in sections(&file) {
        let defaults = if is_many { &defaults[&section][0] } else { &defaults[&section] };
        let mut rows = Vec::new();
        for item in items(&file, &format!("pub struct {struct_name} {{")) {
            let key = &item.name;
            // It has a table of its own.
            if item.kind.contains("ProviderSection") {
                continue;
            }
            let is_required = !least[&section][key].is_null();
            if is_required {
                let mut without = whole.clone();
                let of = if is_many { &mut without[&section][0] } else { &mut without[&section] };
                of.as_object_mut().expect("a section").remove(key);
                let refused = serde_json::from_value::<EdgeFile>(without).is_err();
                assert!(refused, "[{section}] {key} has a default");
            }
            let default = default_of(&item, is_required, &defaults[key]);
            let allowed = allowed(&section, key);
            rows.push(vec![code(key), kind(&item).to_owned(), default, allowed, item.about]);
        }
        let titles = ["key", "kind", "default", "allowed", "what it is"];
        blocks.push(table(&section, place_of(&section), &titles, rows));
    }
    hold("docs/configuration.md", &blocks);
    for (section, key, value) in [("spool", "quota_bytes", "16777216"), ("drain", "grace_ms", "0")]
    {
        resolved(section, key, value).unwrap_or_else(|error| panic!("{error}"));
    }
}

/// A family of metrics as its text says it.
#[derive(Default)]
struct Said {
    kind: String,
    help: String,
    labels: BTreeSet<String>,
    samples: BTreeSet<String>,
}

/// What `/metrics` says of itself, in its order.
fn said(text: &str) -> Vec<(String, Said)> {
    let mut all: Vec<(String, Said)> = Vec::new();
    for line in text.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|l| l.split_once(' ')) {
            let help = help.trim_end_matches('.').to_owned();
            all.push((name.to_owned(), Said { help, ..Said::default() }));
            continue;
        }
        let Some((_, last)) = all.last_mut() else { continue };
        if let Some((_, kind)) = line.strip_prefix("# TYPE ").and_then(|l| l.split_once(' ')) {
            last.kind = kind.to_owned();
        } else if let Some((name, rest)) =
            line.split_once(['{', ' ']).filter(|_| !line.starts_with('#'))
        {
            last.samples.insert(name.to_owned());
            let labels = rest.split_once('}').map_or("", |(labels, _)| labels);
            let names = labels.split("\",").filter_map(|l| l.split_once('=')).map(|(name, _)| name);
            last.labels.extend(names.filter(|name| *name != "le").map(str::to_owned));
        }
    }
    all
}

#[test]
fn the_metrics_page_lists_every_family_and_no_page_names_another_one() {
    let running = start(&Extra::default());
    let board = running.board();
    let said = said(&metrics::text(&board));
    let names: Vec<_> = metrics::reference(&board).iter().map(|f| f.name).collect();
    let _ = running.stop();
    assert_eq!(said.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), names);
    let family = |(name, said): &(String, Said)| {
        let total = if said.kind == "counter" { "_total" } else { "" };
        let labels: Vec<_> = said.labels.iter().map(|l| code(l)).collect();
        let labels = if labels.is_empty() { "–".to_owned() } else { labels.join(" ") };
        vec![code(&format!("{name}{total}")), said.kind.clone(), labels, said.help.clone()]
    };
    let refusals = items(&source("edge/src/http/error.rs"), "pub enum HttpError {");
    let refused = HttpError::ALL.iter().zip(refusals).map(|(error, variant)| {
        assert_eq!(format!("{error:?}"), variant.name);
        let line = std::str::from_utf8(error.status_line()).expect("ASCII");
        vec![code(error.label()), line[9..12].to_owned(), variant.about]
    });
    let reasons = items(&source("proto/src/ids.rs"), "pub enum ShedReason {");
    let shed = ShedReason::ALL.iter().zip(reasons).map(|(reason, variant)| {
        assert_eq!(format!("{reason:?}"), variant.name);
        vec![code(reason.label()), variant.about]
    });
    hold(
        "docs/metrics.md",
        &[
            table(
                "families",
                "edge/src/admin/metrics.rs",
                &["name", "type", "labels", "meaning"],
                said.iter().map(family).collect(),
            ),
            table("shed", "proto/src/ids.rs", &["reason", "meaning"], shed.collect()),
            table(
                "refused",
                "edge/src/http/error.rs",
                &["reason", "status", "meaning"],
                refused.collect(),
            ),
        ],
    );
    let samples: BTreeSet<&str> = said
        .iter()
        .flat_map(|(name, s)| s.samples.iter().chain([name]))
        .map(String::as_str)
        .collect();
    for page in PAGES {
        let text = source(page);
        for (at, _) in text.match_indices("brink_") {
            let name = text[at..].split(|c: char| c != '_' && !c.is_ascii_alphanumeric()).next();
            let name = name.unwrap_or_default();
            assert!(samples.contains(name), "{page} names {name}, which /metrics does not have");
        }
    }
}

/// The pages that an operator reads.
const PAGES: [&str; 5] = [
    "docs/operating.md",
    "docs/configuration.md",
    "docs/metrics.md",
    "docs/tables.md",
    "docs/tuning.md",
];

#[test]
fn no_page_names_a_key_that_there_is_not() {
    let file = configuration();
    for (section, _, struct_name) in sections(&file) {
        let keys = items(&file, &format!("pub struct {struct_name} {{"));
        for page in PAGES {
            let text = source(page);
            for (at, head) in text.match_indices(&format!("[{section}] ")) {
                let rest = &text[at + head.len()..];
                let key = rest.split(|c: char| c != '_' && !c.is_ascii_lowercase()).next();
                let known = keys.iter().any(|item| Some(item.name.as_str()) == key);
                assert!(known, "{page} names [{section}] {}", key.unwrap_or_default());
            }
        }
    }
}

/// A row for each setting, a column for each profile.
fn settings(profiles: &[Profile]) -> Vec<Vec<String>> {
    let source = source("tuning/src/profile.rs");
    let values: Vec<_> = profiles.iter().map(|p| json!(p)).collect();
    let row = |section: &str, item: Item| {
        let text = |value: &Value| match &value[section][&item.name] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let key = code(&format!("{section}.{}", item.name));
        let cells = values.iter().map(text);
        [key, item.about.clone()].into_iter().chain(cells).collect::<Vec<_>>()
    };
    let sections = items(&source, "pub struct Profile {").into_iter();
    let is_section = |item: &Item| values[0][&item.name].is_object();
    sections
        .filter(is_section)
        .flat_map(|section| {
            let settings = items(&source, &format!("pub struct {} {{", section.kind));
            settings.into_iter().map(|item| row(&section.name, item)).collect::<Vec<_>>()
        })
        .collect()
}

/// A row for each line of the memory table, a column for each profile, in MiB.
fn memory_rows(profiles: &[Profile]) -> Vec<Vec<String>> {
    let mib = |bytes: u64| format!("{:.1}", bytes as f64 / f64::from(1 << 20));
    let shards = |p: &Profile| (p.vcpus as u64 - 1).max(1);
    let load = |p: &Profile| Load { shards: shards(p), topics: 1, sinks: 1 };
    let tables: Vec<_> = profiles.iter().map(|p| memory::table(p, load(p))).collect();
    let row = |name: &str, of: &dyn Fn(&[memory::Line]) -> u64| {
        let cells = tables.iter().map(|table| mib(of(table)));
        [name.to_owned()].into_iter().chain(cells).collect::<Vec<_>>()
    };
    let lines = tables[0].iter().enumerate();
    let mut rows: Vec<_> = lines.map(|(at, line)| row(line.what, &|t| t[at].bytes)).collect();
    rows.push(row("together", &memory::total));
    rows
}

#[test]
fn the_tuning_page_shows_profiles_and_rungs_as_they_are() {
    let profiles = profile::all().expect("profiles");
    let names = profiles.iter().map(|p| p.name.as_str());
    let titles =
        |first: &[&'static str]| first.iter().copied().chain(names.clone()).collect::<Vec<_>>();
    let about = profiles.iter().map(|p| {
        vec![code(&p.name), p.vcpus.to_string(), p.memory_mib.to_string(), p.about.clone()]
    });
    let rungs = RUNGS.iter().map(|r| vec![code(r.name), r.since.to_owned(), r.without.to_owned()]);
    hold(
        "docs/tuning.md",
        &[
            table(
                "about",
                "tuning/profiles",
                &["profile", "vCPUs", "MiB", "made for"],
                about.collect(),
            ),
            table(
                "profiles",
                "tuning/profiles",
                &titles(&["setting", "what it is"]),
                settings(&profiles),
            ),
            table(
                "memory",
                "tuning/src/memory.rs",
                &titles(&["MiB at most"]),
                memory_rows(&profiles),
            ),
            table(
                "rungs",
                "edge/src/ring/uring/rungs.rs",
                &["rung", "since Linux", "without it"],
                rungs.collect(),
            ),
        ],
    );
}

/// A picture of a file's header, the how many-th.
fn picture(name: &str, path: &'static str, at: usize) -> Block {
    let picture = pictures(path).into_iter().nth(at);
    let picture = picture.unwrap_or_else(|| panic!("{path} has no picture {at}"));
    Block { name: name.to_owned(), from: path, content: Content::Picture(picture) }
}

#[test]
fn the_formats_page_shows_the_pictures_of_the_code() {
    let classes = Class::ALL.map(|class| {
        let number = (class as u8).to_string();
        vec![number, code(class.label()), format!("{} %", class.share_percent())]
    });
    hold(
        "docs/spool-format.md",
        &[
            picture("folder", "shipper/src/spool/mod.rs", 0),
            picture("segment", "shipper/src/spool/segment.rs", 0),
            picture("head and summary", "shipper/src/spool/segment.rs", 1),
            picture("frame", "proto/src/frame/mod.rs", 0),
            table(
                "classes",
                "proto/src/ids.rs",
                &["class", "name", "of buffers and spool, at most"],
                classes.into(),
            ),
            picture("record", "proto/src/kafka/record.rs", 0),
            picture("cursors", "shipper/src/spool/cursors.rs", 0),
            picture("key", "shipper/src/objects/key.rs", 0),
        ],
    );
}

#[test]
fn the_page_about_tables_shows_what_the_code_pictures() {
    hold(
        "docs/tables.md",
        &[
            picture("table", "proto/src/table/mod.rs", 0),
            picture("header", "proto/src/table/layout.rs", 0),
            picture("key", "proto/src/table/key.rs", 0),
            picture("bucket", "proto/src/table/bucket.rs", 0),
            picture("record", "proto/src/table/record.rs", 0),
        ],
    );
}

#[test]
fn the_systemd_unit_gives_a_stop_the_time_that_it_takes() {
    let unit = source("edge/systemd/brink-edge.service");
    let setting = |key: &str| {
        let line = unit.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_else(|| panic!("the unit has no {key}"))
    };
    let least = least();
    let mut whole = least.clone();
    whole["listener"] = json!([least["listener"]]);
    let file: EdgeFile = serde_json::from_value(whole).expect("the least configuration");
    // Five seconds for answers to be taken, two for a spool that gives up.
    let longest_ms = file.drain.grace_ms + 5_000 + file.drain.deliver_ms + 2_000;
    let timeout: u64 = setting("TimeoutStopSec").parse().expect("seconds");
    assert!(timeout * 1000 > longest_ms, "a stop may take {longest_ms} ms");
    let final_codes: BTreeSet<_> = setting("RestartPreventExitStatus").split(' ').collect();
    let wanted = [exit::USAGE, exit::CONFIG, exit::IDENTITY].map(|e| e.code.to_string());
    assert_eq!(final_codes, wanted.iter().map(String::as_str).collect());
    let connections =
        profile::all().expect("profiles").iter().map(|p| p.shard.connections_max).max();
    let files: u32 = setting("LimitNOFILE").parse().expect("a number");
    assert!(Some(files) > connections, "a ring's file table counts against it");
}
