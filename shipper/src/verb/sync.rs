//! `shipper sync`: what one store has and another has not.

use super::{DAMAGED, Telling, fail, hour, name, open_store, show};
use brink_shipper::{
    objects::options::S3Options,
    sync::{Closely, Missing, Sides, Sync, Wish, sync},
};
use std::{path::PathBuf, process::ExitCode};

/// What can be said on the command line.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Copies objects, and manifests behind them, that TARGET does not have. Nothing is overwritten and nothing deleted:
a run that was ended is taken up by the next one, and what TARGET has under a key already is compared by size
and log digest, and named if it is another one. Each object is looked at in TARGET before it counts as proved.

A store is file:FOLDER, s3://BUCKET/PREFIX or hdfs://NAMENODE:PORT/FOLDER. What is said of s3 is meant for
TARGET, and for SOURCE where nothing is said of that.

Examples:
  shipper sync hdfs://namenode:8020/brink s3://impressions/edge \\
    --endpoint https://nyc3.digitaloceanspaces.com --credentials store.env
  shipper sync hdfs://namenode:8020/brink s3://impressions/edge --hour 2026-11-23T07 --dry-run

Exit codes: 0 all of SOURCE is in TARGET; 1 something is missing, broken, or another one; 2 the command line makes
no sense, or a store does not answer."
)]
pub(crate) struct SyncOptions {
    /// Where the objects are: the folder of ds=….
    source: String,
    /// Where they are to be as well.
    target: String,
    #[command(flatten)]
    s3: S3Options,
    /// For s3 as SOURCE: the store's address, if it is another one.
    #[arg(long)]
    source_endpoint: Option<String>,
    /// For s3 as SOURCE: the region, if it is another one.
    #[arg(long)]
    source_region: Option<String>,
    /// For s3 as SOURCE: a file with the credentials, if they are others.
    #[arg(long)]
    source_credentials: Option<PathBuf>,
    /// One hour, UTC, as 2026-11-23T07.
    #[arg(long)]
    hour: Option<String>,
    /// One topic.
    #[arg(long)]
    topic: Option<String>,
    /// Copies nothing; says what is missing.
    #[arg(long)]
    dry_run: bool,
    /// Compares all bytes, not only sizes and digests.
    #[arg(long)]
    bytes: bool,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// Proves that TARGET creates nothing twice; nobody reads it.
const PROBE_KEY: &str = "_probe/sync";

pub(crate) fn run(options: &SyncOptions) -> ExitCode {
    match done(options) {
        Ok(done) => {
            show(&done, options.json);
            if done.is_whole() { ExitCode::SUCCESS } else { ExitCode::from(DAMAGED) }
        }
        Err(text) => fail("sync", &text),
    }
}

fn done(options: &SyncOptions) -> Result<Sync, String> {
    let SyncOptions { source, target, s3, .. } = options;
    if source.trim_end_matches('/') == target.trim_end_matches('/') {
        return Err("SOURCE and TARGET are one place".to_owned());
    }
    let wish = Wish {
        hour: options.hour.as_deref().map(hour).transpose()?,
        topic: options.topic.as_deref().map(name).transpose()?,
        missing: if options.dry_run { Missing::Counted } else { Missing::Copied },
        closely: if options.bytes { Closely::Bytes } else { Closely::Footers },
    };
    let of_source = S3Options {
        endpoint: options.source_endpoint.clone().or(s3.endpoint.clone()),
        region: options.source_region.clone().unwrap_or(s3.region.clone()),
        credentials: options.source_credentials.clone().or(s3.credentials.clone()),
    };
    let source = open_store("SOURCE", source, &of_source)?;
    let mut target = open_store("TARGET", target, s3)?;
    let mut telling = Telling::start();
    let mut tell = |so_far: &Sync| {
        let Sync { proved, copied, copied_bytes, faults, .. } = so_far;
        let (mib, faults) = (copied_bytes >> 20, faults.len());
        telling.tell(|| {
            format!("{proved} proved, {copied} of them copied ({mib} MiB), {faults} faults")
        });
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(async {
        if wish.missing == Missing::Copied {
            let probed = target.probe(PROBE_KEY).await;
            probed.map_err(|error| format!("TARGET: {error}"))?;
        }
        let done = sync(Sides { source, target }, &wish, &mut tell).await;
        done.map_err(|error| error.to_string())
    })
}
