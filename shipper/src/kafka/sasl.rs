//! Proving a password to a broker: what each side says. Pure, but for the nonce.
//!
//! ```text
//!  PLAIN   NUL user NUL password ─▶  ok
//!  SCRAM   n,,n=user,r=nonce     ─▶  r=nonce+theirs,s=salt,i=rounds
//!          c=biws,r=…,p=proof    ─▶  v=signature, which proves that they know it too
//! ```
//!
//! SPEC: RFC 4616, RFC 5802, RFC 7677.

use super::config::{Mechanism, SaslConfig};
use aws_lc_rs::{digest, hmac, pbkdf2, rand};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use std::num::NonZeroU32;

/// BOUND: rounds that a broker may ask for; Kafka's own default is 4096.
const ROUNDS_MAX: u32 = 1 << 20;

/// Why the other side cannot be talked to. Says nothing of the password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct SaslFault(&'static str);

/// What is said next, and what is expected of the answer.
#[derive(Debug)]
pub(crate) enum Exchange {
    /// PLAIN was said; any answer that is no error is good.
    Plain,
    /// The first of SCRAM was said.
    First { mechanism: Mechanism, password: String, bare: String, nonce: String },
    /// The proof was said; this is the signature that must come.
    Proved { signature: String },
}

impl Exchange {
    /// Begins: what is said first.
    pub(crate) fn begin(config: &SaslConfig) -> Result<(Vec<u8>, Exchange), SaslFault> {
        let password = config.password.reveal();
        if config.mechanism == Mechanism::Plain {
            let text = format!("\0{}\0{password}", config.username);
            return Ok((text.into_bytes(), Exchange::Plain));
        }
        let mut random = [0; 18];
        rand::fill(&mut random).map_err(|_| SaslFault("the system gives no random bytes"))?;
        Ok(Exchange::first(config, BASE64.encode(random)))
    }

    fn first(config: &SaslConfig, nonce: String) -> (Vec<u8>, Exchange) {
        let user = config.username.replace('=', "=3D").replace(',', "=2C");
        let bare = format!("n={user},r={nonce}");
        let said = format!("n,,{bare}").into_bytes();
        let password = config.password.reveal().to_owned();
        (said, Exchange::First { mechanism: config.mechanism, password, bare, nonce })
    }

    /// Takes an answer: what is said next, or nothing when all is said and they are who they should
    /// be.
    pub(crate) fn answer(self, answer: &[u8]) -> Result<Option<(Vec<u8>, Exchange)>, SaslFault> {
        let text = std::str::from_utf8(answer).map_err(|_| SaslFault("its answer is no text"))?;
        match self {
            Exchange::Plain => Ok(None),
            Exchange::First { mechanism, password, bare, nonce } => {
                prove(mechanism, &password, &bare, &nonce, text).map(Some)
            }
            Exchange::Proved { signature } => match field(text, 'v') {
                Some(theirs) if theirs == signature => Ok(None),
                _ => Err(SaslFault("the broker does not know the password itself")),
            },
        }
    }
}

