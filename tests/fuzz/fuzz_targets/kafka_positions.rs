//! `brink_tests::fuzz::kafka_positions` under libFuzzer.
#![no_main]

use brink_tests::fuzz::kafka_positions::kafka_positions;

libfuzzer_sys::fuzz_target!(|data: &[u8]| kafka_positions(data));
