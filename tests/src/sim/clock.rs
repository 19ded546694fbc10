//! Time that stands still until it is moved.

use brink_proto::ids::Micros;
use brink_shipper::disk::Timer;
use edge::clock::{Clock, Nanos};
use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    rc::Rc,
    task::{Poll, Waker},
    time::Duration,
};

/// A clock for shards and spools alike.
#[derive(Clone)]
pub struct SimClock {
    shared: Rc<Shared>,
}

struct Shared {
    now: Cell<u64>,
    /// What the time of day is, apart from the clock.
    day_starts_at_us: Cell<i64>,
    sleepers: RefCell<Vec<(u64, Waker)>>,
}

impl SimClock {
    /// A clock at zero; the time of day is then `day_starts_at_us`.
    #[must_use]
    pub fn new(day_starts_at_us: i64) -> SimClock {
        let sleepers = RefCell::new(Vec::new());
        let day_starts_at_us = Cell::new(day_starts_at_us);
        SimClock { shared: Rc::new(Shared { now: Cell::new(0), day_starts_at_us, sleepers }) }
    }

    /// Somebody sets the time of day, forward or back. The clock that all is measured with goes on
    /// as it did.
    pub fn set_day(&self, by_us: i64) {
        let day = &self.shared.day_starts_at_us;
        day.set(day.get() + by_us);
    }

    /// Nanoseconds since zero.
    #[must_use]
    pub fn nanos(&self) -> u64 {
        self.shared.now.get()
    }

    /// Moves time, never back, and wakes those whose time has come.
    pub fn move_to(&self, nanos: u64) {
        self.shared.now.set(self.nanos().max(nanos));
        let mut sleepers = self.shared.sleepers.borrow_mut();
        let now = self.nanos();
        let (due, rest): (Vec<_>, Vec<_>) = sleepers.drain(..).partition(|(at, _)| *at <= now);
        *sleepers = rest;
        drop(sleepers);
        due.into_iter().for_each(|(_, waker)| waker.wake());
    }

    /// When the next sleeper wants to be woken.
    #[must_use]
    pub fn next_wake(&self) -> Option<u64> {
        self.shared.sleepers.borrow().iter().map(|(at, _)| *at).min()
    }
}

impl Clock for SimClock {
    fn now(&self) -> Nanos {
        // A look at the clock takes a moment, so that loops that wait for time get there.
        self.shared.now.set(self.nanos() + 20);
        Nanos(self.nanos())
    }

    fn system(&self) -> Micros {
        Micros(self.shared.day_starts_at_us.get() + (self.nanos() / 1000) as i64)
    }
}

impl Timer for SimClock {
    fn now(&self) -> Duration {
        Duration::from_nanos(self.nanos())
    }

    async fn sleep(&self, time: Duration) {
        let until = self.nanos() + time.as_nanos() as u64;
        poll_fn(|context| {
            if self.nanos() >= until {
                return Poll::Ready(());
            }
            self.shared.sleepers.borrow_mut().push((until, context.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}
