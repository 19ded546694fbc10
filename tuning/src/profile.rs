//! Droplet profiles: how many of everything a machine of a size should have.

use serde::{Deserialize, Serialize};

/// One profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Name, which is the provider's slug where there is one.
    pub name: String,
    /// What such a machine is good for.
    pub about: String,
    /// Cores it was made for.
    pub vcpus: usize,
    /// Memory it was made for.
    pub memory_mib: u64,
    /// Cores.
    pub cores: Cores,
    /// Each shard.
    pub shard: Shard,
    /// The spool.
    pub spool: Spool,
    /// Objects.
    pub objects: Objects,
}

/// How cores are used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cores {
    /// Who gets which.
    pub layout: Layout,
    /// What a shard does when there is nothing to do.
    pub spin: Spin,
    /// How long a balanced shard spins before it parks.
    #[serde(default)]
    pub spin_us: u64,
}

/// Who gets which core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// A shard on every core, the rest wherever there is time, at low weight.
    Shared,
    /// Shards on all cores but one, the rest on that one.
    Split,
}

/// What a shard does when there is nothing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spin {
    /// Parks at once.
    Off,
    /// Spins a little, then parks.
    Balanced,
    /// Never parks.
    Dedicated,
}

/// Each shard's bounds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shard {
    /// Submission queue entries.
    pub ring_entries: u32,
    /// Receive buffers of 4 KiB; a power of two.
    pub receive_buffers: u16,
    /// Connections over all listeners, where they say nothing else.
    pub connections_max: u32,
    /// Batch buffers, and so ring slots.
    pub batch_buffers: usize,
    /// Requests in parts, up to 4 KiB.
    pub assembly_small: u32,
    /// Requests in parts, up to 52 KiB.
    pub assembly_medium: u32,
    /// Requests in parts, up to a body of 1 MiB.
    pub assembly_large: u32,
}

/// The spool's bounds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spool {
    /// Size of a segment.
    pub segment_mib: u32,
    /// Disk that the spool may take.
    pub quota_mib: u64,
}

/// Objects' bounds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Objects {
    /// Largest object, about.
    pub bytes_max_mib: u64,
}

/// A profile that makes no sense, or a name that none has.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// The text is no profile.
    #[error("profile {name}: {text}")]
    Text {
        /// The profile.
        name: String,
        /// What is wrong.
        text: String,
    },
    /// No profile has this name.
    #[error("there is no profile {name:?}; there are {}", known.join(", "))]
    Unknown {
        /// The name.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
}

const TEXTS: [&str; 4] = [
    include_str!("../profiles/s-1vcpu-1gb.toml"),
    include_str!("../profiles/s-2vcpu-2gb.toml"),
    include_str!("../profiles/s-2vcpu-4gb.toml"),
    include_str!("../profiles/c-8.toml"),
];

impl Profile {
    /// Reads a profile and checks it.
    ///
    /// # Errors
    /// [`ProfileError::Text`] names the key and what it allows.
    pub fn parse(name: &str, text: &str) -> Result<Profile, ProfileError> {
        let wrong = |text: String| ProfileError::Text { name: name.to_owned(), text };
        let profile: Profile = toml::from_str(text).map_err(|e| wrong(e.to_string()))?;
        profile.check().map_err(wrong)?;
        Ok(profile)
    }

    fn check(&self) -> Result<(), String> {
        let shard = &self.shard;
        let within = |key: &str, value: u64, min: u64, max: u64| {
            let text = format!("{key} is {value}; allowed are {min} to {max}");
            if (min..=max).contains(&value) { Ok(()) } else { Err(text) }
        };
        within("vcpus", self.vcpus as u64, 1, 1024)?;
        within("shard.ring_entries", shard.ring_entries.into(), 64, 4096)?;
        within("shard.receive_buffers", shard.receive_buffers.into(), 64, 16_384)?;
        within("shard.connections_max", shard.connections_max.into(), 16, 32_768)?;
        within("shard.batch_buffers", shard.batch_buffers as u64, 8, 1024)?;
        within("shard.assembly_small", shard.assembly_small.into(), 16, 65_536)?;
        within("shard.assembly_medium", shard.assembly_medium.into(), 1, 4096)?;
        within("shard.assembly_large", shard.assembly_large.into(), 1, 256)?;
        within("spool.segment_mib", self.spool.segment_mib.into(), 1, 1024)?;
        let least = 4 * u64::from(self.spool.segment_mib);
        within("spool.quota_mib", self.spool.quota_mib, least, 1 << 24)?;
        within("objects.bytes_max_mib", self.objects.bytes_max_mib, 1, 1024)?;
        if !shard.receive_buffers.is_power_of_two() {
            return Err(format!(
                "shard.receive_buffers is {}; allowed are powers of two",
                shard.receive_buffers
            ));
        }
        match (self.cores.spin, self.cores.layout) {
            (Spin::Dedicated, Layout::Shared) => {
                Err("cores.spin is \"dedicated\" where cores are shared; the rest would starve"
                    .to_owned())
            }
            (Spin::Balanced, _) if !(1..=1000).contains(&self.cores.spin_us) => {
                Err(format!("cores.spin_us is {}; allowed are 1 to 1000", self.cores.spin_us))
            }
            _ => Ok(()),
        }
    }
}

