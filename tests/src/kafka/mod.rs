//! What Kafka tests stand on. [`cluster`]: three real brokers, of which some are killed.

pub mod cluster;
