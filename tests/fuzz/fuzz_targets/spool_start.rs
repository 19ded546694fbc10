//! `brink_tests::fuzz::spool_start` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| brink_tests::fuzz::spool_start::spool_start(data));
