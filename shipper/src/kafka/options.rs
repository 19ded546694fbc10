//! A cluster to read from, as it is said on a command line.

use super::{
    config::{KafkaConfig, Mechanism, SaslConfig, TlsConfig, TopicPolicy},
    reader::Reader,
    tls::Tls,
};
use crate::secret::{PrivateFault, Secret, read_private};
use std::{path::PathBuf, time::Duration};

/// What is said of a cluster.
#[derive(Debug, Clone, clap::Args)]
pub struct KafkaOptions {
    /// Brokers that are asked first, HOST:PORT, with commas between them.
    #[arg(long, value_delimiter = ',')]
    pub kafka: Vec<String>,
    /// In front of the topics' names there.
    #[arg(long, default_value = "", requires = "kafka")]
    pub kafka_prefix: String,
    /// Speaks TLS to the brokers.
    #[arg(long, requires = "kafka")]
    pub kafka_tls: bool,
    /// Certificates that may vouch for a broker, PEM; those of the system, if it is not said.
    #[arg(long, requires = "kafka_tls")]
    pub kafka_ca: Option<PathBuf>,
    /// How the user is proved: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.
    #[arg(long, requires = "kafka_user", requires = "kafka_password_file")]
    pub kafka_sasl: Option<String>,
    /// The user.
    #[arg(long, requires = "kafka_sasl")]
    pub kafka_user: Option<String>,
    /// A file of mode 600 with the password in its first line.
    #[arg(long, requires = "kafka_sasl")]
    pub kafka_password_file: Option<PathBuf>,
}

impl KafkaOptions {
    /// The cluster; nothing, if none is named.
    ///
    /// # Errors
    /// A text that says what cannot work.
    pub fn reader(&self) -> Result<Option<Reader>, String> {
        if self.kafka.is_empty() {
            return Ok(None);
        }
        let tls = self.kafka_tls.then(|| TlsConfig { ca_file: self.kafka_ca.clone() });
        let config = KafkaConfig {
            brokers: self.kafka.clone(),
            topic_prefix: self.kafka_prefix.clone(),
            // Nothing is made for somebody who only looks, and nobody remembers him.
            topics: TopicPolicy { create: false, partitions: 1, replication: 1 },
            producer_expiration: Duration::ZERO,
            transactions: false,
            tls,
            sasl: self.sasl()?,
        };
        let tls = config.tls.as_ref().map(Tls::new).transpose().map_err(|e| e.to_string())?;
        Ok(Some(Reader { config, tls }))
    }

    fn sasl(&self) -> Result<Option<SaslConfig>, String> {
        let (Some(word), Some(username), Some(path)) =
            (&self.kafka_sasl, &self.kafka_user, &self.kafka_password_file)
        else {
            return Ok(None);
        };
        let mechanism = Mechanism::named(word).ok_or_else(|| {
            let names = Mechanism::ALL.map(Mechanism::name).join(", ");
            format!("--kafka-sasl is {word:?}; allowed: {names}")
        })?;
        if mechanism.sends_password() && !self.kafka_tls {
            return Err("--kafka-sasl PLAIN sends the password as it is: add --kafka-tls".into());
        }
        let text = read_private(path).map_err(|fault| match fault {
            PrivateFault::File(error) => format!("cannot read {}: {error}", path.display()),
            PrivateFault::Mode(mode) => {
                let path = path.display();
                format!("{path} has mode {mode:04o}, and holds a secret: chmod 600 {path}")
            }
        })?;
        let password = Secret::first_line(&text)
            .ok_or_else(|| format!("{} has no password in its first line", path.display()))?;
        Ok(Some(SaslConfig { mechanism, username: username.clone(), password }))
    }
}
