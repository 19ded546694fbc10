//! Parsers against any bytes: one body each, for the tests, for a runner and for libFuzzer.
//!
//! In reading order:
//!
//! - [`TARGETS`]: the table of bodies. A body takes bytes and panics when what must hold for all of
//!   them does not; [`input`] makes numbers and names of bytes.
//! - From the way of a request: [`http_head`], [`http_conn`], [`http_chunked`], [`pixel_row`],
//!   [`provider_query`], [`provider_json`], [`consent_strings`], [`config`]; the two providers ask
//!   `provider_world`. From the formats: [`frame_header`], [`kafka_records`], [`wire_fields`],
//!   [`text`], [`segment_table`]; from a topic: [`kafka_positions`].
//!   From the log: [`segment_image`] makes segments that [`segment_walk`] and [`spool_start`] read,
//!   [`segment_summary`], [`cursors`], [`object_key`].
//! - [`mutate`] makes inputs of inputs, [`feature`] tells which ones are worth keeping, and [`run`]
//!   ties these together; [`watch`] notices an input that never ends.
//!
//! `tests/fuzz.rs` runs each body for a moment, the binary `fuzz` for as long as one likes, and
//! `tests/fuzz/` under libFuzzer. docs/fuzzing.md says how.

pub mod input;

pub mod http_chunked;
pub mod http_conn;
pub mod http_head;
pub mod pixel_row;
pub mod provider_json;
pub mod provider_query;
mod provider_world;

pub mod config;
pub mod consent_strings;

pub mod frame_header;
pub mod kafka_positions;
pub mod kafka_records;
pub mod segment_table;
pub mod text;
pub mod wire_fields;

pub mod cursors;
pub mod object_key;
pub mod segment_image;
pub mod segment_summary;
pub mod segment_walk;
pub mod spool_start;

pub mod feature;
pub mod mutate;
pub mod run;
pub mod watch;

/// Something that must hold for any bytes.
pub struct Target {
    /// Its name; that of its module and of its body.
    pub name: &'static str,
    /// What must hold, in one line.
    pub about: &'static str,
    /// Panics when it does not hold.
    pub body: fn(&[u8]),
    /// Inputs to begin with, made in code.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// What is worth putting into an input.
    pub words: &'static [&'static [u8]],
    /// BOUND: inputs are no longer.
    pub bytes_max: usize,
}

/// An entry for the module `$name`, whose body has the same name.
macro_rules! target {
    ($name:ident, $bytes_max:expr, $about:expr) => {
        Target {
            name: stringify!($name),
            about: $about,
            body: $name::$name,
            seeds: $name::seeds,
            words: $name::WORDS,
            bytes_max: $bytes_max,
        }
    };
}

/// All of them.
pub static TARGETS: [Target; 19] = [
    target!(http_head, 60_000, "a head is whole, partial or refused, and a second reader agrees"),
    target!(http_conn, 60_000, "the same bytes make the same requests, wherever they are cut"),
    target!(http_chunked, 4096, "a chunked body is the same however it is cut"),
    target!(pixel_row, 4096, "any request is answered, and its row decodes to what was sent"),
    target!(provider_query, 8192, "any query is answered by whole lines, and its row decodes"),
    target!(
        provider_json,
        8192,
        "any segment request is answered, and a second reader agrees on whom and with what"
    ),
    target!(
        consent_strings,
        4096,
        "a string is decided alike however it comes, and grants no more when it is cut"
    ),
    target!(config, 8192, "any text is a configuration or an error that names the file"),
    target!(frame_header, 512, "a header is refused, or written again as the same bytes"),
    target!(
        kafka_records,
        4096,
        "records end, lie in their section, and are written as they are read"
    ),
    target!(
        kafka_positions,
        4096,
        "a value is somebody else's, refused, or written again as it was read"
    ),
    target!(
        wire_fields,
        4096,
        "fields end, lie in their message, and are written as they are read"
    ),
    target!(text, 4096, "any bytes become valid, bounded UTF-8 that says whether it was cut"),
    target!(segment_table, 16_384, "any table is read to its end, and says what was written"),
    target!(segment_summary, 16_384, "a summary is refused, or written again as the same bytes"),
    target!(cursors, 4096, "a slot is refused, or says what was written"),
    target!(object_key, 512, "names are refused or written as they are read; keys sort as the log"),
    target!(segment_walk, 8192, "a walk finds every frame that a later one calls synced"),
    target!(spool_start, 8192, "a spool starts on any segments and cursors, twice alike"),
];

/// The target of a name.
#[must_use]
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
