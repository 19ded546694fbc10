//! What `/status` said at one instant: the JSON, and the questions that tests ask it most.

use serde_json::Value;
use std::ops::Deref;

/// The page.
#[derive(Debug, Clone)]
pub struct Status(Value);

impl Status {
    /// Reads a page.
    ///
    /// # Panics
    /// When it is no JSON.
    #[must_use]
    pub fn parse(body: &[u8]) -> Status {
        Status(serde_json::from_slice(body).expect("JSON"))
    }

    fn streams(&self) -> impl Iterator<Item = &Value> {
        self["ledger"]["streams"].as_array().expect("streams").iter()
    }

    /// Events that have come as far as a hop of the ledger, over all shards and topics.
    ///
    /// # Panics
    /// When there is no such hop.
    #[must_use]
    pub fn events(&self, hop: &str) -> u64 {
        self.streams().map(|stream| stream[hop].as_u64().expect("a number")).sum()
    }

    /// Events that were shed, for any reason.
    ///
    /// # Panics
    /// When the page does not say.
    #[must_use]
    pub fn shed(&self) -> u64 {
        let reasons = self.streams().flat_map(|s| s["shed"].as_object().expect("reasons").values());
        reasons.map(|count| count.as_u64().expect("a number")).sum()
    }

    /// What the ledger says of the object sink.
    #[must_use]
    pub fn sink(&self) -> &Value {
        &self["ledger"]["sinks"]["objects"]
    }

    /// Whether an alarm is active.
    ///
    /// # Panics
    /// When the page does not say.
    #[must_use]
    pub fn is_alarmed(&self, alarm: &str) -> bool {
        self["alarms"].as_array().expect("alarms").iter().any(|a| a["alarm"] == alarm)
    }
}

impl Deref for Status {
    type Target = Value;

    fn deref(&self) -> &Value {
        &self.0
    }
}
