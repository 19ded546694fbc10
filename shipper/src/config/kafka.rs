//! `[kafka]`: the cluster that events go to as they are.

use super::{Checker, ConfigError, KafkaSection};
use crate::{
    kafka::config::{KafkaConfig, Mechanism, SaslConfig, TlsConfig, TopicPolicy},
    secret::{PrivateFault, Secret, read_private},
};
use std::{path::Path, time::Duration};

/// Where the password comes from, if no file is named.
const PASSWORD_VARIABLE: &str = "BRINK_KAFKA_PASSWORD";

/// BOUND: brokers that are asked first; they name all others.
const BROKERS_MAX: usize = 16;

/// Kafka's longest topic name is 249, and ours are at most 32.
const PREFIX_MAX: usize = 200;

const YEAR_MS: u64 = 365 * 24 * 3_600_000;

/// Resolves the section.
///
/// # Errors
/// [`ConfigError`] names the key, what was found and what is allowed.
pub fn resolve(check: &Checker<'_>, section: &KafkaSection) -> Result<KafkaConfig, ConfigError> {
    let brokers = &section.brokers;
    let is_address = |broker: &String| match broker.rsplit_once(':') {
        Some((host, port)) => !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0),
        None => false,
    };
    if brokers.is_empty() || brokers.len() > BROKERS_MAX || !brokers.iter().all(is_address) {
        return Err(check.wrong("kafka.brokers", brokers, "1 to 16 of \"HOST:PORT\""));
    }
    let prefix = &section.topic_prefix;
    let is_legal = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    if prefix.len() > PREFIX_MAX || !prefix.bytes().all(is_legal) {
        let allowed = "at most 200 of a-z, A-Z, 0-9, \".\", \"_\" and \"-\"";
        return Err(check.wrong("kafka.topic_prefix", prefix, allowed));
    }
    let partitions = check.within("kafka.partitions", section.partitions, 1, 10_000)?;
    let replication = check.within("kafka.replication", section.replication, 1, 16)?;
    let expiration = section.producer_expiration_ms;
    let expiration_ms = check.within("kafka.producer_expiration_ms", expiration, 1_000, YEAR_MS)?;
    Ok(KafkaConfig {
        brokers: brokers.clone(),
        topic_prefix: prefix.clone(),
        topics: TopicPolicy {
            create: section.create_topics,
            partitions: partitions as i32,
            replication: replication as i16,
        },
        producer_expiration: Duration::from_millis(expiration_ms),
        transactions: section.transactions,
        tls: tls(check, section)?,
        sasl: sasl(check, section)?,
    })
}

fn tls(check: &Checker<'_>, section: &KafkaSection) -> Result<Option<TlsConfig>, ConfigError> {
    match (&section.ca_file, section.tls) {
        (Some(file), false) => Err(check.wrong("kafka.ca_file", file, "only with tls = true")),
        (ca_file, true) => Ok(Some(TlsConfig { ca_file: ca_file.clone() })),
        (None, false) => Ok(None),
    }
}

fn sasl(check: &Checker<'_>, section: &KafkaSection) -> Result<Option<SaslConfig>, ConfigError> {
    let Some(word) = &section.sasl else {
        return match (&section.username, &section.password_file) {
            (None, None) => Ok(None),
            (Some(user), _) => Err(check.wrong("kafka.username", user, "only with sasl")),
            (_, Some(file)) => Err(check.wrong("kafka.password_file", file, "only with sasl")),
        };
    };
    let names = Mechanism::ALL.map(|m| format!("{:?}", m.name())).join(", ");
    let mechanism =
        Mechanism::named(word).ok_or_else(|| check.wrong("kafka.sasl", word, &names))?;
    if mechanism.sends_password() && !section.tls {
        let allowed = "with tls = true, or else a SCRAM: it sends the password as it is";
        return Err(check.wrong("kafka.sasl", word, allowed));
    }
    let username = section.username.clone();
    let username =
        username.ok_or_else(|| check.wrong("kafka.username", "nothing", "a user, with sasl"))?;
    let password = match &section.password_file {
        Some(path) => password_of(check, path)?,
        None => std::env::var(PASSWORD_VARIABLE).map(Secret::new).map_err(|_| {
            let allowed = format!("a file, or the variable {PASSWORD_VARIABLE}");
            check.wrong("kafka.password_file", "nothing", &allowed)
        })?,
    };
    Ok(Some(SaslConfig { mechanism, username, password }))
}

