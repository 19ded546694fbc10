//! Service times for `/status`: a histogram per listener, handed to the delivery thread once a
//! second and back, so that nobody locks and nothing is allocated while serving.

use hdrhistogram::Histogram;
use rtrb::{Consumer, Producer, RingBuffer};

/// Longest time that is told apart: a minute.
const NANOS_MAX: u64 = 60_000_000_000;

/// Two digits: an error of one percent, and a histogram that stays in the cache.
const DIGITS: u8 = 2;

/// Service times of one second, by listener.
pub type Times = Vec<Histogram<u64>>;

/// The shard's end.
pub struct LatencyWriter {
    current: Times,
    full: Producer<Times>,
    empty: Consumer<Times>,
}

/// The reader's end.
pub struct LatencyReader {
    full: Consumer<Times>,
    empty: Producer<Times>,
}

/// Histograms for so many listeners.
#[must_use]
pub fn times(listeners: usize) -> Times {
    let bounds = "1 ns to a minute with two digits is a histogram";
    (0..listeners)
        .map(|_| Histogram::new_with_bounds(1, NANOS_MAX, DIGITS).expect(bounds))
        .collect()
}

/// Makes the two ends for a shard with so many listeners.
#[must_use]
pub fn latency(listeners: usize) -> (LatencyWriter, LatencyReader) {
    // BOUND: there are two sets of histograms; while one is away, the other is written.
    let (full_in, full_out) = RingBuffer::new(1);
    let (mut empty_in, empty_out) = RingBuffer::new(1);
    let _ = empty_in.push(times(listeners));
    let writer = LatencyWriter { current: times(listeners), full: full_in, empty: empty_out };
    (writer, LatencyReader { full: full_out, empty: empty_in })
}

impl LatencyWriter {
    /// Records one time.
    #[inline]
    pub fn record(&mut self, listener: u16, nanos: u64) {
        if let Some(histogram) = self.current.get_mut(usize::from(listener)) {
            histogram.saturating_record(nanos.max(1));
        }
    }

    /// Hands the times over, if the reader gave the other ones back.
    pub fn turn_over(&mut self) {
        if let Ok(empty) = self.empty.pop() {
            let full = std::mem::replace(&mut self.current, empty);
            // The reader has taken what was there before it gave this one back.
            let _ = self.full.push(full);
        }
    }
}

impl LatencyReader {
    /// Adds the times that were handed over to `sums`, by listener.
    pub fn add_to(&mut self, sums: &mut [Histogram<u64>]) {
        while let Ok(mut times) = self.full.pop() {
            for (sum, part) in sums.iter_mut().zip(&mut times) {
                // Both have the same bounds.
                let _ = sum.add(&*part);
                part.reset();
            }
            let _ = self.empty.push(times);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_reaches_the_sums_once() {
        let (mut writer, mut reader) = latency(2);
        let mut all = times(2);
        for second in 1..=3u64 {
            writer.record(0, second * 1000);
            writer.record(1, second * 1_000_000);
            writer.turn_over();
            // A reader that is late makes the writer keep its times, not lose them.
            if second != 2 {
                reader.add_to(&mut all);
            }
        }
        writer.turn_over();
        reader.add_to(&mut all);
        assert_eq!((all[0].len(), all[1].len()), (3, 3));
        assert!(all[0].max() < 3100 && all[1].max() > 2_900_000);
    }
}
