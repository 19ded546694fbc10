//! One connection's requests: bytes in, requests out. Pure: no I/O, no clock.
//!
//! ```text
//!  bytes ─▶ whole request in one buffer? ── yes ─▶ parsed where it lies
//!                     │ no
//!                     ▼
//!           assembly (bounded pool): head ─▶ body, by length or in chunks ─▶ parsed there
//! ```
//!
//! Nearly every request takes the first way and is never copied. Whatever way it takes, the same
//! bytes make the same requests, wherever they are cut: that is a property test and a fuzz target.

pub mod assembly;

use crate::http::{
    chunked::ChunkDecoder,
    error::HttpError,
    head::{self, BodyFraming, HEAD_BYTES_MAX, Head, HeaderSpace},
};
use assembly::{Assembly, AssemblyPool};

/// Where a connection stands between two calls.
#[derive(Debug, Default)]
pub struct Conn {
    phase: Phase,
    assembly: Option<Assembly>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    /// Between requests, or in a head of which `scanned` bytes are known to have no end.
    #[default]
    Head,
    /// The head is assembled; the body ends at this many bytes of the assembly.
    Body { head_bytes: usize, total_bytes: usize },
    /// The head is assembled; the body comes in chunks.
    Chunked { head_bytes: usize, decoder: ChunkDecoder },
}

/// What the bytes came to.
#[derive(Debug)]
pub enum Step<'b> {
    /// A request. Call [`Conn::finish`] when it is answered.
    Request {
        /// Its head.
        head: Head<'b>,
        /// Its body.
        body: &'b [u8],
        /// Bytes of the input that it used; behind them the next one begins.
        consumed: usize,
    },
    /// All of the input was used, and the request is not complete.
    More {
        /// Whether the client waits for 100 before it goes on.
        wants_continue: bool,
    },
    /// The request is refused, and nothing behind it can be understood.
    Refuse(HttpError),
}

/// What a connection is waiting for, which decides how long it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Awaits {
    /// A request.
    Request,
    /// The rest of a head.
    Head,
    /// The rest of a body.
    Body,
}

impl Conn {
    /// What it waits for.
    #[must_use]
    pub fn awaits(&self) -> Awaits {
        match (&self.phase, &self.assembly) {
            (Phase::Head, None) => Awaits::Request,
            (Phase::Head, Some(_)) => Awaits::Head,
            (Phase::Body { .. } | Phase::Chunked { .. }, _) => Awaits::Body,
        }
    }

