//! Cores: which there are, who gets which, how a thread stays on one, and what it has had of it.

use rustix::{
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
    time::{ClockId, clock_gettime},
};
use std::io;

/// The cores that the calling thread may use, in order.
///
/// # Errors
/// When the system does not say.
pub fn allowed() -> io::Result<Vec<usize>> {
    let set = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect())
}

/// Keeps the calling thread, and what it forks, on some cores.
///
/// # Errors
/// When there is no such core, or it may not be used.
pub fn pin(cores: &[usize]) -> io::Result<()> {
    let mut set = CpuSet::new();
    for core in cores {
        if *core >= CpuSet::MAX_CPU {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        set.set(*core);
    }
    Ok(sched_setaffinity(None, &set)?)
}

/// Nanoseconds of CPU time that the calling thread has had.
pub(crate) fn cpu_time() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// A server's and a generator's core, as far as they were not chosen: the last one and the first.
/// None where there are no two.
#[must_use]
pub fn two_cores(
    allowed: &[usize],
    generator: Option<usize>,
    server: Option<usize>,
) -> Option<(usize, usize)> {
    let free = |other: Option<usize>| move |core: &&usize| Some(**core) != other;
    let server = server.or_else(|| allowed.iter().rfind(free(generator)).copied())?;
    let generator = generator.or_else(|| allowed.iter().find(free(Some(server))).copied())?;
    (server != generator).then_some((server, generator))
}

/// A core for the rest of the appliance: one that nobody has, or that of the generator.
#[must_use]
pub fn spare_core(allowed: &[usize], server: usize, generator: usize) -> usize {
    let is_spare = |core: &&usize| **core != server && **core != generator;
    allowed.iter().find(is_spare).copied().unwrap_or(generator)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_and_generator_have_different_cores() {
        for (allowed, generator, server, want) in [
            (&[0, 1][..], None, None, Some((1, 0))),
            (&[0, 1], Some(1), None, Some((0, 1))),
            (&[0, 1], None, Some(0), Some((0, 1))),
            (&[2, 3, 5], None, None, Some((5, 2))),
            (&[2, 3, 5], Some(5), None, Some((3, 5))),
            (&[0, 1], Some(1), Some(1), None),
            (&[4], None, None, None),
        ] {
            assert_eq!(two_cores(allowed, generator, server), want, "{allowed:?} {generator:?}");
        }
    }
}
