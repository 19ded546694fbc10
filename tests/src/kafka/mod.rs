//! What Kafka tests stand on. [`cluster`]: three real brokers, of which some are killed.
//! [`client`]: sends batches as they are.

pub mod client;
pub mod cluster;
