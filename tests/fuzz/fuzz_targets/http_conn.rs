//! `brink_tests::fuzz::http_conn` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| brink_tests::fuzz::http_conn::http_conn(data));
