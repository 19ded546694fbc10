//! Where a thread runs, and how the scheduler treats it beside its neighbours.
#![allow(unsafe_code, reason = "sched_setattr has no safe interface")]

use rustix::thread::{CpuSet, gettid, sched_setaffinity};
use std::{io, time::Duration};

/// How a thread is treated when others want its core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// Runs as soon as it is woken, whoever runs: what it has to do is short, and somebody counts
    /// the microseconds until it is done.
    Prompt,
    /// A tenth of a normal one.
    Low,
    /// A seventieth: what it does is long and never urgent, but has to end some day, whoever else
    /// has work.
    Lowest,
}

/// The shortest slice that the kernel takes. Whoever asks for short ones is due sooner, and since
/// Linux 6.12 is let in at once before those who asked for longer ones; before, it changes nothing.
const PROMPT_SLICE: Duration = Duration::from_micros(100);

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
    let nice =
        |nice| rustix::process::setpriority_process(Some(gettid()), nice).map_err(io::Error::from);
    let weighed = match weight {
        Weight::Prompt => take_slices(PROMPT_SLICE),
        Weight::Low => nice(LOW_NICE),
        Weight::Lowest => nice(LOWEST_NICE),
    };
    if let Err(error) = weighed {
        tracing::warn!(?weight, %error, "the thread could not be weighed");
    }
}

/// A tenth of a normal thread's weight.
const LOW_NICE: i32 = 10;
const LOWEST_NICE: i32 = 19;

/// Gives the calling thread slices of this length.
fn take_slices(slice: Duration) -> io::Result<()> {
    // What the process was started with stays.
    let nice = rustix::process::getpriority_process(Some(gettid()))?;
    let attributes = libc::sched_attr {
        size: size_of::<libc::sched_attr>() as u32,
        sched_policy: libc::SCHED_OTHER as u32,
        sched_flags: 0,
        sched_nice: nice,
        sched_priority: 0,
        sched_runtime: slice.as_nanos() as u64,
        sched_deadline: 0,
        sched_period: 0,
    };
    let this_thread = 0;
    // SAFETY: the call reads the structure, which says its own size and lives until it is over.
    let set =
        unsafe { libc::syscall(libc::SYS_sched_setattr, this_thread, &raw const attributes, 0) };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::getpriority_process;
    use std::{fs, thread};

    /// Policy and slice of the calling thread, as the kernel says them.
    fn scheduled() -> (String, Option<u64>) {
        let text = fs::read_to_string("/proc/thread-self/sched").unwrap_or_default();
        let field = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(name))?;
            Some(line.rsplit(':').next()?.trim().to_owned())
        };
        (field("policy").unwrap_or_default(), field("se.slice").and_then(|s| s.parse().ok()))
    }

    #[test]
    fn threads_are_weighed_as_they_are_to_be() {
        let settled = |weight| {
            let of_thread = move || {
                settle(&[], weight);
                (scheduled(), getpriority_process(Some(gettid())).unwrap())
            };
            thread::spawn(of_thread).join().unwrap()
        };
        let ((policy, slice), nice) = settled(Weight::Prompt);
        assert_eq!((policy.as_str(), nice), ("0", 0));
        // Kernels before 6.12 neither keep nor say it.
        assert!(slice.is_none_or(|slice| slice == 100_000), "{slice:?}");
        assert_eq!(settled(Weight::Low).1, LOW_NICE);
        assert_eq!(settled(Weight::Lowest).1, LOWEST_NICE);
    }
}
