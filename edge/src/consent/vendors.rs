//! Sets of vendors as TCF writes them, one bit for each or as ranges, asked for one vendor.
//!
//! ```text
//!  0               16   17                        17 + MaxVendorId
//!  | MaxVendorId   | 0 | a bit for each vendor, from 1 |
//!  | MaxVendorId   | 1 | NumEntries (12) | entries      |
//!                      entry: | 0 | id (16) |  or  | 1 | first (16) | last (16) |
//! ```

use super::bits::{Bits, Unreadable};

/// Whether the set that comes next holds a vendor. SPEC: TCF, "Vendor Consent Section".
///
/// # Errors
/// When it cannot be read to its end.
pub(super) fn section_holds(bits: &mut Bits<'_>, vendor: u16) -> Result<bool, Unreadable> {
    let last = bits.take_short(16)?;
    if bits.flag()? {
        return entries_hold(bits, vendor, last);
    }
    let mut one = *bits;
    bits.skip(usize::from(last))?;
    if vendor == 0 || vendor > last {
        return Ok(false);
    }
    one.skip(usize::from(vendor - 1))?;
    one.flag()
}

/// Whether one of the entries that come next holds a vendor. Entries may stand in any order. One
/// that ends before it begins or behind `last` is no oversight that we should guess about.
///
/// # Errors
/// When they cannot be read to their end.
pub(super) fn entries_hold(
    bits: &mut Bits<'_>,
    vendor: u16,
    last: u16,
) -> Result<bool, Unreadable> {
    // BOUND: 12 bits, and each entry takes at least 17 bits of a text that is bounded itself.
    let count = bits.take(12)?;
    let mut holds = false;
    for _ in 0..count {
        let is_range = bits.flag()?;
        let from = bits.take_short(16)?;
        let to = if is_range { bits.take_short(16)? } else { from };
        if from == 0 || to < from || to > last {
            return Err(Unreadable::Malformed);
        }
        holds |= (from..=to).contains(&vendor);
    }
    Ok(holds)
}
