//! The pixel: GET by a browser, answered with a GIF of one pixel, or with nothing.

use super::{Answer, Scenario, Verdict, corpus::Corpus};
use std::sync::Arc;

/// What is asked when the URL has no path.
pub(super) const PATH: &str = "/i.gif?auction_id=${AUCTION_ID}&user_id=${USER_ID}\
                               &ref=${REFERER_URL_ENC}&gdpr=${GDPR_APPLIES}&cb=${CACHEBUSTER}";

/// The transparent GIF89a that everybody sends has as many bytes.
const GIF_BYTES: usize = 43;

/// Asks for pixels.
#[derive(Debug, Clone)]
pub struct Pixel {
    pub(super) corpus: Arc<Corpus>,
}

impl Scenario for Pixel {
    fn request(&mut self, number: u64, out: &mut Vec<u8>) {
        self.corpus.write(number, out);
    }

    fn check(&mut self, _number: u64, answer: &Answer<'_>) -> Verdict {
        match (answer.status, answer.body.len()) {
            (200, GIF_BYTES) if answer.body.starts_with(b"GIF89a") => Verdict::Right,
            (200, GIF_BYTES) => Verdict::Wrong("the body is no GIF89a"),
            (200, _) => Verdict::Wrong("the body has not the 43 bytes of a pixel"),
            (204, _) => Verdict::Right,
            _ => Verdict::Wrong("the status is neither 200 nor 204"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::corpus::Population;

    #[test]
    fn a_pixel_is_a_gif_of_43_bytes_or_nothing() {
        let corpus = Corpus::new(Population { seed: 1, users: 1 });
        let mut pixel = Pixel { corpus: corpus.into() };
        let gif = [b"GIF89a".as_slice(), &[0; 37]].concat();
        for (status, body, right) in [
            (200, gif.as_slice(), true),
            (204, b"".as_slice(), true),
            (200, &gif[..42], false),
            (200, &[0; 43], false),
            (404, &gif, false),
            (500, b"", false),
        ] {
            let verdict = pixel.check(0, &Answer { status, body, closes: None });
            assert_eq!(verdict == Verdict::Right, right, "{status} {}", body.len());
        }
    }
}
