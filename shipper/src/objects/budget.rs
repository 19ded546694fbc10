//! How many requests a second may go to a store: each is counted, retries of the client as well.
//!
//! Stores bound the requests to a bucket, and a fleet shares one: each appliance has its part. What
//! was not used is kept for ten seconds, so that an hour's end, or a stop, need not wait.

use object_store::{
    ClientOptions,
    client::{
        HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService,
        ReqwestConnector,
    },
};
use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// For how long what was not used is kept.
const KEPT: Duration = Duration::from_secs(10);

/// When the next request may go. Pure.
#[derive(Debug)]
struct Pace {
    interval: Duration,
    /// When everything that was granted would have gone at an even pace.
    even: Duration,
}

impl Pace {
    fn new(per_second: u32) -> Pace {
        Pace { interval: Duration::from_secs(1) / per_second.max(1), even: Duration::ZERO }
    }

    /// Grants a request; how long it has to wait.
    fn grant(&mut self, now: Duration) -> Duration {
        let now = now + KEPT;
        let at = self.even.max(now.saturating_sub(KEPT));
        self.even = at + self.interval;
        self.even.saturating_sub(now)
    }
}

/// Connects to a store within a budget.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    pace: Arc<Mutex<Pace>>,
    started: Instant,
}

impl Budget {
    pub(super) fn new(per_second: u32) -> Budget {
        Budget { pace: Arc::new(Mutex::new(Pace::new(per_second))), started: Instant::now() }
    }

    fn grant(&self) -> Duration {
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        pace.grant(self.started.elapsed())
    }
}

impl HttpConnector for Budget {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let inner = ReqwestConnector::default().connect(options)?;
        Ok(HttpClient::new(Within { inner, budget: self.clone() }))
    }
}

/// A client that waits for its turn.
#[derive(Debug)]
struct Within {
    inner: HttpClient,
    budget: Budget,
}

type Answer<'a> = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'a>>;

impl HttpService for Within {
    fn call<'a, 'b>(&'a self, request: HttpRequest) -> Answer<'b>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async move {
            tokio::time::sleep(self.budget.grant()).await;
            self.inner.execute(request).await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_used_is_kept_for_ten_seconds_and_then_requests_go_at_an_even_pace() {
        let mut pace = Pace::new(3);
        let at = Duration::from_secs;
        let granted =
            |pace: &mut Pace, now| (0..100).take_while(|_| pace.grant(now).is_zero()).count();
        assert_eq!(granted(&mut pace, at(100)), 30);
        // The one that was not granted at once waits for its turn, and so does the next.
        let wait = pace.grant(at(100));
        assert!(wait > Duration::from_millis(600) && wait < Duration::from_millis(700), "{wait:?}");
        let wait = pace.grant(at(101));
        assert!(wait.is_zero(), "{wait:?}");
        // However long nobody asked, no more is kept.
        assert_eq!(granted(&mut pace, at(10_000)), 30);
    }
}
