//! A record: what is known of one user.
//!
//! ```text
//!   record  = varint(segments << 1 | has base price)
//!             varint(base price)                if it has one, micros
//!             segment × segments                ascending by rank
//!             zeros up to the next multiple of 4
//!   segment = varint(rank)                      the first one's
//!           | varint(rank − rank before − 1)    any other's: a rank comes once
//!             varint(price + 1), or 0           no price of its own: the base price, if any
//!             varint(score + 1), or 0           no score
//! ```
//!
//! Varints have seven bits a byte, the lowest first, as in protobuf. Numbers that make no sense
//! end a record that is read; they are never written.

use super::codes::Codes;
use crate::{
    ids::{PriceMicros, ScoreMillionths},
    wire::take_varint,
};

/// BOUND: segments of one user.
pub const SEGMENTS_MAX: usize = 4096;

/// One user, as it lies in the table.
#[derive(Debug, Clone, Copy)]
pub struct Record<'t> {
    base_price: Option<PriceMicros>,
    count: u16,
    segments: &'t [u8],
    codes: Codes<'t>,
}

impl<'t> Record<'t> {
    /// The record at the front of `bytes`. One that makes no sense from the first is none.
    #[inline]
    pub(super) fn read(mut bytes: &'t [u8], codes: Codes<'t>) -> Option<Record<'t>> {
        let head = take_varint(&mut bytes)?;
        let count = u16::try_from(head >> 1).ok()?;
        if usize::from(count) > SEGMENTS_MAX {
            return None;
        }
        let base_price = match head & 1 {
            0 => None,
            _ => Some(PriceMicros::new(take_varint(&mut bytes)?)?),
        };
        Some(Record { base_price, count, segments: bytes, codes })
    }

    /// What a segment without a price of its own costs.
    #[inline]
    #[must_use]
    pub fn base_price(&self) -> Option<PriceMicros> {
        self.base_price
    }

    /// The user's segments, ascending by code.
    #[inline]
    #[must_use]
    pub fn segments(&self) -> Segments<'t> {
        let Record { base_price, count, segments, codes } = *self;
        Segments { base_price, left: count, next_rank: 0, bytes: segments, codes }
    }
}

/// One segment of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment<'t> {
    /// The segment's text.
    pub code: &'t [u8],
    /// Its price: its own, or the user's base price.
    pub price: Option<PriceMicros>,
    /// How well it fits.
    pub score: Option<ScoreMillionths>,
}

/// The segments of a [`Record`].
#[derive(Debug, Clone)]
pub struct Segments<'t> {
    base_price: Option<PriceMicros>,
    left: u16,
    next_rank: u32,
    bytes: &'t [u8],
    codes: Codes<'t>,
}

impl<'t> Segments<'t> {
    #[inline]
    fn read(&mut self) -> Option<Segment<'t>> {
        let delta = u32::try_from(take_varint(&mut self.bytes)?).ok()?;
        let rank = self.next_rank.checked_add(delta)?;
        self.next_rank = rank.checked_add(1)?;
        let price = match take_varint(&mut self.bytes)? {
            0 => self.base_price,
            above => Some(PriceMicros::new(above - 1)?),
        };
        let score = match take_varint(&mut self.bytes)? {
            0 => None,
            above => Some(ScoreMillionths::new(above - 1)?),
        };
        Some(Segment { code: self.codes.text(rank)?, price, score })
    }
}

impl<'t> Iterator for Segments<'t> {
    type Item = Segment<'t>;

    #[inline]
    fn next(&mut self) -> Option<Segment<'t>> {
        self.left = self.left.checked_sub(1)?;
        let segment = self.read();
        if segment.is_none() {
            self.left = 0;
        }
        segment
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(usize::from(self.left)))
    }
}

impl std::iter::FusedIterator for Segments<'_> {}
