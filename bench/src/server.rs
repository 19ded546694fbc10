//! What a server spends: CPU time and context switches of each of its threads, from `/proc`.
//!
//! CPU time per request is the steadiest figure on a shared machine: it does not depend on whether
//! the generator was in time. It is read in nanoseconds (`schedstat`); the ticks of `stat` are a
//! hundredth of a second, which a round of a few seconds would feel, and only stand in where the
//! kernel has nothing better.
//!
//! ```text
//!  /proc/PID/task/TID/comm        the name, by which threads are added up
//!  /proc/PID/task/TID/schedstat   nanoseconds on a core, …
//!  /proc/PID/task/TID/status      …ctxt_switches, voluntary and not
//!  /proc/PID/stat                 ticks of the whole process, threads that have ended included
//! ```
//!
//! A server with a thread for each connection has nothing to show for them once those are closed.
//! What its process has spent beyond its living threads is told under the name of [`ENDED`].

use crate::report::ServerCost;
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

/// What some processes have spent until a moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    threads: BTreeMap<u32, Thread>,
    /// CPU time of whole processes, to the tick.
    processes: BTreeMap<u32, u64>,
}

/// Under which name the CPU time stands of threads that have ended meanwhile.
pub const ENDED: &str = "(ended)";

/// Ticks that a process and its threads may differ by, because they are not read at once and are
/// not rounded alike.
const TICKS_APART: u64 = 3;

/// A thread that is alive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Thread {
    name: String,
    cpu_ns: u64,
    switches: u64,
}

/// Why it cannot be said what a process has spent.
#[derive(Debug, thiserror::Error)]
pub enum UsageError {
    /// There is no such process, or it has ended.
    #[error("process {pid} has no threads to look at: {source}; has the server ended?")]
    Gone {
        /// The process.
        pid: u32,
        /// What the system said.
        source: io::Error,
    },
    /// A file of the kernel's is not as expected.
    #[error("{path} is not what this program knows of it")]
    Strange {
        /// The file.
        path: PathBuf,
    },
}

impl Usage {
    /// Of all threads of some processes. [`family`] finds those that a server has forked.
    ///
    /// # Errors
    /// [`UsageError`] when a process is gone, or its files are strange.
    pub fn read(processes: &[u32]) -> Result<Usage, UsageError> {
        let mut usage = Usage::default();
        for pid in processes.iter().copied() {
            let gone = |source| UsageError::Gone { pid, source };
            for entry in fs::read_dir(format!("/proc/{pid}/task")).map_err(gone)? {
                let folder = entry.map_err(gone)?.path();
                // One that ends while it is looked at has left nothing to be read.
                if let Some((tid, thread)) = Thread::read(&folder)? {
                    usage.threads.insert(tid, thread);
                }
            }
            let path = PathBuf::from(format!("/proc/{pid}/stat"));
            let stat = fs::read_to_string(&path).map_err(gone)?;
            let cpu_ns = ticks_ns(&stat).ok_or(UsageError::Strange { path })?;
            usage.processes.insert(pid, cpu_ns);
        }
        Ok(usage)
    }

    /// CPU time since an earlier moment.
    #[must_use]
    pub fn cpu_since(&self, before: &Usage) -> Duration {
        let living: u64 = self.since(before).map(|thread| thread.cpu_ns).sum();
        Duration::from_nanos(living + self.ended_since(before, living))
    }

    /// What was spent on each request since an earlier moment, when there were so many. Switches of
    /// threads that have ended are not in it.
    #[must_use]
    pub fn cost_since(&self, before: &Usage, requests: u64) -> ServerCost {
        let requests = requests.max(1) as f64;
        let mut threads = BTreeMap::<String, f64>::new();
        let (mut cpu_ns, mut switches) = (0, 0);
        for thread in self.since(before) {
            cpu_ns += thread.cpu_ns;
            switches += thread.switches;
            *threads.entry(thread.name).or_default() += thread.cpu_ns as f64 / 1000.0 / requests;
        }
        let ended_ns = self.ended_since(before, cpu_ns);
        if ended_ns > 0 {
            cpu_ns += ended_ns;
            threads.insert(ENDED.to_owned(), ended_ns as f64 / 1000.0 / requests);
        }
        ServerCost {
            threads,
            cpu_us_per_request: cpu_ns as f64 / 1000.0 / requests,
            context_switches_per_request: switches as f64 / requests,
        }
    }

