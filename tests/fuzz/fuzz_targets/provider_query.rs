//! `brink_tests::fuzz::provider_query` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| brink_tests::fuzz::provider_query::provider_query(data));
