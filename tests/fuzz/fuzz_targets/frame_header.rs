//! `brink_tests::fuzz::frame_header` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| brink_tests::fuzz::frame_header::frame_header(data));
