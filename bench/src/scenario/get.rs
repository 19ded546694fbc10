//! Any page: GET of the URL as it stands.

use super::{Answer, Scenario, Verdict, corpus::Corpus};
use std::sync::Arc;

/// Asks for a page, and looks at the status.
#[derive(Debug, Clone)]
pub struct Get {
    pub(super) corpus: Arc<Corpus>,
    pub(super) status: u16,
}

impl Scenario for Get {
    fn request(&mut self, number: u64, out: &mut Vec<u8>) {
        self.corpus.write(number, out);
    }

    fn check(&mut self, _number: u64, answer: &Answer<'_>) -> Verdict {
        if answer.status == self.status {
            Verdict::Right
        } else {
            Verdict::Wrong("the status is another than was expected")
        }
    }
}
