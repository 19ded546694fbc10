//! `brink_tests::fuzz::object_key` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| brink_tests::fuzz::object_key::object_key(data));