/// All profiles of this build, the smallest first.
///
/// # Errors
/// [`ProfileError`] when one of them makes no sense, which a test excludes.
pub fn all() -> Result<Vec<Profile>, ProfileError> {
    TEXTS.iter().map(|text| Profile::parse("(built in)", text)).collect()
}

/// The profile of a name.
///
/// # Errors
/// [`ProfileError::Unknown`] lists the names there are.
pub fn by_name(name: &str) -> Result<Profile, ProfileError> {
    let mut all = all()?;
    match all.iter().position(|p| p.name == name) {
        Some(at) => Ok(all.swap_remove(at)),
        None => Err(ProfileError::Unknown {
            name: name.to_owned(),
            known: all.into_iter().map(|p| p.name).collect(),
        }),
    }
}

/// The largest profile that a machine with these cores and this memory carries, or the smallest.
///
/// # Errors
/// As [`all`].
pub fn for_machine(cores: usize, memory_mib: u64) -> Result<Profile, ProfileError> {
    let mut all = all()?;
    // A machine's memory is a little less than its size by name.
    let carried = |p: &Profile| p.vcpus <= cores && p.memory_mib * 9 / 10 <= memory_mib;
    let best = all.iter().rposition(carried).unwrap_or(0);
    Ok(all.swap_remove(best))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_of_this_build_makes_sense() {
        let all = all().unwrap();
        assert_eq!(all.len(), 4);
        assert!(all.is_sorted_by_key(|p| (p.vcpus, p.memory_mib)));
        for profile in &all {
            assert_eq!(by_name(&profile.name).unwrap(), *profile);
        }
    }

    #[test]
    fn objects_of_small_machines_are_small() {
        let small = all().unwrap().into_iter().filter(|profile| profile.memory_mib <= 2048);
        let objects: Vec<_> = small.map(|profile| profile.objects.bytes_max_mib).collect();
        assert!(objects.len() == 2 && objects.iter().all(|mib| *mib <= 32), "{objects:?}");
    }

    #[test]
    fn a_machine_gets_the_largest_profile_it_carries() {
        let check = |cores, mib, want: &str| {
            assert_eq!(for_machine(cores, mib).unwrap().name, want, "{cores} cores, {mib} MiB");
        };
        check(1, 512, "s-1vcpu-1gb");
        check(1, 64_000, "s-1vcpu-1gb");
        check(2, 1980, "s-2vcpu-2gb");
        check(2, 24_000, "s-2vcpu-4gb");
        check(16, 64_000, "c-8");
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let text = TEXTS[0];
        let check = |from: &str, to: &str, want: &str| {
            let error = Profile::parse("x", &text.replace(from, to)).unwrap_err().to_string();
            assert!(error.contains(want), "{error}");
        };
        check("receive_buffers = 256", "receive_buffers = 300", "powers of two");
        check("batch_buffers = 16", "batch_buffers = 2", "allowed are 8 to 1024");
        check("spin = \"off\"", "spin = \"dedicated\"", "starve");
        check("spin = \"off\"", "spin = \"fast\"", "unknown variant `fast`");
        check("vcpus = 1", "vcpus = 1\nspeed = 9", "unknown field `speed`");
        let unknown = by_name("s-3").unwrap_err().to_string();
        assert!(unknown.contains("s-2vcpu-2gb"), "{unknown}");
    }
}
