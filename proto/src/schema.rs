//! The columns of each topic: what the Parquet writer, docs/events.md and the DDL are made from.
//!
//! The tables come from `events.proto` through `build/columns.rs`. A [`Schema`] is plain data, so a
//! role outside this crate can bring its own topic.

use crate::ids::Class;
use std::fmt::Write;

/// One topic: its name, its version and the columns behind the stamp.
#[derive(Debug)]
pub struct Schema {
    /// Topic name, which is also the `ds=` of object keys.
    pub topic: &'static str,
    /// Message name in `events.proto`.
    pub message: &'static str,
    /// Version of the schema; grows when columns are added.
    pub version: u32,
    /// How early events of this topic are shed when there is no room.
    pub class: Class,
    /// One line about a row.
    pub about: &'static str,
    /// The columns that the role describes (numbers from 16).
    pub row: &'static [Field],
}

impl Schema {
    /// All columns in order: the stamp, then the row.
    pub fn fields(&self) -> impl Iterator<Item = &'static Field> + use<> {
        STAMP.iter().chain(self.row)
    }
}

/// One column.
#[derive(Debug)]
pub struct Field {
    /// Protobuf field number.
    pub number: u32,
    /// Column name, lower case, reserved neither in Hive nor in Spark.
    pub name: &'static str,
    /// Column type.
    pub kind: Kind,
    /// Whether the column may be null.
    pub nullable: bool,
    /// Whether objects carry a bloom filter for it.
    pub bloom: bool,
    /// What it is.
    pub about: &'static str,
    /// Unit or form of the value.
    pub unit: &'static str,
    /// What null means.
    pub null: &'static str,
    /// An example value.
    pub example: &'static str,
    /// Longest text in bytes; longer ones are cut and the row says so.
    pub bytes_max: Option<usize>,
}

/// Column types: those that Hive, Spark and DuckDB read alike. No unsigned ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// UTF-8 text.
    Text,
    /// 32-bit signed number.
    Int32,
    /// 64-bit signed number.
    Int64,
    /// True or false.
    Bool,
    /// Microseconds since 1970, UTC.
    TimeMicros,
}

impl Kind {
    /// The type's name in docs/events.md.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Kind::Text => "text",
            Kind::Int32 => "int32",
            Kind::Int64 => "int64",
            Kind::Bool => "boolean",
            Kind::TimeMicros => "timestamp(µs, UTC)",
        }
    }
}

include!(concat!(env!("OUT_DIR"), "/columns.rs"));

/// docs/events.md as text; a test holds the file against it.
#[must_use]
pub fn events_markdown() -> String {
    let mut out = String::from(EVENTS_HEAD);
    for schema in TOPICS {
        let (topic, version) = (schema.topic, schema.version);
        let _ = writeln!(out, "\n## {topic} (schema {version})\n\n{}\n", schema.about);
        let _ = writeln!(
            out,
            "Class `{}`. Partitioned by `dt` and `hour` (UTC, when the row was written).\n",
            schema.class.label()
        );
        let _ =
            writeln!(out, "| column | type | unit or form | null means | example | what it is |");
        let _ = writeln!(out, "|---|---|---|---|---|---|");
        for f in schema.fields() {
            let null = if f.nullable { f.null } else { "(never null)" };
            let mut about = f.about.to_owned();
            if let Some(max) = f.bytes_max {
                let _ = write!(about, " At most {max} bytes.");
            }
            if f.bloom {
                about.push_str(" Has a bloom filter.");
            }
            let _ = writeln!(
                out,
                "| `{}` | {} | {} | {null} | `{}` | {about} |",
                f.name,
                f.kind.label(),
                f.unit,
                f.example
            );
        }
    }
    out
}

const EVENTS_HEAD: &str = "# Events

Made from `proto/events.proto` by `proto::schema::events_markdown`; a test holds this page against it
(`BRINK_BLESS=1 cargo test -p brink-proto --test golden` writes it anew).

Every row carries its identity `(edge, incarnation, shard, sequence)`: sequences are dense from 0 in each
stream, so a consumer can prove that nothing is missing, and drop what it has seen before. Text is valid
UTF-8: bytes of a request that are not are read as ISO-8859-1. A text over its limit is cut at a character and
`truncated` is true. The columns are the same in Kafka (one Protobuf message per record) and in Parquet.
";
