//! What things are called.

use super::{Finding, Rule, source::words, tree::Tree};
use std::collections::BTreeSet;

const GETTERS: Rule = Rule {
    says: "No function's name begins with `get_`, but where somebody else's trait says so.",
    why: "a question is named by its answer, and work by its verb.",
};

const EMPTY_WORDS: Rule = Rule {
    says: "No file, folder, module or type is called util, helper, manager or common.",
    why: "such a name says nothing, so everything finds room under it.",
};

/// The words, and their plurals.
const EMPTY: [&str; 8] =
    ["util", "utils", "helper", "helpers", "manager", "managers", "common", "commons"];

/// Names that traits of others give: `object_store`'s.
const GIVEN: [&str; 1] = ["get_opts"];

/// Keywords in front of the name of a type or a module.
const DECLARES: [&str; 6] = ["mod", "struct", "enum", "union", "trait", "type"];

/// Functions named as getters; files, folders, modules and types with names that say nothing.
#[must_use]
pub fn names(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in tree.rust() {
        for (at, line) in source.numbered() {
            let names: Vec<&str> = words(&line.code).collect();
            for pair in names.windows(2) {
                let (keyword, name) = (pair[0], pair[1]);
                let given = GIVEN.contains(&name);
                if keyword == "fn" && name.starts_with("get_") && !given {
                    findings.push(Finding::new(&GETTERS, source.name(), at, name));
                }
                if DECLARES.contains(&keyword) && says_nothing(name) {
                    findings.push(Finding::new(&EMPTY_WORDS, source.name(), at, name));
                }
            }
        }
    }
    let paths: BTreeSet<&str> = tree.files().flat_map(|(name, _)| name_and_folders(name)).collect();
    let empty = paths.into_iter().filter(|path| says_nothing(last(path)));
    findings.extend(empty.map(|path| Finding::new(&EMPTY_WORDS, path, 1, last(path))));
    findings
}

/// `a/b/c` and the folders that it lies in: `a`, `a/b`.
fn name_and_folders(path: &str) -> impl Iterator<Item = &str> {
    let folders = path.match_indices('/').filter_map(|(at, _)| path.get(..at));
    folders.chain([path])
}

/// The last part of a path, without what stands behind a dot.
fn last(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.split('.').next().unwrap_or(name)
}

/// Whether a part of a name in `snake_case`, `kebab-case` or `CamelCase` is one of the empty words.
fn says_nothing(name: &str) -> bool {
    let mut part = String::new();
    let mut before_is_lower = false;
    for c in name.chars().chain(['_']) {
        let ends = !c.is_alphanumeric() || (c.is_uppercase() && before_is_lower);
        if ends && EMPTY.contains(&std::mem::take(&mut part).as_str()) {
            return true;
        }
        before_is_lower = c.is_lowercase();
        part.extend(c.to_lowercase().filter(|c| c.is_alphanumeric()));
    }
    false
}

#[cfg(test)]
mod tests {
    use super::{super::places, *};

    #[test]
    fn names_that_say_nothing_are_found() {
        let text = "pub fn get_it() {}\nfn forget_it() {}\nstruct ConnManager;\nenum Managed {}\n\
                    mod common;\ntype HelperOf<T> = T;\nfn the_common_case() {}\n\"fn get_it\"\n";
        let files = [("a/src/a.rs", text), ("a/src/utils/b.rs", ""), ("a/src/utility.rs", "")];
        let lines = [1, 3, 5, 6].map(|at| format!("a/src/a.rs:{at}"));
        let found = places(names, &files);
        assert_eq!(found[..4], lines);
        assert_eq!(found[4..], ["a/src/utils:1"]);
        for (name, want) in [("IoUtil", true), ("test-helpers", true), ("uncommon", false)] {
            assert_eq!(says_nothing(name), want, "{name}");
        }
    }
}
