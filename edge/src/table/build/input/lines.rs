//! A stream, cut into pieces of whole lines, so that threads can read them.

use std::io::{self, ErrorKind, Read};

/// How much a piece is made to have.
const CHUNK_BYTES: usize = 1 << 20;

/// BOUND: a line; 4096 segments of the longest codes fit in.
pub(in super::super) const LINE_BYTES_MAX: usize = 2 << 20;

/// Whole lines, the last one perhaps without its end.
pub(in super::super) struct Chunk {
    /// The how many-th it is, from 0.
    pub(in super::super) index: usize,
    pub(in super::super) bytes: Vec<u8>,
}

/// The pieces of a stream.
pub(in super::super) struct Lines {
    stream: Box<dyn Read>,
    /// What is behind the last whole line.
    kept: Vec<u8>,
    index: usize,
    ended: bool,
}

impl Lines {
    pub(super) fn new(stream: Box<dyn Read>) -> Lines {
        Lines { stream, kept: Vec::new(), index: 0, ended: false }
    }

    /// The first byte, which stays.
    pub(super) fn first_byte(&mut self) -> io::Result<Option<u8>> {
        if self.kept.is_empty() {
            (&mut self.stream).take(1).read_to_end(&mut self.kept)?;
        }
        Ok(self.kept.first().copied())
    }

    /// The next piece.
    ///
    /// # Errors
    /// Those of the stream, and `InvalidData` when a line is too long.
    pub(in super::super) fn next(&mut self) -> io::Result<Option<Chunk>> {
        let mut bytes = std::mem::take(&mut self.kept);
        while !self.ended {
            let looked_at = bytes.len();
            bytes.reserve_exact(CHUNK_BYTES);
            let read = (&mut self.stream).take(CHUNK_BYTES as u64).read_to_end(&mut bytes)?;
            self.ended = read < CHUNK_BYTES;
            if let Some(end) = memchr::memrchr(b'\n', &bytes[looked_at..]) {
                self.kept = bytes.split_off(looked_at + end + 1);
                break;
            }
            if bytes.len() > LINE_BYTES_MAX {
                let text = format!("a line is longer than {LINE_BYTES_MAX} bytes");
                return Err(io::Error::new(ErrorKind::InvalidData, text));
            }
        }
        if bytes.is_empty() && !self.kept.is_empty() {
            bytes = std::mem::take(&mut self.kept);
        }
        let index = self.index;
        self.index += 1;
        Ok((!bytes.is_empty()).then_some(Chunk { index, bytes }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a byte or two at a time.
    struct Slow(Vec<u8>);

    impl Read for Slow {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let count = out.len().min(self.0.len()).min(7001);
            out[..count].copy_from_slice(&self.0[..count]);
            self.0.drain(..count);
            Ok(count)
        }
    }

    fn chunks(text: &[u8]) -> Vec<Vec<u8>> {
        let mut lines = Lines::new(Box::new(Slow(text.to_vec())));
        assert_eq!(lines.first_byte().unwrap(), text.first().copied());
        let mut chunks = Vec::new();
        while let Some(chunk) = lines.next().unwrap() {
            assert_eq!(chunk.index, chunks.len());
            chunks.push(chunk.bytes);
        }
        chunks
    }

    #[test]
    fn pieces_end_with_lines_and_make_the_whole() {
        let text: String = (0..300_000).map(|n| format!("line {n}\n")).collect();
        for text in [text.as_bytes(), &text.as_bytes()[..text.len() - 1], b"", b"\n", b"a"] {
            let chunks = chunks(text);
            assert_eq!(chunks.concat(), text);
            let (_, but_last) = chunks.split_last().unwrap_or((&Vec::new(), &[]));
            assert!(but_last.iter().all(|chunk| chunk.last() == Some(&b'\n')));
        }
        assert_eq!(chunks(text.as_bytes()).len(), 4);
    }

    #[test]
    fn a_line_that_does_not_end_is_refused() {
        let mut lines = Lines::new(Box::new(io::repeat(b'x')));
        assert_eq!(lines.next().map(|_| ()).unwrap_err().kind(), ErrorKind::InvalidData);
    }
}
