//! From what a person wrote to what it means.

use super::{
    ConfigError, Deadlines, DrainSettings, EdgeConfig, ListenerConfig, LogSettings, SpoolSettings,
    cidr::{Cidr, Cidrs},
    consent,
    file::{
        AckWord, EdgeFile, ListenerSection, LogSection, Ranges, RingSection, SpinWord, SpoolSection,
    },
    provider, tables,
};
use crate::{
    conn::assembly::BODY_BYTES_MAX,
    consent::Policy,
    ring::uring::rungs::{RUNGS, Rungs},
    roles::{Ack, Roles, provider::dialect_bytes},
};
use brink_proto::{
    event::LABEL_BYTES_MAX,
    ids::{Name, hex},
};
use brink_shipper::{
    config::{Checker, kafka, objects},
    objects::{hdfs::PACKETS_BYTES_MAX, store::StoreConfig},
    spool::{port::READ_BYTES_MAX, segment::SEGMENT_BYTES_MIN},
};
use brink_tuning::{
    cores,
    host::Host,
    memory::{self, Line},
    profile::{self, Profile, Spin},
};
use sha2::{Digest, Sha256};
use std::{fs, net::SocketAddr, path::Path, time::Duration};

/// Reads a file and resolves it on a host.
///
/// # Errors
/// [`ConfigError`] names the file, the key, what was found and what is allowed.
pub fn resolve(path: &Path, roles: &Roles, host: &Host) -> Result<EdgeConfig, ConfigError> {
    let text = fs::read_to_string(path)
        .map_err(|source| ConfigError::Unreadable { file: path.to_owned(), source })?;
    resolve_text(path, &text, roles, host)
}

/// Resolves a text that came from `path`.
///
/// # Errors
/// As [`resolve`].
pub fn resolve_text(
    path: &Path,
    text: &str,
    roles: &Roles,
    host: &Host,
) -> Result<EdgeConfig, ConfigError> {
    let file: EdgeFile = toml::from_str(text)
        .map_err(|e| ConfigError::Text { file: path.to_owned(), text: e.to_string() })?;
    let check = Checker { file: path };
    let edge = Name::new(&file.edge.name)
        .map_err(|_| check.wrong("edge.name", &file.edge.name, "1 to 32 of a-z, 0-9 and _"))?;
    let mut profile = profile(&check, &file.edge.profile, host)?;
    match file.threads.spin {
        Some(SpinWord::Off) => profile.cores.spin = Spin::Off,
        Some(SpinWord::Balanced) => {
            profile.cores.spin = Spin::Balanced;
            profile.cores.spin_us = profile.cores.spin_us.max(DEFAULT_SPIN_US);
        }
        Some(SpinWord::Dedicated) => profile.cores.spin = Spin::Dedicated,
        None => {}
    }
    let cores = cores::plan(host, &profile.cores);
    let policy = consent::resolve(&check, &file.consent)?;
    let around = Around { roles, profile: &profile, consent: &policy, shards: cores.shards.len() };
    let listeners = listeners(&check, &file, &around)?;
    let tables = file.tables.as_ref();
    let tables = tables.map(|t| tables::resolve(&check, t, host.memory_mib)).transpose()?;
    if let Some(listener) = listeners.iter().find(|l| l.provider.is_some() && tables.is_none()) {
        let allowed = format!("[tables], for listener {:?} looks into one", listener.name);
        return Err(check.wrong("tables", "nothing", &allowed));
    }
    let topics = roles.topics(listeners.iter().map(|l| l.role.as_str())).len() as u64;
    let kafka = file.kafka.as_ref().map(|k| kafka::resolve(&check, k)).transpose()?;
    let sinks = 1 + u64::from(kafka.is_some());
    let load = memory::Load { shards: cores.shards.len() as u64, topics, sinks };
    let mut memory = memory::table(&profile, load);
    if kafka.is_some() {
        let bytes = READ_BYTES_MAX as u64;
        memory.push(Line { what: "batches on their way to Kafka", bytes });
    }
    let objects = objects::resolve(&check, &file.objects, profile.objects.bytes_max_mib << 20)?;
    if matches!(objects.store, StoreConfig::Hdfs { .. }) {
        memory.push(Line { what: "packets on their way to HDFS", bytes: PACKETS_BYTES_MAX });
    }
    let providers = listeners.iter().filter_map(|listener| listener.provider.as_ref());
    let bytes = load.shards * providers.map(dialect_bytes).sum::<u64>();
    if bytes > 0 {
        memory.push(Line { what: "segment requests in JSON", bytes });
    }
    if let Some(tables) = &tables {
        memory.push(Line { what: "segment tables, two", bytes: 2 * tables.bytes_max });
    }
    let hash = Sha256::digest(text.as_bytes());
    Ok(EdgeConfig {
        edge,
        listeners,
        admin: address(&check, "admin.address", &file.admin.address)?,
        spool: spool(&check, &file.spool, &profile)?,
        store: objects.store,
        store_limits: objects.limits,
        roll: objects.roll,
        kafka,
        consent: policy,
        tables,
        memory,
        cores,
        profile,
        rungs: rungs(&check, &file.ring)?,
        drain: DrainSettings {
            grace: check.millis("drain.grace_ms", file.drain.grace_ms, 0)?,
            deliver: check.millis("drain.deliver_ms", file.drain.deliver_ms, 0)?,
        },
        log: log(&check, file.log)?,
        hash: hex(&hash[..8]),
    })
}

