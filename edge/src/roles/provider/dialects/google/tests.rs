//! What Google is answered, row by row.

use super::super::super::tests::{Fixture, config, parts};
use crate::{
    config::{file::DialectWord, provider::ProviderConfig},
    roles::provider::Form,
    table::handover::LoadedTable,
};
use brink_proto::{
    decoded::Lookup,
    ids::Micros,
    table::{Namespace, Segment, write},
};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use std::{
    io::{Read, Write},
    time::Duration,
};

/// Users of the exchange, of ours and of others; `many` has more segments than a packet holds.
fn table() -> LoadedTable {
    let many: Vec<String> = (0..300).map(|n| format!("segment_{n:04}")).collect();
    let entry = |ns: &str, id: &str, codes: &[&str]| {
        let segment = |code: &&str| code.as_bytes().to_vec();
        (Namespace::new(ns).key(id.as_bytes()), codes.iter().map(segment).collect::<Vec<_>>())
    };
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let users = [
        entry("google", "7", &["autos", "b"]),
        entry("google", "a%41", &["percent"]),
        entry("google", "é\"\n", &["escaped"]),
        entry("google", "many", &many),
        entry("google", "odd", &["a\"b\\"]),
        entry("google", "none", &[]),
        entry("external", "e7", &["sports"]),
        entry("liveramp.com", "X|,=", &["travel"]),
    ];
    let entries: Vec<_> = users
        .iter()
        .map(|(key, codes)| {
            let segment = |code| Segment { code, price: None, score: None };
            let segments = codes.iter().map(|code| segment(code.as_slice())).collect();
            write::Entry { key: *key, base_price: None, segments }
        })
        .collect();
    let bytes = write::assemble(&entries).unwrap();
    LoadedTable::of_bytes(&bytes, 17, Micros(1_000_000)).unwrap()
}

fn google(text_bytes_max: usize, table: Option<LoadedTable>) -> Fixture {
    let config = ProviderConfig {
        dialect: DialectWord::Google,
        namespace: "google".to_owned(),
        parameters: Vec::new(),
        budget: Duration::from_millis(40),
        text_bytes_max,
        ..config(Form::Price, None)
    };
    Fixture::of(&config, table)
}

fn standard() -> Fixture {
    google(64 << 10, Some(table()))
}

/// The body and the event of a request that says nothing of gzip.
fn post(fixture: &mut Fixture, body: impl AsRef<[u8]>) -> (String, Lookup) {
    let head = "POST /v1/segments/xandr HTTP/1.1\r\nHost: a\r\n\r\n";
    let (status, answer, event) = fixture.send(head, body.as_ref());
    let (head, body) = parts(&answer);
    assert_eq!(status, if body.is_empty() { 204 } else { 200 });
    assert_eq!(head.contains("Content-Length"), status == 200);
    assert_eq!(head.contains("application/json"), status == 200);
    assert!(head.contains("keep-alive") && !head.contains("gzip"));
    (String::from_utf8(body).unwrap(), event.unwrap())
}

