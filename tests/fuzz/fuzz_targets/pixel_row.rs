//! `brink_tests::fuzz::pixel_row` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| brink_tests::fuzz::pixel_row::pixel_row(data));
