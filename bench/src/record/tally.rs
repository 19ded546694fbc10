//! Latencies of one window: the buckets of an HdrHistogram, of which only those in use are touched.
//!
//! A window of 200 ms has some hundred different latencies, and its histogram 27,000 buckets.
//! Emptying and merging those takes tens of microseconds, in which a request may be due. So a tally
//! remembers which buckets it has touched, and is packed and emptied in time of their number.
//!
//! ```text
//!  packed: [bucket u16 LE][count, 7 bits to a byte, the low ones first, high bit: more follow]…
//! ```

use hdrhistogram::Histogram;

/// Longest latency that is told apart.
pub(super) const NANOS_MAX: u64 = 60_000_000_000;

/// Latencies below it have a bucket each; above it, buckets are as wide as three digits allow.
const LINEAR: u64 = 2048;

/// BOUND: buckets.
const BUCKETS: usize = bucket(NANOS_MAX) + 1;
const _: () = assert!(BUCKETS <= 1 << 16);

/// Counts by bucket.
pub(super) struct Tally {
    counts: Box<[u32]>,
    /// The buckets that are not empty.
    touched: Vec<u16>,
}

impl Tally {
    pub(super) fn new() -> Tally {
        let mut touched = vec![0; BUCKETS];
        // Memory that was never written would be found by a page fault, while a request is due.
        touched.fill(1);
        touched.clear();
        let mut counts = vec![1; BUCKETS];
        counts.fill(0);
        Tally { counts: counts.into_boxed_slice(), touched }
    }

    pub(super) fn record(&mut self, nanos: u64) {
        self.add(bucket(nanos.min(NANOS_MAX)), 1);
    }

    fn add(&mut self, bucket: usize, count: u32) {
        if self.counts[bucket] == 0 {
            self.touched.push(bucket as u16);
        }
        self.counts[bucket] = self.counts[bucket].saturating_add(count);
    }

    /// What was recorded; the tally is empty afterwards.
    pub(super) fn pack(&mut self, scratch: &mut Vec<u8>) -> Packed {
        scratch.clear();
        for bucket in self.touched.drain(..) {
            scratch.extend_from_slice(&bucket.to_le_bytes());
            let mut count = std::mem::take(&mut self.counts[usize::from(bucket)]);
            while count >= 0x80 {
                scratch.push(count as u8 | 0x80);
                count >>= 7;
            }
            scratch.push(count as u8);
        }
        Packed(scratch.as_slice().into())
    }

    /// Records again what was packed.
    pub(super) fn unpack(&mut self, packed: &Packed) {
        for (bucket, count) in packed.buckets() {
            self.add(bucket, count);
        }
    }
}

/// A tally at rest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Packed(Box<[u8]>);

impl Packed {
    fn buckets(&self) -> impl Iterator<Item = (usize, u32)> {
        let mut bytes = self.0.iter().copied();
        std::iter::from_fn(move || {
            let bucket = u16::from_le_bytes([bytes.next()?, bytes.next()?]);
            let mut count = 0;
            for shift in (0..32).step_by(7) {
                let byte = bytes.next()?;
                count |= u32::from(byte & 0x7f) << shift;
                if byte & 0x80 == 0 {
                    break;
                }
            }
            Some((usize::from(bucket), count))
        })
    }

    /// Adds it to a histogram whose buckets are the same.
    pub(super) fn add_to(&self, histogram: &mut Histogram<u64>) {
        for (bucket, count) in self.buckets() {
            histogram.saturating_record_n(lowest_of(bucket), u64::from(count));
        }
    }
}

/// The bucket of a latency: its 11 leading bits, and how far they are shifted.
const fn bucket(nanos: u64) -> usize {
    let shift = (nanos | (LINEAR - 1)).ilog2() - (LINEAR.ilog2() - 1);
    ((shift as usize) << 10) + (nanos >> shift) as usize
}

/// The shortest latency of a bucket.
fn lowest_of(bucket: usize) -> u64 {
    if bucket < LINEAR as usize {
        return bucket as u64;
    }
    let shift = (bucket >> 10) - 1;
    ((bucket - (shift << 10)) as u64) << shift
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::histogram;
    use proptest::prelude::*;

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        for at in 0..BUCKETS {
            assert_eq!(bucket(lowest_of(at)), at);
            assert!(at == 0 || bucket(lowest_of(at) - 1) == at - 1, "{at}");
        }
    }

    proptest! {
        #[test]
        fn a_packed_tally_is_the_histogram_of_what_was_recorded(
            values in
                prop::collection::vec((1u32..37).prop_flat_map(|bits| 1..1u64 << bits), 0..500),
            repeats in 1u64..400,
        ) {
            let mut tally = Tally::new();
            let mut right = histogram();
            let values: Vec<u64> = values.iter().map(|v| *v.min(&NANOS_MAX)).collect();
            for value in &values {
                right.saturating_record_n(*value, repeats);
                (0..repeats).for_each(|_| tally.record(*value));
            }
            let packed = tally.pack(&mut Vec::new());
            let mut merged = histogram();
            packed.add_to(&mut merged);
            prop_assert_eq!(&merged, &right);
            // A window that is opened again goes on where it was.
            tally.unpack(&packed);
            tally.record(77);
            right.record(77).unwrap();
            let mut again = histogram();
            tally.pack(&mut Vec::new()).add_to(&mut again);
            prop_assert_eq!(again, right);
        }
    }
}
