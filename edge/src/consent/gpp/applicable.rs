//! The list `gpp_sid`: which sections are in force for a request.

use super::super::bits::Unreadable;

/// The sections that apply; maybe none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Applicable {
    set: u64,
    beyond: bool,
}

impl Applicable {
    /// Reads a list, with commas as in a URL or as a JSON array; nothing when it leaves open which
    /// sections apply. SPEC: GPP, "CMP API", `applicableSections`: 0 says that this is not known,
    /// -1 that none applies.
    ///
    /// # Errors
    /// When it is no such list.
    pub fn read(text: &[u8]) -> Result<Option<Applicable>, Unreadable> {
        if text.len() > LIST_BYTES_MAX {
            return Err(Unreadable::TooLong);
        }
        let mut applicable: Option<Applicable> = None;
        for entry in text.split(|c| matches!(c, b',' | b'_' | b' ' | b'[' | b']')) {
            match entry {
                b"" | b"0" => {}
                b"-1" => _ = applicable.get_or_insert_default(),
                entry => applicable.get_or_insert_default().add(read_id(entry)?),
            }
        }
        Ok(applicable)
    }

    /// Whether a section applies.
    #[must_use]
    pub const fn contains(&self, id: u16) -> bool {
        id <= ID_MAX && self.set >> id & 1 == 1
    }

    /// Whether none applies.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.set == 0 && !self.beyond
    }

    /// Whether a section applies whose id is beyond all that are defined.
    #[must_use]
    pub const fn reaches_beyond(&self) -> bool {
        self.beyond
    }

    /// The ids, the smallest first, without those beyond.
    pub fn ids(self) -> impl Iterator<Item = u16> {
        (1..=ID_MAX).filter(move |id| self.contains(*id))
    }

    fn add(&mut self, id: u16) {
        if id <= ID_MAX {
            self.set |= 1 << id;
        } else {
            self.beyond = true;
        }
    }
}

fn read_id(entry: &[u8]) -> Result<u16, Unreadable> {
    if entry.len() > ID_DIGITS_MAX || !entry.iter().all(u8::is_ascii_digit) {
        return Err(Unreadable::Malformed);
    }
    Ok(entry.iter().fold(0, |id, digit| id * 10 + u16::from(digit - b'0')))
}

/// BOUND: a list is no longer; today's has one or two ids.
const LIST_BYTES_MAX: usize = 128;

const ID_DIGITS_MAX: usize = 4;

/// Twice what is defined, and the bits of a word.
const ID_MAX: u16 = 63;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_have_commas_or_brackets() {
        let rows: [(&str, Option<&[u16]>); 8] = [
            ("2", Some(&[2])),
            ("2,6", Some(&[2, 6])),
            ("[7, 8]", Some(&[7, 8])),
            ("2_27", Some(&[2, 27])),
            ("-1", Some(&[])),
            ("0", None),
            ("[]", None),
            ("0,7", Some(&[7])),
        ];
        for (text, want) in rows {
            let read = Applicable::read(text.as_bytes()).unwrap();
            let ids: Option<Vec<u16>> = read.map(|applicable| applicable.ids().collect());
            assert_eq!(ids.as_deref(), want, "{text}");
        }
        let beyond = Applicable::read(b"64").unwrap().unwrap();
        assert!(beyond.reaches_beyond() && !beyond.is_empty() && !beyond.contains(64));
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for text in ["a", "2;6", "-2", "1e1", "12345", "\"2\""] {
            assert_eq!(Applicable::read(text.as_bytes()), Err(Unreadable::Malformed), "{text}");
        }
        assert_eq!(Applicable::read(&[b'2'; 200]), Err(Unreadable::TooLong));
    }
}
