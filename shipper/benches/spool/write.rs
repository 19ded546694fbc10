//! Batches handed over as fast as the spool takes them, or as many as a backlog needs.

use super::{
    Place,
    disk::{self, Cadence},
    rows::{Batches, mix},
    spooling::Spooling,
    thread_time::{self, is_io_worker, is_spool},
};
use brink_proto::{
    frame::{BatchInfo, RAW_BYTES_MAX, frame_bytes},
    ids::{Sequence, StreamId},
};
use brink_shipper::{
    intake::{SealedBatch, ShardEnd},
    spool::{
        SpoolCounters,
        port::{Command, Notice, SinkEnd, port},
    },
    threads::{Weight, settle},
};
use std::{
    collections::BTreeMap,
    error::Error,
    hint::spin_loop,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

/// What `write` is told.
#[derive(clap::Args)]
pub(super) struct WriteOptions {
    #[command(flatten)]
    place: Place,
    /// How long.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Rings, each with the buffers of one shard.
    #[arg(long, default_value_t = 4)]
    shards: usize,
    /// What a batch holds: `full` is 256 KiB that do not compress, `rows` what impressions come to.
    #[arg(long, default_value = "full")]
    payload: Payload,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Payload {
    Full,
    Rows,
}

/// What `leave` is told.
#[derive(clap::Args)]
pub(super) struct LeaveOptions {
    #[command(flatten)]
    place: Place,
    /// Size of the backlog.
    #[arg(long, default_value_t = 1024)]
    mib: u64,
}

/// Batches that are made before the time begins.
const PREPARED: usize = 32;

/// Bytes of one write of the log.
const WRITE_BYTES: usize = 512 * 1024;

/// Segments that may gather until the sink has let go of them.
const QUOTA_SEGMENTS: u64 = 32;

/// A batch to be handed over again and again.
struct Prepared {
    info: BatchInfo,
    bytes: Vec<u8>,
}

pub(super) fn write(options: &WriteOptions) -> Result<(), Box<dyn Error>> {
    let place = &options.place;
    let (spool_port, sink_end, read_end) = port("objects");
    let quota = u64::from(place.segment_mib << 20) * QUOTA_SEGMENTS;
    let mut spooling = Spooling::start(place, options.shards, quota, vec![spool_port])?;
    let counted = Arc::clone(&spooling.counters);
    let follower = thread::spawn(move || follow(sink_end, &counted));
    drop(read_end);
    let prepared = prepare(&spooling, options.payload)?;
    let shards = std::mem::take(&mut spooling.shards);
    let (time, cpu) = (Duration::from_secs(options.seconds), place.other_cpu);
    let counters = &spooling.counters;
    let spent = || (thread_time::of(is_spool), thread_time::of(is_io_worker));
    let before = spent();
    let fed = thread::scope(|scope| {
        let feeder = scope.spawn(move || {
            settle(&[cpu], Weight::Prompt);
            feed(shards, &prepared, time)
        });
        feeder.join()
    });
    let mut fed = fed.map_err(|_| "the feeder panicked")?;
    let behind = spent();
    let (spool, workers) = (behind.0 - before.0, behind.1.saturating_sub(before.1));
    let commits = counters.commits.read();
    spooling.handle.join()?;
    follower.join().map_err(|_| "the sink panicked")?;

    let mb = fed.frame_bytes as f64 / 1e6;
    let group_bytes = (fed.frame_bytes / commits.max(1)) as usize;
    let cadence = Cadence {
        write_bytes: WRITE_BYTES,
        group_bytes: group_bytes.max(WRITE_BYTES),
        file_bytes: (place.segment_mib << 20) as usize,
    };
    let disk = disk::measure(&place.folder, cadence, time)? / 1e6;
    let rate = mb / fed.time.as_secs_f64();
    println!("{} shards, {:?} batches, {} s", options.shards, options.payload, options.seconds);
    println!("frames             {:>10.0} /s", fed.batches as f64 / fed.time.as_secs_f64());
    println!("frames             {rate:>10.1} MB/s");
    println!("the disk itself    {disk:>10.1} MB/s, in the same writes and syncs");
    println!("bytes of a group   {group_bytes:>10}");
    let per_mb = |time: Duration| time.as_secs_f64() * 1e6 / mb;
    println!("CPU of the spool   {:>10.1} µs/MB", per_mb(spool));
    println!("of its io workers  {:>10.1} µs/MB", per_mb(workers));
    println!("one core would do  {:>10.0} MB/s", 1e6 / per_mb(spool + workers));
    fed.hand_overs_ns.sort_unstable();
    let at = |share: f64| {
        let index = (fed.hand_overs_ns.len() as f64 * share) as usize;
        fed.hand_overs_ns.get(index).copied().unwrap_or_default()
    };
    let mean = fed.hand_overs_ns.iter().sum::<u64>() / fed.batches.max(1);
    println!("a batch handed over: mean {mean} ns, p50 {}, p99 {}", at(0.5), at(0.99));
    Ok(())
}

fn prepare(spooling: &Spooling, payload: Payload) -> Result<Vec<Prepared>, Box<dyn Error>> {
    let mut batches = Batches::new(spooling.stream(0)?)?;
    let prepared = (0..PREPARED as u64).map(|number| {
        let mut bytes = vec![0; brink_proto::frame::PAYLOAD_BYTES_MAX];
        let mut info = batches.fill(&mut bytes)?;
        if payload == Payload::Full {
            let noise = (0..).flat_map(|n| mix(number << 32 | n).to_le_bytes());
            bytes = noise.take(RAW_BYTES_MAX).collect();
            info.payload_bytes = bytes.len() as u32;
        }
        bytes.truncate(info.payload_bytes as usize);
        Ok(Prepared { info, bytes })
    });
    prepared.collect()
}

/// What the feeder did.
struct Fed {
    time: Duration,
    batches: u64,
    frame_bytes: u64,
    /// What each hand-over took: a buffer taken, and the full one pushed.
    hand_overs_ns: Vec<u64>,
}

fn feed(mut shards: Vec<ShardEnd>, prepared: &[Prepared], time: Duration) -> Fed {
    let mut next: Vec<Sequence> = vec![Sequence(0); shards.len()];
    let mut fed = Fed {
        time: Duration::ZERO,
        batches: 0,
        frame_bytes: 0,
        hand_overs_ns: Vec::with_capacity(1 << 20),
    };
    let begun = Instant::now();
    while begun.elapsed() < time {
        let mut idle = true;
        for (index, shard) in shards.iter_mut().enumerate() {
            let taking = Instant::now();
            let Some(mut buffer) = shard.take_buffer() else { continue };
            let taken = taking.elapsed();
            idle = false;
            let Prepared { info, bytes } = &prepared[fed.batches as usize % prepared.len()];
            let mut info = *info;
            buffer.bytes_mut()[..bytes.len()].copy_from_slice(bytes);
            info.stream.shard.0 = index as u16;
            info.first_sequence = next[index];
            next[index] = info.end_sequence();
            fed.batches += 1;
            fed.frame_bytes += frame_bytes(bytes.len()) as u64;
            let pushing = Instant::now();
            shard.push(SealedBatch { info, buffer });
            fed.hand_overs_ns.push((taken + pushing.elapsed()).as_nanos() as u64);
        }
        if idle {
            spin_loop();
        }
    }
    fed.time = begun.elapsed();
    fed
}

/// Frames that a sink lets go of at once.
const LET_GO: usize = 256;

/// A sink that delivers at once, so that segments are written again: it takes what it is told and
/// moves its cursor. It goes when nothing more can come, for the spool waits for that.
fn follow(mut sink: SinkEnd, counters: &SpoolCounters) {
    let mut ends: BTreeMap<StreamId, Sequence> = BTreeMap::new();
    let mut frames = 0;
    while counters.finished.read() == 0 {
        while let Ok(notice) = sink.notices.pop() {
            if let Notice::Frame(frame) = notice {
                ends.insert(frame.batch.stream, frame.batch.end_sequence());
                frames += 1;
            }
        }
        if frames >= LET_GO {
            let moved = std::mem::take(&mut ends).into_iter().collect();
            sink.try_send(&Command::Advance { ends: moved });
            frames = 0;
        }
        while sink.try_reply().is_some() {}
        thread::park_timeout(Duration::from_millis(1));
    }
}

pub(super) fn leave(options: &LeaveOptions) -> Result<(), Box<dyn Error>> {
    let bytes = options.mib << 20;
    let segment = u64::from(options.place.segment_mib << 20);
    // For a sink that takes nothing: what no sink is left to take is not kept.
    let (spool_port, sink_end, read_end) = port("objects");
    let mut spooling = Spooling::start(&options.place, 1, bytes + 4 * segment, vec![spool_port])?;
    let mut batches = Batches::new(spooling.stream(0)?)?;
    let mut shards = std::mem::take(&mut spooling.shards);
    let shard = shards.first_mut().ok_or("no shard")?;
    let (mut left, mut events, mut raw) = (bytes, 0, 0);
    settle(&[options.place.other_cpu], Weight::Prompt);
    let begun = Instant::now();
    while left > 0 {
        let Some(mut buffer) = shard.take_buffer() else {
            thread::park_timeout(Duration::from_millis(1));
            continue;
        };
        let info = batches.fill(buffer.bytes_mut())?;
        left = left.saturating_sub(frame_bytes(info.payload_bytes as usize) as u64);
        events += u64::from(info.count);
        raw += u64::from(info.raw_bytes);
        shard.push(SealedBatch { info, buffer });
    }
    drop((shards, sink_end, read_end));
    spooling.handle.join()?;
    let (mib, seconds) = (options.mib, begun.elapsed().as_secs());
    println!("{mib} MiB of frames, {events} events of {} MiB, in {seconds} s", raw >> 20);
    Ok(())
}
