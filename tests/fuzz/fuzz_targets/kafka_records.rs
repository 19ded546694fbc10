//! `brink_tests::fuzz::kafka_records` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| brink_tests::fuzz::kafka_records::kafka_records(data));
