//! The first page of a table.
//!
//! ```text
//!   at  size
//!    0     8  magic           "BRNKTABL"
//!    8     4  version         1
//!   12     4  header crc32c   over the page with this field zero
//!   16     8  file bytes
//!   24     8  users
//!   32     8  segments        of all users together
//!   40     4  codes
//!   44     4  groups          of 64 buckets
//!   48    24  codes           8 offset in the file, 8 bytes, 4 crc32c over them, 4 zero
//!   72    24  records         likewise
//!   96    24  buckets         likewise
//!  120  3976  zero
//! ```

use super::TableError;
use std::ops::Range;

/// Sections begin on multiples of this; the header takes one, and so does a group of buckets.
pub const PAGE_BYTES: usize = 4096;

/// The version that this build writes and reads.
pub const VERSION: u32 = 1;

const MAGIC: [u8; 8] = *b"BRNKTABL";

mod at {
    pub(super) const MAGIC: usize = 0;
    pub(super) const VERSION: usize = MAGIC + 8;
    pub(super) const HEADER_CRC: usize = VERSION + 4;
    pub(super) const FILE_BYTES: usize = HEADER_CRC + 4;
    pub(super) const USERS: usize = FILE_BYTES + 8;
    pub(super) const SEGMENTS: usize = USERS + 8;
    pub(super) const CODES: usize = SEGMENTS + 8;
    pub(super) const GROUPS: usize = CODES + 4;
    pub(super) const SECTIONS: usize = GROUPS + 4;
    pub(super) const EXTENT_BYTES: usize = 24;
    pub(super) const END: usize = SECTIONS + 3 * EXTENT_BYTES;
}

const _: () = assert!(at::SECTIONS == 48 && at::END == 120, "the byte picture says so");

/// A part of the file that begins on a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// The texts of segments.
    Codes,
    /// What is known of each user.
    Records,
    /// Where to find a user.
    Buckets,
}

impl Section {
    /// All sections, in the order of the file.
    pub const ALL: [Section; 3] = [Section::Codes, Section::Records, Section::Buckets];

    /// Metric label.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Section::Codes => "codes",
            Section::Records => "records",
            Section::Buckets => "buckets",
        }
    }

    fn at(self) -> usize {
        at::SECTIONS + self as usize * at::EXTENT_BYTES
    }
}

/// Where a section lies, and what it has to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extent {
    /// Its first byte.
    pub offset: u64,
    /// How many, without what fills the last page.
    pub bytes: u64,
    /// CRC32C over them.
    pub crc: u32,
}

/// What the first page says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// How long the file is.
    pub file_bytes: u64,
    /// Users in it.
    pub users: u64,
    /// Segments of all users together.
    pub segments: u64,
    /// Different segments.
    pub codes: u32,
    /// Groups of 64 buckets.
    pub groups: u32,
    /// The sections, in the order of [`Section::ALL`].
    pub sections: [Extent; 3],
}

impl Header {
    /// Where a section lies.
    #[must_use]
    pub fn section(&self, section: Section) -> Extent {
        let [codes, records, buckets] = self.sections;
        match section {
            Section::Codes => codes,
            Section::Records => records,
            Section::Buckets => buckets,
        }
    }

    /// The page.
    #[must_use]
    pub fn encode(&self) -> [u8; PAGE_BYTES] {
        let mut page = [0; PAGE_BYTES];
        put(&mut page, at::MAGIC, &MAGIC);
        put(&mut page, at::VERSION, &VERSION.to_le_bytes());
        put(&mut page, at::FILE_BYTES, &self.file_bytes.to_le_bytes());
        put(&mut page, at::USERS, &self.users.to_le_bytes());
        put(&mut page, at::SEGMENTS, &self.segments.to_le_bytes());
        put(&mut page, at::CODES, &self.codes.to_le_bytes());
        put(&mut page, at::GROUPS, &self.groups.to_le_bytes());
        for section in Section::ALL {
            let Extent { offset, bytes, crc } = self.section(section);
            put(&mut page, section.at(), &offset.to_le_bytes());
            put(&mut page, section.at() + 8, &bytes.to_le_bytes());
            put(&mut page, section.at() + 16, &crc.to_le_bytes());
        }
        let crc = crc32c::crc32c(&page);
        put(&mut page, at::HEADER_CRC, &crc.to_le_bytes());
        page
    }

    /// Reads the first page off the front of `bytes`.
    ///
    /// # Errors
    /// [`TableError`] when it is none, broken, or of another version.
    pub fn decode(bytes: &[u8]) -> Result<Header, TableError> {
        let page = bytes.first_chunk::<PAGE_BYTES>().ok_or(TableError::NotATable)?;
        if array(page, at::MAGIC) != MAGIC {
            return Err(TableError::NotATable);
        }
        let mut zeroed = *page;
        put(&mut zeroed, at::HEADER_CRC, &[0; 4]);
        if crc32c::crc32c(&zeroed) != u32_at(page, at::HEADER_CRC) {
            return Err(TableError::HeaderCrc);
        }
        // Only a header whose checksum is right can say that it is of another version.
        let found = u32_at(page, at::VERSION);
        if found != VERSION {
            return Err(TableError::Version { found, known: VERSION });
        }
        let extent = |section: Section| Extent {
            offset: u64_at(page, section.at()),
            bytes: u64_at(page, section.at() + 8),
            crc: u32_at(page, section.at() + 16),
        };
        Ok(Header {
            file_bytes: u64_at(page, at::FILE_BYTES),
            users: u64_at(page, at::USERS),
            segments: u64_at(page, at::SEGMENTS),
            codes: u32_at(page, at::CODES),
            groups: u32_at(page, at::GROUPS),
            sections: Section::ALL.map(extent),
        })
    }

    /// The bytes of a section: on a page, inside the file, and as many as the counts want.
    pub(super) fn range(&self, section: Section) -> Result<Range<usize>, TableError> {
        let out = TableError::Bounds(section);
        let Extent { offset, bytes, .. } = self.section(section);
        let page = PAGE_BYTES as u64;
        let holds = match section {
            Section::Codes => bytes >= 4 * (u64::from(self.codes) + 1),
            Section::Records => bytes.is_multiple_of(4),
            Section::Buckets => self.groups > 0 && bytes == u64::from(self.groups) * page,
        };
        let end = offset.checked_add(bytes).ok_or(out)?;
        if !holds || offset < page || !offset.is_multiple_of(page) || end > self.file_bytes {
            return Err(out);
        }
        let at = |place: u64| usize::try_from(place).map_err(|_| out);
        Ok(at(offset)?..at(end)?)
    }
}

fn put(page: &mut [u8; PAGE_BYTES], at: usize, part: &[u8]) {
    if let Some(place) = page.get_mut(at..at + part.len()) {
        place.copy_from_slice(part);
    }
}

fn array<const N: usize>(page: &[u8; PAGE_BYTES], at: usize) -> [u8; N] {
    page.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
}

fn u32_at(page: &[u8; PAGE_BYTES], at: usize) -> u32 {
    u32::from_le_bytes(array(page, at))
}

fn u64_at(page: &[u8; PAGE_BYTES], at: usize) -> u64 {
    u64::from_le_bytes(array(page, at))
}
