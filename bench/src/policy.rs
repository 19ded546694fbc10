//! How connections are used: how long an answer is waited for, and when one is made anew.

use std::time::Duration;

/// What happens to connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Requests until a connection is closed and made again; none, and it is kept.
    pub requests_per_connection: Option<u32>,
    /// A request that was not answered this long after it was sent is given up, and its connection
    /// closed; one that was not sent this long after it was due is given up too.
    pub timeout: Duration,
    /// Whether a connection that was closed is made again.
    pub reopen: bool,
}

/// Long enough for anything that still is an answer.
pub const TIMEOUT: Duration = Duration::from_secs(5);

/// What a data provider's exchange waits for.
pub const EXCHANGE_TIMEOUT: Duration = Duration::from_millis(10);

impl Default for Policy {
    fn default() -> Policy {
        Policy { requests_per_connection: None, timeout: TIMEOUT, reopen: true }
    }
}

impl Policy {
    /// Short-lived connections: ten requests on each.
    #[must_use]
    pub fn churn() -> Policy {
        Policy { requests_per_connection: Some(10), ..Policy::default() }
    }

    /// An exchange: a hard timeout that closes and reopens at once, 300 requests per connection.
    #[must_use]
    pub fn exchange(timeout: Duration) -> Policy {
        Policy { requests_per_connection: Some(300), timeout, reopen: true }
    }
}
