//! zstd in slices: level 1, a window of 256 KiB, flushed behind each slice.
//!
//! Without the flush zstd gathers a block and then stalls for it; flushed every 16 KiB one call
//! takes some 26 µs and the ratio hardly changes. The context takes its memory at boot and is
//! used again for ever.

use brink_proto::frame::RAW_BYTES_MAX;
use zstd::zstd_safe::{
    CCtx, CParameter, InBuffer, OutBuffer, ResetDirective, get_error_name,
    zstd_sys::ZSTD_EndDirective,
};

const LEVEL: i32 = 1;

/// As large as a batch. What zstd is given it keeps in a ring of a window and a block, and where
/// that begins anew in the middle of a frame, it has to search in two pieces from there on.
const WINDOW_LOG: u32 = RAW_BYTES_MAX.ilog2();
const _: () = assert!(RAW_BYTES_MAX.is_power_of_two());

/// What follows a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behind {
    /// Another slice.
    More,
    /// Nothing: the frame ends.
    End,
}

pub(super) struct Compressor {
    context: CCtx<'static>,
}

impl Compressor {
    pub(super) fn new() -> Compressor {
        let mut context = CCtx::create();
        for parameter in [CParameter::CompressionLevel(LEVEL), CParameter::WindowLog(WINDOW_LOG)] {
            let set = context.set_parameter(parameter);
            assert!(set.is_ok(), "zstd knows its own parameters");
        }
        // The first frame takes the context's memory; boot is the time for it.
        let mut this = Compressor { context };
        this.begin();
        this.slice(&[0; 64], &mut [0; 256], 0, Behind::End);
        this
    }

    /// Begins a new frame, of a length that is not known.
    ///
    /// Left to itself zstd begins with the first slice. If that ends the frame too, the length is
    /// known, and a small frame is content with little memory: after 128 of them zstd gives back
    /// what it has, and takes it anew for the next large one, in the middle of serving.
    pub(super) fn begin(&mut self) {
        let reset = self.context.reset(ResetDirective::SessionOnly);
        assert!(reset.is_ok(), "resetting a session cannot fail");
        let nowhere: &mut [u8] = &mut [];
        let (mut input, mut output) = (InBuffer::around(&[]), OutBuffer::around(nowhere));
        let begin = ZSTD_EndDirective::ZSTD_e_continue;
        let begun = self.context.compress_stream2(&mut output, &mut input, begin);
        assert!(begun.is_ok(), "a frame begins in the memory of the one before");
    }

    /// Compresses `raw` to `out[at..]`; returns where the output ends.
    pub(super) fn slice(&mut self, raw: &[u8], out: &mut [u8], at: usize, behind: Behind) -> usize {
        let directive = match behind {
            Behind::More => ZSTD_EndDirective::ZSTD_e_flush,
            Behind::End => ZSTD_EndDirective::ZSTD_e_end,
        };
        let mut input = InBuffer::around(raw);
        let mut output = OutBuffer::around_pos(out, at);
        loop {
            match self.context.compress_stream2(&mut output, &mut input, directive) {
                Ok(0) => return output.pos(),
                // The buffer has room for the worst case, so this ends.
                Ok(_) => assert!(output.pos() < output.capacity(), "a batch fits its buffer"),
                Err(code) => panic!("zstd: {}", get_error_name(code)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use brink_proto::frame::PAYLOAD_BYTES_MAX;

    #[test]
    fn a_context_has_all_its_memory_at_boot_and_keeps_it_whatever_the_frames() {
        let mut compressor = Compressor::new();
        let at_boot = compressor.context.sizeof();
        let mut out = vec![0; PAYLOAD_BYTES_MAX];
        let mut frame = |slices: usize, bytes: usize| {
            compressor.begin();
            let mut at = 0;
            for _ in 1..slices {
                at = compressor.slice(&vec![b'x'; bytes], &mut out, at, Behind::More);
            }
            compressor.slice(&vec![b'x'; bytes], &mut out, at, Behind::End);
            compressor.context.sizeof()
        };
        assert_eq!(frame(16, super::super::SLICE_BYTES), at_boot);
        for count in 0..300 {
            assert_eq!(frame(1, 500), at_boot, "small frame {count}");
        }
        assert_eq!(frame(16, super::super::SLICE_BYTES), at_boot);
    }

    #[test]
    fn what_does_not_compress_at_all_fits_its_buffer_in_any_slices() {
        let mut state = 1u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        };
        let raw: Vec<u8> = (0..RAW_BYTES_MAX).map(|_| next()).collect();
        let mut compressor = Compressor::new();
        for slice in [1000, super::super::SLICE_BYTES, RAW_BYTES_MAX] {
            let mut out = vec![0; PAYLOAD_BYTES_MAX];
            let mut at = 0;
            compressor.begin();
            for part in raw.chunks(slice) {
                at = compressor.slice(part, &mut out, at, Behind::More);
            }
            at = compressor.slice(&[], &mut out, at, Behind::End);
            let back = zstd::bulk::decompress(&out[..at], RAW_BYTES_MAX).unwrap();
            assert!(back == raw, "slices of {slice}");
        }
    }
}
