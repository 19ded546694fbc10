//! `brink_tests::fuzz::http_head` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| brink_tests::fuzz::http_head::http_head(data));
