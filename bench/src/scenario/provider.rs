//! The data provider: GET with macros by an exchange, answered with segment codes, one to a line.
//!
//! SPEC: Xandr's real-time data provider: `CODE` or `CODE:INT`, and one line feed when there is
//! nothing to say; never an empty body.

use super::{Answer, Scenario, Verdict, corpus::Corpus};
use std::sync::Arc;

/// What is asked when the URL has no path.
pub(super) const PATH: &str = "/v1/segments/xandr?uid=${USER_ID}&extended_ids=${EXTENDED_IDS}\
                               &ip=${IP_ADDRESS}&ua=${USER_AGENT}&ref=${REFERER_URL_ENC}\
                               &tag=${TAG_ID}&country=${COUNTRY}&region=${STATE}&city=${CITY}\
                               &dma=${DMA}&postal=${POSTAL_CODE}&gdpr=${GDPR_APPLIES}\
                               &gdpr_consent=${GDPR_CONSENT}&gpp=${GPP_STRING}\
                               &gpp_sid=${GPP_SID}&auction_id=${AUCTION_ID}";

/// Asks for segments.
#[derive(Debug, Clone)]
pub struct Provider {
    pub(super) corpus: Arc<Corpus>,
}

impl Scenario for Provider {
    fn request(&mut self, number: u64, out: &mut Vec<u8>) {
        self.corpus.write(number, out);
    }

    fn check(&mut self, _number: u64, answer: &Answer<'_>) -> Verdict {
        if answer.status != 200 {
            return Verdict::Wrong("the status is not 200");
        }
        let Some((b'\n', lines)) = answer.body.split_last() else {
            return Verdict::Wrong("the body does not end in a line feed");
        };
        // Nothing to say is one line feed, and only then may a line be empty.
        if lines.is_empty() {
            Verdict::Nothing
        } else if lines.split(|byte| *byte == b'\n').all(is_segment) {
            Verdict::Right
        } else {
            Verdict::Wrong("a line of the body is no CODE and no CODE:INT")
        }
    }
}

fn is_segment(line: &[u8]) -> bool {
    let mut parts = line.splitn(2, |byte| *byte == b':');
    let code = parts.next().unwrap_or_default();
    let is_code = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.".contains(byte);
    let is_value = |value: &[u8]| !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    !code.is_empty() && code.iter().all(is_code) && parts.next().is_none_or(is_value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::corpus::Population;

    #[test]
    fn segments_are_codes_with_or_without_a_value_or_one_line_feed() {
        let corpus = Corpus::new(Population { seed: 1, users: 1 });
        let mut provider = Provider { corpus: corpus.into() };
        for (status, body, right) in [
            (200, "\n", true),
            (200, "auto_suv\n", true),
            (200, "auto_suv:750\nsport-1\n", true),
            (200, "", false),
            (200, "auto_suv", false),
            (200, "auto_suv:\n", false),
            (200, "auto_suv:7.5\n", false),
            (200, "a\n\nb\n", false),
            (200, "<html>\n", false),
            (204, "", false),
            (404, "\n", false),
        ] {
            let answer = Answer { status, body: body.as_bytes(), closes: None };
            let verdict = provider.check(0, &answer);
            assert_eq!(!matches!(verdict, Verdict::Wrong(_)), right, "{status} {body:?}");
            assert_eq!(verdict == Verdict::Nothing, right && body == "\n", "{status} {body:?}");
        }
    }
}
