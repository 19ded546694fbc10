//! Events as Kafka sees them: v2 records, and the header that makes a RecordBatch of them.
//!
//! A shard writes [`record`]s and compresses them; that is a frame's payload. To send one, the
//! shipper puts the 61 bytes of [`batch`] in front: no event is decoded, no byte is recompressed.

pub mod batch;
pub mod record;
