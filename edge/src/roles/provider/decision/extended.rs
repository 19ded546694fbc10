//! Ids of other id systems: pairs of a source and an id, in whatever way a dialect has them.

use super::{EXTENDED_IDS_MAX, IdRoom};
use crate::roles::macros::{decoded, known};

/// Pairs of a source and an id.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::roles::provider) enum ExtendedIds<'q> {
    /// There are none.
    #[default]
    Nothing,
    /// SPEC: Xandr, macros for data providers: `source,id|source,id`, percent-encoded perhaps. It
    /// is not looked into before somebody needs it.
    Listed(&'q [u8]),
    /// The same text, and where the pairs are in it: these ids may have commas and bars.
    Placed {
        /// All pairs.
        text: &'q [u8],
        /// Where each one is.
        places: &'q [Place],
    },
}

/// Where a pair is in a text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::roles::provider) struct Place {
    /// Where its source begins.
    pub(in crate::roles::provider) start: usize,
    /// Where its source ends; the id begins behind the comma that is there.
    pub(in crate::roles::provider) comma: usize,
    /// Where its id ends.
    pub(in crate::roles::provider) end: usize,
}

impl<'q> ExtendedIds<'q> {
    /// All of them, as a row tells them.
    #[inline]
    pub(in crate::roles::provider) fn text(&self) -> Option<&'q [u8]> {
        match *self {
            ExtendedIds::Nothing => None,
            ExtendedIds::Listed(text) | ExtendedIds::Placed { text, .. } => Some(text),
        }
    }

    /// What `look` finds first. BOUND: [`EXTENDED_IDS_MAX`] looks.
    #[inline]
    pub(super) fn find<'a, T>(
        self,
        room: &'a mut IdRoom,
        mut look: impl FnMut(&'a str, &'a [u8]) -> Option<T>,
    ) -> Option<T>
    where
        'q: 'a,
    {
        match self {
            ExtendedIds::Nothing => None,
            ExtendedIds::Listed(list) => {
                let list: &'a [u8] = decoded(list, &mut **room)?;
                list.split(|b| *b == b'|').take(EXTENDED_IDS_MAX).find_map(|pair| {
                    let comma = memchr::memchr(b',', pair)?;
                    let (source, id) = pair.split_at_checked(comma)?;
                    look(std::str::from_utf8(source).ok()?, known(id.get(1..)?)?)
                })
            }
            ExtendedIds::Placed { text, places } => {
                places.iter().take(EXTENDED_IDS_MAX).find_map(|place| {
                    let source = text.get(place.start..place.comma)?;
                    let id = text.get(place.comma + 1..place.end)?;
                    look(std::str::from_utf8(source).ok()?, id)
                })
            }
        }
    }
}
