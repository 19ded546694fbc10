//! What Kafka tests stand on. [`cluster`]: three real brokers, of which some are killed.
//! [`proxy`]: stands in front of a broker, and fails as it is told to. [`client`]: sends batches as
//! they are.

pub mod client;
pub mod cluster;
pub mod proxy;
