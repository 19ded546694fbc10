//! Which connections have a request in flight, in the order in which those were sent.
//!
//! All answers are waited for equally long, so the first of the list is the next to be given up:
//! one look at each turn of the loop finds what is overdue, to the microsecond. The list is woven
//! through an array with one place per connection; nothing is searched and nothing allocated.

/// No connection.
const NONE: usize = usize::MAX;

/// The list.
pub(super) struct Flights {
    links: Vec<Link>,
    first: usize,
    last: usize,
    count: usize,
}

#[derive(Clone, Copy)]
struct Link {
    before: usize,
    after: usize,
    flies: bool,
}

impl Flights {
    /// Room for so many connections.
    pub(super) fn new(connections: usize) -> Flights {
        let grounded = Link { before: NONE, after: NONE, flies: false };
        Flights { links: vec![grounded; connections], first: NONE, last: NONE, count: 0 }
    }

    /// The connection whose request was sent before all others.
    pub(super) fn first(&self) -> Option<usize> {
        (self.first != NONE).then_some(self.first)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// A request was sent on a connection that had none in flight.
    pub(super) fn push(&mut self, connection: usize) {
        debug_assert!(!self.links[connection].flies);
        self.links[connection] = Link { before: self.last, after: NONE, flies: true };
        match self.last {
            NONE => self.first = connection,
            last => self.links[last].after = connection,
        }
        self.last = connection;
        self.count += 1;
    }

    /// The request of a connection has ended.
    pub(super) fn remove(&mut self, connection: usize) {
        let Link { before, after, flies } = self.links[connection];
        debug_assert!(flies);
        match before {
            NONE => self.first = after,
            before => self.links[before].after = after,
        }
        match after {
            NONE => self.last = before,
            after => self.links[after].before = before,
        }
        self.links[connection].flies = false;
        self.count -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_first_is_always_the_one_that_was_sent_before_the_others(
            steps in prop::collection::vec(0usize..8, 0..200),
        ) {
            let mut flights = Flights::new(8);
            let mut right: Vec<usize> = Vec::new();
            for connection in steps {
                match right.iter().position(|flying| *flying == connection) {
                    Some(at) => {
                        right.remove(at);
                        flights.remove(connection);
                    }
                    None => {
                        right.push(connection);
                        flights.push(connection);
                    }
                }
                prop_assert_eq!(flights.first(), right.first().copied());
                prop_assert_eq!(flights.is_empty(), right.is_empty());
            }
        }
    }
}
