//! `brink_tests::fuzz::provider_json` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| brink_tests::fuzz::provider_json::provider_json(data));
