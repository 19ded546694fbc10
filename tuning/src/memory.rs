//! How much memory a profile takes, line by line, so that `/status` can be held against it.
//!
//! Nearly all of it is taken at boot and bounded for good. What a line says is its bound: pages
//! that nobody uses are never touched.

use super::profile::Profile;
use serde::Serialize;

/// One line of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// What takes it.
    pub what: &'static str,
    /// Bytes at most.
    pub bytes: u64,
}

/// What the profile alone does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Shards.
    pub shards: u64,
    /// Topics.
    pub topics: u64,
    /// Sinks.
    pub sinks: u64,
}

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// Bytes of one connection's record.
const CONNECTION_BYTES: u64 = 512;
/// A batch buffer: 256 KiB raw, and room for what does not compress.
const BATCH_BUFFER_BYTES: u64 = 288 * KIB;
/// A zstd context with a window of 256 KiB, and the staging of one slice and one longest event.
const TOPIC_BYTES: u64 = MIB + 208 * KIB;
/// Payloads read ahead for an encoder.
const READ_AHEAD_BYTES: u64 = 16 * 292 * KIB;

/// The table of a profile.
#[must_use]
pub fn table(profile: &Profile, load: Load) -> Vec<Line> {
    let shard = &profile.shard;
    let connections = u64::from(shard.connections_max);
    let assembly = u64::from(shard.assembly_small) * 4 * KIB
        + u64::from(shard.assembly_medium) * 52 * KIB
        + u64::from(shard.assembly_large) * (MIB + 48 * KIB);
    let per_shard = |bytes: u64| bytes * load.shards;
    let object = profile.objects.bytes_max_mib * MIB;
    let line = |what, bytes| Line { what, bytes };
    vec![
        line("program and libraries", 24 * MIB),
        line("receive buffers", per_shard(u64::from(shard.receive_buffers) * 4 * KIB)),
        line("output blocks", per_shard((2 * connections + 256) * 4 * KIB)),
        line("connections", per_shard(connections * CONNECTION_BYTES)),
        line("requests in parts", per_shard(assembly)),
        line("compression", per_shard(load.topics * TOPIC_BYTES)),
        line("batch buffers", per_shard(shard.batch_buffers as u64 * BATCH_BUFFER_BYTES)),
        line("latency histograms", per_shard(2 * 256 * KIB)),
        line("spool: direct I/O and index", 16 * MIB),
        line("reading ahead for sinks", load.sinks * READ_AHEAD_BYTES),
        line("encoding one object", 2 * object + 32 * MIB),
        line("sending one object", object),
    ]
}

/// The sum of a table.
#[must_use]
pub fn total(table: &[Line]) -> u64 {
    table.iter().map(|line| line.bytes).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile;

    #[test]
    fn every_profile_fits_its_machine_with_three_quarters_to_spare_for_tables_and_the_system() {
        for profile in profile::all().unwrap() {
            let shards = (profile.vcpus as u64 - 1).max(1);
            let table = table(&profile, Load { shards, topics: 3, sinks: 2 });
            let share = total(&table) * 100 / (profile.memory_mib * MIB);
            assert!(share <= 25, "{} takes {share} % of its machine", profile.name);
        }
    }
}
