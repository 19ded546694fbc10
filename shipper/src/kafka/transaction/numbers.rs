//! How the batches of one epoch are numbered: from 0 in each partition. Pure.

use brink_proto::ids::Name;
use std::collections::BTreeMap;

/// The next number of each partition in an epoch of the producer.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    /// BOUND: one for each partition that a stream has.
    next: BTreeMap<(Name, i32), i32>,
}

impl Numbers {
    /// The number of the first of so many records that go to a partition.
    pub(super) fn take(&mut self, topic: Name, partition: i32, count: u32) -> i32 {
        let next = self.next.entry((topic, partition)).or_default();
        let first = *next;
        // Numbers go from 0 to the largest and begin anew.
        *next = ((i64::from(first) + i64::from(count)) & i64::from(i32::MAX)) as i32;
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_partition_counts_for_itself_and_begins_anew_behind_the_largest() {
        let mut numbers = Numbers::default();
        let (a, b) = (Name::new("a").unwrap(), Name::new("b").unwrap());
        assert_eq!(
            [numbers.take(a, 0, 5), numbers.take(a, 0, 2), numbers.take(a, 0, 1)],
            [0, 5, 7]
        );
        assert_eq!([numbers.take(a, 1, 1), numbers.take(b, 0, 1)], [0, 0]);
        assert_eq!(numbers.take(b, 0, i32::MAX as u32), 1);
        assert_eq!([numbers.take(b, 0, 3), numbers.take(b, 0, 1)], [0, 3]);
    }
}
