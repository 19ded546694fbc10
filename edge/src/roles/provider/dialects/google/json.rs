//! JSON, pulled from a text where it lies: whoever reads says which members it wants, and the rest
//! is passed over.
//!
//! No tree is made and no memory is taken. A text without escapes is borrowed; one with escapes is
//! written into a room that is as long as the whole text. BOUND: each byte is looked at once, and
//! nothing is nested deeper than [`DEPTH_MAX`]: what is passed over needs one bit for each level.
//!
//! SPEC: RFC 8259, with these liberties: a byte order mark in front is passed over, bytes that are
//! no UTF-8 are left as they are, and half of a surrogate pair stands for U+FFFD. Of two members
//! with one name the first counts.

/// A text that is being read.
pub(super) struct Scan<'t> {
    text: &'t [u8],
    /// Up to where it is read.
    at: usize,
    /// Objects and arrays that are open there.
    depth: u32,
    /// Room for texts without their escapes.
    room: &'t mut [u8],
}

/// It is no JSON, or nested too deeply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Broken;

/// BOUND: objects and arrays within each other.
const DEPTH_MAX: u32 = u64::BITS;

/// A text between its quotes.
#[derive(Clone, Copy)]
struct Quoted<'t> {
    bytes: &'t [u8],
    has_escapes: bool,
}

/// BOUND: a longer name of a member, with escapes in it, is none that anybody wants.
const NAME_BYTES_MAX: usize = 32;

impl<'t> Scan<'t> {
    /// A text, and room for what is escaped in it: as much as the text is long is enough.
    pub(super) fn new(text: &'t [u8], room: &'t mut [u8]) -> Scan<'t> {
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        Scan { text, at: 0, depth: 0, room }
    }

    /// Whether an object comes next.
    pub(super) fn is_at_object(&mut self) -> bool {
        self.peek() == Ok(b'{')
    }

    /// Up to where it is read.
    pub(super) fn place(&self) -> usize {
        self.at
    }

    /// Goes back to a place, reads a value there once more, and returns.
    pub(super) fn again<T>(
        &mut self,
        place: usize,
        read: impl FnOnce(&mut Self) -> Result<T, Broken>,
    ) -> Result<T, Broken> {
        let here = std::mem::replace(&mut self.at, place);
        let read = read(self);
        self.at = here;
        read
    }

    /// Reads an object: `each` is called for the first member of each of these names, and has to
    /// read its value. A value that is no object is passed over.
    pub(super) fn members(
        &mut self,
        names: &[&'static str],
        mut each: impl FnMut(&mut Self, &'static str) -> Result<(), Broken>,
    ) -> Result<(), Broken> {
        if self.peek()? != b'{' {
            return self.skip();
        }
        self.open()?;
        if self.closes(b'}') {
            return Ok(());
        }
        let mut seen = 0_u64;
        loop {
            let wanted = self.name(names)?;
            match wanted.filter(|place| seen >> place & 1 == 0) {
                Some(place) => {
                    seen |= 1 << place;
                    each(self, names.get(place).ok_or(Broken)?)?;
                }
                None => self.skip()?,
            }
            if self.closes(b'}') {
                return Ok(());
            }
            self.expect(b',')?;
        }
    }

    /// Reads an array: `each` is called for each element with its place, and has to read it. A
    /// value that is no array is passed over.
    pub(super) fn elements(
        &mut self,
        mut each: impl FnMut(&mut Self, usize) -> Result<(), Broken>,
    ) -> Result<(), Broken> {
        if self.peek()? != b'[' {
            return self.skip();
        }
        self.open()?;
        if self.closes(b']') {
            return Ok(());
        }
        for place in 0.. {
            each(self, place)?;
            if self.closes(b']') {
                break;
            }
            self.expect(b',')?;
        }
        Ok(())
    }

    /// Reads a text, or a number as it is written. Any other value is passed over.
    pub(super) fn text(&mut self) -> Result<Option<&'t [u8]>, Broken> {
        match self.peek()? {
            b'"' => {
                let quoted = self.quoted()?;
                self.plain(quoted).map(Some)
            }
            b'-' | b'0'..=b'9' => self.raw().map(Some),
            _ => self.skip().map(|()| None),
        }
    }

    /// Reads a signal, where what cannot be understood must not look like nothing: texts and
    /// numbers, `1` for true and `0` for false, and objects and arrays as they are written.
    pub(super) fn signal(&mut self) -> Result<Option<&'t [u8]>, Broken> {
        match self.peek()? {
            b'n' => self.skip().map(|()| None),
            b't' => self.skip().map(|()| Some(&b"1"[..])),
            b'f' => self.skip().map(|()| Some(&b"0"[..])),
            b'{' | b'[' => self.raw().map(Some),
            _ => self.text(),
        }
    }

    /// As [`Scan::signal`], for a list: an array without its quotes and line ends.
    pub(super) fn list(&mut self) -> Result<Option<&'t [u8]>, Broken> {
        if self.peek()? != b'[' {
            return self.signal();
        }
        let raw = self.raw()?;
        let is_layout = |b: &u8| matches!(b, b'"' | b'\t' | b'\r' | b'\n');
        if !raw.iter().any(is_layout) {
            return Ok(Some(raw));
        }
        self.write(raw.iter().filter(|b| !is_layout(b)).copied()).map(Some)
    }

    /// Passes over a value, without calling itself however deep it goes.
    pub(super) fn skip(&mut self) -> Result<(), Broken> {
        let outside = self.depth;
        // A bit for each level: whether it is an object. The innermost one is the lowest.
        let mut objects = 0_u64;
        loop {
            match self.peek()? {
                open @ (b'{' | b'[') => {
                    self.open()?;
                    objects = objects << 1 | u64::from(open == b'{');
                    if !self.closes(closing(objects)) {
                        self.skip_name(objects)?;
                        continue;
                    }
                    objects >>= 1;
                }
                b'"' => _ = self.quoted()?,
                b'-' | b'0'..=b'9' => self.number()?,
                _ => self.word()?,
            }
            while self.depth > outside && self.closes(closing(objects)) {
                objects >>= 1;
            }
            if self.depth == outside {
                return Ok(());
            }
            self.expect(b',')?;
            self.skip_name(objects)?;
        }
    }

    /// Passes over white space to the end, which has to come then.
    pub(super) fn end(mut self) -> Result<(), Broken> {
        if self.peek().is_err() { Ok(()) } else { Err(Broken) }
    }
}

