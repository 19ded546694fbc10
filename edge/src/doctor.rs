//! `edge doctor`: what this machine has, what it lacks, and what each lack costs.

use crate::{
    config::EdgeConfig,
    exit::{self, Exit},
    ring::uring::{
        RingSetupError,
        rungs::{self, RUNGS},
    },
};
use brink_tuning::{cores, host::Host, profile};
use rustix::{
    fs::{Mode, OFlags},
    process::{Resource, getrlimit},
};
use serde::Serialize;
use std::{fs, path::Path};

/// How a finding is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be.
    Good,
    /// Works, at a price.
    Costs,
    /// Does not work.
    Fails,
}

/// One finding.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub what: String,
    /// How it is to be taken.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// What it costs, or what to do about it.
    pub advice: Option<String>,
}

/// The whole visit.
#[derive(Debug, Serialize)]
pub struct Visit {
    /// The findings.
    pub findings: Vec<Finding>,
}

impl Visit {
    /// How `edge doctor` ends.
    #[must_use]
    pub fn exit(&self) -> Exit {
        let fails = |f: &&Finding| f.verdict == Verdict::Fails;
        match self.findings.iter().find(fails) {
            None => exit::OK,
            Some(f) if f.what.starts_with("io_uring") || f.what == "locked memory" => exit::NO_RING,
            Some(_) => exit::FAILED,
        }
    }

    /// The findings, for people.
    pub fn print(&self) {
        for finding in &self.findings {
            let mark = match finding.verdict {
                Verdict::Good => "ok   ",
                Verdict::Costs => "note ",
                Verdict::Fails => "FAIL ",
            };
            println!("{mark} {:<26} {}", finding.what, finding.found);
            if let Some(advice) = &finding.advice {
                println!("      {:<26} {advice}", "");
            }
        }
    }
}

/// Looks at this machine, and at the spool's disk if a configuration names one.
#[must_use]
pub fn visit(config: Option<&EdgeConfig>) -> Visit {
    let host = Host::look();
    let mut findings = vec![kernel(&host)];
    findings.extend(ring());
    findings.push(iowait(&host));
    findings.push(locked_memory());
    findings.extend(core_findings(&host, config));
    findings.extend(congestion());
    if let Some(config) = config {
        findings.push(direct_io(&config.spool.path));
    }
    Visit { findings }
}

fn finding(
    what: &str,
    verdict: Verdict,
    found: impl Into<String>,
    advice: Option<&str>,
) -> Finding {
    let advice = advice.map(str::to_owned);
    Finding { what: what.to_owned(), verdict, found: found.into(), advice }
}

/// Major and minor of a kernel release.
fn version(release: &str) -> (u32, u32) {
    let mut parts = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    let mut next = || parts.next().and_then(Result::ok).unwrap_or(0);
    (next(), next())
}

fn kernel(host: &Host) -> Finding {
    if version(&host.kernel) >= (6, 1) {
        return finding("kernel", Verdict::Good, &host.kernel, None);
    }
    let advice = "Linux 6.1 or newer is needed (Debian 12, Ubuntu 24.04)";
    finding("kernel", Verdict::Fails, &host.kernel, Some(advice))
}

fn ring() -> Vec<Finding> {
    let found = match rungs::probe() {
        Ok(found) => found,
        Err(errno) => {
            let text = RingSetupError::of_setup(errno).to_string();
            return vec![finding("io_uring", Verdict::Fails, "cannot be used", Some(&text))];
        }
    };
    let mut findings = vec![finding("io_uring", Verdict::Good, "works", None)];
    for rung in RUNGS {
        let what = format!("io_uring {}", rung.name);
        findings.push(match found.has(rung.name) {
            true => finding(&what, Verdict::Good, format!("found (Linux {})", rung.since), None),
            false => {
                let missing = format!("missing (needs Linux {})", rung.since);
                finding(&what, Verdict::Costs, missing, Some(rung.without))
            }
        });
    }
    findings
}

fn iowait(host: &Host) -> Finding {
    if version(&host.kernel) >= (6, 15) {
        return finding("I/O wait", Verdict::Good, "a parked shard counts as idle", None);
    }
    let advice = "top, sar and PSI will show the shards' cores as waiting for I/O while they are idle; \
                  look at /status for what they really use, or run Linux 6.15 or newer";
    finding("I/O wait", Verdict::Costs, "a parked shard counts as I/O wait", Some(advice))
}

