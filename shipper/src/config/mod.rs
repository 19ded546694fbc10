//! Where events go, from what a person wrote ([`file`]) to what it means.
//!
//! The two sections stand in the appliance's configuration, and are of use to whoever delivers.

mod error;
pub mod file;
pub mod kafka;
pub mod objects;

pub use error::{Checker, ConfigError};
pub use file::{KafkaSection, ObjectsSection};
