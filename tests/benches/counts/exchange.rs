//! Calls as an exchange sends them to a provider, and a table that knows the users.

use brink_proto::{
    ids::{Micros, PriceMicros},
    table::{Namespace, Segment, write},
};
use edge::{
    roles::Supplies,
    table::handover::{LoadedTable, TableTaker},
};

/// How many calls there are, and users in the table. A prime, as with browsers.
pub(super) const COUNT: u64 = 997;

/// Segments of each user.
const SEGMENTS: u64 = 8;

fn user(number: u64) -> u64 {
    1_000_000_000_000_000_000 + (number % COUNT).wrapping_mul(0x9E37_79B9_7F4A_7C15) % (1 << 60)
}

/// One call; the same number is the same call.
pub(super) fn request(number: u64) -> Vec<u8> {
    let number = number % COUNT;
    let scattered = number.wrapping_mul(0xBF58_476D_1CE4_E5B9);
    format!(
        "GET /v1/segments/xandr?uid={}&extended_ids=example.com%2C{scattered:016x}&ip=203.0.113.{}\
         &ua=Mozilla%2F5.0%20(Linux%3B%20Android%2010%3B%20K)%20AppleWebKit%2F537.36%20(KHTML%2C%20\
         like%20Gecko)%20Chrome%2F140.0.0.0%20Mobile%20Safari%2F537.36\
         &ref=https%3A%2F%2Fnews.example.com%2Fa%2F{}&tag={}&country=US&region=NY&city=New%20York\
         &dma=501&postal=10001&gdpr=0&gdpr_consent=&gpp=DBABLA~BVQqAAAAAgA.QA&gpp_sid=7\
         &auction_id={scattered:019} HTTP/1.1\r\nHost: dp.example.net\r\nConnection: keep-alive\r\n\
         Accept: */*\r\n\r\n",
        user(number),
        number % 254 + 1,
        scattered % (1 << 20),
        1_000_000 + scattered % 20_000_000,
    )
    .into_bytes()
}

/// A table with all of them.
pub(super) fn supplies() -> Supplies {
    let codes: Vec<String> = (0..64).map(|code| format!("segment-{code:04}")).collect();
    let namespace = Namespace::new("xandr");
    let entry = |number: u64| write::Entry {
        key: namespace.key(user(number).to_string().as_bytes()),
        base_price: None,
        segments: (0..SEGMENTS)
            .map(|at| Segment {
                code: codes[((number + at * 7) % 64) as usize].as_bytes(),
                price: PriceMicros::new(50_000 + 1000 * (number + at)),
                score: None,
            })
            .collect(),
    };
    let entries: Vec<_> = (0..COUNT).map(entry).collect();
    let bytes = write::assemble(&entries).expect("a table");
    let table = LoadedTable::of_bytes(&bytes, 1, Micros(1_795_417_000_000_000));
    Supplies { table: Some(TableTaker::holding(table.expect("a table"))) }
}
