//! Events into columns: the fields of a Protobuf message, appended to Arrow builders.
//!
//! Which columns there are comes from the topic's schema. A field that a message does not have is
//! null, or proto3's default where the column may not be null; a field that the schema does not
//! know, from a newer writer, is passed over.

use arrow_array::{
    ArrayRef, RecordBatch,
    builder::{
        ArrayBuilder, BooleanBuilder, Int32Builder, Int64Builder, StringBuilder,
        TimestampMicrosecondBuilder,
    },
};
use arrow_schema::{ArrowError, DataType, Field as ArrowField, Schema as ArrowSchema, TimeUnit};
use brink_proto::{
    schema::{Kind, Schema},
    wire::{self, Value, WireError},
};
use std::sync::Arc;

/// Rows that are handed to the writer at once, whatever frames they came in: pages break at the
/// same rows then, and the same rows become the same bytes.
pub(super) const ROWS_AT_ONCE: usize = 8192;

pub(super) struct Columns {
    schema: Arc<ArrowSchema>,
    columns: Vec<Column>,
    /// Column of each field number.
    by_number: Vec<Option<usize>>,
    rows: usize,
}

struct Column {
    builder: Builder,
    nullable: bool,
    /// Row for which a value was appended last, counted from 1.
    filled: usize,
}

enum Builder {
    Text(StringBuilder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Bool(BooleanBuilder),
    Time(TimestampMicrosecondBuilder),
}

impl Columns {
    pub(super) fn new(schema: &Schema) -> Columns {
        let mut by_number = Vec::new();
        let mut fields = Vec::new();
        let mut columns = Vec::new();
        for (index, field) in schema.fields().enumerate() {
            let number = field.number as usize;
            by_number.resize(by_number.len().max(number + 1), None);
            by_number[number] = Some(index);
            fields.push(ArrowField::new(field.name, data_type(field.kind), field.nullable));
            let builder = Builder::new(field.kind);
            columns.push(Column { builder, nullable: field.nullable, filled: 0 });
        }
        let schema = Arc::new(ArrowSchema::new(fields));
        Columns { schema, columns, by_number, rows: 0 }
    }

    pub(super) fn schema(&self) -> Arc<ArrowSchema> {
        Arc::clone(&self.schema)
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Appends one event. After an error the columns are of no more use.
    pub(super) fn append(&mut self, message: &[u8]) -> Result<(), WireError> {
        self.rows += 1;
        for field in wire::fields(message) {
            let (number, value) = field?;
            let index = self.by_number.get(number as usize).copied().flatten();
            let Some(column) = index.and_then(|i| self.columns.get_mut(i)) else { continue };
            if column.filled == self.rows {
                return Err(WireError); // we never write a field twice
            }
            column.filled = self.rows;
            column.builder.append(value)?;
        }
        for column in &mut self.columns {
            if column.filled != self.rows {
                column.builder.append_absent(column.nullable);
            }
        }
        Ok(())
    }

    /// Takes the rows out.
    pub(super) fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        self.rows = 0;
        let arrays = self.columns.iter_mut().map(|column| {
            column.filled = 0;
            column.builder.finish()
        });
        RecordBatch::try_new(Arc::clone(&self.schema), arrays.collect())
    }
}

fn data_type(kind: Kind) -> DataType {
    match kind {
        Kind::Text => DataType::Utf8,
        Kind::Int32 => DataType::Int32,
        Kind::Int64 => DataType::Int64,
        Kind::Bool => DataType::Boolean,
        Kind::TimeMicros => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
    }
}

impl Builder {
    fn new(kind: Kind) -> Builder {
        let rows = ROWS_AT_ONCE;
        match kind {
            Kind::Text => Builder::Text(StringBuilder::with_capacity(rows, rows * 16)),
            Kind::Int32 => Builder::Int32(Int32Builder::with_capacity(rows)),
            Kind::Int64 => Builder::Int64(Int64Builder::with_capacity(rows)),
            Kind::Bool => Builder::Bool(BooleanBuilder::with_capacity(rows)),
            Kind::TimeMicros => {
                Builder::Time(TimestampMicrosecondBuilder::with_capacity(rows).with_timezone("UTC"))
            }
        }
    }

    #[inline]
    fn append(&mut self, value: Value<'_>) -> Result<(), WireError> {
        match (self, value) {
            (Builder::Text(b), Value::Bytes(bytes)) => {
                b.append_value(std::str::from_utf8(bytes).map_err(|_| WireError)?);
            }
            (Builder::Int32(b), Value::Varint(v)) => b.append_value(v as i32),
            (Builder::Int64(b), Value::Varint(v)) => b.append_value(v as i64),
            (Builder::Bool(b), Value::Varint(v)) => b.append_value(v != 0),
            (Builder::Time(b), Value::Varint(v)) => b.append_value(v as i64),
            _ => return Err(WireError),
        }
        Ok(())
    }

    #[inline]
    fn append_absent(&mut self, nullable: bool) {
        match (self, nullable) {
            (Builder::Text(b), true) => b.append_null(),
            (Builder::Text(b), false) => b.append_value(""),
            (Builder::Int32(b), true) => b.append_null(),
            (Builder::Int32(b), false) => b.append_value(0),
            (Builder::Int64(b), true) => b.append_null(),
            (Builder::Int64(b), false) => b.append_value(0),
            (Builder::Bool(b), true) => b.append_null(),
            (Builder::Bool(b), false) => b.append_value(false),
            (Builder::Time(b), true) => b.append_null(),
            (Builder::Time(b), false) => b.append_value(0),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        let builder: &mut dyn ArrayBuilder = match self {
            Builder::Text(b) => b,
            Builder::Int32(b) => b,
            Builder::Int64(b) => b,
            Builder::Bool(b) => b,
            Builder::Time(b) => b,
        };
        builder.finish()
    }
}
