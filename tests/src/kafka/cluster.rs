//! A real cluster of three brokers, each a process that can be killed and started again.

use crate::services::{Service, signal_broker, start_broker_again};
use std::{net::SocketAddr, path::PathBuf};

/// How many brokers there are: what two of them have, one may forget.
const BROKERS: usize = 3;

/// The cluster, which ends with this value.
pub struct Cluster {
    /// Ends it when this is dropped.
    _service: Service,
    dir: PathBuf,
    /// Where the brokers are: that of broker N at N - 1.
    pub addresses: Vec<SocketAddr>,
}

impl Cluster {
    /// Starts one; nothing where it cannot be had.
    ///
    /// # Panics
    /// When it can be had and does not start, or services are required.
    #[must_use]
    pub fn start() -> Option<Cluster> {
        let from = "Maven, by `tests/services/kafka.sh fetch`";
        let brokers = [("BRINK_KAFKA_BROKERS", BROKERS.to_string())];
        let service = Service::start("kafka.sh", &brokers, "The Kafka cluster", from)?;
        let address = |address: &str| address.parse().expect("an address");
        let addresses = service.facts["addresses"].split(',').map(address).collect();
        let dir = PathBuf::from(&service.facts["dir"]);
        Some(Cluster { dir, addresses, _service: service })
    }

    /// Where a broker is.
    ///
    /// # Panics
    /// When there is none of this number.
    #[must_use]
    pub fn address(&self, broker: i32) -> SocketAddr {
        self.addresses[usize::try_from(broker - 1).expect("brokers count from 1")]
    }

    /// All of them, as they are configured.
    #[must_use]
    pub fn brokers(&self) -> String {
        let all: Vec<String> = self.addresses.iter().map(|a| format!("\"{a}\"")).collect();
        all.join(", ")
    }

    fn home(&self, broker: i32) -> PathBuf {
        self.dir.join(broker.to_string())
    }

    /// Kills a broker.
    ///
    /// # Panics
    /// When it does not run.
    pub fn kill(&self, broker: i32) {
        signal_broker(&self.home(broker), "KILL");
    }

    /// Starts a broker again that was killed, and waits until it takes part.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_again(&self, broker: i32) {
        start_broker_again(&self.home(broker));
    }
}
