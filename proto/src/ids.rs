//! Names, numbers and times that cross seams, each with its own type.

use std::fmt;

/// Longest edge or topic name, in bytes.
pub const NAME_BYTES_MAX: usize = 32;

/// A name of `[a-z0-9_]{1,32}`, held inline: the edge, a topic.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    // Zero-padded, so that the derived order is the order of the texts.
    bytes: [u8; NAME_BYTES_MAX],
    len: u8,
}

impl Name {
    /// Checks and takes a name.
    ///
    /// # Errors
    /// [`NameError`] when it is empty, longer than 32 bytes or has other characters.
    pub fn new(text: &str) -> Result<Name, NameError> {
        let len = text.len();
        let known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if len == 0 || !text.bytes().all(known) {
            return Err(NameError);
        }
        let mut bytes = [0; NAME_BYTES_MAX];
        bytes.get_mut(..len).ok_or(NameError)?.copy_from_slice(text.as_bytes());
        Ok(Name { bytes, len: len as u8 })
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..usize::from(self.len)).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    /// The name padded with zeros, as formats store it.
    #[must_use]
    pub fn padded(&self) -> [u8; NAME_BYTES_MAX] {
        self.bytes
    }

    /// Reads a name that was stored padded with zeros.
    ///
    /// # Errors
    /// [`NameError`] when what stands there is no name.
    pub fn from_padded(bytes: &[u8]) -> Result<Name, NameError> {
        let len = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
        let (name, rest) = bytes.split_at_checked(len).ok_or(NameError)?;
        if rest.iter().any(|b| *b != 0) {
            return Err(NameError);
        }
        Name::new(std::str::from_utf8(name).map_err(|_| NameError)?)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text is no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameError;

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name is 1 to 32 of a-z, 0-9 and _")
    }
}

impl std::error::Error for NameError {}

/// One start of an appliance: `max(stored + 1, unix milliseconds at start)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Incarnation(pub u64);

/// One serving core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShardId(pub u16);

/// Place of an event in its stream; dense from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sequence(pub u64);

/// What one shard of one start says on one topic: sequences are dense within it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId {
    /// The appliance.
    pub edge: Name,
    /// Its start.
    pub incarnation: Incarnation,
    /// The serving core.
    pub shard: ShardId,
    /// The topic.
    pub topic: Name,
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StreamId { edge, incarnation, shard, topic } = self;
        write!(f, "{edge}/{}/{}/{topic}", incarnation.0, shard.0)
    }
}

impl std::str::FromStr for StreamId {
    type Err = StreamError;

    fn from_str(text: &str) -> Result<StreamId, StreamError> {
        let mut parts = text.split('/');
        let mut part = || parts.next().ok_or(StreamError);
        let stream = StreamId {
            edge: Name::new(part()?).map_err(|_| StreamError)?,
            incarnation: Incarnation(part()?.parse().map_err(|_| StreamError)?),
            shard: ShardId(part()?.parse().map_err(|_| StreamError)?),
            topic: Name::new(part()?).map_err(|_| StreamError)?,
        };
        if parts.next().is_some() { Err(StreamError) } else { Ok(stream) }
    }
}

/// A text is no stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamError;

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a stream is edge/incarnation/shard/topic")
    }
}

impl std::error::Error for StreamError {}

/// A point in time: microseconds since 1970, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Micros(pub i64);

impl Micros {
    /// The hour it lies in. A time before 1970 lies in hour 0.
    #[must_use]
    pub fn hour(self) -> Hour {
        Hour(u32::try_from(self.0.max(0) / MICROS_PER_HOUR).unwrap_or(u32::MAX))
    }

    /// Kafka's unit.
    #[must_use]
    pub fn millis(self) -> i64 {
        self.0.div_euclid(1000)
    }
}

const MICROS_PER_HOUR: i64 = 3_600_000_000;

/// Hours since 1970, UTC: the partition of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Hour(pub u32);

impl Hour {
    /// Calendar date and hour of the day, as object keys spell them: `("2026-11-23", "07")`.
    #[must_use]
    pub fn partition(self) -> (String, String) {
        let (year, month, day) = civil(i64::from(self.0 / 24));
        (format!("{year:04}-{month:02}-{day:02}"), format!("{:02}", self.0 % 24))
    }

    /// The hour that [`Hour::partition`] spells like this, if there is one.
    #[must_use]
    pub fn of_partition(date: &str, hour: &str) -> Option<Hour> {
        let number = |text: &str| text.parse::<u32>().ok();
        let mut parts = date.splitn(3, '-').map(number);
        let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
        let days = day_number(i64::from(year), month, day)?;
        let of_day = number(hour).filter(|hour| *hour < 24)?;
        let found = Hour(u32::try_from(days).ok()?.checked_mul(24)?.checked_add(of_day)?);
        (found.partition() == (date.to_owned(), hour.to_owned())).then_some(found)
    }
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar.
///
/// The year is taken to start in March, so that the leap day is its last; a month then has
/// 30.6 days on average, which `(5 m + 2) / 153` counts exactly.
#[must_use]
pub fn civil(days: i64) -> (i64, u32, u32) {
    const DAYS_PER_ERA: i64 = 146_097; // 400 years
    const DAYS_TO_1970: i64 = 719_468; // from 0000-03-01
    let shifted = days + DAYS_TO_1970;
    let era = shifted.div_euclid(DAYS_PER_ERA);
    let day_of_era = shifted.rem_euclid(DAYS_PER_ERA);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * month_from_march + 2) / 5 + 1) as u32;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month as u32, day)
}

