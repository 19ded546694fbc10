//! Where a thread runs, and how much it weighs against its neighbours.

use rustix::thread::{CpuSet, gettid, sched_setaffinity};

/// A thread's weight in the scheduler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// As the process was started.
    Normal,
    /// A tenth of a normal one.
    Low,
    /// Runs when nobody else wants to.
    Lowest,
}

/// Pins the calling thread to `cpus` and weighs it. What the system refuses is logged and left: the
/// appliance works without it.
pub fn settle(cpus: &[usize], weight: Weight) {
    let mut set = CpuSet::new();
    cpus.iter().for_each(|cpu| set.set(*cpu));
    if !cpus.is_empty()
        && let Err(error) = sched_setaffinity(None, &set)
    {
        tracing::warn!(?cpus, %error, "the thread could not be pinned");
    }
    let nice = match weight {
        Weight::Normal => return,
        Weight::Low => 10,
        Weight::Lowest => 19,
    };
    if let Err(error) = rustix::process::setpriority_process(Some(gettid()), nice) {
        tracing::warn!(nice, %error, "the thread could not be weighed");
    }
}
