//! `brink_tests::fuzz::consent_strings` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| brink_tests::fuzz::consent_strings::consent_strings(data));