/// How long a balanced shard spins where the profile does not say.
const DEFAULT_SPIN_US: u64 = 50;

fn profile(check: &Checker<'_>, name: &str, host: &Host) -> Result<Profile, ConfigError> {
    let found = match name {
        "auto" => profile::for_machine(host.cores.len(), host.memory_mib),
        name => profile::by_name(name),
    };
    found.map_err(|e| check.wrong("edge.profile", name, &format!("\"auto\", or: {e}")))
}

/// What a listener is resolved with, beside its own section.
struct Around<'a> {
    roles: &'a Roles,
    profile: &'a Profile,
    consent: &'a Policy,
    shards: usize,
}

fn listeners(
    check: &Checker<'_>,
    file: &EdgeFile,
    around: &Around<'_>,
) -> Result<Vec<ListenerConfig>, ConfigError> {
    if file.listener.is_empty() {
        return Err(check.wrong("listener", "nothing", "at least one [[listener]]"));
    }
    let mut listeners: Vec<ListenerConfig> = Vec::new();
    for section in &file.listener {
        let listener = listener(check, section, around)?;
        let key = |field: &str| format!("listener {:?}: {field}", listener.name);
        if listeners.iter().any(|l| l.name == listener.name) {
            return Err(check.wrong(&key("name"), &listener.name, "a name for each listener"));
        }
        let taken =
            |l: &ListenerConfig| l.address == listener.address && listener.address.port() != 0;
        if listeners.iter().any(taken) {
            let allowed = "an address for each listener";
            return Err(check.wrong(&key("address"), listener.address, allowed));
        }
        listeners.push(listener);
    }
    Ok(listeners)
}

fn listener(
    check: &Checker<'_>,
    section: &ListenerSection,
    around: &Around<'_>,
) -> Result<ListenerConfig, ConfigError> {
    let key = |field: &str| format!("listener {:?}: {field}", section.name);
    label(check, &key("name"), &section.name)?;
    for (field, text) in [("exchange", &section.exchange), ("datacenter", &section.datacenter)] {
        text.as_ref().map_or(Ok(()), |text| label(check, &key(field), text))?;
    }
    let names = || format!("{:?}", around.roles.names());
    let host = around
        .roles
        .by_name(&section.role)
        .ok_or_else(|| check.wrong(&key("role"), &section.role, &names()))?;
    let mut acks = std::collections::BTreeMap::new();
    for (route, word) in &section.ack {
        if !host.routes().contains(&route.as_str()) {
            let allowed = format!("{:?}", host.routes());
            return Err(check.wrong(&key("ack"), route, &allowed));
        }
        let ack = match word {
            AckWord::Received => Ack::Received,
            AckWord::Durable => Ack::Durable,
        };
        acks.insert(route.clone(), ack);
    }
    let connections =
        section.connections_max.unwrap_or(around.profile.shard.connections_max / CONNECTION_SHARE);
    let body =
        check.within(&key("body_bytes_max"), section.body_bytes_max, 0, BODY_BYTES_MAX as u64)?;
    let deadline = |field: &str, value: u64| check.millis(&key(field), value, DEADLINE_MS_MIN);
    for (field, text) in
        [("cookie", &section.cookie), ("auction_parameter", &section.auction_parameter)]
    {
        let known = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
        if text.is_empty() || text.len() > LABEL_BYTES_MAX || !text.bytes().all(known) {
            return Err(check.wrong(&key(field), text, "1 to 64 of letters, digits, _ - ."));
        }
    }
    Ok(ListenerConfig {
        name: section.name.clone(),
        role: section.role.clone(),
        address: address(check, &key("address"), &section.address)?,
        exchange: section.exchange.clone(),
        datacenter: section.datacenter.clone(),
        allow: ranges(check, &key("allow"), &section.allow)?,
        trusted_proxies: list(check, &key("trusted_proxies"), &section.trusted_proxies)?,
        connections_max: check.within(&key("connections_max"), connections.into(), 1, 32_768)?
            as u32,
        body_bytes_max: body as usize,
        deadlines: Deadlines {
            head: deadline("head_timeout_ms", section.head_timeout_ms)?,
            body: deadline("body_timeout_ms", section.body_timeout_ms)?,
            idle: deadline("idle_timeout_ms", section.idle_timeout_ms)?,
            write: deadline("write_timeout_ms", section.write_timeout_ms)?,
        },
        acks,
        cookie: section.cookie.clone(),
        auction_parameter: section.auction_parameter.clone(),
        consent: *around.consent,
        provider: provider::resolve(check, section, around.shards)?,
    })
}

