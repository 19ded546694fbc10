//! The texts of segments, each once; records name them by rank.

/// Longest code.
pub const CODE_BYTES_MAX: usize = 64;

/// Whether this is a segment's code: 1 to 64 printable ASCII characters, no blank, and none of
/// `:` and `,`, which stand between codes, prices and scores in answers.
#[must_use]
pub fn is_code(text: &[u8]) -> bool {
    let fits = (1..=CODE_BYTES_MAX).contains(&text.len());
    fits && text.iter().all(|b| b.is_ascii_graphic() && !matches!(b, b':' | b','))
}

/// The section, cut into its two parts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Codes<'t> {
    offsets: &'t [[u8; 4]],
    texts: &'t [u8],
}

impl<'t> Codes<'t> {
    /// The section of a table with `count` codes. One that is too short has none.
    #[inline]
    pub(super) fn new(section: &'t [u8], count: u32) -> Codes<'t> {
        let offsets_bytes = 4 * (count as usize + 1);
        let (offsets, texts) = section.split_at_checked(offsets_bytes).unwrap_or_default();
        Codes { offsets: offsets.as_chunks().0, texts }
    }

    /// The text of a rank; nothing when there is none or its place makes no sense.
    #[inline]
    pub(super) fn text(&self, rank: u32) -> Option<&'t [u8]> {
        let [start, end] = self.offsets.get(rank as usize..)?.first_chunk()?;
        let range = u32::from_le_bytes(*start) as usize..u32::from_le_bytes(*end) as usize;
        self.texts.get(range)
    }
}