    /// CPU time of the processes that none of their threads, which have spent so much, accounts
    /// for.
    fn ended_since(&self, before: &Usage, living_ns: u64) -> u64 {
        let of_process = |(pid, now): (&u32, &u64)| {
            now.saturating_sub(before.processes.get(pid).copied().unwrap_or(0))
        };
        let whole_ns: u64 = self.processes.iter().map(of_process).sum();
        let ended_ns = whole_ns.saturating_sub(living_ns);
        if ended_ns > TICKS_APART * nanos_per_tick() { ended_ns } else { 0 }
    }

    /// The threads, with what they have spent since. A number that was given to a new thread
    /// meanwhile has spent less than the old one, or is called otherwise.
    fn since(&self, before: &Usage) -> impl Iterator<Item = Thread> {
        self.threads.iter().map(|(tid, now)| {
            let same = |old: &&Thread| old.name == now.name && old.cpu_ns <= now.cpu_ns;
            let old = before.threads.get(tid).filter(same).cloned().unwrap_or_default();
            Thread {
                name: now.name.clone(),
                cpu_ns: now.cpu_ns - old.cpu_ns,
                switches: now.switches.saturating_sub(old.switches),
            }
        })
    }
}

impl Thread {
    /// Reads `/proc/PID/task/TID`; none when it is gone.
    fn read(folder: &Path) -> Result<Option<(u32, Thread)>, UsageError> {
        let strange = |path: PathBuf| UsageError::Strange { path };
        let tid = folder.file_name().and_then(|name| name.to_str()?.parse().ok());
        let tid = tid.ok_or_else(|| strange(folder.to_owned()))?;
        let read = |file: &str| fs::read_to_string(folder.join(file)).ok();
        let (Some(name), Some(status), Some(stat)) = (read("comm"), read("status"), read("stat"))
        else {
            return Ok(None);
        };
        let cpu_ns = match read("schedstat") {
            Some(text) => on_core_ns(&text).ok_or_else(|| strange(folder.join("schedstat")))?,
            None => ticks_ns(&stat).ok_or_else(|| strange(folder.join("stat")))?,
        };
        let switches = switches(&status).ok_or_else(|| strange(folder.join("status")))?;
        Ok(Some((tid, Thread { name: name.trim().to_owned(), cpu_ns, switches })))
    }
}

/// A process and all that descend from it, as long as their parents are alive: nginx works in
/// children of its master.
#[must_use]
pub fn family(pid: u32) -> Vec<u32> {
    let folders = fs::read_dir("/proc").into_iter().flatten().flatten();
    let parents: BTreeMap<u32, u32> = folders
        .filter_map(|folder| {
            let child = folder.file_name().to_str()?.parse().ok()?;
            Some((child, parent(&fs::read_to_string(folder.path().join("stat")).ok()?)?))
        })
        .collect();
    let mut family = vec![pid];
    let mut next = 0;
    while let Some(member) = family.get(next).copied() {
        next += 1;
        let children =
            parents.iter().filter(|(child, parent)| **parent == member && !family.contains(child));
        family.extend(children.map(|(child, _)| *child).collect::<Vec<_>>());
    }
    family
}

/// The fields of `stat` behind the name, which may hold anything, brackets too.
fn fields(stat: &str) -> Option<impl Iterator<Item = &str>> {
    Some(stat.rsplit_once(')')?.1.split_whitespace())
}

fn parent(stat: &str) -> Option<u32> {
    fields(stat)?.nth(1)?.parse().ok()
}

/// The first number of `schedstat`.
fn on_core_ns(schedstat: &str) -> Option<u64> {
    schedstat.split_whitespace().next()?.parse().ok()
}

/// User and system time of `stat`.
fn ticks_ns(stat: &str) -> Option<u64> {
    let mut times = fields(stat)?.skip(11);
    let mut ticks = || times.next()?.parse::<u64>().ok();
    Some((ticks()? + ticks()?) * nanos_per_tick())
}

fn nanos_per_tick() -> u64 {
    1_000_000_000 / rustix::param::clock_ticks_per_second()
}

