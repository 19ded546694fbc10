//! The provider against any query: answered by whole lines within a bound, its row what was sent.

use super::provider_world::{Call, World};
use brink_proto::decoded;
use edge::{config::file::DialectWord, http::head::Fields};
use std::cell::RefCell;

/// The body: see [`super::TARGETS`].
///
/// # Panics
/// When it does not hold.
pub fn provider_query(data: &[u8]) {
    let call = Call { method: "GET", query: Some(data), fields: Fields::default(), body: b"" };
    let answered = WORLD.with_borrow_mut(|world| world.ask(&call));
    assert_eq!(answered.status, 200);
    check(&answered.body, &answered.row);
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::new(World::new(DialectWord::Xandr));
}

fn check(body: &[u8], row: &decoded::Lookup) {
    let lines: Vec<_> = body.strip_suffix(b"\n").expect("lines").split(|b| *b == b'\n').collect();
    let told = row.answered_segments.as_deref().unwrap_or_default();
    assert_eq!(lines, told.split(' ').map(str::as_bytes).collect::<Vec<_>>());
    assert_eq!(row.outcome == "segments", row.segment_count > 0);
    if row.consent_decision.as_deref() == Some("denied") {
        assert_eq!((row.outcome.as_str(), body), ("denied", &b"\n"[..]));
        let ids = [&row.user_id, &row.external_id, &row.extended_ids, &row.raw_query];
        assert!(ids.into_iter().all(Option::is_none), "nobody is named who did not allow it");
    }
}

/// Inputs to begin with.
#[must_use]
pub fn seeds() -> Vec<Vec<u8>> {
    [
        "uid=7&ext_uid=8&extended_ids=a.b,7|c,9&ip=203.0.113.9&ua=M&ref=r&tag=1&country=US&region=NY\
         &city=C&dma=501&postal=10001&gdpr=0&auction_id=9f6c",
        "uid=${USER_ID}&ext_uid=7&gdpr=${GDPR_APPLIES}&gdpr_consent=",
        "uid=0&extended_ids=a.b%2C7%7Cx&us_privacy=1YYN&ip=2001:db8::1",
        "uid=%37&gpp=DBAA&gpp_sid=2,7&coppa=1",
    ]
    .map(|query| query.as_bytes().to_vec())
    .to_vec()
}

/// What is worth putting into an input.
pub const WORDS: &[&[u8]] = &[
    b"&",
    b"=",
    b"%2C",
    b"%7C",
    b"|",
    b",",
    b"uid=",
    b"ext_uid=",
    b"extended_ids=a.b,7",
    b"${",
    b"0",
    b"7",
    b"gdpr=1",
    b"us_privacy=1NYN",
    b"ip=::1",
];