fn prove(
    mechanism: Mechanism,
    password: &str,
    bare: &str,
    nonce: &str,
    challenge: &str,
) -> Result<(Vec<u8>, Exchange), SaslFault> {
    let whole = field(challenge, 'r').filter(|r| r.starts_with(nonce) && r.len() > nonce.len());
    let whole = whole.ok_or(SaslFault("its answer is not to what we asked"))?;
    let salt = field(challenge, 's').and_then(|s| BASE64.decode(s).ok());
    let salt = salt.ok_or(SaslFault("its answer has no salt"))?;
    let rounds = field(challenge, 'i').and_then(|i| i.parse().ok());
    let rounds = rounds.filter(|i| *i <= ROUNDS_MAX).and_then(NonZeroU32::new);
    let rounds = rounds.ok_or(SaslFault("its answer has no number of rounds"))?;

    let (mac, derive, hash) = match mechanism {
        Mechanism::ScramSha512 => (hmac::HMAC_SHA512, pbkdf2::PBKDF2_HMAC_SHA512, &digest::SHA512),
        _ => (hmac::HMAC_SHA256, pbkdf2::PBKDF2_HMAC_SHA256, &digest::SHA256),
    };
    let mut salted = vec![0; hash.output_len()];
    pbkdf2::derive(derive, rounds, &salt, password.as_bytes(), &mut salted);
    let sign = |key: &[u8], text: &[u8]| hmac::sign(&hmac::Key::new(mac, key), text);
    let client = sign(&salted, b"Client Key");
    let stored = digest::digest(hash, client.as_ref());
    // "biws" is "n,," in base64: no channel is bound.
    let unproved = format!("c=biws,r={whole}");
    let said = format!("{bare},{challenge},{unproved}");
    let signature = sign(stored.as_ref(), said.as_bytes());
    let proof = client.as_ref().iter().zip(signature.as_ref()).map(|(a, b)| a ^ b);
    let proof = BASE64.encode(proof.collect::<Vec<u8>>());
    let server = sign(&salted, b"Server Key");
    let expected = BASE64.encode(sign(server.as_ref(), said.as_bytes()));
    let said = format!("{unproved},p={proof}").into_bytes();
    Ok((said, Exchange::Proved { signature: expected }))
}

/// The value of an attribute.
fn field(text: &str, name: char) -> Option<&str> {
    text.split(',').find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use proptest::prelude::*;

    fn config(mechanism: Mechanism) -> SaslConfig {
        let password = Secret::new("pencil".into());
        SaslConfig { mechanism, username: "user".into(), password }
    }

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_example_of_the_standard_comes_out() {
        let nonce = "rOprNGfwEbeRWgbNEkqO";
        let (said, first) = Exchange::first(&config(Mechanism::ScramSha256), nonce.into());
        assert_eq!(text(said), format!("n,,n=user,r={nonce}"));
        let whole = format!("{nonce}%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
        let challenge = format!("r={whole},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
        let (said, proved) = first.answer(challenge.as_bytes()).unwrap().unwrap();
        let proof = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        assert_eq!(text(said), format!("c=biws,r={whole},p={proof}"));
        let signature = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
        assert!(proved.answer(signature).unwrap().is_none());
    }

    #[test]
    fn whoever_does_not_know_the_password_or_the_rules_is_not_trusted() {
        let first = || Exchange::first(&config(Mechanism::ScramSha512), "abc".into()).1;
        let challenges = [
            "",
            "r=abc,s=AAAA,i=4096",
            "r=xyzdef,s=AAAA,i=4096",
            "r=abcdef,i=4096",
            "r=abcdef,s=!,i=4096",
            "r=abcdef,s=AAAA",
            "r=abcdef,s=AAAA,i=0",
            "r=abcdef,s=AAAA,i=99999999",
        ];
        for challenge in challenges {
            assert!(first().answer(challenge.as_bytes()).is_err(), "{challenge}");
        }
        let good = first().answer(b"r=abcdef,s=AAAA,i=1").unwrap().unwrap().1;
        assert!(good.answer(b"v=AAAA").is_err());
        let good = first().answer(b"r=abcdef,s=AAAA,i=1").unwrap().unwrap().1;
        assert!(good.answer(b"e=unknown-user").is_err());
        assert!(first().answer(b"\xff").is_err());
    }

    proptest! {
        #[test]
        fn any_answer_is_taken_or_refused(answer: Vec<u8>, salted in "[a-z=,0-9+/]{0,40}") {
            let first = || Exchange::first(&config(Mechanism::ScramSha256), "abc".into()).1;
            let _ = first().answer(&answer);
            let challenge = format!("r=abc{salted},s={salted},i=2");
            if let Ok(Some((_, proved))) = first().answer(challenge.as_bytes()) {
                prop_assert!(proved.answer(&answer).is_err());
            }
        }
    }

    #[test]
    fn a_plain_password_is_said_as_it_is_and_printed_nowhere() {
        let plain = config(Mechanism::Plain);
        let (said, exchange) = Exchange::begin(&plain).unwrap();
        assert_eq!(text(said), "\0user\0pencil");
        assert!(exchange.answer(b"").unwrap().is_none());
        assert!(!format!("{plain:?}").contains("pencil"));
    }
}
