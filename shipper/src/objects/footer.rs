//! What an object says of itself at its end, where Parquet keeps what it is.

use super::encode::DIGEST_KEY;
use bytes::Bytes;
use parquet::{
    errors::ParquetError,
    file::{
        FOOTER_SIZE,
        metadata::{FooterTail, ParquetMetaDataReader},
    },
};

/// What an object says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectFooter {
    /// Its log digest; empty, if it is none of ours.
    pub digest: String,
    /// Rows.
    pub rows: u64,
    /// Its size.
    pub bytes: u64,
}

impl ObjectFooter {
    /// What is said by an object of which these are all the bytes.
    #[must_use]
    pub fn of(bytes: &Bytes) -> ObjectFooter {
        let found = match footer(bytes) {
            Footer::Found(footer) => footer,
            Footer::Needs(_) | Footer::NotOurs => ObjectFooter::default(),
        };
        ObjectFooter { bytes: bytes.len() as u64, ..found }
    }
}

/// What the last bytes of an object are.
pub(super) enum Footer {
    /// Its footer, but for its size.
    Found(ObjectFooter),
    /// Too few: so many are needed.
    Needs(u64),
    /// The end of something else.
    NotOurs,
}

/// Reads the last bytes of an object.
pub(super) fn footer(tail: &Bytes) -> Footer {
    let Some(end) = tail.last_chunk::<FOOTER_SIZE>() else { return Footer::NotOurs };
    let Ok(footer) = FooterTail::try_new(end) else { return Footer::NotOurs };
    let needed = footer.metadata_length() + FOOTER_SIZE;
    let Some(from) = tail.len().checked_sub(needed) else { return Footer::Needs(needed as u64) };
    let metadata = &tail[from..tail.len() - FOOTER_SIZE];
    let read = || -> Result<Option<ObjectFooter>, ParquetError> {
        let metadata = ParquetMetaDataReader::decode_metadata(metadata)?;
        let file = metadata.file_metadata();
        let rows = u64::try_from(file.num_rows()).unwrap_or_default();
        let ours = file.key_value_metadata().into_iter().flatten().find(|p| p.key == DIGEST_KEY);
        Ok(ours.and_then(|p| p.value.clone()).map(|digest| ObjectFooter { digest, rows, bytes: 0 }))
    };
    match read() {
        Ok(Some(footer)) => Footer::Found(footer),
        Ok(None) | Err(_) => Footer::NotOurs,
    }
}
