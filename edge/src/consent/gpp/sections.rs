//! The header of a GPP string and the sections behind it.
//!
//! ```text
//! header "~" section "~" section
//!
//! header   0 type, 3   6 version, 1   12 count   24 items
//! item     | 0 | offset |  or  | 1 | offset | length |     in Fibonacci coding
//! ```

use super::super::bits::{Bits, TEXT_BYTES_MAX, Unreadable};

/// The sections of a string.
#[derive(Debug, Clone, Copy)]
pub struct Sections<'a> {
    sections: [(u16, &'a [u8]); SECTIONS_MAX],
    count: usize,
}

impl<'a> Sections<'a> {
    /// Reads the header and finds the sections; what is in them is not looked at.
    ///
    /// # Errors
    /// When the header cannot be read, or names more or fewer sections than there are.
    pub fn read(text: &'a [u8]) -> Result<Sections<'a>, Unreadable> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(Unreadable::TooLong);
        }
        let mut parts = text.split(|c| *c == b'~');
        let mut bits = Bits::new(parts.next().unwrap_or_default())?;
        if bits.take(6)? != HEADER_TYPE {
            return Err(Unreadable::Malformed);
        }
        if bits.take(6)? != VERSION {
            return Err(Unreadable::Version);
        }
        let none: &[u8] = &[];
        let mut found = Sections { sections: [(0, none); SECTIONS_MAX], count: 0 };
        let items = bits.take(12)?;
        let mut id = 0_u16;
        // BOUND: an item takes at least 3 bits of a text that is bounded itself, and adds a section
        // or ends the loop.
        for _ in 0..items {
            let is_range = bits.flag()?;
            let first = id.checked_add(bits.fibonacci()?).ok_or(Unreadable::Malformed)?;
            let length = if is_range { bits.fibonacci()? } else { 0 };
            id = first.checked_add(length).ok_or(Unreadable::Malformed)?;
            for id in first..=id {
                found.add(id, parts.next().ok_or(Unreadable::Malformed)?)?;
            }
        }
        if parts.next().is_some() { Err(Unreadable::Malformed) } else { Ok(found) }
    }

    /// The text of a section, if there is one of this id.
    #[must_use]
    pub fn find(&self, id: u16) -> Option<&'a [u8]> {
        self.iter().find(|section| section.0 == id).map(|section| section.1)
    }

    /// Ids and texts, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &'a [u8])> {
        self.sections.iter().take(self.count).copied()
    }

    fn add(&mut self, id: u16, text: &'a [u8]) -> Result<(), Unreadable> {
        *self.sections.get_mut(self.count).ok_or(Unreadable::TooLong)? = (id, text);
        self.count += 1;
        Ok(())
    }
}

const HEADER_TYPE: u64 = 3;

const VERSION: u64 = 1;

/// BOUND: 27 sections are defined, and two of them are never listed.
const SECTIONS_MAX: usize = 32;
