//! Signs a request that was changed on its way, as AWS's signature version 4 has it: a store that
//! ignores a condition does not refuse the request for it.

use super::Head;
use brink_proto::ids::hex;
use sha2::{Digest, Sha256};

/// What is signed: enough for a server, and nothing that the proxy takes out.
const SIGNED: [&str; 3] = ["host", "x-amz-content-sha256", "x-amz-date"];

/// Signs for the account, the day and the region that the request was signed for.
///
/// # Panics
/// When it was not signed.
pub(super) fn sign(head: &mut Head, secret: &str) {
    let old = head.value("authorization").expect("a signed request").to_owned();
    let credential = old.split("Credential=").nth(1).and_then(|c| c.split(',').next());
    let credential = credential.expect("a credential").to_owned();
    // ACCESS_KEY/DATE/REGION/s3/aws4_request
    let (_, scope) = credential.split_once('/').expect("a scope");
    let (path, query) = head.path.split_once('?').unwrap_or((&head.path, ""));
    let value = |name: &str| head.value(name).expect("a field that is signed");
    let fields: String = SIGNED.iter().map(|name| format!("{name}:{}\n", value(name))).collect();
    let names = SIGNED.join(";");
    let body = value("x-amz-content-sha256");
    let request = format!("{}\n{path}\n{query}\n{fields}\n{names}\n{body}", head.method);
    let digest = hex(&Sha256::digest(request.as_bytes()));
    let text = format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{digest}", value("x-amz-date"));
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in scope.split('/') {
        key = hmac(&key, part.as_bytes()).to_vec();
    }
    let signature = hex(&hmac(&key, text.as_bytes()));
    let new = format!(
        "AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={signature}"
    );
    head.remove("authorization");
    head.fields.push(("authorization".to_owned(), new));
}

/// Bytes of a block of SHA-256.
const BLOCK: usize = 64;

/// SPEC: RFC 2104, for keys of at most one block.
fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
    assert!(key.len() <= BLOCK, "a longer key has to be hashed first");
    let padded = |with: u8| {
        let mut block = [with; BLOCK];
        block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
        block
    };
    let inner = Sha256::new().chain_update(padded(0x36)).chain_update(text).finalize();
    Sha256::new().chain_update(padded(0x5c)).chain_update(inner).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hmac_is_that_of_the_standard() {
        // SPEC: RFC 4231, test cases 1 and 2.
        let cases: [(&[u8], &[u8], &str); 2] = [
            (&[0x0b; 20], b"Hi There", "b0344c61d8db3853"),
            (b"Jefe", b"what do ya want for nothing?", "5bdcc146bf60754e"),
        ];
        for (key, text, begins) in cases {
            assert!(hex(&hmac(key, text)).starts_with(begins));
        }
    }
}
