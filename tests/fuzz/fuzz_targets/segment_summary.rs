//! `brink_tests::fuzz::segment_summary` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| brink_tests::fuzz::segment_summary::segment_summary(
    data
));
