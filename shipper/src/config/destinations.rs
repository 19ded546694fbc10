//! Where events go, read from the appliance's configuration by somebody who is no appliance.

use super::{
    Checker, ConfigError, KafkaSection, ObjectsSection, kafka,
    objects::{self, ObjectsConfig},
};
use crate::kafka::config::KafkaConfig;
use serde::Deserialize;
use std::{fs, path::Path};

/// Where events go.
#[derive(Debug, Clone)]
pub struct Destinations {
    /// Where objects go, and how.
    pub objects: ObjectsConfig,
    /// The Kafka cluster, if events go to one.
    pub kafka: Option<KafkaConfig>,
}

/// A configuration, of which the rest is not looked at.
#[derive(Deserialize)]
struct File {
    objects: ObjectsSection,
    kafka: Option<KafkaSection>,
}

/// The largest object where the configuration leaves that to the droplet's profile: that of the
/// small ones.
const BYTES_MAX: u64 = 32 << 20;

impl Destinations {
    /// Reads the two sections of a configuration.
    ///
    /// # Errors
    /// [`ConfigError`] names the file, the key, what was found and what is allowed.
    pub fn read(path: &Path) -> Result<Destinations, ConfigError> {
        let text = fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { file: path.to_owned(), source })?;
        let file: File = toml::from_str(&text)
            .map_err(|e| ConfigError::Text { file: path.to_owned(), text: e.to_string() })?;
        let check = Checker { file: path };
        let objects = objects::resolve(&check, &file.objects, BYTES_MAX)?;
        let kafka = file.kafka.as_ref().map(|k| kafka::resolve(&check, k)).transpose()?;
        Ok(Destinations { objects, kafka })
    }
}
