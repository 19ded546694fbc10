//! What lies in a spool becomes Parquet, object by object, and goes nowhere.

use super::{Place, spooling::Spooling, thread_time};
use brink_proto::schema::TOPICS;
use brink_shipper::{
    objects::{
        encode::Encoder,
        plan::{Planner, RollPolicy, Step},
    },
    spool::port::{Notice, SinkEnd, port},
};
use std::{
    error::Error,
    time::{Duration, Instant},
};

/// What `encode` is told.
#[derive(clap::Args)]
pub(super) struct EncodeOptions {
    #[command(flatten)]
    place: Place,
    /// Size of an object, before it is one.
    #[arg(long, default_value_t = 32)]
    object_mib: u64,
    /// Objects that are made at most.
    #[arg(long, default_value_t = 10)]
    objects: u64,
}

/// What was made.
#[derive(Default)]
struct Made {
    objects: u64,
    rows: u64,
    event_bytes: u64,
    object_bytes: u64,
}

pub(super) fn encode(options: &EncodeOptions) -> Result<(), Box<dyn Error>> {
    let (spool_port, sink_end, read_end) = port("objects");
    let spooling = Spooling::start(&options.place, 0, u64::MAX, vec![spool_port])?;
    let (cursor, backlog) = spooling.handle.start.sinks.first().cloned().ok_or("no sink")?;
    if backlog == 0 {
        return Err("there is no backlog in that folder; `leave` makes one".into());
    }
    let schemas = TOPICS.to_vec();
    let encoder = Encoder::spawn(read_end, schemas, vec![options.place.other_cpu])?;
    let policy = RollPolicy {
        bytes_max: options.object_mib << 20,
        rows_max: u64::MAX,
        age_max: Duration::MAX,
    };
    let mut planner = Planner::new(policy, &cursor);
    let (begun, mut made) = (Instant::now(), Made::default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(make(&encoder, sink_end, &mut planner, options.objects, &mut made))?;
    let (time, cpu) = (begun.elapsed(), thread_time::of(|name| name == "encode"));
    encoder.join();
    spooling.handle.join()?;
    let mb = |bytes: u64| bytes as f64 / 1e6;
    let Made { objects, rows, event_bytes, object_bytes } = made;
    println!("{objects} objects of {rows} rows");
    println!("event bytes        {:>10.1} MB", mb(event_bytes));
    println!("object bytes       {:>10.1} MB", mb(object_bytes));
    println!("wall               {:>10.1} MB/s", mb(event_bytes) / time.as_secs_f64());
    println!("CPU of the encoder {:>10.1} MB/s", mb(event_bytes) / cpu.as_secs_f64());
    println!("CPU of a row       {:>10.0} ns", cpu.as_nanos() as f64 / rows as f64);
    Ok(())
}

async fn make(
    encoder: &Encoder,
    mut sink: SinkEnd,
    planner: &mut Planner,
    most: u64,
    made: &mut Made,
) -> Result<(), Box<dyn Error>> {
    let mut waited = Duration::ZERO;
    while made.objects < most && waited < WAIT_MAX {
        while planner.has_room() {
            let Ok(notice) = sink.notices.pop() else { break };
            if let Notice::Frame(frame) = notice {
                planner.handle_frame(frame, Duration::ZERO);
            }
        }
        let Some(Step::Object(plan)) = planner.poll_step(Duration::ZERO, false) else {
            tokio::time::sleep(LOOK).await;
            waited += LOOK;
            continue;
        };
        waited = Duration::ZERO;
        let (plan, encoded) = encoder.encode(plan).await?;
        let encoded = encoded?;
        made.objects += 1;
        made.rows += encoded.rows;
        made.event_bytes +=
            plan.frames.iter().map(|frame| u64::from(frame.batch.raw_bytes)).sum::<u64>();
        made.object_bytes += encoded.bytes.len() as u64;
    }
    Ok(())
}

/// How often frames are looked for, and how long until there are no more.
const LOOK: Duration = Duration::from_millis(1);
const WAIT_MAX: Duration = Duration::from_millis(500);
