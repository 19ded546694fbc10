//! The US Privacy string: four characters, as a parameter of its own and as section 6 of GPP.

use super::bits::Unreadable;

/// What a US Privacy string says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsPrivacy {
    /// Whether the user was told and could object.
    pub notice: Answer,
    /// Whether the user objected to the sale of data.
    pub opt_out_sale: Answer,
    /// Whether the publisher has signed the Limited Service Provider Agreement.
    pub lspa_covered: Answer,
}

/// An answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// `Y`.
    Yes,
    /// `N`.
    No,
    /// `-`: the law does not apply.
    NotApplicable,
}

impl UsPrivacy {
    /// Reads one. SPEC: IAB CCPA Compliance Framework, "US Privacy String", version 1.
    ///
    /// # Errors
    /// When it is not `1` and three answers.
    pub fn read(text: &[u8]) -> Result<UsPrivacy, Unreadable> {
        match *text {
            [b'1', notice, opt_out_sale, lspa_covered] => Ok(UsPrivacy {
                notice: Answer::read(notice)?,
                opt_out_sale: Answer::read(opt_out_sale)?,
                lspa_covered: Answer::read(lspa_covered)?,
            }),
            [_, _, _, _] => Err(Unreadable::Version),
            [_, _, _, _, ..] => Err(Unreadable::TooLong),
            _ => Err(Unreadable::Truncated),
        }
    }
}

impl Answer {
    fn read(character: u8) -> Result<Answer, Unreadable> {
        match character {
            b'Y' => Ok(Answer::Yes),
            b'N' => Ok(Answer::No),
            b'-' => Ok(Answer::NotApplicable),
            _ => Err(Unreadable::Character),
        }
    }

    /// In a word.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Answer::Yes => "yes",
            Answer::No => "no",
            Answer::NotApplicable => "not applicable",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_four_characters() {
        let read = UsPrivacy::read(b"1YN-").unwrap();
        assert_eq!(read.notice, Answer::Yes);
        assert_eq!(read.opt_out_sale, Answer::No);
        assert_eq!(read.lspa_covered, Answer::NotApplicable);
        let rows: [(&[u8], Unreadable); 6] = [
            (b"", Unreadable::Truncated),
            (b"1YN", Unreadable::Truncated),
            (b"2YNN", Unreadable::Version),
            (b"1yNN", Unreadable::Character),
            (b"1YN\0", Unreadable::Character),
            (b"1YNN1", Unreadable::TooLong),
        ];
        for (text, want) in rows {
            assert_eq!(UsPrivacy::read(text), Err(want));
        }
    }
}
