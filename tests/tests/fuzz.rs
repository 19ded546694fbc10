//! Every parser against any bytes, for a moment: the bodies of the fuzz targets.
//!
//! The inputs are always the same; `BRINK_FUZZ_INPUTS` makes them more, and the binary `fuzz`
//! searches for as long as one likes.

use brink_tests::fuzz::{
    TARGETS,
    run::{Until, run},
    target,
};
use std::path::Path;

/// Tries a target's seeds, and inputs that are made of them.
fn check(name: &str, inputs: u64) {
    let wanted = std::env::var("BRINK_FUZZ_INPUTS").ok().and_then(|count| count.parse().ok());
    let target = target(name).expect("a target");
    let report = run(target, 1, Until::Inputs(wanted.unwrap_or(inputs)), |_| {});
    let broken = report.broken.map(|broken| {
        format!("{name}: {}\ninput: {}", broken.message, broken.input.escape_ascii())
    });
    assert_eq!(broken, None);
}

#[test]
fn no_bytes_break_the_reader_of_heads_and_a_second_reader_agrees_with_it() {
    check("http_head", 3000);
}

#[test]
fn any_bytes_make_the_same_requests_wherever_they_are_cut() {
    check("http_conn", 2000);
}

#[test]
fn any_chunked_body_is_the_same_however_it_is_cut() {
    check("http_chunked", 3000);
}

#[test]
fn any_request_is_answered_and_its_row_decodes_to_what_was_sent() {
    check("pixel_row", 3000);
}

#[test]
fn any_text_is_a_configuration_or_an_error_that_names_the_file() {
    check("config", 1000);
}

#[test]
fn any_frame_header_is_refused_or_written_again_as_it_was() {
    check("frame_header", 5000);
}

#[test]
fn any_records_end_and_are_written_as_they_are_read() {
    check("kafka_records", 5000);
}

#[test]
fn any_query_is_answered_by_whole_lines_and_its_row_decodes() {
    check("provider_query", 2000);
}

#[test]
fn any_segment_request_is_answered_and_a_second_reader_agrees() {
    check("provider_json", 3000);
}

#[test]
fn any_consent_string_is_decided_alike_however_it_comes() {
    check("consent_strings", 2000);
}

#[test]
fn any_positions_are_somebody_elses_or_refused_or_written_as_they_are_read() {
    check("kafka_positions", 5000);
}

#[test]
fn any_fields_end_and_are_written_as_they_are_read() {
    check("wire_fields", 5000);
}

#[test]
fn any_text_becomes_valid_and_bounded() {
    check("text", 3000);
}

#[test]
fn any_table_is_read_to_its_end_and_says_what_was_written() {
    check("segment_table", 1000);
}

#[test]
fn any_summary_is_refused_or_written_again_as_it_was() {
    check("segment_summary", 300);
}

#[test]
fn any_cursor_slot_is_refused_or_says_what_was_written() {
    check("cursors", 3000);
}

#[test]
fn any_names_are_refused_or_kept_and_keys_sort_as_the_log_does() {
    check("object_key", 5000);
}

#[test]
fn a_walk_finds_what_was_synced_whatever_the_disk_did() {
    check("segment_walk", 300);
}

#[test]
fn a_spool_starts_on_anything_and_the_next_start_finds_the_same() {
    check("spool_start", 60);
}

#[test]
fn every_target_runs_under_libfuzzer_and_is_described() {
    let crate_ = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest: toml::Table =
        std::fs::read_to_string(crate_.join("fuzz/Cargo.toml")).unwrap().parse().unwrap();
    let binaries: Vec<&str> = manifest["bin"]
        .as_array()
        .unwrap()
        .iter()
        .map(|bin| bin["name"].as_str().unwrap())
        .collect();
    let page = std::fs::read_to_string(crate_.join("../docs/fuzzing.md")).unwrap();
    for target in &TARGETS {
        let name = target.name;
        assert!(binaries.contains(&name), "tests/fuzz/Cargo.toml has no [[bin]] {name}");
        let file = crate_.join(format!("fuzz/fuzz_targets/{name}.rs"));
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(text.contains(&format!("{name}::{name}")), "{} does not call it", file.display());
        assert!(
            page.contains(&format!("| `{name}` | {} |", target.about)),
            "docs/fuzzing.md: {name}"
        );
    }
    assert_eq!(binaries.len(), TARGETS.len());
}
