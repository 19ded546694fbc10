//! What the demo asks: pixels with nonces, and which of them were answered.

use brink_bench::scenario::{Answer, Scenario, Verdict};
use brink_proto::ids::Incarnation;
use std::io::Write;

/// The size of the pixel.
const PIXEL_BYTES: usize = 43;

/// The nonces of a run: `<incarnation>-<number>`.
pub(super) struct Nonces {
    incarnation: Incarnation,
    answered: Vec<bool>,
}

impl Nonces {
    pub(super) fn new(incarnation: Incarnation, count: u64) -> Nonces {
        Nonces { incarnation, answered: vec![false; count as usize] }
    }

    /// How many were answered with 200.
    pub(super) fn answered(&self) -> usize {
        self.answered.iter().filter(|a| **a).count()
    }

    /// The number in a query, if it is a nonce of this run that was answered.
    pub(super) fn number_of(&self, query: &str) -> Option<usize> {
        let (incarnation, number) = query.strip_prefix("n=")?.split_once('-')?;
        let number: usize = number.parse().ok()?;
        let ours = incarnation.parse() == Ok(self.incarnation.0);
        (ours && *self.answered.get(number)?).then_some(number)
    }
}

impl Scenario for Nonces {
    fn request(&mut self, number: u64, out: &mut Vec<u8>) {
        // Writing into a Vec cannot fail.
        let _ = write!(
            out,
            "GET /i.gif?n={}-{number} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: brink-demo\r\n\
             Accept-Language: en\r\nCookie: uid=u{}\r\n\r\n",
            self.incarnation.0,
            number % 5000
        );
    }

    fn check(&mut self, number: u64, answer: &Answer<'_>) -> Verdict {
        let right = answer.status == 200 && answer.body.len() == PIXEL_BYTES;
        if let Some(answered) = self.answered.get_mut(number as usize) {
            *answered = right;
        }
        if right { Verdict::Right } else { Verdict::Wrong("that is no pixel") }
    }
}