/// What closes the innermost level.
fn closing(objects: u64) -> u8 {
    if objects & 1 == 1 { b'}' } else { b']' }
}

impl<'t> Scan<'t> {
    /// The next byte that is no white space; it is not read.
    #[inline]
    fn peek(&mut self) -> Result<u8, Broken> {
        loop {
            match self.text.get(self.at).ok_or(Broken)? {
                b' ' | b'\t' | b'\r' | b'\n' => self.at += 1,
                byte => return Ok(*byte),
            }
        }
    }

    /// The next byte, as it is.
    #[inline]
    fn next(&mut self) -> Result<u8, Broken> {
        let byte = *self.text.get(self.at).ok_or(Broken)?;
        self.at += 1;
        Ok(byte)
    }

    fn expect(&mut self, byte: u8) -> Result<(), Broken> {
        if self.peek()? != byte {
            return Err(Broken);
        }
        self.at += 1;
        Ok(())
    }

    fn open(&mut self) -> Result<(), Broken> {
        self.at += 1;
        self.depth += 1;
        if self.depth > DEPTH_MAX { Err(Broken) } else { Ok(()) }
    }

    /// Whether the innermost level ends here; it is left then.
    fn closes(&mut self, with: u8) -> bool {
        let closes = self.peek() == Ok(with);
        self.at += usize::from(closes);
        self.depth -= u32::from(closes);
        closes
    }

    /// Reads a member's name; its place among these, if it is one of them.
    fn name(&mut self, names: &[&str]) -> Result<Option<usize>, Broken> {
        self.peek()?;
        let quoted = self.quoted()?;
        self.expect(b':')?;
        let mut room = [0; NAME_BYTES_MAX];
        let name = match quoted.has_escapes {
            false => Some(quoted.bytes),
            true => unescape(quoted.bytes, &mut room).and_then(|count| room.get(..count)),
        };
        Ok(name.and_then(|name| names.iter().position(|wanted| wanted.as_bytes() == name)))
    }

    /// Passes over a member's name, if the innermost level has names.
    fn skip_name(&mut self, objects: u64) -> Result<(), Broken> {
        if objects & 1 == 0 {
            return Ok(());
        }
        self.peek()?;
        self.quoted()?;
        self.expect(b':')
    }

