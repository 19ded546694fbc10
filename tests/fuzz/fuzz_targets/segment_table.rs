//! `brink_tests::fuzz::segment_table` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| brink_tests::fuzz::segment_table::segment_table(data));
