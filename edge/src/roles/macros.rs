//! Values that an exchange puts where its macros stood, and those that it did not.

/// A value that was sent and means something: not empty, and not the macro itself, plain or
/// percent-encoded.
#[inline]
#[must_use]
pub fn expanded(value: &[u8]) -> Option<&[u8]> {
    let unexpanded = match value {
        [] | [b'$', b'{', ..] => true,
        [b'%', b'2', b'4', b'%', b'7', last, ..] => matches!(last, b'B' | b'b'),
        _ => false,
    };
    (!unexpanded).then_some(value)
}

/// As [`expanded`], where `0` stands for nobody and nothing: ids and the like.
#[inline]
#[must_use]
pub fn known(value: &[u8]) -> Option<&[u8]> {
    expanded(value).filter(|v| *v != b"0")
}

/// What percent-encoding stands for, in `room`; the value itself where nothing is encoded, and
/// nothing where the room is too small. A plus is a plus: ids have them, and macros are not forms.
#[inline]
#[must_use]
pub fn decoded<'a>(value: &'a [u8], room: &'a mut [u8]) -> Option<&'a [u8]> {
    if memchr::memchr(b'%', value).is_none() { Some(value) } else { decode(value, room) }
}

#[cold]
fn decode<'a>(value: &[u8], room: &'a mut [u8]) -> Option<&'a [u8]> {
    let mut rest = value;
    let mut written = 0;
    while let Some((first, behind)) = rest.split_first() {
        let (byte, behind) = match (first, behind) {
            (b'%', [high, low, behind @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, behind),
                _ => (b'%', rest.get(1..).unwrap_or_default()),
            },
            (first, behind) => (*first, behind),
        };
        *room.get_mut(written)? = byte;
        written += 1;
        rest = behind;
    }
    room.get(..written)
}

fn hex(digit: u8) -> Option<u8> {
    (digit as char).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_macro_that_was_not_expanded_is_no_value() {
        for (value, sent, means) in [
            ("9f6c", true, true),
            ("0", true, false),
            ("00", true, true),
            ("", false, false),
            ("${AUCTION_ID}", false, false),
            ("%24%7bAUCTION_ID%7d", false, false),
            ("%24%7BAUCTION_ID%7D", false, false),
            ("%24", true, true),
            ("$", true, true),
        ] {
            assert_eq!(expanded(value.as_bytes()).is_some(), sent, "{value}");
            assert_eq!(known(value.as_bytes()).is_some(), means, "{value}");
        }
    }

    #[test]
    fn percent_encoding_is_undone_as_far_as_it_is_one() {
        for (value, want) in [
            ("plain+id", "plain+id"),
            ("a%2Cb%7c", "a,b|"),
            ("%", "%"),
            ("%4", "%4"),
            ("%zz%41", "%zzA"),
            ("", ""),
        ] {
            let mut room = [0; 16];
            assert_eq!(decoded(value.as_bytes(), &mut room), Some(want.as_bytes()), "{value}");
        }
        assert_eq!(decoded(b"%41%42", &mut [0; 1]), None, "no room");
    }
}