    /// Reads a value; how it is written.
    fn raw(&mut self) -> Result<&'t [u8], Broken> {
        self.peek()?;
        let start = self.at;
        self.skip()?;
        self.text.get(start..self.at).ok_or(Broken)
    }

    /// Reads a text; its escapes are looked at, and left.
    fn quoted(&mut self) -> Result<Quoted<'t>, Broken> {
        if self.next()? != b'"' {
            return Err(Broken);
        }
        let start = self.at;
        let mut has_escapes = false;
        loop {
            match self.next()? {
                b'"' => break,
                b'\\' => {
                    has_escapes = true;
                    match self.next()? {
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                        b'u' => {
                            for _ in 0..4 {
                                if !self.next()?.is_ascii_hexdigit() {
                                    return Err(Broken);
                                }
                            }
                        }
                        _ => return Err(Broken),
                    }
                }
                0..0x20 => return Err(Broken),
                _ => {}
            }
        }
        let bytes = self.text.get(start..self.at - 1).ok_or(Broken)?;
        Ok(Quoted { bytes, has_escapes })
    }

    /// A text without its escapes.
    fn plain(&mut self, quoted: Quoted<'t>) -> Result<&'t [u8], Broken> {
        if !quoted.has_escapes {
            return Ok(quoted.bytes);
        }
        let room = std::mem::take(&mut self.room);
        let count = unescape(quoted.bytes, room).ok_or(Broken)?;
        let (plain, rest) = room.split_at_mut_checked(count).ok_or(Broken)?;
        self.room = rest;
        Ok(plain)
    }

    /// Puts bytes into the room.
    fn write(&mut self, bytes: impl Iterator<Item = u8>) -> Result<&'t [u8], Broken> {
        let room = std::mem::take(&mut self.room);
        let mut count = 0;
        for byte in bytes {
            *room.get_mut(count).ok_or(Broken)? = byte;
            count += 1;
        }
        let (written, rest) = room.split_at_mut_checked(count).ok_or(Broken)?;
        self.room = rest;
        Ok(written)
    }

    /// Passes over a number, however long it is.
    fn number(&mut self) -> Result<(), Broken> {
        self.at += usize::from(self.text.get(self.at) == Some(&b'-'));
        match self.next()? {
            b'0' => {}
            b'1'..=b'9' => _ = self.digits(),
            _ => return Err(Broken),
        }
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits().ok_or(Broken)?;
        }
        if let Some(b'e' | b'E') = self.text.get(self.at) {
            self.at += 1;
            self.at += usize::from(matches!(self.text.get(self.at), Some(b'+' | b'-')));
            self.digits().ok_or(Broken)?;
        }
        Ok(())
    }

    /// Passes over digits, if there is one.
    fn digits(&mut self) -> Option<()> {
        let rest = self.text.get(self.at..)?;
        let count = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        self.at += count;
        (count > 0).then_some(())
    }

    /// Passes over true, false or null.
    fn word(&mut self) -> Result<(), Broken> {
        let rest = self.text.get(self.at..).ok_or(Broken)?;
        let words = [&b"true"[..], b"false", b"null"];
        let word = words.into_iter().find(|word| rest.starts_with(word)).ok_or(Broken)?;
        self.at += word.len();
        Ok(())
    }
}

/// Writes a text without its escapes; its length, or nothing where it has no room.
fn unescape(quoted: &[u8], room: &mut [u8]) -> Option<usize> {
    let mut rest = quoted;
    let mut written = 0;
    while let Some((first, behind)) = rest.split_first() {
        let mut utf8 = [0; 4];
        let bytes: &[u8] = match (first, behind) {
            (b'\\', [b'u', behind @ ..]) => {
                let character;
                (character, rest) = escaped(behind)?;
                character.encode_utf8(&mut utf8).as_bytes()
            }
            (b'\\', [escape, behind @ ..]) => {
                rest = behind;
                utf8[0] = match escape {
                    b'b' => 8,
                    b'f' => 12,
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    itself => *itself,
                };
                utf8.get(..1)?
            }
            _ => {
                let count = memchr::memchr(b'\\', rest).unwrap_or(rest.len());
                let (before, behind) = rest.split_at_checked(count)?;
                rest = behind;
                before
            }
        };
        room.get_mut(written..written + bytes.len())?.copy_from_slice(bytes);
        written += bytes.len();
    }
    Some(written)
}

/// The character of four hexadecimal digits, or of two times four, and what is behind them.
fn escaped(digits: &[u8]) -> Option<(char, &[u8])> {
    let (high, behind) = unit(digits)?;
    if let (0xd800..0xdc00, [b'\\', b'u', digits @ ..]) = (high, behind)
        && let Some((low @ 0xdc00..0xe000, behind)) = unit(digits)
    {
        let character = char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00))?;
        return Some((character, behind));
    }
    Some((char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER), behind))
}

fn unit(digits: &[u8]) -> Option<(u32, &[u8])> {
    let (unit, behind) = digits.split_first_chunk::<4>()?;
    let digit = |sum: u32, digit: &u8| Some(sum << 4 | char::from(*digit).to_digit(16)?);
    Some((unit.iter().try_fold(0, digit)?, behind))
}

#[cfg(test)]
mod tests;
