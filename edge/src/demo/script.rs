//! What the demo asks: pixels of a browser and calls of an exchange, with nonces, and which of them
//! were answered.

use brink_bench::{
    gen_table::user_id,
    scenario::{Answer, Scenario, Verdict},
};
use brink_proto::ids::Incarnation;
use std::io::Write;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asker {
    /// A browser asks for a pixel.
    Browser,
    /// An exchange asks for the segments of one of so many users.
    Exchange {
        /// Users in the table.
        users: u64,
    },
}

impl Asker {
    /// The column of a row that has the nonce.
    pub(super) fn column(self) -> &'static str {
        match self {
            Asker::Browser => "raw_query",
            Asker::Exchange { .. } => "auction_id",
        }
    }

    /// The topic of the rows.
    pub(super) fn topic(self) -> &'static str {
        match self {
            Asker::Browser => "impressions",
            Asker::Exchange { .. } => "lookups",
        }
    }
}

/// The size of the pixel.
const PIXEL_BYTES: usize = 43;

/// The seed of the demo's users.
pub(super) const SEED: u64 = 1;

/// The requests of one asker. Each carries a nonce: `<incarnation>-<number>`.
pub(super) struct Script {
    pub(super) asker: Asker,
    incarnation: Incarnation,
    answered: Vec<bool>,
    /// Answers that had segments.
    pub(super) with_segments: usize,
}

impl Script {
    pub(super) fn new(asker: Asker, incarnation: Incarnation, count: u64) -> Script {
        let answered = vec![false; count as usize];
        Script { asker, incarnation, answered, with_segments: 0 }
    }

    /// How many were answered rightly.
    pub(super) fn answered(&self) -> usize {
        self.answered.iter().filter(|a| **a).count()
    }

    /// The number in what a row says, if it is a nonce of this run that was answered.
    pub(super) fn number_of(&self, told: &str) -> Option<usize> {
        let nonce = told.strip_prefix("n=").unwrap_or(told);
        let (incarnation, number) = nonce.split_once('-')?;
        let number: usize = number.parse().ok()?;
        let ours = incarnation.parse() == Ok(self.incarnation.0);
        (ours && *self.answered.get(number)?).then_some(number)
    }
}

impl Scenario for Script {
    fn request(&mut self, number: u64, out: &mut Vec<u8>) {
        let incarnation = self.incarnation.0;
        // Writing into a Vec cannot fail.
        let _ = match self.asker {
            Asker::Browser => write!(
                out,
                "GET /i.gif?n={incarnation}-{number} HTTP/1.1\r\nHost: 127.0.0.1\r\n\
                 User-Agent: brink-demo\r\nAccept-Language: en\r\nCookie: uid=u{}\r\n\r\n",
                number % 5000
            ),
            Asker::Exchange { users } => write!(
                out,
                "GET /v1/segments/xandr?uid={}&ip=192.0.2.{}&tag=20184711&country=US&gdpr=0\
                 &auction_id={incarnation}-{number} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
                user_id(SEED, number.wrapping_mul(STRIDE) % users.max(1)),
                number % 254 + 1,
            ),
        };
    }

    fn check(&mut self, number: u64, answer: &Answer<'_>) -> Verdict {
        let right = answer.status == 200
            && match self.asker {
                Asker::Browser => answer.body.len() == PIXEL_BYTES,
                Asker::Exchange { .. } => answer.body.ends_with(b"\n"),
            };
        if right && self.asker != Asker::Browser && answer.body != b"\n" {
            self.with_segments += 1;
        }
        if let Some(answered) = self.answered.get_mut(number as usize) {
            *answered = right;
        }
        if right { Verdict::Right } else { Verdict::Wrong("that is not what was asked for") }
    }
}

/// Users are asked for all over the table.
const STRIDE: u64 = 0x9E37_79B9_7F4A_7C15;
