//! `brink_tests::fuzz::cursors` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| brink_tests::fuzz::cursors::cursors(data));