fn locked_memory() -> Finding {
    const WANTED: u64 = 2 << 20;
    const LEAST: u64 = 512 << 10;
    let limit = getrlimit(Resource::Memlock).current;
    let found = limit.map_or("unlimited".to_owned(), |bytes| format!("{} KiB", bytes / 1024));
    if limit.is_none_or(|bytes| bytes >= WANTED) {
        return finding("locked memory", Verdict::Good, found, None);
    }
    let advice = "raise it: LimitMEMLOCK=64M in the systemd unit, or ulimit -l 65536; the spool's \
                  executor does not start below 512 KiB";
    let too_little = limit.is_some_and(|bytes| bytes < LEAST);
    let verdict = if too_little { Verdict::Fails } else { Verdict::Costs };
    finding("locked memory", verdict, found, Some(advice))
}

fn core_findings(host: &Host, config: Option<&EdgeConfig>) -> Vec<Finding> {
    let auto = || profile::for_machine(host.cores.len(), host.memory_mib).ok();
    let profile = config.map(|c| c.profile.clone()).or_else(auto);
    let mut findings = Vec::new();
    for core in &host.cores {
        let carried: Vec<_> = host
            .interrupts
            .iter()
            .filter_map(|i| Some((i, *i.counts.get(*core)?)))
            .filter(|(_, count)| *count > 0)
            .map(|(i, count)| format!("{} ({count})", i.name))
            .collect();
        let found = match carried.is_empty() {
            true => "no interrupts of disks or network devices".to_owned(),
            false => format!("interrupts of {}", carried.join(", ")),
        };
        findings.push(finding(&format!("core {core}"), Verdict::Good, found, None));
    }
    if let Some(profile) = profile {
        let plan = cores::plan(host, &profile.cores);
        let text = format!(
            "profile {}: shards on {:?}, the rest on {:?}, spin {:?}",
            profile.name, plan.shards, plan.rest, plan.spin
        );
        let notes = (!plan.notes.is_empty()).then(|| plan.notes.join("; "));
        let verdict = if notes.is_some() { Verdict::Costs } else { Verdict::Good };
        findings.push(finding("plan", verdict, text, notes.as_deref()));
    }
    findings
}

/// BBR without fq paces with timers of its own, which costs and which nobody expects.
fn congestion() -> Option<Finding> {
    let read = |path: &str| fs::read_to_string(path).map(|t| t.trim().to_owned()).ok();
    let control = read("/proc/sys/net/ipv4/tcp_congestion_control")?;
    let queue = read("/proc/sys/net/core/default_qdisc")?;
    let found = format!("{control} over {queue}");
    let advice = "bbr wants fq: set net.core.default_qdisc=fq, or use cubic where peers are near";
    Some(match control == "bbr" && queue != "fq" {
        true => finding("congestion control", Verdict::Costs, found, Some(advice)),
        false => finding("congestion control", Verdict::Good, found, None),
    })
}

fn direct_io(path: &Path) -> Finding {
    let existing = path.ancestors().find(|p| p.is_dir()).unwrap_or(Path::new("."));
    let file = existing.join(format!(".edge-doctor-{}", std::process::id()));
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::DIRECT | OFlags::CLOEXEC;
    let opened = rustix::fs::open(&file, flags, Mode::RUSR | Mode::WUSR);
    let _ = fs::remove_file(&file);
    let where_ = existing.display();
    match opened {
        Ok(_) => finding("spool disk", Verdict::Good, format!("{where_} takes direct I/O"), None),
        Err(errno) => {
            let advice = "put [spool] path on a local ext4 or xfs disk that this user may write";
            let found = format!("{where_} takes no direct I/O: {errno}");
            finding("spool disk", Verdict::Fails, found, Some(advice))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_as_numbers() {
        assert_eq!(version("6.18.44-fc-v445"), (6, 18));
        assert_eq!(version("6.1.0-28-amd64"), (6, 1));
        assert_eq!(version("5.15.0"), (5, 15));
        assert_eq!(version(""), (0, 0));
    }

    #[test]
    fn this_machine_can_be_visited() {
        let visit = visit(None);
        assert!(visit.findings.iter().any(|f| f.what == "kernel"));
        assert!(visit.findings.iter().any(|f| f.what.starts_with("io_uring")));
    }
}
