//! `brink_tests::fuzz::consent_strings` under libFuzzer.
#![no_main]

use brink_tests::fuzz::consent_strings::consent_strings;

libfuzzer_sys::fuzz_target!(|data: &[u8]| consent_strings(data));
