//! The appliance's folder, a real Kafka broker, a real S3 server, and what stands in between.

use crate::mode::Mode;
use brink_tests::{
    appliance::Extra,
    proxy::Proxy,
    s3::{S3Server, proxy::Proxy as StoreProxy},
    services::Broker,
    site::Site,
};

/// What the store has is below this.
pub(crate) const PREFIX: &str = "edge";

/// The topic that pixels have.
pub(crate) const TOPIC: &str = "impressions";

/// All of it.
pub(crate) struct World {
    pub(crate) broker: Broker,
    pub(crate) kafka: Proxy,
    pub(crate) server: S3Server,
    pub(crate) store: StoreProxy,
    pub(crate) site: Site,
    pub(crate) mode: Mode,
}

impl World {
    pub(crate) fn start() -> Option<World> {
        let (kafka, broker) = Broker::start_proxied(&[])?;
        let server = S3Server::start()?;
        let store = StoreProxy::start(server.address(), server.secret());
        let mode = Mode::Plain;
        let sections = format!(
            "[kafka]\nbrokers = [\"{}\"]\npartitions = 2\nreplication = 1\ncreate_topics = true\n{}",
            kafka.address,
            mode.key()
        );
        let listener = "ack = { \"/i.gif\" = \"durable\" }";
        let site = Site::new(&Extra { listener, sections: &sections, ..Extra::default() });
        let folder = format!("url = \"file:{}/objects\"", site.path().display());
        let place = format!(
            "url = \"{}\"\nendpoint = \"{}\"\ncredentials = \"{}\"\n\
             requests_per_second_max = 1000",
            server.url(PREFIX),
            store.endpoint(),
            server.credentials().display()
        );
        // Objects and segments are small, so that there are some of each in every life.
        let site = site
            .with(&folder, &place)
            .with("age_max_ms = 60000", "age_max_ms = 200")
            .with("segment_bytes = 4194304", "segment_bytes = 524288")
            .with("quota_bytes = 67108864", "quota_bytes = 4294967296");
        Some(World { broker, kafka, server, store, site, mode })
    }

    /// From the next start on that finds nothing left, events go to Kafka in this way.
    pub(crate) fn deliver_in(&mut self, mode: Mode) {
        self.site.change(self.mode.key(), mode.key());
        self.mode = mode;
    }
}
