//! The rules of the house that a machine can check, held over every file of the repository.
//!
//! In reading order:
//!
//! - [`tree`]: the files as they lie in the working tree. [`source`]: a Rust file, its code told
//!   from its comments and its literals.
//! - [`files`]: what opens a file, how long and how wide it is, what must not stand in it.
//! - [`names`], [`markers`]: what things are called, and what is said beside what is dangerous.
//! - [`layout`], [`manifests`], [`documents`]: what lies where, who may know whom, and whether the
//!   pages tell the truth.
//!
//! A check is a function from a [`tree::Tree`] to [`Finding`]s. `tests/tidy.rs` holds the
//! repository against each of them; beside each check stand bad snippets that it must find, for a
//! check that finds nothing is no check.

pub mod source;
pub mod tree;

pub mod files;
pub mod markers;
pub mod names;

pub mod documents;
pub mod layout;
pub mod manifests;

use std::fmt::{self, Write};

/// What is held, and what for.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// The rule, in one sentence.
    pub says: &'static str,
    /// What it is good for.
    pub why: &'static str,
}

/// A place where a rule is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The file, from the top of the repository.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What stands there.
    pub found: String,
    /// The rule.
    pub rule: &'static Rule,
}

impl Finding {
    fn new(rule: &'static Rule, file: &str, line: usize, found: impl Into<String>) -> Finding {
        Finding { file: file.to_owned(), line, found: found.into(), rule }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.found)
    }
}

/// What a person needs to know of findings: each rule that is broken, why it is one, and where.
#[must_use]
pub fn told(findings: &[Finding]) -> String {
    let mut rules: Vec<&Rule> = Vec::new();
    for finding in findings {
        if !rules.contains(&finding.rule) {
            rules.push(finding.rule);
        }
    }
    let mut out = String::new();
    for rule in rules {
        let _ = write!(out, "\n{}\nWhy: {}\n", rule.says, rule.why);
        for finding in findings.iter().filter(|finding| finding.rule == rule) {
            let _ = writeln!(out, "  {finding}");
        }
    }
    out
}

/// The places that a check names in a tree made of `files`, as `file:line`.
#[cfg(test)]
fn places(check: fn(&tree::Tree) -> Vec<Finding>, files: &[(&str, &str)]) -> Vec<String> {
    let findings = check(&tree::Tree::of(files));
    findings.iter().map(|f| format!("{}:{}", f.file, f.line)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    static A: Rule = Rule { says: "No a.", why: "b." };
    static B: Rule = Rule { says: "No b.", why: "c." };

    #[test]
    fn findings_are_told_rule_by_rule_with_their_places() {
        let findings = [(&A, 1), (&B, 2), (&A, 3)].map(|(r, at)| Finding::new(r, "a.rs", at, "x"));
        let want = "\nNo a.\nWhy: b.\n  a.rs:1: x\n  a.rs:3: x\n\nNo b.\nWhy: c.\n  a.rs:2: x\n";
        assert_eq!(told(&findings), want);
    }
}