/// The first line of a file that only its owner can read.
fn password_of(check: &Checker<'_>, path: &Path) -> Result<Secret, ConfigError> {
    let key = "kafka.password_file";
    let text = read_private(path).map_err(|fault| match fault {
        PrivateFault::File(error) => {
            check.wrong(key, path, &format!("a file with the password in it ({error})"))
        }
        PrivateFault::Mode(mode) => {
            let found = format!("{} with mode {mode:o}", path.display());
            check.wrong(key, found, "a file that only its owner can read: chmod 600")
        }
    })?;
    let allowed = "a file with the password in its first line";
    Secret::first_line(&text).ok_or_else(|| check.wrong(key, path, allowed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt};

    fn resolved(more: &str) -> Result<KafkaConfig, String> {
        let text = format!("brokers = [\"k1:9092\"]\n{more}");
        let section = toml::from_str(&text).map_err(|e| e.to_string())?;
        resolve(&Checker { file: Path::new("a.toml") }, &section).map_err(|e| e.to_string())
    }

    #[test]
    fn a_password_is_taken_from_a_file_that_only_its_owner_reads_and_shown_to_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        fs::write(&path, "canary\n").unwrap();
        let more = format!(
            "sasl = \"SCRAM-SHA-512\"\nusername = \"edge\"\npassword_file = {:?}",
            path.display()
        );
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = resolved(&more).unwrap_err();
        assert!(error.contains("mode 640") && error.contains("chmod 600"), "{error}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let config = resolved(&more).unwrap();
        assert_eq!(config.sasl.as_ref().unwrap().password, Secret::new("canary".into()));
        assert!(!format!("{config:?}").contains("canary"));
        fs::write(&path, "\n").unwrap();
        assert!(resolved(&more).unwrap_err().contains("first line"));
        fs::remove_file(&path).unwrap();
        assert!(resolved(&more).unwrap_err().contains("No such file"));
    }

    #[test]
    fn what_cannot_work_is_refused_and_says_what_can() {
        let rows = [
            ("brokers = []", "1 to 16"),
            ("brokers = [\"k1\"]", "HOST:PORT"),
            ("brokers = [\"k1:0\"]", "HOST:PORT"),
            ("topic_prefix = \"a b\"", "at most 200 of"),
            ("partitions = 0", "1 to 10000"),
            ("replication = 17", "1 to 16"),
            ("ca_file = \"x\"", "only with tls = true"),
            ("username = \"x\"", "only with sasl"),
            (
                "sasl = \"GSSAPI\"\nusername = \"x\"",
                "\"PLAIN\", \"SCRAM-SHA-256\", \"SCRAM-SHA-512\"",
            ),
            ("sasl = \"PLAIN\"\nusername = \"x\"", "with tls = true"),
            ("sasl = \"SCRAM-SHA-256\"", "a user, with sasl"),
            ("nonsense = 1", "nonsense"),
        ];
        for (more, want) in rows {
            let more = more.to_owned();
            let error = match more.strip_prefix("brokers") {
                Some(_) => toml::from_str::<KafkaSection>(&more)
                    .map_err(|e| e.to_string())
                    .and_then(|section| {
                        let check = Checker { file: Path::new("a.toml") };
                        resolve(&check, &section).map_err(|e| e.to_string())
                    }),
                None => resolved(&more),
            };
            let error = error.unwrap_err();
            assert!(error.contains(want), "{more}: {error}");
        }
        let least = resolved("").unwrap();
        assert_eq!((least.tls, least.sasl), (None, None));
        assert!(!least.topics.create && least.topics.partitions == 12);
        assert!(!least.transactions && resolved("transactions = true").unwrap().transactions);
    }
}
