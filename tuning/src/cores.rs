//! Which core serves, and which does the rest. Pure: a host and a profile in, a plan out.
//!
//! The plan stays inside what the process was started with: affinity, cpuset and quota. A shard
//! gets the cores that carry the fewest interrupts of disks and network devices, for those of a
//! virtio disk cannot be moved away.

use super::{
    host::Host,
    profile::{Cores, Layout, Spin},
};
use serde::Serialize;

/// Who runs where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CorePlan {
    /// The core of each shard.
    pub shards: Vec<usize>,
    /// The cores of spool, delivery and encoder; the spool has the first one.
    pub rest: Vec<usize>,
    /// What a shard does when there is nothing to do.
    pub spin: Spin,
    /// How long it spins, when it spins a little.
    pub spin_us: u64,
    /// Why the plan is another one than the profile asks for, if it is.
    pub notes: Vec<String>,
}

/// Plans a host's cores.
#[must_use]
pub fn plan(host: &Host, cores: &Cores) -> CorePlan {
    let mut notes = Vec::new();
    let mut usable = host.cores.clone();
    if let Some(quota) = host.quota {
        let whole = (quota.floor() as usize).max(1);
        if whole < usable.len() {
            notes.push(format!(
                "the control group allows {quota} cores' time, so {whole} of {} cores are used",
                usable.len()
            ));
            usable.truncate(whole);
        }
    }
    // Cores with few interrupts first; among equals the lower number.
    usable.sort_by_key(|core| (host.interrupts_on(*core), *core));
    let mut spin = cores.spin;
    let shares = usable.len() == 1 || cores.layout == Layout::Shared;
    if shares && spin != Spin::Off {
        notes.push("shards share their cores with the rest, so they do not spin".to_owned());
        spin = Spin::Off;
    }
    if host.quota.is_some_and(|quota| quota < 1.0) {
        notes
            .push("less than one core's time is allowed; answers will be late at times".to_owned());
    }
    let (mut shards, mut rest) = if shares {
        (usable.clone(), usable)
    } else {
        let (rest, shards) = usable.split_last().map_or((0, &[][..]), |(r, s)| (*r, s));
        (shards.to_vec(), vec![rest])
    };
    shards.sort_unstable();
    rest.sort_unstable();
    CorePlan { shards, rest, spin, spin_us: cores.spin_us, notes }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Interrupt;

    fn host(cores: &[usize], quota: Option<f64>, counts: &[u64]) -> Host {
        Host {
            cores: cores.to_vec(),
            quota,
            memory_mib: 2048,
            interrupts: vec![Interrupt { name: "virtio1-req.0".into(), counts: counts.to_vec() }],
            kernel: String::new(),
        }
    }

    fn check(
        host: &Host,
        layout: Layout,
        spin: Spin,
        want: (&[usize], &[usize], Spin),
        notes: usize,
    ) {
        let plan = plan(host, &Cores { layout, spin, spin_us: 50 });
        assert_eq!((plan.shards.as_slice(), plan.rest.as_slice(), plan.spin), want, "{plan:?}");
        assert_eq!(plan.notes.len(), notes, "{plan:?}");
    }

    #[test]
    fn shards_get_the_cores_with_few_interrupts() {
        let two = host(&[0, 1], None, &[7, 30_000]);
        check(&two, Layout::Split, Spin::Dedicated, (&[0], &[1], Spin::Dedicated), 0);
        let two = host(&[0, 1], None, &[30_000, 7]);
        check(&two, Layout::Split, Spin::Balanced, (&[1], &[0], Spin::Balanced), 0);
        let four = host(&[2, 3, 6, 7], None, &[0, 0, 5, 9, 0, 0, 1, 0]);
        check(&four, Layout::Split, Spin::Dedicated, (&[2, 6, 7], &[3], Spin::Dedicated), 0);
        check(&four, Layout::Shared, Spin::Off, (&[2, 3, 6, 7], &[2, 3, 6, 7], Spin::Off), 0);
    }

    #[test]
    fn nobody_spins_on_a_core_that_others_need() {
        let one = host(&[3], None, &[]);
        check(&one, Layout::Split, Spin::Dedicated, (&[3], &[3], Spin::Off), 1);
        check(&one, Layout::Split, Spin::Off, (&[3], &[3], Spin::Off), 0);
    }

    #[test]
    fn the_plan_stays_inside_the_quota() {
        let four = host(&[0, 1, 2, 3], Some(2.5), &[0, 0, 0, 0]);
        check(&four, Layout::Split, Spin::Dedicated, (&[0], &[1], Spin::Dedicated), 1);
        let little = host(&[0, 1], Some(0.5), &[0, 0]);
        check(&little, Layout::Split, Spin::Balanced, (&[0], &[0], Spin::Off), 3);
    }
}
