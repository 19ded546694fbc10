//! `brink_tests::fuzz::wire_fields` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| brink_tests::fuzz::wire_fields::wire_fields(data));
