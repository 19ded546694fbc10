//! One Parquet object: rows in the order of their sequences, the log digest in the footer.
//!
//! Single-threaded, no clock, a fixed `created_by`: the same rows are the same bytes, as long as
//! the writer's version is the same. Version 1 pages and no delta encodings, which every reader of
//! the Hadoop world reads; page index, and bloom filters on the columns that people look up by.

use super::{
    super::plan::WRITER_VERSION,
    columns::{Columns, ROWS_AT_ONCE},
};
use crate::spool::cursors::Seal;
use brink_proto::{schema::Schema, wire::WireError};
use parquet::{
    arrow::{ArrowWriter, arrow_writer::ArrowWriterOptions},
    basic::{Compression, ZstdLevel},
    errors::ParquetError,
    file::{
        metadata::KeyValue,
        properties::{EnabledStatistics, WriterProperties, WriterVersion},
    },
    schema::types::ColumnPath,
};

/// Footer key of the log digest.
pub(crate) const DIGEST_KEY: &str = "brink.log_digest";

/// BOUND: encoded bytes that the writer holds before a row group goes out.
const ROW_GROUP_BYTES_MAX: usize = 32 << 20;

/// Share of lookups that a bloom filter lets through in vain.
const BLOOM_FALSE_POSITIVES: f64 = 0.01;

/// Why an object could not be encoded.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    #[error(transparent)]
    Row(#[from] WireError),
    #[error("the Parquet writer refused: {0}")]
    Parquet(#[from] ParquetError),
    #[error("the columns do not fit together: {0}")]
    Arrow(#[from] arrow_schema::ArrowError),
}

pub(super) struct File {
    columns: Columns,
    writer: ArrowWriter<Vec<u8>>,
}

impl File {
    /// An object for `rows` rows.
    pub(super) fn new(schema: &Schema, seal: &Seal, rows: u64) -> Result<File, FileError> {
        let columns = Columns::new(schema);
        let options = ArrowWriterOptions::new()
            .with_properties(properties(schema, seal, rows)?)
            .with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(Vec::new(), columns.schema(), options)?;
        Ok(File { columns, writer })
    }

    /// Appends one event.
    pub(super) fn append(&mut self, message: &[u8]) -> Result<(), FileError> {
        self.columns.append(message)?;
        if self.columns.rows() == ROWS_AT_ONCE {
            self.writer.write(&self.columns.finish()?)?;
        }
        Ok(())
    }

    /// The object's bytes.
    pub(super) fn finish(mut self) -> Result<Vec<u8>, FileError> {
        if self.columns.rows() > 0 {
            self.writer.write(&self.columns.finish()?)?;
        }
        Ok(self.writer.into_inner()?)
    }
}

fn properties(schema: &Schema, seal: &Seal, rows: u64) -> Result<WriterProperties, ParquetError> {
    let pair = |key: &str, value: String| KeyValue::new(key.to_owned(), value);
    let mut properties = WriterProperties::builder()
        .set_created_by(format!("brink version {}", env!("CARGO_PKG_VERSION")))
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES_MAX))
        .set_key_value_metadata(Some(vec![
            pair(DIGEST_KEY, seal.digest.clone()),
            pair("brink.stream", seal.stream.to_string()),
            pair("brink.first_sequence", seal.first.to_string()),
            pair("brink.last_sequence", seal.end.saturating_sub(1).to_string()),
            pair("brink.schema", format!("{} {}", schema.topic, seal.schema)),
            pair("brink.writer", WRITER_VERSION.to_string()),
        ]));
    for field in schema.fields().filter(|f| f.bloom) {
        let column = ColumnPath::from(field.name);
        properties = properties
            .set_column_bloom_filter_enabled(column.clone(), true)
            .set_column_bloom_filter_fpp(column.clone(), BLOOM_FALSE_POSITIVES)
            .set_column_bloom_filter_max_ndv(column, rows.max(1));
    }
    Ok(properties.build())
}

#[cfg(test)]
mod tests {
    use super::*;
    use brink_proto::schema::TOPICS;
    use bytes::Bytes;
    use parquet::file::metadata::{PageIndexPolicy, ParquetMetaDataReader};

    #[test]
    fn every_column_has_an_index_of_its_pages_and_those_for_lookups_a_filter() {
        for schema in TOPICS {
            let stream = format!("e/7/0/{}", schema.topic).parse().unwrap();
            let seal = Seal {
                key: String::new(),
                stream,
                first: 0,
                end: 3 * ROWS_AT_ONCE as u64,
                frames: 1,
                schema: schema.version,
                writer: WRITER_VERSION,
                digest: "00ff".to_owned(),
            };
            let mut file = File::new(schema, &seal, seal.end).unwrap();
            (0..seal.end).for_each(|_| file.append(&[]).unwrap());
            let bytes = Bytes::from(file.finish().unwrap());
            let reader =
                ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Required);
            let metadata = reader.parse_and_finish(&bytes).unwrap();
            assert!(metadata.page_index().is_some(), "{}", schema.topic);
            let groups = metadata.row_groups();
            assert!(!groups.is_empty(), "{}", schema.topic);
            for (column, field) in
                groups.iter().flat_map(|group| group.columns().iter().zip(schema.fields()))
            {
                let name = column.column_path().string();
                assert_eq!(name, field.name);
                assert!(column.offset_index_offset().is_some(), "{name} has no offsets of pages");
                assert!(column.column_index_offset().is_some(), "{name} has no bounds of pages");
                assert_eq!(column.bloom_filter_offset().is_some(), field.bloom, "{name}");
            }
        }
    }
}
