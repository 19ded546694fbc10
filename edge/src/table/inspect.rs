//! `edge table inspect`: what a table file holds, and whether it is sound.

use crate::exit::{self, Exit};
use brink_proto::table::{Bucket, Namespace, Section, Segment, Table, TableError, VERSION};
use serde::Serialize;
use std::{fs, io, path::PathBuf};

/// What can be said on the command line.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Examples:
  edge table inspect --table users.table
  edge table inspect --table users.table --user xandr:5470312093817209345 --json")]
pub struct InspectOptions {
    /// The table file.
    #[arg(long)]
    pub table: PathBuf,
    /// A user: the namespace, a colon, the id. Shows what the table holds of it.
    #[arg(long)]
    pub user: Option<String>,
    /// Prints JSON.
    #[arg(long)]
    pub json: bool,
}

/// Why nothing can be said.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// The file cannot be read.
    #[error("{}: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is no table.
    #[error("{}: {source}", .path.display())]
    Table {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: TableError,
    },
    /// No user is named so.
    #[error("--user {0:?}; a user is named as namespace:id")]
    User(String),
}

/// What was seen.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Seen {
    /// Format version.
    pub version: u32,
    /// Size of the file.
    pub bytes: u64,
    /// Users in it.
    pub users: u64,
    /// Their segments.
    pub segments: u64,
    /// Different segments.
    pub codes: u32,
    /// Bytes of the file for each user.
    pub bytes_per_user: f64,
    /// What is wrong with what it holds: checksums that do not match.
    pub fault: Option<String>,
    /// Its sections.
    pub sections: Vec<SeenSection>,
    /// How many buckets hold 0, 1, 2, 3, 4 and 5 entries.
    pub buckets: [u64; Bucket::SLOTS + 1],
    /// Buckets whose search goes on to the next one.
    pub overflowed: u64,
    /// The user that was asked for.
    pub user: Option<SeenUser>,
}

/// A section.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SeenSection {
    /// Which one.
    pub name: &'static str,
    /// Where it begins.
    pub offset: u64,
    /// How long it is.
    pub bytes: u64,
    /// Its checksum, as the header has it.
    pub crc32c: u32,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SeenUser {
    /// How it was asked for.
    pub name: String,
    /// Whether the table has it.
    pub found: bool,
    /// What a segment without a price of its own costs.
    pub base_price: Option<u64>,
    /// Its segments.
    pub segments: Vec<SeenSegment>,
}

/// A segment of a user.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SeenSegment {
    /// Its text.
    pub code: String,
    /// Its price in micros.
    pub price: Option<u64>,
    /// Its score.
    pub score: Option<f64>,
}

/// Reads a table and looks at it.
///
/// # Errors
/// [`InspectError`] when there is no table to look at; one whose checksums do not match is one.
pub fn inspect(options: &InspectOptions) -> Result<Seen, InspectError> {
    let path = &options.table;
    let bytes =
        fs::read(path).map_err(|source| InspectError::File { path: path.clone(), source })?;
    let table =
        Table::open(bytes).map_err(|source| InspectError::Table { path: path.clone(), source })?;
    let user = options.user.as_deref().map(|name| look_up(&table, name)).transpose()?;
    let header = table.header();
    let mut buckets = [0; Bucket::SLOTS + 1];
    let mut overflowed = 0;
    for bucket in table.buckets() {
        buckets[usize::from(bucket.used)] += 1;
        overflowed += u64::from(bucket.overflowed);
    }
    let section = |section: Section| {
        let extent = header.section(section);
        let (name, crc32c) = (section.label(), extent.crc);
        SeenSection { name, offset: extent.offset, bytes: extent.bytes, crc32c }
    };
    Ok(Seen {
        version: VERSION,
        bytes: header.file_bytes,
        users: header.users,
        segments: header.segments,
        codes: header.codes,
        bytes_per_user: header.file_bytes as f64 / header.users.max(1) as f64,
        fault: table.verify().err().map(|fault| fault.to_string()),
        sections: Section::ALL.map(section).to_vec(),
        buckets,
        overflowed,
        user,
    })
}

fn look_up(table: &Table<Vec<u8>>, name: &str) -> Result<SeenUser, InspectError> {
    let (namespace, id) =
        name.split_once(':').ok_or_else(|| InspectError::User(name.to_owned()))?;
    let record = table.find(Namespace::new(namespace).key(id.as_bytes()));
    let segment = |segment: Segment<'_>| SeenSegment {
        code: String::from_utf8_lossy(segment.code).into_owned(),
        price: segment.price.map(|price| price.number()),
        score: segment.score.map(|score| f64::from(score.number()) / 1e6),
    };
    Ok(SeenUser {
        name: name.to_owned(),
        found: record.is_some(),
        base_price: record.and_then(|record| record.base_price()).map(|price| price.number()),
        segments: record.into_iter().flat_map(|record| record.segments()).map(segment).collect(),
    })
}

impl Seen {
    /// How the verb ends: a table that is not sound, or a user that it does not hold, is found out.
    #[must_use]
    pub fn exit(&self) -> Exit {
        let missing = self.user.as_ref().is_some_and(|user| !user.found);
        if self.fault.is_some() || missing { exit::FAILED } else { exit::OK }
    }

    /// What was seen, for people.
    pub fn print(&self) {
        match &self.user {
            Some(user) => user.print(),
            None => self.print_table(),
        }
        match &self.fault {
            Some(fault) => println!("\nFAULT  {fault}"),
            None if self.user.is_none() => println!("\nall checksums match"),
            None => {}
        }
    }

    fn print_table(&self) {
        println!("segment table, version {}", self.version);
        println!("  users      {:>14}", self.users);
        println!("  segments   {:>14}   {} different ones", self.segments, self.codes);
        println!("  bytes      {:>14}   {:.1} a user", self.bytes, self.bytes_per_user);
        for section in &self.sections {
            let SeenSection { name, offset, bytes, crc32c } = section;
            println!("  {name:<10} {bytes:>14}   at {offset}, crc32c {crc32c:08x}");
        }
        let all = self.buckets.iter().sum::<u64>().max(1);
        println!("\nbuckets by entries");
        for (entries, count) in self.buckets.iter().enumerate() {
            let share = *count as f64 / all as f64;
            let bar = "#".repeat((share * 60.0).round() as usize);
            println!("  {entries}  {count:>12}  {:>5.1} %  {bar}", 100.0 * share);
        }
        let share = 100.0 * self.overflowed as f64 / all as f64;
        println!("  overflowed  {:>2}  {share:>5.1} %", self.overflowed);
    }
}

impl SeenUser {
    fn print(&self) {
        if !self.found {
            return println!("{}: not in the table", self.name);
        }
        let price = |price: Option<u64>| price.map_or("-".to_owned(), |price| price.to_string());
        println!("{}", self.name);
        println!("  base price  {}", price(self.base_price));
        println!("  {:<40} {:>13}  {:>10}", "segment", "price, micros", "score");
        for segment in &self.segments {
            let score = segment.score.map_or("-".to_owned(), |score| score.to_string());
            println!("  {:<40} {:>13}  {score:>10}", segment.code, price(segment.price));
        }
    }
}