/// A profile's connections are those of all listeners; one that says nothing takes half.
const CONNECTION_SHARE: u32 = 2;

/// Deadlines are kept by a wheel that is no finer.
const DEADLINE_MS_MIN: u64 = 50;

pub(super) fn label(check: &Checker<'_>, key: &str, text: &str) -> Result<(), ConfigError> {
    let known = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
    if (1..=LABEL_BYTES_MAX).contains(&text.len()) && text.bytes().all(known) {
        return Ok(());
    }
    Err(check.wrong(key, text, "1 to 64 of letters, digits, _ - ."))
}

fn address(check: &Checker<'_>, key: &str, text: &str) -> Result<SocketAddr, ConfigError> {
    let allowed = "an address and a port, such as \"127.0.0.1:8083\" or \"[::]:8083\"";
    text.parse().map_err(|_| check.wrong(key, text, allowed))
}

fn ranges(check: &Checker<'_>, key: &str, ranges: &Ranges) -> Result<Cidrs, ConfigError> {
    match ranges {
        Ranges::Word(word) if word == "any" => Ok(Cidrs::Any),
        Ranges::Word(word) => Err(check.wrong(key, word, "\"any\", or a list of ranges")),
        Ranges::List(texts) if texts.is_empty() => {
            Err(check.wrong(key, texts, "at least one range, or \"any\""))
        }
        Ranges::List(texts) => list(check, key, texts),
    }
}

fn list(check: &Checker<'_>, key: &str, texts: &[String]) -> Result<Cidrs, ConfigError> {
    let range = |text: &String| {
        let allowed =
            "a range such as \"192.0.2.0/24\" or \"2001:db8::/32\", zeros behind the prefix";
        Cidr::parse(text).ok_or_else(|| check.wrong(key, text, allowed))
    };
    Ok(Cidrs::List(texts.iter().map(range).collect::<Result<_, _>>()?))
}

fn spool(
    check: &Checker<'_>,
    section: &SpoolSection,
    profile: &Profile,
) -> Result<SpoolSettings, ConfigError> {
    let mib = 1 << 20;
    let segment = section.segment_bytes.unwrap_or(u64::from(profile.spool.segment_mib) * mib);
    let (least, most) = (u64::from(SEGMENT_BYTES_MIN), 1 << 30);
    check.within("spool.segment_bytes", segment, least, most)?;
    if !segment.is_multiple_of(4096) {
        return Err(check.wrong("spool.segment_bytes", segment, "multiples of 4096"));
    }
    let quota = section.quota_bytes.unwrap_or(profile.spool.quota_mib * mib);
    check.within("spool.quota_bytes", quota, 4 * segment, u64::MAX)?;
    let interval =
        check.within("spool.commit_interval_ms", section.commit_interval_ms, 1, 10_000)?;
    let replay =
        check.within("spool.replay_bytes_per_s", section.replay_bytes_per_s, 64 << 10, 1 << 40)?;
    Ok(SpoolSettings {
        path: section.path.clone(),
        second_path: section.second_path.clone(),
        segment_bytes: segment as u32,
        quota_bytes: quota,
        commit_interval: Duration::from_millis(interval),
        replay_bytes_per_s: replay,
    })
}

fn log(check: &Checker<'_>, section: LogSection) -> Result<LogSettings, ConfigError> {
    let json = match section.format.as_str() {
        "text" => false,
        "json" => true,
        other => return Err(check.wrong("log.format", other, "\"text\", \"json\"")),
    };
    Ok(LogSettings { json, level: section.level })
}

fn rungs(check: &Checker<'_>, section: &RingSection) -> Result<Rungs, ConfigError> {
    let mut rungs = Rungs::ALL;
    for name in &section.without {
        if !rungs.remove(name) {
            let names: Vec<_> = RUNGS.iter().map(|r| r.name).collect();
            return Err(check.wrong("ring.without", name, &format!("{names:?}")));
        }
    }
    Ok(rungs)
}

#[cfg(test)]
mod tests;
