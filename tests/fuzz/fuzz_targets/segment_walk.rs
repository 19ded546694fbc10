//! `brink_tests::fuzz::segment_walk` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| brink_tests::fuzz::segment_walk::segment_walk(data));
