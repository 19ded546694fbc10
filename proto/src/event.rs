//! One event, written from borrowed parts: no allocation, and no byte is written twice.
//!
//! ```text
//! event = identity  edge, incarnation, shard       encoded once per stream
//!         sequence                                 given by the tap
//!         event_time, status, bytes, service time  known when the answer is written
//!         labels    listener, exchange, datacenter encoded once per listener
//!         peer      peer address                   encoded once per connection
//!         row       what the role describes
//! ```
//!
//! Protobuf lets fields stand in any order, so the parts that change seldom are kept encoded and
//! copied as they are.

use crate::{
    ids::{Incarnation, Micros, Name, Sequence, ShardId},
    schema::Schema,
    wire::{self, Writer},
};
use std::net::IpAddr;

/// No event encodes to more. Texts have limits, so that no row can reach it.
pub const EVENT_BYTES_MAX: usize = 64 * 1024;

/// Longest listener, exchange or datacenter label.
pub const LABEL_BYTES_MAX: usize = 64;

/// Longest address as text.
pub const ADDRESS_BYTES_MAX: usize = 45;

/// No stamp encodes to more.
pub const STAMP_BYTES_MAX: usize =
    12 * (1 + wire::VARINT_BYTES_MAX) + 3 * (LABEL_BYTES_MAX + 2) + ADDRESS_BYTES_MAX + 64;

/// What a role says of an event. `events.proto` has one for each topic.
pub trait Row {
    /// The topic it belongs to.
    fn schema(&self) -> &'static Schema;
    /// Size of what [`Row::encode`] writes.
    fn encoded_bytes(&self) -> usize;
    /// Writes the fields from 16 on.
    fn encode(&self, out: &mut Writer<'_>);
}

/// A few encoded fields, kept inline.
#[derive(Debug, Clone)]
pub struct Encoded<const MAX: usize> {
    bytes: [u8; MAX],
    len: usize,
}

impl<const MAX: usize> Encoded<MAX> {
    fn of(write: impl FnOnce(&mut Writer<'_>)) -> Encoded<MAX> {
        let mut bytes = [0; MAX];
        let mut out = Writer::new(&mut bytes);
        write(&mut out);
        let len = out.finish().unwrap_or(0);
        Encoded { bytes, len }
    }

    /// The encoded fields.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// Fields 1 to 3, the same for every event of a stream.
pub type Identity = Encoded<64>;

/// Encodes the identity of a stream.
#[must_use]
pub fn identity(edge: Name, incarnation: Incarnation, shard: ShardId) -> Identity {
    Encoded::of(|out| {
        out.bytes_field(1, edge.as_str().as_bytes());
        out.varint_field(2, incarnation.0);
        out.varint_field(3, u64::from(shard.0));
    })
}

/// Fields 6 to 8, the same for every event of a listener.
pub type Labels = Encoded<{ 3 * (LABEL_BYTES_MAX + 2) }>;

/// Encodes the labels of a listener. Texts over [`LABEL_BYTES_MAX`] are refused by the
/// configuration; here they are left out.
#[must_use]
pub fn labels(listener: &str, exchange: Option<&str>, datacenter: Option<&str>) -> Labels {
    let texts = [(6, Some(listener)), (7, exchange), (8, datacenter)];
    Encoded::of(|out| {
        for (number, text) in texts {
            if let Some(text) = text.filter(|t| t.len() <= LABEL_BYTES_MAX) {
                out.bytes_field(number, text.as_bytes());
            }
        }
    })
}

/// An address as text, kept inline: written once per connection, read for each event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressText {
    bytes: [u8; ADDRESS_BYTES_MAX],
    len: u8,
}

impl AddressText {
    /// Writes an address; an IPv4-mapped IPv6 address is written as IPv4.
    #[must_use]
    pub fn new(address: IpAddr) -> AddressText {
        use std::io::Write;
        let mut bytes = [0; ADDRESS_BYTES_MAX];
        let mut rest = bytes.as_mut_slice();
        // The longest IPv6 text has 39 bytes, so it always fits.
        let _ = write!(rest, "{}", address.to_canonical());
        let len = ADDRESS_BYTES_MAX - rest.len();
        AddressText { bytes, len: len as u8 }
    }

    /// The text.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// The address's network, /24 or /48: what may be kept of whoever did not consent.
    #[must_use]
    pub fn network(&self) -> AddressText {
        let text = std::str::from_utf8(self.as_bytes()).unwrap_or_default();
        match text.parse::<IpAddr>() {
            Ok(address) => AddressText::new(network(address)),
            // Cannot be: the text was written by `new`.
            Err(_) => AddressText { bytes: [0; ADDRESS_BYTES_MAX], len: 0 },
        }
    }
}

/// The /24 of an IPv4 address, the /48 of another.
#[must_use]
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4((u32::from(v4) & 0xFFFF_FF00).into()),
        IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) & !(u128::MAX >> 48)).into()),
    }
}

/// Fields 4 to 12, as far as they change from event to event.
#[derive(Debug, Clone, Copy)]
pub struct Stamp<'a> {
    /// When the request reached the shard.
    pub time: Micros,
    /// Fields 6 to 8 of the listener.
    pub labels: &'a Labels,
    /// The other end of the connection.
    pub peer: &'a AddressText,
    /// HTTP status.
    pub status: u16,
    /// Size of the answer.
    pub response_bytes: u64,
    /// From the request reaching the shard to its answer being written.
    pub service_time_ns: u64,
}

/// One event, ready to be written.
#[derive(Clone, Copy)]
pub struct Event<'a, R> {
    /// Fields 1 to 3.
    pub identity: &'a Identity,
    /// Place in the stream.
    pub sequence: Sequence,
    /// Fields 5 to 12.
    pub stamp: Stamp<'a>,
    /// Fields from 16 on.
    pub row: &'a R,
}

impl<R: Row> Event<'_, R> {
    /// Size of what [`Event::encode`] writes.
    #[inline]
    #[must_use]
    pub fn encoded_bytes(&self) -> usize {
        let stamp = &self.stamp;
        self.identity.as_bytes().len()
            + wire::varint_field_bytes(4, self.sequence.0)
            + wire::varint_field_bytes(5, stamp.time.0 as u64)
            + stamp.labels.as_bytes().len()
            + wire::bytes_field_bytes(9, stamp.peer.as_bytes().len())
            + wire::varint_field_bytes(10, u64::from(stamp.status))
            + wire::varint_field_bytes(11, stamp.response_bytes)
            + wire::varint_field_bytes(12, stamp.service_time_ns)
            + self.row.encoded_bytes()
    }

    /// Writes the message.
    #[inline]
    pub fn encode(&self, out: &mut Writer<'_>) {
        let stamp = &self.stamp;
        out.put(self.identity.as_bytes());
        out.varint_field(4, self.sequence.0);
        out.varint_field(5, stamp.time.0 as u64);
        out.put(stamp.labels.as_bytes());
        out.bytes_field(9, stamp.peer.as_bytes());
        out.varint_field(10, u64::from(stamp.status));
        out.varint_field(11, stamp.response_bytes);
        out.varint_field(12, stamp.service_time_ns);
        self.row.encode(out);
    }
}
