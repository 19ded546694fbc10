//! The rules of the house, held over this repository. `brink_tests::tidy` has the checks.

use brink_tests::tidy::{
    Finding, documents, files, layout, manifests, markers, names, told, tree::Tree,
};
use std::sync::LazyLock;

/// Holds the repository against a check.
fn check(check: fn(&Tree) -> Vec<Finding>) {
    static TREE: LazyLock<Tree> = LazyLock::new(Tree::of_repository);
    let findings = check(&TREE);
    assert!(findings.is_empty(), "{}", told(&findings));
}

#[test]
fn every_file_says_first_what_lives_in_it() {
    check(files::headers);
}

#[test]
fn no_file_is_too_long_and_tests_stand_where_they_belong() {
    check(files::lengths);
}

#[test]
fn no_line_is_too_wide() {
    check(files::widths);
}

#[test]
fn nothing_is_left_unfinished_or_disabled() {
    check(files::unfinished);
}

#[test]
fn no_code_is_commented_out() {
    check(files::commented_out);
}

#[test]
fn no_test_sleeps() {
    check(files::sleeps);
}

#[test]
fn names_say_something() {
    check(names::names);
}

#[test]
fn unsafe_code_stands_in_few_places_with_its_reason() {
    check(markers::unsafe_code);
}

#[test]
fn every_ordering_says_what_it_pairs_with() {
    check(markers::orderings);
}

#[test]
fn every_queue_says_what_bounds_it() {
    check(markers::bounds);
}

#[test]
fn the_top_of_the_repository_is_a_table_of_contents() {
    check(layout::top);
}

#[test]
fn every_role_has_the_same_files() {
    check(layout::roles);
}

#[test]
fn crates_know_each_other_along_the_arrows_of_the_design() {
    check(manifests::arrows);
}

#[test]
fn the_packages_of_the_design_are_direct_dependencies() {
    check(manifests::packages);
}

#[test]
fn every_dependency_is_used() {
    check(manifests::unused);
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    check(manifests::lints);
}

#[test]
fn the_lock_file_holds_what_it_must_and_nothing_that_it_must_not() {
    check(manifests::lock);
}

#[test]
fn every_link_of_a_page_leads_somewhere() {
    check(documents::links);
}

#[test]
fn every_promise_names_a_test_that_exists() {
    check(documents::promises);
}

#[test]
fn no_file_speaks_of_somebodys_machine() {
    check(documents::machine_paths);
}