fn packed(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// A body that names these segments.
fn segments(codes: &[&str]) -> String {
    let items: Vec<_> = codes.iter().map(|c| format!(r#"{{"segment_id":"{c}"}}"#)).collect();
    format!(r#"{{"segment":[{}]}}"#, items.join(","))
}

#[test]
fn a_user_is_found_under_any_id_wherever_it_stands() {
    let mut fixture = standard();
    let rows = [
        (r#"{"user":{"id":"7"}}"#, &["autos", "b"][..]),
        (r#"{"user":{"id":7}}"#, &["autos", "b"]),
        ("\u{feff}\n{ \"\\u0075ser\" : { \"id\" : \"\\u0037\" } }\n", &["autos", "b"]),
        (r#"{"user":{"id":"a%41"}}"#, &["percent"]),
        (r#"{"user":{"id":"\u00e9\"\n"}}"#, &["escaped"]),
        (r#"{"user":{"id":"odd"}}"#, &[r#"a\"b\\"#]),
        (r#"{"user":{"id":"6","buyeruid":"e7"}}"#, &["sports"]),
        (r#"{"user":{"id":{"id":"7"},"buyeruid":"e7"}}"#, &["sports"]),
        (r#"{"user":{"id":null,"id":"7","buyeruid":"e7"}}"#, &["sports"]),
        (r#"{"user":{"id":"7"},"user":{"id":"6"}}"#, &["autos", "b"]),
        (
            r#"{"user":{"eids":[7,{"uids":[{"id":"no"},null,{"id":"X|,="}],"source":"liveramp.com"}]}}"#,
            &["travel"],
        ),
        (r#"{"user":{"eids":[{"source":"external","uids":[{"id":"e7"}]}]}}"#, &["sports"]),
        (r#"{"user":{"eids":{"source":"external","uids":[{"id":"e7"}]}}}"#, &[]),
        (r#"{"user":{"eids":[{"source":"external","uids":{"id":"e7"}}]}}"#, &[]),
        (r#"{"user":{"id":"none"}}"#, &[]),
        (r#"{"user":{"id":"0","buyeruid":""}}"#, &[]),
        (r#"{"user":[{"id":"7"}]}"#, &[]),
        (r#"{"users":{"id":"7"},"ext":{"user":{"id":"7"}}}"#, &[]),
        ("{}", &[]),
    ];
    for (body, codes) in rows {
        let (answer, event) = post(&mut fixture, body);
        let want = if codes.is_empty() { String::new() } else { segments(codes) };
        assert_eq!(answer, want, "{body}");
        assert_eq!(event.outcome, if codes.is_empty() { "unknown" } else { "segments" }, "{body}");
        assert_eq!(event.segment_count, codes.len() as i32);
    }
}

#[test]
fn of_extended_ids_the_first_eight_that_fit_are_looked_up() {
    let mut fixture = standard();
    let long = "l".repeat(2048);
    for (count, filler, found) in
        [(7, "no", true), (8, "no", false), (8, "", true), (9, &*long, true)]
    {
        let others = format!(r#"{{"id":"{filler}"}},"#).repeat(count);
        let body = format!(
            r#"{{"user":{{"eids":[{{"source":"liveramp.com","uids":[{others}{{"id":"X|,="}}]}}]}}}}"#
        );
        let (answer, event) = post(&mut fixture, &body);
        assert_eq!(!answer.is_empty(), found, "{count} {filler:.9}");
        let told = event.extended_ids.unwrap();
        let pairs = told.matches("liveramp.com,").count();
        assert_eq!(pairs, if filler == "no" { 8 } else { 1 }, "{told}");
        assert_eq!(told.ends_with("liveramp.com,X|,="), found, "{told}");
    }
}

#[test]
fn gzip_is_taken_and_given_where_it_is_wanted() {
    let mut fixture = standard();
    for (id, accepts, is_packed) in [
        ("7", "gzip", false), // shorter than a packet
        ("many", "gzip;q=1.0", true),
        ("many", "identity", false),
        ("many", "gzip", true),
    ] {
        let head = format!(
            "POST /v1/segments/xandr HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\n\
             Accept-Encoding: {accepts}\r\n\r\n"
        );
        let body = packed(format!(r#"{{"user":{{"id":"{id}"}}}}"#).as_bytes());
        let (status, answer, event) = fixture.send(&head, &body);
        let (head, body) = parts(&answer);
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())));
        assert_eq!((status, head.contains("Content-Encoding: gzip\r\n")), (200, is_packed), "{id}");
        let mut text = String::new();
        if is_packed {
            assert!(body.len() < 2000);
            GzDecoder::new(body.as_slice()).read_to_string(&mut text).unwrap();
        } else {
            text = String::from_utf8(body).unwrap();
        }
        let event = event.unwrap();
        let told = event.answered_segments.unwrap();
        let codes: Vec<&str> = told.split(' ').collect();
        assert_eq!(codes.len(), event.segment_count as usize);
        assert_eq!(text, segments(&codes));
    }
}

#[test]
fn what_is_no_segment_request_is_answered_with_nothing_and_counted() {
    let mut fixture = standard();
    let good = br#"{"user":{"id":"7","ext":{"a":["\n",1.5]}},"imp":[{},{}]}"#;
    assert_eq!(post(&mut fixture, good).1.outcome, "segments");
    let mut bad: Vec<Vec<u8>> = (0..good.len()).map(|end| good[..end].to_vec()).collect();
    let nested = |open: &str| format!(r#"{{"user":{{"id":"7"}},"imp":{}"#, open.repeat(10_000));
    bad.extend([nested("["), nested(r#"{"imp":"#)].map(String::into_bytes));
    bad.extend([&b"[]"[..], b"7", b"null", b"{\"user\":{\"id\":\"7\"}}\0"].map(<[u8]>::to_vec));
    bad.push(packed(good)); // not said to be packed
    bad.push([&good[..], &[b' '; 64 << 10]].concat());
    for body in bad {
        let (answer, event) = post(&mut fixture, &body);
        assert_eq!(answer, "", "{}", body.escape_ascii());
        let want =
            Lookup { outcome: "bad_request".into(), table_version: Some(17), ..Lookup::default() };
        let table_age_ms = event.table_age_ms;
        assert_eq!(event, Lookup { table_age_ms, ..want }, "nothing of it is told");
    }
    for method in ["GET", "HEAD", "PUT"] {
        let head = format!("{method} /v1/segments/xandr?user=7 HTTP/1.1\r\nHost: a\r\n\r\n");
        let (status, _, event) = fixture.send(&head, good);
        assert_eq!((status, event.unwrap().outcome.as_str()), (204, "bad_request"), "{method}");
    }
    assert_eq!(fixture.send("POST / HTTP/1.1\r\nHost: a\r\n\r\n", good).0, 404);
}

#[test]
fn a_body_that_is_packed_badly_is_answered_with_nothing() {
    let mut fixture = standard();
    let head = "POST /v1/segments/xandr HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\n\r\n";
    let text = br#"{"user":{"id":"7"}}"#;
    let good = packed(text);
    let spaces = |count| [&text[..], &vec![b' '; count]].concat();
    let mut rows: Vec<(Vec<u8>, &str)> =
        (0..good.len()).map(|end| (good[..end].to_vec(), "bad_request")).collect();
    rows.push((text.to_vec(), "bad_request"));
    rows.push((packed(&spaces((64 << 10) - text.len())), "segments"));
    rows.push((packed(&spaces((64 << 10) - text.len() + 1)), "bad_request"));
    rows.push((packed(&spaces(50 << 20)), "bad_request"));
    rows.push((good, "segments"));
    for (body, outcome) in rows {
        let (status, _, event) = fixture.send(head, &body);
        assert_eq!(event.unwrap().outcome, outcome, "{} bytes", body.len());
        assert_eq!(status, if outcome == "segments" { 200 } else { 204 });
    }
}

#[test]
fn who_cannot_be_answered_gets_nothing() {
    let mut fixture = google(1024, None);
    let body = r#"{"user":{"id":"7"}}"#;
    let rows = [(40_000, "no_table"), (40_001, "late")];
    for (waited_us, outcome) in rows {
        fixture.waited = Duration::from_micros(waited_us);
        let (answer, event) = post(&mut fixture, body);
        assert_eq!((answer.as_str(), event.outcome.as_str()), ("", outcome));
    }
}

/// All that is read, the user's part of it, and what `%` stands for in the regulations.
fn whole(regs: &str, consent: &str) -> String {
    format!(
        r#"{{"segment_request_id":"9f6c","imp":[{{"id":1,"tagid":12}},{{"tagid":"no"}}],
        "site":{{"page":"https:\/\/a.example\/?b","ref":"no"}},"app":{{"bundle":"no"}},
        "pub":{{"id":"pub-1"}},"user":{{"id":"7","buyeruid":9,{consent}"eids":[
        {{"source":"a.b","uids":[{{"id":"1","atype":1}},{{"id":2}}]}},
        {{"source":"c.d","uids":[{{"id":"3"}}]}}]}},
        "device":{{"ip":"203.0.113.9","ua":"M/5 \"x\"","geo":{{"country":"USA","region":"NY",
        "city":"C","metro":501,"zip":"10001"}}}},"regs":{{{regs}}},"more":[{{"user":null}}]}}"#
    )
}

#[test]
fn an_event_tells_what_was_asked_and_answered() {
    let (answer, event) = post(&mut standard(), whole(r#""gdpr":0"#, ""));
    assert_eq!(answer, segments(&["autos", "b"]));
    let want = Lookup {
        outcome: "segments".into(),
        user_id: Some("7".into()),
        external_id: Some("9".into()),
        extended_ids: Some("a.b,1|a.b,2|c.d,3".into()),
        matched_namespace: Some("google".into()),
        client_address: Some("203.0.113.9".into()),
        user_agent: Some("M/5 \"x\"".into()),
        referer: Some("https://a.example/?b".into()),
        tag_id: Some("12".into()),
        country: Some("USA".into()),
        region: Some("NY".into()),
        city: Some("C".into()),
        dma: Some("501".into()),
        postal: Some("10001".into()),
        auction_id: Some("9f6c".into()),
        consent_decision: Some("allowed".into()),
        consent_reason: Some("out_of_scope".into()),
        answered_segments: Some("autos b".into()),
        segment_count: 2,
        table_version: Some(17),
        table_age_ms: Some(2_500),
        ..Lookup::default()
    };
    assert_eq!(event, want);
    let app = r#"{"site":{"page":""},"app":{"bundle":"com.a"},"device":{"ipv6":"2001:db8::1"}}"#;
    let (_, event) = post(&mut standard(), app);
    assert_eq!(event.referer.as_deref(), Some("com.a"));
    assert_eq!(event.client_address.as_deref(), Some("2001:db8::1"));
}

#[test]
fn who_did_not_consent_is_found_nowhere_and_named_nowhere() {
    let mut fixture = standard();
    let rows = [
        (r#""gdpr":1"#, "", "tc_string_missing"),
        (r#""gdpr":"1""#, "", "tc_string_missing"),
        (r#""gdpr":true"#, "", "tc_string_missing"),
        (r#""gdpr":[]"#, "", "tc_string_missing"),
        (r#""ext":{"gdpr":1}"#, "", "tc_string_missing"),
        (r#""gdpr":null,"ext":{"gdpr":1}"#, "", "tc_string_missing"),
        ("", r#""consent":"C","#, "tc_string_unreadable"),
        ("", r#""consent":{"a":1},"#, "tc_string_unreadable"),
        ("", r#""consent":"","ext":{"consent":"\u0043"},"#, "tc_string_unreadable"),
        (r#""us_privacy":"1YYN""#, "", "us_privacy_opt_out"),
        (r#""ext":{"us_privacy":"1YYN"}"#, "", "us_privacy_opt_out"),
        (r#""gpp":"DBAA","gpp_sid":[7]"#, "", "gpp_section_missing"),
        (r#""ext":{"gpp":"DBAA","gpp_sid":[ "7" ]}"#, "", "gpp_section_missing"),
        (r#""gpp_sid":["two"]"#, "", "gpp_sid_unreadable"),
        (r#""coppa":1"#, "", "coppa"),
        (r#""coppa":"1""#, "", "coppa"),
        (r#""coppa":{}"#, "", "coppa"),
    ];
    for (regs, consent, reason) in rows {
        let (answer, event) = post(&mut fixture, whole(regs, consent));
        assert_eq!(answer, "", "{regs} {consent}");
        let want = Lookup {
            outcome: "denied".into(),
            client_address: Some("203.0.113.0".into()),
            tag_id: Some("12".into()),
            country: Some("USA".into()),
            region: Some("NY".into()),
            auction_id: Some("9f6c".into()),
            consent_decision: Some("denied".into()),
            consent_reason: Some(reason.into()),
            ..Lookup::default()
        };
        assert_eq!(event, want, "{regs} {consent}");
    }
    for regs in ["", r#""coppa":0"#, r#""coppa":false"#, r#""gpp_sid":[]"#, r#""gdpr":"0""#] {
        let (answer, _) = post(&mut fixture, whole(regs, ""));
        assert_eq!(answer, segments(&["autos", "b"]), "{regs}");
    }
}
