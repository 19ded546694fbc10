//! What the supervisor waits for: signals, and threads that end.

use std::sync::mpsc::{Receiver, Sender, channel};

/// Something happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Somebody wants the appliance to stop.
    StopWanted,
    /// A thread has ended; before a stop, by itself.
    ThreadEnded(String),
}

/// Where threads say so.
#[derive(Debug, Clone)]
pub(super) struct Events(Sender<Event>);

impl Events {
    pub(super) fn new() -> (Events, Receiver<Event>) {
        // BOUND: one event for each thread, and one for each signal that a person sends.
        let (sender, receiver) = channel();
        (Events(sender), receiver)
    }

    pub(super) fn send(&self, event: Event) {
        // The supervisor may have ended already.
        let _ = self.0.send(event);
    }

    /// Says that a thread has ended when it has, by a panic too.
    pub(super) fn guard(self, thread: String) -> ThreadGuard {
        ThreadGuard { events: self, thread }
    }
}

/// See [`Events::guard`].
pub(super) struct ThreadGuard {
    events: Events,
    thread: String,
}

impl Drop for ThreadGuard {
    fn drop(&mut self) {
        self.events.send(Event::ThreadEnded(std::mem::take(&mut self.thread)));
    }
}
