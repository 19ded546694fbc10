//! `brink_tests::fuzz::http_chunked` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| brink_tests::fuzz::http_chunked::http_chunked(data));
