//! The Date header, written once a second. SPEC: RFC 9110 section 5.6.7.

use brink_proto::ids::{Micros, civil};

/// `Date: Sun, 06 Nov 1994 08:49:37 GMT` and CRLF.
pub const DATE_BYTES: usize = 37;

/// A Date header line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateLine([u8; DATE_BYTES]);

impl DateLine {
    /// The line for a time of day.
    #[must_use]
    pub fn at(time: Micros) -> DateLine {
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

    /// The line's bytes.
    #[inline]
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_written_as_the_standard_wants_it() {
        let check = |seconds: i64, want: &str| {
            let line = DateLine::at(Micros(seconds * 1_000_000));
            let want = format!("Date: {want} GMT\r\n");
            assert_eq!(std::str::from_utf8(line.as_bytes()).unwrap(), want);
        };
        check(784_111_777, "Sun, 06 Nov 1994 08:49:37");
        check(0, "Thu, 01 Jan 1970 00:00:00");
        check(951_868_799, "Tue, 29 Feb 2000 23:59:59");
        check(1_795_417_200, "Mon, 23 Nov 2026 07:00:00");
    }
}
