//! GET requests from a path with macros: what the pixel, the provider and plain pages share.

use super::{
    corpus::{Corpus, Full, Population},
    macros::{AGENTS, MacroError, SITES, Template},
    url::Url,
};
use crate::random::Random;
use std::fmt::Write;

/// How many requests are rendered; their holes make the rest of the difference.
const RENDERED: usize = 1024;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Client {
    /// A browser: it says what it is, where it is, and has a cookie.
    Browser,
    /// An exchange: it says nothing that costs bytes.
    Exchange,
}

/// Why requests cannot be rendered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// A macro is wrong.
    #[error(transparent)]
    Macro(#[from] MacroError),
    /// They are too long.
    #[error(transparent)]
    Full(#[from] Full),
}

/// Renders requests for the path of a URL.
pub(super) fn render(
    url: &Url,
    client: Client,
    population: Population,
) -> Result<Corpus, RenderError> {
    let template = Template::parse(&url.path)?;
    let mut random = Random::new(population.seed, 0);
    let mut corpus = Corpus::new(population);
    for _ in 0..RENDERED {
        let (mut text, mut holes) = ("GET ".to_owned(), Vec::new());
        template.render(&mut random, &mut text, &mut holes);
        // Writing into a String cannot fail.
        let _ = write!(text, " HTTP/1.1\r\nHost: {}\r\n", url.host);
        if client == Client::Browser {
            let _ = write!(
                text,
                "User-Agent: {}\r\nAccept: image/avif,image/webp,image/png,image/svg+xml,*/*;q=0.8\r\n\
                 Accept-Language: {}\r\nAccept-Encoding: gzip, deflate, br\r\n\
                 Referer: https://{}/\r\nCookie: uid={:016x}\r\n",
                random.pick(&AGENTS),
                random.pick(&["en-US,en;q=0.9", "de,en;q=0.7", "fr-FR,fr;q=0.9,en;q=0.6"]),
                random.pick(&SITES),
                random.bits(),
            );
        }
        text.push_str("\r\n");
        corpus.push(text.as_bytes(), &holes)?;
    }
    Ok(corpus)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::parsed;

    const POPULATION: Population = Population { seed: 1, users: 10 };

    #[test]
    fn requests_are_valid_http_of_the_path_that_was_given() {
        let path = "/i.gif?u=${USER_ID}&a=${AUCTION_ID}&ref=${REFERER_URL_ENC}";
        let url: Url = format!("http://127.0.0.1:8083{path}").parse().unwrap();
        for (client, headers) in [(Client::Browser, 7), (Client::Exchange, 1)] {
            let corpus = render(&url, client, POPULATION).unwrap();
            assert_eq!(corpus.count(), RENDERED);
            for number in 0..RENDERED as u64 {
                let mut out = Vec::new();
                corpus.write(number, &mut out);
                let request = parsed(&out);
                assert_eq!((request.method.as_str(), request.body.len()), ("GET", 0));
                assert!(request.target.starts_with("/i.gif?u="), "{}", request.target);
                assert!(!request.target.contains('$'), "{}", request.target);
                assert_eq!(request.headers.len(), headers);
                assert_eq!(request.header("host"), Some("127.0.0.1:8083"));
            }
        }
    }

    #[test]
    fn one_seed_renders_one_corpus() {
        let url: Url = "http://127.0.0.1:1/x?c=${CACHEBUSTER}".parse().unwrap();
        let of = |seed| render(&url, Client::Browser, Population { seed, users: 10 }).unwrap();
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }
}
