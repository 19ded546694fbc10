//! The demo's segment table: made of generated users, once, and published where it is looked for.

use super::script::SEED;
use crate::{
    config::tables::TableSettings,
    table::{
        build::{self, BuildError, BuildOptions},
        publish::{self, PublishFault, PublishOptions},
    },
};
use brink_bench::gen_table::{self, Format, GenTableOptions};
use brink_shipper::objects::store::StoreConfig;
use std::{
    fs, io,
    os::fd::AsRawFd,
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
    thread,
    time::Instant,
};

/// Why there is no table.
#[derive(Debug, thiserror::Error)]
pub(super) enum TableFault {
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error(transparent)]
    Publish(#[from] PublishFault),
    #[error("the demo's table: {0}")]
    System(#[from] io::Error),
}

/// Where the table is built.
const FOLDER: &str = "brink-data";

/// Publishes a table of so many users, unless it was published by an earlier demo.
pub(super) fn publish(settings: &TableSettings, users: u64) -> Result<(), TableFault> {
    let StoreConfig::Folder(store) = &settings.store else { return Ok(()) };
    let table = PathBuf::from(FOLDER).join(format!("demo-{users}.table"));
    if table.exists() && store.join("current.json").exists() && is_announced(store, users) {
        return Ok(());
    }
    let from = Instant::now();
    println!("making a table of {users} users, once");
    fs::create_dir_all(FOLDER)?;
    build(&table, users)?;
    let store = format!("file:{}", store.display());
    let manifest = publish::run(&PublishOptions::new(&table, &store))?;
    println!("  {} bytes in {:.1} s\n", manifest.bytes, from.elapsed().as_secs_f64());
    Ok(())
}

/// Whether what is announced has as many users.
fn is_announced(store: &Path, users: u64) -> bool {
    use brink_shipper::downlink::manifest::TableManifest;
    let manifest = fs::read(store.join("current.json"));
    manifest.is_ok_and(|bytes| TableManifest::read(&bytes).is_ok_and(|m| m.users == users))
}

/// Users go through a pipe into the build, as they would with the two commands.
fn build(table: &Path, users: u64) -> Result<(), TableFault> {
    let (reader, mut writer) = io::pipe()?;
    let options = GenTableOptions {
        users,
        seed: SEED,
        segments_mean: 8.0,
        codes: 2000,
        namespace: "xandr".to_owned(),
        format: Format::Ndjson,
        output: PathBuf::from("-"),
    };
    let writing = thread::spawn(move || {
        let mut out = io::BufWriter::with_capacity(1 << 16, &mut writer);
        gen_table::write_users(&options, &mut out)
    });
    let input = PathBuf::from(format!("/dev/fd/{}", reader.as_raw_fd()));
    let built = build::build(&BuildOptions::new(input, table), &AtomicBool::new(false));
    // A build that failed reads no more, and that ends the writing.
    drop(reader);
    let written = writing.join().map_err(|_| io::Error::other("the generator panicked"))?;
    built?;
    Ok(written?)
}
