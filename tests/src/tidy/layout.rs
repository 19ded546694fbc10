//! What lies where: the top of the repository, and the folders of the roles.

use super::{Finding, Rule, tree::Tree};
use std::collections::BTreeSet;

const TOP: Rule = Rule {
    says: "The top of the repository holds what this check lists, and all of that.",
    why: "it is the first thing that anybody sees: a table of contents, and no attic.",
};

/// What there is at the top, and must be.
const TOP_ENTRIES: [&str; 18] = [
    ".ci",
    ".gitignore",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "SPEC.md",
    "bench",
    "clippy.toml",
    "docs",
    "edge",
    "proto",
    "rustfmt.toml",
    "shipper",
    "tests",
    "tuning",
];

/// What is too much at the top, or missing.
#[must_use]
pub fn top(tree: &Tree) -> Vec<Finding> {
    let mut findings = differences(&TOP, "", &tree.entries(""), &TOP_ENTRIES);
    if tree.text(".ci/run").is_none() {
        findings.push(Finding::new(&TOP, ".ci/run", 1, "missing"));
    }
    findings
}

const ROLE: Rule = Rule {
    says: "Every role has the same files: mod.rs, view.rs, answers.rs, row.rs, tests.rs; and a folder \
           decision, where what it decides is more than a file; and a folder dialects, where it is \
           asked in several.",
    why: "who knows one role finds everything in the next one.",
};

const ROLE_FILES: [&str; 5] = ["answers.rs", "mod.rs", "row.rs", "tests.rs", "view.rs"];

const ROLE_FOLDERS: [&str; 2] = ["decision", "dialects"];

const ROLES: &str = "edge/src/roles/";

/// Roles whose files are not those of every role.
#[must_use]
pub fn roles(tree: &Tree) -> Vec<Finding> {
    let roles = tree.entries(ROLES).into_iter().filter(|entry| !entry.ends_with(".rs"));
    let folders: Vec<String> = roles.map(|role| format!("{ROLES}{role}/")).collect();
    let of_role = |folder: &String| {
        let mut found = tree.entries(folder);
        for folder in ROLE_FOLDERS {
            found.remove(folder);
        }
        differences(&ROLE, folder, &found, &ROLE_FILES)
    };
    folders.iter().flat_map(of_role).collect()
}

fn differences(
    rule: &'static Rule,
    folder: &str,
    found: &BTreeSet<&str>,
    want: &[&str],
) -> Vec<Finding> {
    let want: BTreeSet<&str> = want.iter().copied().collect();
    let name = |entry: &&str| format!("{folder}{entry}");
    let excess = found.difference(&want).map(|e| Finding::new(rule, &name(e), 1, "not listed"));
    let missing = want.difference(found).map(|e| Finding::new(rule, &name(e), 1, "missing"));
    excess.chain(missing).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::places, *};

    #[test]
    fn what_is_too_much_at_the_top_or_missing_is_found() {
        let mut files: Vec<(&str, &str)> = TOP_ENTRIES.iter().map(|e| (*e, "")).collect();
        files.retain(|(name, _)| !["SPEC.md", ".ci"].contains(name));
        files.extend([(".ci/go", ""), ("notes.txt", "")]);
        assert_eq!(places(top, &files), ["notes.txt:1", "SPEC.md:1", ".ci/run:1"]);
    }

    #[test]
    fn a_role_with_files_of_its_own_is_found() {
        let role = |name: &str| ROLE_FILES.map(|file| format!("{ROLES}{name}/{file}"));
        let mut files: Vec<String> = role("a").into_iter().chain(role("b")).collect();
        files.retain(|file| !file.ends_with("b/view.rs"));
        files.extend(ROLE_FOLDERS.map(|folder| format!("{ROLES}a/{folder}/mod.rs")));
        files.extend(["mod.rs", "probe.rs", "b/more.rs"].map(|file| format!("{ROLES}{file}")));
        let files: Vec<(&str, &str)> = files.iter().map(|file| (file.as_str(), "")).collect();
        assert_eq!(
            places(roles, &files),
            ["edge/src/roles/b/more.rs:1", "edge/src/roles/b/view.rs:1"]
        );
    }
}
