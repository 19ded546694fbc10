//! `shipper audit`: whether an hour was delivered whole.

use super::{DAMAGED, Telling, fail, hour, name, open_store, show};
use brink_proto::schema::TOPICS;
use brink_shipper::{
    audit::{Audit, Question, audit},
    kafka::options::KafkaOptions,
    objects::options::S3Options,
};
use std::{
    fs,
    path::PathBuf,
    process::ExitCode,
    time::{SystemTime, UNIX_EPOCH},
};

/// What can be said on the command line.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Names and footers of objects, and manifests, are read, and nothing is written. A key says which sequences
its object holds; sequences are dense, so what is missing or stands twice shows. That nothing is missing
behind a stream's last object is what a manifest says that closes the hour: until the hour is half an hour
over, one that is not there is a note and no fault. Where there are no manifests at all, that is said.

Examples:
  shipper audit --store file:brink-data/objects --hour 2026-11-23T07
  shipper audit --store s3://impressions/edge --endpoint https://nyc3.digitaloceanspaces.com \\
    --credentials store.env --hour 2026-11-23T07 --roster fleet.txt --json
  shipper audit --store file:brink-data/objects --hour 2026-11-23T07 --kafka localhost:9092

Exit codes: 0 whole; 1 a gap, events that stand twice, a broken object, a manifest that says otherwise or is not
there, or an edge that is absent; 2 the command line makes no sense, or the store, or Kafka if it is named, does not answer."
)]
pub(crate) struct AuditOptions {
    /// Where the objects are: file:FOLDER, s3://BUCKET/PREFIX or hdfs://NAMENODE:PORT/FOLDER.
    #[arg(long)]
    store: String,
    #[command(flatten)]
    s3: S3Options,
    /// The hour, UTC, as 2026-11-23T07.
    #[arg(long)]
    hour: String,
    /// One topic; all of this build, if it is not said.
    #[arg(long)]
    topic: Option<String>,
    /// Hours before it in which the earlier objects of its streams are looked for.
    #[arg(long, default_value_t = 24)]
    back: u32,
    /// A file with the edges that must have delivered something, one to a line; # begins a comment.
    #[arg(long)]
    roster: Option<PathBuf>,
    #[command(flatten)]
    kafka: KafkaOptions,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// BOUND: hours that are looked at before the one that is asked for.
const BACK_MAX: u32 = 24 * 31;

pub(crate) fn run(options: &AuditOptions) -> ExitCode {
    match answered(options) {
        Ok(found) => {
            show(&found, options.json);
            if found.is_whole() { ExitCode::SUCCESS } else { ExitCode::from(DAMAGED) }
        }
        Err(text) => fail("audit", &text),
    }
}

fn answered(options: &AuditOptions) -> Result<Audit, String> {
    let question = question(options)?;
    let store = open_store("--store", &options.store, &options.s3)?;
    let mut telling = Telling::start();
    let mut tell = |count: usize, of: usize| telling.tell(|| format!("{count} of {of} objects"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let kafka = options.kafka.reader()?;
    let found = audit(&store, kafka.as_ref(), &question, &mut tell);
    runtime.block_on(found).map_err(|error| error.to_string())
}

fn question(options: &AuditOptions) -> Result<Question, String> {
    let hour = hour(&options.hour)?;
    if options.back > BACK_MAX {
        return Err(format!("--back is {}; allowed: at most {BACK_MAX}", options.back));
    }
    let topics = match &options.topic {
        Some(topic) => vec![name(topic)?],
        None => TOPICS.iter().map(|schema| name(schema.topic)).collect::<Result<_, _>>()?,
    };
    let roster = match &options.roster {
        None => Vec::new(),
        Some(path) => {
            let text = fs::read_to_string(path)
                .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
            let edges = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
            edges.filter(|edge| !edge.is_empty()).map(name).collect::<Result<_, _>>()?
        }
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(Question { topics, hour, back: options.back, roster, now })
}
