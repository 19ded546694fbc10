//! What is read of JSON, row by row, and what is refused.

use super::*;

/// Reads a text as an object and keeps what stands at `a`; nothing if it is no JSON.
fn read(text: &[u8]) -> Result<Option<Vec<u8>>, Broken> {
    let mut room = vec![0; text.len()];
    let mut scan = Scan::new(text, &mut room);
    let mut found = None;
    scan.members(&["a"], |scan, _| {
        found = scan.text()?;
        Ok(())
    })?;
    scan.end()?;
    Ok(found.map(<[u8]>::to_vec))
}

fn check(text: &str, want: Result<Option<&str>, Broken>) {
    let want = want.map(|found| found.map(|text| text.as_bytes().to_vec()));
    assert_eq!(read(text.as_bytes()), want, "{text}");
}

#[test]
fn texts_and_numbers_are_read_as_they_are_meant() {
    for (value, want) in [
        (r#""""#, Some("")),
        (r#""b""#, Some("b")),
        (r#"  "b"  "#, Some("b")),
        (r#""\"\\\/\b\f\n\r\t""#, Some("\"\\/\u{8}\u{c}\n\r\t")),
        (r#""x\u0041\u00e9\u20aC\ud83d\ude00y""#, Some("xAé€😀y")),
        (r#""\ud83d""#, Some("\u{fffd}")),
        (r#""\ude00\ud83dx""#, Some("\u{fffd}\u{fffd}x")),
        (r#""\ud83d\u0041""#, Some("\u{fffd}A")),
        (r#""\ud83d\n""#, Some("\u{fffd}\n")),
        (r#""\u0000""#, Some("\0")),
        ("0", Some("0")),
        ("-0.5E+07", Some("-0.5E+07")),
        ("99999999999999999999999999", Some("99999999999999999999999999")),
        ("1e999999999", Some("1e999999999")),
        ("null", None),
        ("true", None),
        (r#"{"a":"b"}"#, None),
        (r#"["b"]"#, None),
    ] {
        check(&format!(r#"{{"a":{value}}}"#), Ok(want));
    }
    let digits = "7".repeat(100_000);
    check(&format!(r#"{{"a":{digits}}}"#), Ok(Some(&digits)));
    assert_eq!(read(b"{\"a\":\"\xff\xc3\"}"), Ok(Some(b"\xff\xc3".to_vec())), "no UTF-8");
}

#[test]
fn members_are_found_by_their_whole_name_and_the_first_one_counts() {
    for (text, want) in [
        (r#"{}"#, None),
        (r#"{"a":"1","a":"2"}"#, Some("1")),
        (r#"{"a":null,"a":"2"}"#, None),
        (r#"{"\u0061":"1","a":"2"}"#, Some("1")),
        (r#"{"A":"1","aa":"2","":"3","a ":"4"}"#, None),
        (r#"{"b":{"a":"1","c":[{"a":"2"}]},"a":"3"}"#, Some("3")),
        ("\u{feff} \r\n\t{ \"a\" : \"1\" } \n", Some("1")),
        (r#"["a","1"]"#, None),
        (r#""a""#, None),
    ] {
        check(text, Ok(want));
    }
    let long = format!(r#"{{"{}\n":1,"a":2}}"#, "a".repeat(NAME_BYTES_MAX));
    check(&long, Ok(Some("2")));
}

#[test]
fn what_is_no_json_is_refused() {
    let rows = [
        "",
        " ",
        "{",
        "}",
        "{]",
        "[}",
        r#"{"a"}"#,
        r#"{"a":}"#,
        r#"{"a":1,}"#,
        r#"{,"a":1}"#,
        r#"{"a":1 "b":2}"#,
        r#"{a:1}"#,
        r#"{'a':1}"#,
        r#"{1:1}"#,
        r#"{"a":1}}"#,
        r#"{"a":1}x"#,
        r#"{"a":1}{}"#,
        r#"{"b":[1,]}"#,
        r#"{"b":[,1]}"#,
        r#"{"b":[1 2]}"#,
        r#"{"b":{"c":1]}"#,
        r#"{"b":[[1}]}"#,
        r#"{"b":{"c"}}"#,
        r#"{"a":tru}"#,
        r#"{"a":nul"#,
        r#"{"a":True}"#,
        r#"{"a":NaN}"#,
        r#"{"a":01}"#,
        r#"{"a":+1}"#,
        r#"{"a":-}"#,
        r#"{"a":.5}"#,
        r#"{"a":1.}"#,
        r#"{"a":1e}"#,
        r#"{"a":1e+}"#,
        r#"{"a":"\x"}"#,
        r#"{"a":"\u12g4"}"#,
        r#"{"a":"\u12"}"#,
        "{\"a\":\"\n\"}",
        "{\"a\":\"\0\"}",
        "\u{feff}\u{feff}{}",
        "{\"a\":1}\0",
    ];
    for text in rows {
        check(text, Err(Broken));
    }
    let whole = r#"{"b":[{"c":"\u00e9\n"},-1.5e3,true],"a":"b"}"#.as_bytes();
    for end in 0..whole.len() {
        assert_eq!(read(&whole[..end]), Err(Broken), "{end}");
    }
}

#[test]
fn nesting_ends_at_its_bound() {
    let nested = |count: usize, open: &str, close: &str| {
        format!(r#"{{"b":{}1{}}}"#, open.repeat(count), close.repeat(count))
    };
    for (open, close) in [("[", "]"), (r#"{"c":"#, "}"), (r#"[{"c":"#, "}]")] {
        let most = (DEPTH_MAX as usize - 1) / (1 + usize::from(close.len() == 2));
        check(&nested(most, open, close), Ok(None));
        check(&nested(most + 1, open, close), Err(Broken));
        check(&nested(10_000, open, close), Err(Broken));
        check(&nested(10_000, open, ""), Err(Broken));
    }
    check(&format!(r#"{{"b":[{}]}}"#, "[],".repeat(10_000) + "{}"), Ok(None));
}

#[test]
fn a_signal_that_cannot_be_understood_is_not_taken_for_none() {
    for (value, signal, list) in [
        ("null", None, None),
        ("true", Some("1"), Some("1")),
        ("false", Some("0"), Some("0")),
        ("2", Some("2"), Some("2")),
        (r#""2\u002c6""#, Some("2,6"), Some("2,6")),
        ("[2,6]", Some("[2,6]"), Some("[2,6]")),
        ("[ \"2\",\n 6 ]", Some("[ \"2\",\n 6 ]"), Some("[ 2, 6 ]")),
        (r#"{"a": 1}"#, Some(r#"{"a": 1}"#), Some(r#"{"a": 1}"#)),
    ] {
        let mut room = [0; 64];
        let (mut as_signal, mut as_list) = (None, None);
        let text = format!("[{value} ,{value}]");
        let mut scan = Scan::new(text.as_bytes(), &mut room);
        let read = scan.elements(|scan, place| {
            match place {
                0 => as_signal = scan.signal()?,
                _ => as_list = scan.list()?,
            }
            Ok(())
        });
        assert_eq!(read, Ok(()));
        assert_eq!(as_signal, signal.map(str::as_bytes), "{value}");
        assert_eq!(as_list, list.map(str::as_bytes), "{value}");
    }
}

#[test]
fn texts_with_escapes_end_where_the_room_ends() {
    let text = br#"["\n\n","\n"]"#;
    for (bytes, want) in [(3, Ok(())), (2, Err(Broken)), (0, Err(Broken))] {
        let mut room = vec![0; bytes];
        let mut scan = Scan::new(text, &mut room);
        assert_eq!(scan.elements(|scan, _| scan.text().map(|_| ())), want, "{bytes}");
    }
}