    /// Goes on with `input` up to the end of one request. `body_max` is the largest body taken.
    pub fn step<'b>(
        &mut self,
        input: &'b [u8],
        pool: &'b mut AssemblyPool,
        space: &mut HeaderSpace<'b>,
        body_max: usize,
    ) -> Step<'b> {
        let stepped = match self.phase {
            Phase::Head if self.assembly.is_none() => self.whole(input, pool, space, body_max),
            _ => self.assemble(input, pool, space, body_max),
        };
        stepped.unwrap_or_else(Step::Refuse)
    }

    /// The request that the last [`Step::Request`] gave out is answered: its memory is free.
    #[inline]
    pub fn finish(&mut self, pool: &mut AssemblyPool) {
        self.phase = Phase::Head;
        if let Some(assembly) = self.assembly.take() {
            pool.free(assembly);
        }
    }

    /// A request that may lie in the input as a whole.
    #[inline]
    fn whole<'b>(
        &mut self,
        input: &'b [u8],
        pool: &'b mut AssemblyPool,
        space: &mut HeaderSpace<'b>,
        body_max: usize,
    ) -> Result<Step<'b>, HttpError> {
        // SPEC: RFC 9112 section 2.2: empty lines before a request are passed over.
        let blank = input.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
        let bytes = &input[blank..];
        if bytes.is_empty() {
            return Ok(Step::More { wants_continue: false });
        }
        let Some((head, head_bytes)) = head::parse(bytes, space)? else {
            return self.assemble(bytes, pool, space, body_max);
        };
        match head.framing {
            BodyFraming::Length(length) if length > body_max => Err(HttpError::BodyTooLarge),
            BodyFraming::Length(length) if length <= bytes.len() - head_bytes => {
                let end = head_bytes + length;
                let body = &bytes[head_bytes..end];
                Ok(Step::Request { head, body, consumed: blank + end })
            }
            // Rare, so the head is parsed once more where it is assembled.
            _ => match self.assemble(bytes, pool, space, body_max)? {
                Step::Request { head, body, consumed } => {
                    Ok(Step::Request { head, body, consumed: blank + consumed })
                }
                other => Ok(other),
            },
        }
    }

    /// A request in parts.
    fn assemble<'b>(
        &mut self,
        input: &'b [u8],
        pool: &'b mut AssemblyPool,
        space: &mut HeaderSpace<'b>,
        body_max: usize,
    ) -> Result<Step<'b>, HttpError> {
        let mut assembly = match self.assembly.take() {
            Some(assembly) => assembly,
            None => pool.start().ok_or(HttpError::NoMemory)?,
        };
        let gathered = self.gather(&mut assembly, input, pool, body_max);
        let handle = assembly.handle();
        // Kept also when it is refused: whoever closes the connection frees it.
        self.assembly = Some(assembly);
        let consumed = match gathered? {
            Gathered::Complete(consumed) => consumed,
            Gathered::More { wants_continue } => return Ok(Step::More { wants_continue }),
        };
        let bytes = pool.bytes(handle);
        match head::parse(bytes, space)? {
            Some((head, head_bytes)) => {
                Ok(Step::Request { head, body: &bytes[head_bytes..], consumed })
            }
            None => Err(HttpError::Malformed),
        }
    }

    /// Adds input to the assembly until a request is complete in it.
    fn gather(
        &mut self,
        assembly: &mut Assembly,
        input: &[u8],
        pool: &mut AssemblyPool,
        body_max: usize,
    ) -> Result<Gathered, HttpError> {
        let mut used = 0;
        let mut wants_continue = false;
        loop {
            let rest = &input[used..];
            match &mut self.phase {
                Phase::Head => {
                    let Some(took) = gather_head(assembly, rest, pool)? else {
                        return Ok(Gathered::More { wants_continue });
                    };
                    used += took;
                    let bytes = pool.bytes(assembly.handle());
                    let (phase, waits) = phase_behind_head(bytes, body_max)?;
                    wants_continue = waits && used == input.len();
                    self.phase = phase;
                }
                Phase::Body { total_bytes, .. } => {
                    let missing = *total_bytes - assembly.len();
                    let took = missing.min(rest.len());
                    pool.push(assembly, &rest[..took])?;
                    return Ok(if took == missing {
                        Gathered::Complete(used + took)
                    } else {
                        Gathered::More { wants_continue }
                    });
                }
                Phase::Chunked { head_bytes, decoder } => {
                    if decoder.is_done() {
                        return Ok(Gathered::Complete(used));
                    }
                    if rest.is_empty() {
                        return Ok(Gathered::More { wants_continue });
                    }
                    let decoded = decoder.decode(rest)?;
                    let data = &rest[decoded.data.0..decoded.data.1];
                    if assembly.len() - *head_bytes + data.len() > body_max {
                        return Err(HttpError::BodyTooLarge);
                    }
                    pool.push(assembly, data)?;
                    used += decoded.consumed;
                }
            }
        }
    }
}

enum Gathered {
    Complete(usize),
    More { wants_continue: bool },
}

/// Adds input up to the end of a head; how much it used, or nothing when the end is not there.
fn gather_head(
    assembly: &mut Assembly,
    input: &[u8],
    pool: &mut AssemblyPool,
) -> Result<Option<usize>, HttpError> {
    let before = assembly.len();
    let room = (HEAD_BYTES_MAX + 1).saturating_sub(before);
    pool.push(assembly, &input[..input.len().min(room)])?;
    let bytes = pool.bytes(assembly.handle());
    // The end may have begun up to three bytes before.
    match end_of_head(bytes, before.saturating_sub(3)) {
        Some(end) => {
            assembly.truncate(end);
            Ok(Some(end - before))
        }
        None => {
            head::check_partial(bytes)?;
            Ok(None)
        }
    }
}

/// The offset behind the empty line that ends a head, looked for from `from` on.
fn end_of_head(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        let line_feed = at + bytes.get(at..)?.iter().position(|b| *b == b'\n')?;
        match bytes.get(line_feed + 1..)? {
            [b'\n', ..] => return Some(line_feed + 2),
            [b'\r', b'\n', ..] => return Some(line_feed + 3),
            _ => at = line_feed + 1,
        }
    }
}

/// What follows an assembled head, and whether its client waits for 100.
fn phase_behind_head(bytes: &[u8], body_max: usize) -> Result<(Phase, bool), HttpError> {
    let mut space = head::header_space();
    let Some((head, head_bytes)) = head::parse(bytes, &mut space)? else {
        return Err(HttpError::Malformed);
    };
    let phase = match head.framing {
        BodyFraming::Length(length) if length > body_max => return Err(HttpError::BodyTooLarge),
        BodyFraming::Length(length) => Phase::Body { head_bytes, total_bytes: head_bytes + length },
        BodyFraming::Chunked => Phase::Chunked { head_bytes, decoder: ChunkDecoder::default() },
    };
    let has_body = head.framing != BodyFraming::Length(0);
    Ok((phase, head.expects_continue && has_body))
}

#[cfg(test)]
mod tests;
