//! The host as it is: cores that may be used, quota, memory, and interrupts of each core.

use rustix::thread::{CpuSet, sched_getaffinity};
use serde::Serialize;
use std::{fs, path::Path};

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Host {
    /// Cores that the process was started with, in order.
    pub cores: Vec<usize>,
    /// Cores' worth of time that the control group allows; none when there is no limit.
    pub quota: Option<f64>,
    /// Memory of the machine.
    pub memory_mib: u64,
    /// Interrupts of disks and network devices.
    pub interrupts: Vec<Interrupt>,
    /// Kernel release.
    pub kernel: String,
}

/// An interrupt of a device that a shard would feel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Interrupt {
    /// Its name, such as `virtio1-req.0`.
    pub name: String,
    /// How often each core has taken it.
    pub counts: Vec<u64>,
}

impl Host {
    /// Looks at the host that this process runs on. What cannot be read is left out.
    #[must_use]
    pub fn look() -> Host {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        Host {
            cores: allowed_cores(),
            quota: quota(&read("/proc/self/cgroup"), |path| fs::read_to_string(path).ok()),
            memory_mib: memory_mib(&read("/proc/meminfo")),
            interrupts: interrupts(&read("/proc/interrupts")),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        }
    }

    /// Interrupts of disks and network devices that a core has taken.
    #[must_use]
    pub fn interrupts_on(&self, core: usize) -> u64 {
        self.interrupts.iter().filter_map(|i| i.counts.get(core)).sum()
    }
}

fn allowed_cores() -> Vec<usize> {
    let set = sched_getaffinity(None).unwrap_or_else(|_| CpuSet::new());
    let cores: Vec<_> = (0..CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect();
    if cores.is_empty() { vec![0] } else { cores }
}

/// The tightest `cpu.max` from the process's group upwards (cgroup v2), or `cpu.cfs_quota_us` (v1).
fn quota(groups: &str, read: impl Fn(&Path) -> Option<String>) -> Option<f64> {
    let mut tightest: Option<f64> = None;
    let mut note = |cores: f64| tightest = Some(tightest.map_or(cores, |t| t.min(cores)));
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let old = controllers.split(',').any(|c| c == "cpu");
        if !controllers.is_empty() && !old {
            continue;
        }
        let root = Path::new(if old { "/sys/fs/cgroup/cpu" } else { "/sys/fs/cgroup" });
        for group in Path::new(path.trim_start_matches('/')).ancestors() {
            let file = |name: &str| read(&root.join(group).join(name));
            let number = |name: &str| file(name)?.trim().parse::<f64>().ok();
            if old {
                let quota = number("cpu.cfs_quota_us").filter(|q| *q > 0.0);
                if let (Some(quota), Some(period)) = (quota, number("cpu.cfs_period_us")) {
                    note(quota / period);
                }
            } else if let Some(text) = file("cpu.max")
                && let Some((quota, period)) = text.trim().split_once(' ')
                && let (Ok(quota), Ok(period)) = (quota.parse::<f64>(), period.parse::<f64>())
            {
                note(quota / period);
            }
        }
    }
    tightest
}

fn memory_mib(meminfo: &str) -> u64 {
    let line = meminfo.lines().find_map(|l| l.strip_prefix("MemTotal:"));
    let kib = line.and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) / 1024
}

/// The lines of `/proc/interrupts` that belong to disks and network devices.
fn interrupts(text: &str) -> Vec<Interrupt> {
    let mut lines = text.lines();
    let cpus = lines.next().unwrap_or_default().split_whitespace().count();
    let parse = |line: &str| {
        let (number, rest) = line.split_once(':')?;
        number.trim().parse::<u32>().ok()?;
        let fields: Vec<_> = rest.split_whitespace().collect();
        let counts =
            fields.iter().take(cpus).map(|f| f.parse().ok()).collect::<Option<Vec<_>>>()?;
        let name = (*fields.last().filter(|_| fields.len() > cpus)?).to_owned();
        is_felt(&name).then_some(Interrupt { name, counts })
    };
    lines.filter_map(parse).collect()
}

/// Queues of disks and network devices; not their configuration, and not timers or consoles.
fn is_felt(name: &str) -> bool {
    let virtio = name.starts_with("virtio")
        && ["-req", "-input", "-output"].iter().any(|queue| name.contains(queue));
    let others = ["nvme", "eth", "ens", "enp", "eno", "mlx", "ixgbe", "i40e", "ahci"];
    virtio || others.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interrupts_of_queues_are_found_by_core() {
        let text = "           CPU0       CPU1\n\
                    \x20 24:          1          0  IO-APIC   5-edge      ACPI:Ged\n\
                    \x20 35:          0          1  PCI-MSIX-0000:00:02.0   0-edge      virtio1-config\n\
                    \x20 36:          7      30687  PCI-MSIX-0000:00:02.0   1-edge      virtio1-req.0\n\
                    \x20 39:        425          0  PCI-MSIX-0000:00:03.0   2-edge      virtio2-output.0\n\
                    NMI:          0          0   Non-maskable interrupts\n";
        let found = interrupts(text);
        assert_eq!(found.len(), 2);
        let host = Host {
            cores: vec![0, 1],
            quota: None,
            memory_mib: 1,
            interrupts: found,
            kernel: String::new(),
        };
        assert_eq!((host.interrupts_on(0), host.interrupts_on(1)), (432, 30_687));
    }

    #[test]
    fn the_tightest_quota_counts() {
        let read = |path: &Path| match path.to_str().unwrap() {
            "/sys/fs/cgroup/a/b/cpu.max" => Some("max 100000\n".to_owned()),
            "/sys/fs/cgroup/a/cpu.max" => Some("150000 100000\n".to_owned()),
            "/sys/fs/cgroup/cpu/x/cpu.cfs_quota_us" => Some("50000".to_owned()),
            "/sys/fs/cgroup/cpu/x/cpu.cfs_period_us" => Some("100000".to_owned()),
            _ => None,
        };
        assert_eq!(quota("0::/a/b\n", read), Some(1.5));
        assert_eq!(quota("4:cpu,cpuacct:/x\n0::/\n", read), Some(0.5));
        assert_eq!(quota("1:memory:/a\n0::/\n", read), None);
    }

    #[test]
    fn this_host_can_be_looked_at() {
        let host = Host::look();
        assert!(!host.cores.is_empty() && host.memory_mib > 0 && !host.kernel.is_empty());
    }
}
