//! Where events go, from what a person wrote ([`file`]) to what it means.
//!
//! The two sections stand in the appliance's configuration. They are read here, for a dead box's
//! volume is delivered with the same file, by `shipper drain`.

mod destinations;
mod error;
pub mod file;
pub mod kafka;
pub mod objects;

pub use destinations::Destinations;
pub use error::{Checker, ConfigError};
pub use file::{KafkaSection, ObjectsSection};
