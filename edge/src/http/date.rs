//! The end of every answer's head, made once a second: Date, Connection and the empty line.
//!
//! SPEC: RFC 9110 section 5.6.7.

use brink_proto::ids::{Micros, civil};

/// `Date: Sun, 06 Nov 1994 08:49:37 GMT` and CRLF.
const DATE_BYTES: usize = 37;

/// A Date header line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct DateLine([u8; DATE_BYTES]);

const KEEPS: &[u8] = b"Connection: keep-alive\r\n\r\n";
const CLOSES: &[u8] = b"Connection: close\r\n\r\n";

/// The end of every head, made once a second: Date, Connection and the empty line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadEnd {
    keeps: [u8; DATE_BYTES + KEEPS.len()],
    closes: [u8; DATE_BYTES + CLOSES.len()],
}

impl HeadEnd {
    /// The end of heads at a time of day.
    #[must_use]
    pub fn at(time: Micros) -> HeadEnd {
        let date = DateLine::at(time);
        HeadEnd { keeps: joined(&date, KEEPS), closes: joined(&date, CLOSES) }
    }

    /// Its bytes, for a connection that stays open or is closed.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self, keep_alive: bool) -> &[u8] {
        if keep_alive { &self.keeps } else { &self.closes }
    }
}

fn joined<const N: usize>(date: &DateLine, rest: &[u8]) -> [u8; N] {
    let mut bytes = [0; N];
    let parts = date.0.iter().chain(rest);
    bytes.iter_mut().zip(parts).for_each(|(to, from)| *to = *from);
    bytes
}

impl DateLine {
    /// The line for a time of day.
    fn at(time: Micros) -> DateLine {
        use std::io::Write;
        let seconds = time.0.div_euclid(1_000_000);
        let days = seconds.div_euclid(86_400);
        let second = seconds.rem_euclid(86_400);
        let (year, month, day) = civil(days);
        let name = |names: &[u8], index: i64| -> [u8; 3] {
            let from = usize::try_from(index).unwrap_or(0) * 3;
            names.get(from..).and_then(|n| n.first_chunk().copied()).unwrap_or_default()
        };
        // 1970-01-01 was a Thursday.
        let weekday = name(b"ThuFriSatSunMonTueWed", days.rem_euclid(7));
        let month = name(b"JanFebMarAprMayJunJulAugSepOctNovDec", i64::from(month) - 1);
        let mut line = [b' '; DATE_BYTES];
        let mut out = line.as_mut_slice();
        // The line has exactly this length for years of four digits.
        let _ = write!(
            out,
            "Date: {}, {day:02} {} {year:04} {:02}:{:02}:{:02} GMT\r\n",
            std::str::from_utf8(&weekday).unwrap_or_default(),
            std::str::from_utf8(&month).unwrap_or_default(),
            second / 3600,
            second / 60 % 60,
            second % 60,
        );
        DateLine(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_written_as_the_standard_wants_it() {
        let check = |seconds: i64, want: &str| {
            let end = HeadEnd::at(Micros(seconds * 1_000_000));
            for (keep_alive, connection) in [(true, "keep-alive"), (false, "close")] {
                let want = format!("Date: {want} GMT\r\nConnection: {connection}\r\n\r\n");
                assert_eq!(std::str::from_utf8(end.as_bytes(keep_alive)).unwrap(), want);
            }
        };
        check(784_111_777, "Sun, 06 Nov 1994 08:49:37");
        check(0, "Thu, 01 Jan 1970 00:00:00");
        check(951_868_799, "Tue, 29 Feb 2000 23:59:59");
        check(1_795_417_200, "Mon, 23 Nov 2026 07:00:00");
    }
}
