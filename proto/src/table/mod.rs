//! The segment table: what the cluster has learnt about users, as one file that is read whole.
//!
//! ```text
//!   header   one page            what the file holds and where
//!   codes    u32 × (codes + 1)   where each text begins, counted from behind these numbers
//!            texts               sorted bytewise; the place in this order is a code's rank
//!   records  one for each user   in the order of their keys, each at a multiple of 4
//!   buckets  groups × 4096       64 buckets of 64 bytes: where a user's record is
//! ```
//!
//! Each section begins on a page, with zeros in front of it; numbers are little-endian. There is
//! no time and no name in it: the same users give the same bytes.
//!
//! To find a user, [`Namespace::key`] makes 128 bits of its id. The upper 64 bits choose the group
//! and, by their lowest 6, the bucket in it; the lower 64 are the fingerprint. A bucket is one
//! cache line and holds five entries, so that a user costs two reads of memory, and one who is not
//! there costs one. Of a bucket that is full, the next entry goes to the bucket behind it in the
//! same group, round its end: a group is filled without looking at another, and a search ends
//! after 64 buckets whatever the bytes are.
//!
//! In reading order:
//!
//! - [`Key`], [`Namespace`]: what an id becomes. [`Header`]: the first page.
//! - [`Table`]: the reader. A [`Record`] is one user, a [`Segment`] one of its segments.
//! - [`write`]: the pieces that a table is built of, and a small one built at once.
//!
//! Opening looks at the header and at where sections lie, not at what they hold: that is
//! [`Table::verify`], which reads the whole file. A table whose sections are broken may hold
//! anything, but reading it ends and never panics.

mod bucket;
mod codes;
mod key;
mod layout;
mod record;
pub mod write;

use bucket::BUCKETS_PER_GROUP;
use codes::Codes;
use std::ops::Range;

pub use bucket::Bucket;
pub use codes::{CODE_BYTES_MAX, is_code};
pub use key::{Key, Namespace};
pub use layout::{Extent, Header, PAGE_BYTES, Section, VERSION};
pub use record::{Record, SEGMENTS_MAX, Segment, Segments};

/// A segment table in memory.
#[derive(Debug, Clone)]
pub struct Table<B> {
    bytes: B,
    header: Header,
    codes: Range<usize>,
    records: Range<usize>,
    buckets: Range<usize>,
}

impl<B: AsRef<[u8]>> Table<B> {
    /// Takes the bytes of a table file: looks at the header, the length, and where sections lie.
    ///
    /// # Errors
    /// [`TableError`] when it is none, or not all of one.
    pub fn open(bytes: B) -> Result<Table<B>, TableError> {
        let whole = bytes.as_ref();
        let header = Header::decode(whole)?;
        let found = whole.len() as u64;
        if found != header.file_bytes {
            return Err(TableError::Length { found, said: header.file_bytes });
        }
        let codes = header.range(Section::Codes)?;
        let records = header.range(Section::Records)?;
        let buckets = header.range(Section::Buckets)?;
        Ok(Table { codes, records, buckets, header, bytes })
    }

    /// The bytes, to be used again.
    #[must_use]
    pub fn into_inner(self) -> B {
        self.bytes
    }

    /// Reads the whole table and holds each section against its checksum.
    ///
    /// # Errors
    /// [`TableError::SectionCrc`] says which one does not match.
    pub fn verify(&self) -> Result<(), TableError> {
        for section in Section::ALL {
            if crc32c::crc32c(self.section(section)) != self.header.section(section).crc {
                return Err(TableError::SectionCrc(section));
            }
        }
        Ok(())
    }

    /// What the first page says.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// What the table knows of a user.
    #[inline]
    #[must_use]
    pub fn find(&self, key: Key) -> Option<Record<'_>> {
        let whole = self.bytes.as_ref();
        let buckets = whole.get(self.buckets.clone())?;
        let at = bucket::group_of(key.hi, self.header.groups) as usize * PAGE_BYTES;
        let group = buckets.get(at..)?.first_chunk::<PAGE_BYTES>()?;
        let offset = bucket::find(group, key)?;
        let records = whole.get(self.records.clone())?;
        let codes = Codes::new(whole.get(self.codes.clone())?, self.header.codes);
        Record::read(records.get(offset..)?, codes)
    }

    /// All buckets in order, for whoever wants to know how full they are.
    pub fn buckets(&self) -> impl Iterator<Item = Bucket> {
        self.section(Section::Buckets).as_chunks().0.iter().map(Bucket::of)
    }

    /// The texts of all codes, in the order of their ranks.
    pub fn codes(&self) -> impl Iterator<Item = &[u8]> {
        let codes = Codes::new(self.section(Section::Codes), self.header.codes);
        (0..self.header.codes).map_while(move |rank| codes.text(rank))
    }

    fn section(&self, section: Section) -> &[u8] {
        let range = match section {
            Section::Codes => &self.codes,
            Section::Records => &self.records,
            Section::Buckets => &self.buckets,
        };
        self.bytes.as_ref().get(range.clone()).unwrap_or_default()
    }
}

/// Why bytes are no segment table, or not a whole one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableError {
    /// No magic stands at the front.
    NotATable,
    /// The header's checksum does not match.
    HeaderCrc,
    /// A table of a version that this build does not know.
    Version {
        /// What the header says.
        found: u32,
        /// What this build reads.
        known: u32,
    },
    /// The file has another length than its header says.
    Length {
        /// How long it is.
        found: u64,
        /// How long it should be.
        said: u64,
    },
    /// A section does not lie where one can.
    Bounds(Section),
    /// What a section holds does not match its checksum.
    SectionCrc(Section),
}

impl std::fmt::Display for TableError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            TableError::NotATable => f.write_str("this is no segment table: it has another magic"),
            TableError::HeaderCrc => f.write_str("table header checksum mismatch"),
            TableError::Version { found, known } => {
                write!(f, "table version {found} is unknown, this build reads {known}")
            }
            TableError::Length { found, said } => {
                write!(f, "the table has {found} bytes, its header says {said}")
            }
            TableError::Bounds(section) => {
                write!(f, "the table's {} do not lie where they can", section.label())
            }
            TableError::SectionCrc(section) => {
                write!(f, "checksum mismatch in the table's {}", section.label())
            }
        }
    }
}

impl std::error::Error for TableError {}

const _: () = assert!(BUCKETS_PER_GROUP * bucket::BUCKET_BYTES == PAGE_BYTES, "a group is a page");

#[cfg(test)]
mod tests;
