//! Parquet: one segment a row, in columns `ns`, `id`, `code`, `price`, `score` and `base_price`.
//!
//! `ns` and `code` are text, `id` text or a whole number, prices whole numbers and `score` any
//! number; prices and `score` may be missing as columns, and be null, and so may be `code` where
//! there is a base price. Other columns are not read.

use super::row::{BadRow, COLUMNS, Given, Row, score_of};
use arrow_array::{
    Array, ArrayRef, RecordBatch,
    cast::AsArray,
    types::{Float32Type, Float64Type, Int32Type, Int64Type, UInt64Type},
};
use arrow_schema::DataType;
use brink_proto::ids::PriceMicros;
use parquet::arrow::{
    ProjectionMask,
    arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder},
};
use std::{borrow::Cow, fs::File};

/// Rows of a batch.
const BATCH_ROWS: usize = 16 << 10;

/// The file's batches, each with these columns only.
pub(in super::super) fn batches(file: File) -> Result<ParquetRecordBatchReader, String> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| e.to_string())?;
    let schema = builder.schema();
    for name in &COLUMNS[..3] {
        if schema.column_with_name(name).is_none() {
            let found: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
            return Err(format!(
                "no column {name}; found {}, needed are ns, id and code, and taken price, score \
                 and base_price",
                found.join(", ")
            ));
        }
    }
    let mask = ProjectionMask::columns(builder.parquet_schema(), COLUMNS);
    let batches = builder.with_projection(mask).with_batch_size(BATCH_ROWS).build();
    batches.map_err(|e| e.to_string())
}

/// The columns of a batch, each as what it can be.
pub(in super::super) struct Columns {
    namespace: Text,
    id: Text,
    code: Text,
    price: Option<ArrayRef>,
    score: Option<ArrayRef>,
    base_price: Option<ArrayRef>,
}

/// What prices may be.
const WHOLE: [DataType; 3] = [DataType::Int64, DataType::Int32, DataType::UInt64];

impl Columns {
    pub(in super::super) fn of(batch: &RecordBatch) -> Result<Columns, String> {
        let column = |name: &str| batch.column_by_name(name).cloned();
        let text = |name: &'static str| {
            let column = column(name).ok_or_else(|| format!("no column {name}"))?;
            Text::of(name, column)
        };
        let number = |name: &str, allowed: &[DataType]| match column(name) {
            Some(column) if !allowed.contains(column.data_type()) => {
                Err(format!("column {name} is {}; allowed are {allowed:?}", column.data_type()))
            }
            column => Ok(column),
        };
        Ok(Columns {
            namespace: text("ns")?,
            id: text("id")?,
            code: text("code")?,
            price: number("price", &WHOLE)?,
            score: number("score", &[DataType::Float64, DataType::Float32])?,
            base_price: number("base_price", &WHOLE)?,
        })
    }

    /// A row of the batch.
    pub(in super::super) fn row<'b>(
        &'b self,
        at: usize,
        segments: &mut Vec<Given<'b>>,
    ) -> Result<Row<'b>, BadRow> {
        let given = |column: &'b Option<ArrayRef>| column.as_ref().filter(|c| !c.is_null(at));
        let price = given(&self.price).map(|column| micros(column, at)).transpose()?;
        let base_price = given(&self.base_price).map(|column| micros(column, at)).transpose()?;
        let score = given(&self.score).map(|column| {
            let number = fraction(column, at);
            score_of(number).ok_or_else(|| BadRow::Score(number.to_string()))
        });
        let code = match self.code.at(at) {
            Err(BadRow::Null(_)) if base_price.is_some() => Cow::default(),
            code => code?,
        };
        segments.extend(Given::or_nothing(code, price, score.transpose()?, base_price));
        Ok(Row { namespace: self.namespace.at(at)?, id: self.id.at(at)?, base_price })
    }
}

fn micros(column: &ArrayRef, at: usize) -> Result<PriceMicros, BadRow> {
    let number = match column.data_type() {
        DataType::UInt64 => i128::from(column.as_primitive::<UInt64Type>().value(at)),
        DataType::Int32 => i128::from(column.as_primitive::<Int32Type>().value(at)),
        _ => i128::from(column.as_primitive::<Int64Type>().value(at)),
    };
    let price = u64::try_from(number).ok().and_then(PriceMicros::new);
    price.ok_or_else(|| BadRow::Price(number.to_string()))
}

/// A narrow number is the text that it is written as: 0.4, not 0.4000000059604645.
fn fraction(column: &ArrayRef, at: usize) -> f64 {
    match column.data_type() {
        DataType::Float32 => {
            let narrow = column.as_primitive::<Float32Type>().value(at);
            narrow.to_string().parse().unwrap_or(f64::NAN)
        }
        _ => column.as_primitive::<Float64Type>().value(at),
    }
}

/// A column of texts, or of ids that are numbers.
struct Text {
    name: &'static str,
    column: ArrayRef,
}

impl Text {
    fn of(name: &'static str, column: ArrayRef) -> Result<Text, String> {
        let is_text = matches!(
            column.data_type(),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Binary
        );
        let is_id =
            name == "id" && matches!(column.data_type(), DataType::Int64 | DataType::UInt64);
        if is_text || is_id {
            return Ok(Text { name, column });
        }
        let numbers = if name == "id" { " and 64-bit whole numbers" } else { "" };
        Err(format!("column {name} is {}; allowed are texts{numbers}", column.data_type()))
    }

    fn at(&self, at: usize) -> Result<Cow<'_, [u8]>, BadRow> {
        if self.column.is_null(at) {
            return Err(BadRow::Null(self.name));
        }
        Ok(match self.column.data_type() {
            DataType::Utf8 => self.column.as_string::<i32>().value(at).as_bytes().into(),
            DataType::LargeUtf8 => self.column.as_string::<i64>().value(at).as_bytes().into(),
            DataType::Utf8View => self.column.as_string_view().value(at).as_bytes().into(),
            DataType::UInt64 => {
                let id = self.column.as_primitive::<UInt64Type>().value(at);
                id.to_string().into_bytes().into()
            }
            DataType::Int64 => {
                let id = self.column.as_primitive::<Int64Type>().value(at);
                id.to_string().into_bytes().into()
            }
            _ => self.column.as_binary::<i32>().value(at).into(),
        })
    }
}