fn switches(status: &str) -> Option<u64> {
    let count = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().parse::<u64>().ok()
    };
    Some(count("voluntary_ctxt_switches:")? + count("nonvoluntary_ctxt_switches:")?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{process, sync::mpsc, thread};

    fn usage(threads: &[(u32, &str, u64, u64)]) -> Usage {
        let thread = |(tid, name, cpu_ns, switches): &(u32, &str, u64, u64)| {
            let name = (*name).to_owned();
            (*tid, Thread { name, cpu_ns: *cpu_ns, switches: *switches })
        };
        Usage { threads: threads.iter().map(thread).collect(), processes: BTreeMap::new() }
    }

    #[test]
    fn threads_are_added_up_by_name_and_divided_by_requests() {
        let before = usage(&[(1, "shard-0", 500, 7), (2, "spool", 100, 1), (9, "gone", 9, 9)]);
        let after = usage(&[
            (1, "shard-0", 7_000_500, 17),
            (2, "spool", 1_000_100, 11),
            (3, "spool", 500_000, 4),
        ]);
        let cost = after.cost_since(&before, 1000);
        let want = [("shard-0", 7.0), ("spool", 1.5)].map(|(name, us)| (name.to_owned(), us));
        assert_eq!(cost.threads, BTreeMap::from(want));
        assert_eq!((cost.cpu_us_per_request, cost.context_switches_per_request), (8.5, 0.024));
        assert_eq!(after.cpu_since(&before), Duration::from_nanos(8_500_000));
        assert_eq!(after.cost_since(&before, 0).cpu_us_per_request, 8500.0);
    }

    #[test]
    fn a_number_that_another_thread_had_before_is_not_taken_for_it() {
        let before = usage(&[(1, "a", 500, 5), (2, "b", 500, 5)]);
        let after = usage(&[(1, "c", 700, 6), (2, "b", 200, 2)]);
        assert_eq!(after.cpu_since(&before), Duration::from_nanos(900));
    }

    #[test]
    fn what_threads_have_spent_that_have_ended_is_not_lost() {
        let mut before = usage(&[(1, "main", 0, 0)]);
        let mut after = usage(&[(1, "main", 40_000_000, 4)]);
        before.processes.insert(7, 10_000_000);
        // Rounded to ticks, a process may have spent a little more than its threads.
        after.processes.insert(7, 60_000_000);
        assert_eq!(after.cpu_since(&before), Duration::from_millis(40));
        after.processes.insert(7, 150_000_000);
        let cost = after.cost_since(&before, 1000);
        assert_eq!(
            cost.threads,
            BTreeMap::from(
                [("main", 40.0), (ENDED, 100.0)].map(|(name, us)| { (name.to_owned(), us) })
            )
        );
        assert_eq!(cost.cpu_us_per_request, 140.0);
        assert_eq!(after.cpu_since(&before), Duration::from_millis(140));
    }

    #[test]
    fn this_process_is_seen_to_work_under_the_names_of_its_threads() {
        let (work, wait) = mpsc::channel::<()>();
        let (done, worked) = mpsc::channel();
        let worker = thread::Builder::new().name("worker (a) b".to_owned()).spawn(move || {
            wait.recv().unwrap();
            let sum = (0..5_000_000u64).fold(0, |sum: u64, n| sum.wrapping_mul(31) ^ n);
            done.send(std::hint::black_box(sum)).unwrap();
            wait.recv().unwrap_err();
        });
        let before = Usage::read(&[process::id()]).unwrap();
        work.send(()).unwrap();
        worked.recv().unwrap();
        let cost = Usage::read(&[process::id()]).unwrap().cost_since(&before, 1);
        drop(work);
        worker.unwrap().join().unwrap();
        let worker = cost.threads["worker (a) b"];
        assert!(worker > 100.0 && cost.cpu_us_per_request >= worker, "{cost:?}");
        assert!(cost.context_switches_per_request >= 1.0, "{cost:?}");
    }

    #[test]
    fn the_files_of_the_kernel_are_read_as_they_are() {
        let stat = "7 (a) b) S 3 7 7 0 -1 4194304 90 0 0 0 250 50 0 0 20 0 1 0 5 6 7\n";
        assert_eq!(parent(stat), Some(3));
        assert_eq!(ticks_ns(stat), Some(300 * nanos_per_tick()));
        assert_eq!(on_core_ns("123456 7 8\n"), Some(123_456));
        let status = "Name:\tx\nvoluntary_ctxt_switches:\t5\nnonvoluntary_ctxt_switches:\t2\n";
        assert_eq!(switches(status), Some(7));
        for (text, what) in [("", "nothing"), ("7 (a", "no bracket"), ("7 (a) S x", "no number")] {
            assert_eq!((parent(text), ticks_ns(text)), (None, None), "{what}");
        }
    }

    #[test]
    fn a_process_that_is_gone_says_so_and_children_belong_to_the_family() {
        // The kernel gives no process this number.
        let error = Usage::read(&[u32::MAX]).unwrap_err();
        assert!(error.to_string().contains("has the server ended?"), "{error}");
        let mut child = process::Command::new("sleep").arg("60").spawn().unwrap();
        assert!(family(process::id()).contains(&child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(family(child.id()), [child.id()]);
    }
}
