//! `${MACRO}` in a path: what exchanges fill in before they ask.
//!
//! The names are Xandr's. `${USER_ID}` and `${AUCTION_ID}` become holes, which every request fills
//! for itself; the others are drawn when the corpus is rendered.

use super::corpus::{DIGITS, Filling, Hole};
use crate::random::Random;
use std::fmt::Write;

/// A path with macros, in pieces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Macro(usize),
}

/// Why a path cannot be filled in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MacroError {
    /// No exchange knows it.
    #[error("${{{name}}} is no macro; known are {known}")]
    Unknown {
        /// What stands in the path.
        name: String,
        /// What may.
        known: String,
    },
    /// It has no end.
    #[error("a macro begins with \"${{\" and has no \"}}\": {rest:?}")]
    Open {
        /// From where on.
        rest: String,
    },
}

/// Draws a value and writes it.
type Draw = fn(&mut Random, &mut String);

/// The macros. Values are what browsers and phones send, percent-encoded where they need it.
const MACROS: [(&str, Draw); 19] = [
    ("USER_ID", hole),
    ("AUCTION_ID", hole),
    ("IP_ADDRESS", ip),
    ("USER_AGENT", |random, out| out.push_str(random.pick(&AGENTS_ENCODED))),
    ("REFERER_URL_ENC", referer),
    ("SELLER_MEMBER_ID", |random, out| number(random, out, 100, 16_000)),
    ("TAG_ID", |random, out| number(random, out, 1_000_000, 30_000_000)),
    ("COUNTRY", |random, out| out.push_str(random.pick(&["US", "US", "DE", "FR", "GB", "BR"]))),
    ("STATE", |random, out| out.push_str(random.pick(&["NY", "CA", "BE", "TX", "HE", ""]))),
    ("CITY", |random, out| out.push_str(random.pick(&["New%20York", "Berlin", "Lyon", ""]))),
    ("DMA", |random, out| number(random, out, 500, 882)),
    ("POSTAL_CODE", |random, out| number(random, out, 10_000, 99_999)),
    ("EXTENDED_IDS", extended_ids),
    ("GDPR_APPLIES", |random, out| out.push_str(random.pick(&["0", "0", "1"]))),
    ("GDPR_CONSENT", consent),
    ("GPP_SID", |random, out| out.push_str(random.pick(&["", "", "7"]))),
    ("GPP_STRING", |_, out| out.push_str(GPP)),
    ("DEVICE_ID", device),
    ("CACHEBUSTER", |random, out| number(random, out, 1, u64::from(u32::MAX))),
];

impl Template {
    /// Of a path.
    ///
    /// # Errors
    /// [`MacroError`] when a macro is unknown, or has no end.
    pub fn parse(path: &str) -> Result<Template, MacroError> {
        let mut pieces = Vec::new();
        let mut rest = path;
        while let Some(at) = rest.find("${") {
            let (text, from) = rest.split_at(at);
            pieces.push(Piece::Text(text.to_owned()));
            let end = from.find('}').ok_or_else(|| MacroError::Open { rest: from.to_owned() })?;
            let name = &from[2..end];
            let known = MACROS.iter().position(|(known, _)| *known == name);
            pieces.push(Piece::Macro(known.ok_or_else(|| MacroError::Unknown {
                name: name.to_owned(),
                known: MACROS.map(|(name, _)| name).join(", "),
            })?));
            rest = &from[end + 1..];
        }
        pieces.push(Piece::Text(rest.to_owned()));
        Ok(Template { pieces })
    }

    /// Writes the path, and says where its holes are, from the beginning of `out`.
    pub fn render(&self, random: &mut Random, out: &mut String, holes: &mut Vec<Hole>) {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Macro(at) => {
                    let (name, draw) = MACROS[*at];
                    let filling = match name {
                        "USER_ID" => Some(Filling::User),
                        "AUCTION_ID" => Some(Filling::Auction),
                        _ => None,
                    };
                    holes.extend(filling.map(|filling| Hole { at: out.len(), filling }));
                    draw(random, out);
                }
            }
        }
    }
}

