//! CPU time of threads by their names, as the kernel counts it.

use std::{fs, path::Path, time::Duration};

/// The time that the threads of this process with such a name have run. Those that have ended are
/// not among them.
pub(super) fn of(is_meant: impl Fn(&str) -> bool) -> Duration {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let time = |path: &Path| {
        let name = fs::read_to_string(path.join("comm")).ok()?;
        let ns = fs::read_to_string(path.join("schedstat")).ok()?;
        let ns: u64 = ns.split_whitespace().next()?.parse().ok()?;
        is_meant(name.trim_end()).then_some(Duration::from_nanos(ns))
    };
    tasks.filter_map(|task| time(&task.path())).sum()
}

/// The thread of the spool.
pub(super) fn is_spool(name: &str) -> bool {
    name == "spool"
}

/// The kernel's workers of a thread's ring.
pub(super) fn is_io_worker(name: &str) -> bool {
    name.starts_with("iou-")
}