/// The day, counted from 1970-01-01, that [`civil`] takes apart into these; whatever is no date
/// comes out as another one.
fn day_number(year: i64, month: u32, day: u32) -> Option<i64> {
    let month = i64::from(month);
    let from_march = if month > 2 { month - 3 } else { month + 9 };
    let year = year - i64::from(month <= 2);
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * from_march + 2) / 5 + i64::from(day) - 1;
    let day_of_era = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    era.checked_mul(146_097)?.checked_add(day_of_era)?.checked_sub(719_468)
}

/// How early a topic's events are shed when there is no room: the less worth, the sooner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Class {
    /// A sample: losing some changes no decision.
    Sampled = 0,
    /// What reports are made from.
    Normal = 1,
    /// What invoices are made from.
    Money = 2,
}

impl Class {
    /// All classes, the first shed first.
    pub const ALL: [Class; 3] = [Class::Sampled, Class::Normal, Class::Money];

    /// Metric label.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Class::Sampled => "sampled",
            Class::Normal => "normal",
            Class::Money => "money",
        }
    }

    /// Share of the buffers, or of the spool, that events of this class may fill, in percent.
    #[must_use]
    pub fn share_percent(self) -> u32 {
        match self {
            Class::Sampled => 60,
            Class::Normal => 85,
            Class::Money => 100,
        }
    }
}

/// Why an event was not taken. Counted before it would have got a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ShedReason {
    /// Every buffer that the class may hold is on its way to the disk.
    NoBuffer = 0,
    /// The spool is as full as the class allows, or its disk takes nothing.
    SpoolFull = 1,
}

impl ShedReason {
    /// All reasons, in the order of a frame's counters.
    pub const ALL: [ShedReason; 2] = [ShedReason::NoBuffer, ShedReason::SpoolFull];

    /// Metric label.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            ShedReason::NoBuffer => "no_buffer",
            ShedReason::SpoolFull => "spool_full",
        }
    }
}

/// Money: millionths of the currency's unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PriceMicros(u64);

impl PriceMicros {
    /// The highest price: a million units.
    pub const MAX: PriceMicros = PriceMicros(1_000_000_000_000);

    /// This price, unless it is above [`PriceMicros::MAX`].
    #[inline]
    #[must_use]
    pub const fn new(micros: u64) -> Option<PriceMicros> {
        if micros <= PriceMicros::MAX.0 { Some(PriceMicros(micros)) } else { None }
    }

    /// The number of micros.
    #[inline]
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// How well a segment fits a user, in millionths: 0.25 is 250,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ScoreMillionths(u32);

impl ScoreMillionths {
    /// The highest score: 1000.
    pub const MAX: ScoreMillionths = ScoreMillionths(1_000_000_000);

    /// This score, unless it is above [`ScoreMillionths::MAX`].
    #[inline]
    #[must_use]
    pub const fn new(millionths: u64) -> Option<ScoreMillionths> {
        if millionths <= ScoreMillionths::MAX.0 as u64 {
            Some(ScoreMillionths(millionths as u32))
        } else {
            None
        }
    }

    /// The number of millionths.
    #[inline]
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }
}

/// Bytes in hexadecimal, two digits each: how digests are written.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_read_as_it_is_spelled_and_nothing_else_is_one() {
        for hour in (0..7_000_000).step_by(4999).chain([0, 23, 24, 498_727]) {
            let (date, of_day) = Hour(hour).partition();
            assert_eq!(Hour::of_partition(&date, &of_day), Some(Hour(hour)), "{date} {of_day}");
        }
        let rows = [
            ("2026-02-29", "07"),
            ("2026-13-01", "07"),
            ("2026-00-01", "07"),
            ("2026-11-00", "07"),
            ("2026-11-31", "07"),
            ("2026-1-23", "07"),
            ("2026-11-23", "7"),
            ("2026-11-23", "24"),
            ("1969-12-31", "23"),
            ("2026-11", "07"),
            ("99999999-01-01", "07"),
            ("", ""),
        ];
        for (date, hour) in rows {
            assert_eq!(Hour::of_partition(date, hour), None, "{date} {hour}");
        }
    }

    #[test]
    fn a_name_is_1_to_32_of_a_small_alphabet() {
        for good in ["a", "nyc3_px_07", "x".repeat(32).as_str()] {
            let name = Name::new(good).unwrap();
            assert_eq!(name.as_str(), good);
            assert_eq!(Name::from_padded(&name.padded()), Ok(name));
        }
        for bad in ["", "NYC", "a-b", "a b", "é", "a/../b", "x".repeat(33).as_str()] {
            assert_eq!(Name::new(bad), Err(NameError), "{bad:?}");
        }
        assert_eq!(Name::from_padded(b"a\0b"), Err(NameError));
    }

    #[test]
    fn a_stream_is_read_as_it_is_written() {
        let text = "nyc3_px_07/1795413912345/3/impressions";
        assert_eq!(text.parse::<StreamId>().unwrap().to_string(), text);
        for bad in ["", "a/1/2", "a/1/2/t/x", "a/-1/2/t", "A/1/2/t", "a/1/70000/t"] {
            assert_eq!(bad.parse::<StreamId>(), Err(StreamError), "{bad}");
        }
    }

    #[test]
    fn an_hour_spells_its_partition() {
        let check = |seconds: i64, date: &str, hour: &str| {
            let partition = Micros(seconds * 1_000_000).hour().partition();
            assert_eq!(partition, (date.to_owned(), hour.to_owned()), "{seconds}");
        };
        check(0, "1970-01-01", "00");
        check(951_782_400 + 23 * 3600, "2000-02-29", "23");
        check(1_709_164_799, "2024-02-28", "23");
        check(1_795_417_200, "2026-11-23", "07");
        check(4_107_542_399, "2100-02-28", "23");
        check(4_107_542_400, "2100-03-01", "00");
    }
}