/// Browsers and phones, as they call themselves.
pub(super) const AGENTS: [&str; 4] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0",
];

/// The same for a query.
const AGENTS_ENCODED: [&str; 2] = [
    "Mozilla%2F5.0%20(Linux%3B%20Android%2010%3B%20K)%20AppleWebKit%2F537.36%20(KHTML%2C%20like%20Gecko)%20Chrome%2F140.0.0.0%20Mobile%20Safari%2F537.36",
    "Mozilla%2F5.0%20(X11%3B%20Linux%20x86_64%3B%20rv%3A143.0)%20Gecko%2F20100101%20Firefox%2F143.0",
];

/// Where people are when they see an advertisement.
pub(super) const SITES: [&str; 5] = [
    "news.example.com",
    "www.example.org",
    "sport.example.net",
    "recipes.example.com",
    "forum.example.org",
];

/// A consent string of usual length.
pub(super) const CONSENT: &str = "CQSbkEAQSbkEAAKA5DENB9FgAAAAAAAAACiQAAAAAAAA.YAAAAAAAAAAA";

const GPP: &str = "DBABLA~BVQqAAAAAgA.QA";

fn hole(_: &mut Random, out: &mut String) {
    out.push_str(&"0".repeat(DIGITS));
}

fn number(random: &mut Random, out: &mut String, from: u64, to: u64) {
    // Writing into a String cannot fail.
    let _ = write!(out, "{}", from + random.below(to - from));
}

pub(super) fn ip(random: &mut Random, out: &mut String) {
    // The ranges that documents may use, so that no real address is ever sent.
    let net = random.pick(&["192.0.2", "198.51.100", "203.0.113"]);
    let _ = write!(out, "{net}.{}", 1 + random.below(254));
}

fn referer(random: &mut Random, out: &mut String) {
    let _ = write!(out, "https%3A%2F%2F{}%2Fa%2F{}", random.pick(&SITES), random.below(1 << 20));
}

fn extended_ids(random: &mut Random, out: &mut String) {
    let _ = write!(out, "example.com%2C{:016x}%7Cexample.org%2C", random.bits());
    device(random, out);
}

fn consent(_: &mut Random, out: &mut String) {
    out.push_str(CONSENT);
}

pub(super) fn device(random: &mut Random, out: &mut String) {
    let bits = (u128::from(random.bits()) << 64) | u128::from(random.bits());
    let hex = format!("{bits:032x}");
    let _ = write!(
        out,
        "{}-{}-4{}-a{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[13..16],
        &hex[17..20],
        &hex[20..]
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_macro_is_filled_in_and_what_needs_it_is_percent_encoded() {
        let path: String = MACROS.iter().map(|(name, _)| format!("&{name}=${{{name}}}")).collect();
        let template = Template::parse(&path).unwrap();
        let mut random = Random::new(1, 0);
        for _ in 0..200 {
            let (mut out, mut holes) = (String::new(), Vec::new());
            template.render(&mut random, &mut out, &mut holes);
            let sound = |byte: u8| byte.is_ascii_alphanumeric() || b"&=%.()_-~".contains(&byte);
            assert!(out.bytes().all(sound), "{out}");
            assert!(MACROS.iter().all(|(name, _)| out.contains(&format!("&{name}="))), "{out}");
            assert_eq!(holes.len(), 2);
            for hole in holes {
                assert_eq!(out[hole.at..][..DIGITS], *"0".repeat(DIGITS));
            }
        }
    }

    #[test]
    fn a_macro_that_no_exchange_knows_is_named() {
        let error = Template::parse("/v1?u=${USERID}").unwrap_err();
        assert!(error.to_string().contains("${USERID} is no macro"), "{error}");
        assert!(error.to_string().contains("USER_ID, AUCTION_ID"), "{error}");
        let error = Template::parse("/v1?u=${USER_ID").unwrap_err();
        assert_eq!(error, MacroError::Open { rest: "${USER_ID".to_owned() });
        assert!(Template::parse("/v1?price=$5").is_ok());
    }
}
