//! Which cores everybody gets.
//!
//! A single-threaded peer has one core in every layout. The appliance has more than one thread, and
//! a comparison that hides where they run is none, so there are two of them, each with its name:
//! all of it on that one core, and only its shard there, with the rest elsewhere.

use serde::{Deserialize, Serialize};
use std::fs;

/// Who runs where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// Its name: also that of its folder.
    pub name: String,
    /// In words.
    pub what: String,
    /// The core of the peers, and of the appliance's shard.
    pub server: usize,
    /// Where the rest of the appliance is.
    pub rest: usize,
    /// The generator's core.
    pub generator: usize,
    /// The droplet profile that the appliance has.
    pub profile: String,
}

impl Layout {
    /// The whole appliance on the core that the peers have.
    #[must_use]
    pub fn one_core(server: usize, generator: usize) -> Layout {
        Layout {
            name: "one-core".to_owned(),
            what: format!(
                "the whole appliance on core {server}, as on a droplet with one vCPU; each peer on \
                 the same core; the generator on core {generator}"
            ),
            server,
            rest: server,
            generator,
            profile: "s-1vcpu-1gb".to_owned(),
        }
    }

    /// The shard alone on its core. With two cores, the rest shares that of the generator.
    #[must_use]
    pub fn shard_alone(server: usize, rest: usize, generator: usize) -> Layout {
        let beside = if rest == generator { ", which is the generator's" } else { "" };
        Layout {
            name: "shard-alone".to_owned(),
            what: format!(
                "the appliance's shard alone on core {server} and the rest of it on core {rest}\
                 {beside}; each peer on core {server}; the generator on core {generator}. The shard \
                 spins while it waits, so its CPU time is not only work"
            ),
            server,
            rest,
            generator,
            profile: "s-2vcpu-2gb".to_owned(),
        }
    }

    /// The cores of the appliance.
    #[must_use]
    pub fn appliance(&self) -> Vec<usize> {
        let mut cores = vec![self.server, self.rest];
        cores.sort_unstable();
        cores.dedup();
        cores
    }
}

/// The core that a thread of a process is pinned to. Which one gets the shard is for the appliance
/// to decide: it looks at where interrupts go.
#[must_use]
pub fn core_of_thread(process: u32, name: &str) -> Option<usize> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).ok()?;
    let mut threads = threads.flatten().map(|thread| thread.path());
    let named = |folder: &std::path::PathBuf| {
        fs::read_to_string(folder.join("comm")).is_ok_and(|comm| comm.trim() == name)
    };
    let status = fs::read_to_string(threads.find(named)?.join("status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cores::{self, spare_core};

    #[test]
    fn the_rest_of_the_appliance_goes_where_nobody_is_or_beside_the_generator() {
        assert_eq!(spare_core(&[0, 1], 1, 0), 0);
        assert_eq!(spare_core(&[0, 1, 2, 3], 3, 0), 1);
        let two = Layout::shard_alone(1, 0, 0);
        assert!(two.what.contains("which is the generator's"), "{}", two.what);
        assert_eq!(two.appliance(), [0, 1]);
        let more = Layout::shard_alone(3, 1, 0);
        assert!(!more.what.contains("which is"), "{}", more.what);
        assert_eq!(Layout::one_core(1, 0).appliance(), [1]);
    }

    #[test]
    fn the_core_of_a_pinned_thread_is_found() {
        let core = cores::allowed().unwrap()[0];
        let (pinned, wait) = std::sync::mpsc::channel();
        let (done, over) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::Builder::new().name("pinned-7".to_owned()).spawn(move || {
            cores::pin(&[core]).unwrap();
            pinned.send(()).unwrap();
            over.recv().unwrap_err();
        });
        wait.recv().unwrap();
        assert_eq!(core_of_thread(std::process::id(), "pinned-7"), Some(core));
        assert_eq!(core_of_thread(std::process::id(), "pinned-8"), None);
        drop(done);
        thread.unwrap().join().unwrap();
    }
}
