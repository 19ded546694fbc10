//! A line of CSV: `ns,id,code,price,score` and perhaps `base_price`, as RFC 4180 has it.
//!
//! SPEC: RFC 4180, except that a field has no line breaks.

use super::row::{BadRow, COLUMNS, COLUMNS_MIN, Given, Row, price, score, score_of, shown};
use brink_proto::ids::PriceMicros;
use std::borrow::Cow;

/// Whether a line, the first one, names the columns.
pub(in super::super) fn is_head(line: &[u8]) -> bool {
    let names = |count| COLUMNS.iter().take(count).map(|name| name.as_bytes());
    fields(line)
        .is_ok_and(|(fields, count)| fields.iter().take(count).map(|f| &**f).eq(names(count)))
}

/// Reads a line.
pub(in super::super) fn parse<'l>(
    line: &'l [u8],
    segments: &mut Vec<Given<'l>>,
) -> Result<Row<'l>, BadRow> {
    let ([namespace, id, code, price, score, base_price], _) = fields(line)?;
    let (price, base_price) = (micros(&price)?, micros(&base_price)?);
    let score = match &*score {
        b"" => None,
        text => Some(any_score(text).ok_or_else(|| BadRow::Score(shown(text)))?),
    };
    segments.extend(Given::or_nothing(code, price, score, base_price));
    Ok(Row { namespace, id, base_price })
}

fn micros(text: &[u8]) -> Result<Option<PriceMicros>, BadRow> {
    match text {
        b"" => Ok(None),
        text => price(text).map(Some).ok_or_else(|| BadRow::Price(shown(text))),
    }
}

fn any_score(text: &[u8]) -> Option<brink_proto::ids::ScoreMillionths> {
    score(text).or_else(|| score_of(std::str::from_utf8(text).ok()?.parse().ok()?))
}

/// The fields of a line, and how many of them it has; the others are empty.
fn fields(line: &[u8]) -> Result<(Fields<'_>, usize), BadRow> {
    let mut fields = [const { Cow::Borrowed(b"".as_slice()) }; COLUMNS.len()];
    let mut count = 0;
    let mut rest = Some(line);
    while let Some(text) = rest {
        let (field, after) = match text.first() {
            Some(b'"') => quoted(text)?,
            _ => match text.iter().position(|b| *b == b',') {
                Some(at) => (Cow::Borrowed(&text[..at]), Some(&text[at + 1..])),
                None => (Cow::Borrowed(text), None),
            },
        };
        if let Some(place) = fields.get_mut(count) {
            *place = field;
        }
        count += 1;
        rest = after;
    }
    let allowed = COLUMNS_MIN..=COLUMNS.len();
    if allowed.contains(&count) { Ok((fields, count)) } else { Err(BadRow::Columns(count)) }
}

type Fields<'l> = [Cow<'l, [u8]>; COLUMNS.len()];

/// A field, and what is behind its comma.
type Split<'l> = (Cow<'l, [u8]>, Option<&'l [u8]>);

/// A field in quotes, in which two are one, and what is behind its comma.
fn quoted(text: &[u8]) -> Result<Split<'_>, BadRow> {
    let mut field = Vec::new();
    let mut rest = &text[1..];
    loop {
        let at = rest.iter().position(|b| *b == b'"').ok_or(BadRow::Quote)?;
        field.extend_from_slice(&rest[..at]);
        match &rest[at + 1..] {
            [] => return Ok((field.into(), None)),
            [b',', after @ ..] => return Ok((field.into(), Some(after))),
            [b'"', after @ ..] => {
                field.push(b'"');
                rest = after;
            }
            _ => return Err(BadRow::Quote),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<(String, Option<u64>, Option<u32>), BadRow> {
        let mut segments = Vec::new();
        let row = parse(line.as_bytes(), &mut segments)?;
        let segment = &segments[0];
        let parts = [&row.namespace, &row.id, &segment.code];
        let mut text = parts.map(|part| String::from_utf8_lossy(part).into_owned()).join("|");
        if let Some(price) = row.base_price {
            text += &format!("|base {}", price.number());
        }
        Ok((text, segment.price.map(|p| p.number()), segment.score.map(|s| s.number())))
    }

    #[test]
    fn a_line_is_five_fields_two_of_which_may_be_empty_and_perhaps_a_base_price() {
        let check = |line: &str, text: &str, price, score| {
            assert_eq!(read(line), Ok((text.to_owned(), price, score)), "{line}");
        };
        check("xandr,42,auto,750000,0.4", "xandr|42|auto", Some(750_000), Some(400_000));
        check("xandr,42,auto,,", "xandr|42|auto", None, None);
        check("xandr,42,auto,7,,", "xandr|42|auto", Some(7), None);
        check("xandr,42,auto,7,,9", "xandr|42|auto|base 9", Some(7), None);
        check("\"x\",\"a,\"\"b\",auto,\"7\",1e-2", "x|a,\"b|auto", Some(7), Some(10_000));
    }

    #[test]
    fn a_line_that_is_none_says_why() {
        let check = |line: &str, want: BadRow| assert_eq!(read(line), Err(want), "{line}");
        check("a,b,c,1", BadRow::Columns(4));
        check("a,b,c,1,2,3,4", BadRow::Columns(7));
        check("a,b,c,1,2,dear", BadRow::Price("dear".to_owned()));
        check("a,\"b,c,1,2", BadRow::Quote);
        check("a,\"b\"x,c,1,2", BadRow::Quote);
        check("a,b,c,1.5,", BadRow::Price("1.5".to_owned()));
        check("a,b,c,,high", BadRow::Score("high".to_owned()));
        check("a,b,c,,nan", BadRow::Score("nan".to_owned()));
    }

    #[test]
    fn a_line_without_a_code_gives_a_base_price_and_no_segment() {
        let mut segments = Vec::new();
        let row = parse(b"xandr,42,,,,9", &mut segments).unwrap();
        assert_eq!((row.base_price, segments.len()), (PriceMicros::new(9), 0));
        // Whatever else it says would be a segment's, and so the code is missing.
        for line in ["xandr,42,,,", "xandr,42,,,,", "xandr,42,,7,,9", "xandr,42,,,0.4,9"] {
            segments.clear();
            parse(line.as_bytes(), &mut segments).unwrap();
            assert_eq!(segments.len(), 1, "{line}");
        }
    }

    #[test]
    fn the_first_line_may_name_the_columns() {
        assert!(is_head(b"ns,id,code,price,score"));
        assert!(is_head(b"\"ns\",\"id\",\"code\",\"price\",\"score\""));
        assert!(is_head(b"ns,id,code,price,score,base_price"));
        assert!(!is_head(b"ns,id,code,price,score,") && !is_head(b"ns,id,code,price,base_price"));
        assert!(!is_head(b"ns,id,code,price,") && !is_head(b"xandr,42,auto,,"));
    }
}
