//! The pages: whether what they point to exists, and whether a promise has the test that it names.

use super::{Finding, Rule, source::words, tree::Tree};
use std::collections::BTreeSet;

const LINKS: Rule = Rule {
    says: "Every relative link of a page points to a file that exists.",
    why: "a page with a dead end is read once.",
};

/// Links that lead nowhere.
#[must_use]
pub fn links(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, text) in tree.files().filter(|(name, _)| name.ends_with(".md")) {
        for (at, line) in prose(text) {
            for target in targets(&line) {
                let path = target.split('#').next().unwrap_or_default();
                let is_elsewhere = path.is_empty() || target.contains("://");
                if is_elsewhere || target.starts_with("mailto:") {
                    continue;
                }
                let found = resolved(name, path).filter(|path| tree.has(path));
                if found.is_none() {
                    findings.push(Finding::new(&LINKS, name, at, target));
                }
            }
        }
    }
    findings
}

/// Lines of a page outside fenced blocks, with their numbers and without inline code.
fn prose(text: &str) -> impl Iterator<Item = (usize, String)> {
    let mut fenced = false;
    let lines = (1..).zip(text.lines()).filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    });
    lines.map(|(at, line)| (at, line.split('`').step_by(2).collect::<Vec<_>>().join("`")))
}

/// What the links and pictures of a line, and its definition of one, point to.
fn targets(line: &str) -> Vec<&str> {
    let inline = line.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
    let defined = line.strip_prefix('[').and_then(|rest| rest.split_once("]:"));
    inline.chain(defined.map(|(_, target)| target.trim())).collect()
}

/// A path as seen from a page, from the top of the repository; nothing when it leads out of it.
fn resolved(page: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop()?,
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

const PROMISES: Rule = Rule {
    says: "Every row of a table in SPEC.md whose last column says what it is kept by names tests \
           that exist there, as `name` or `crate::path::name`, or says \"no test\".",
    why: "a promise is worth what keeps it.",
};

const SPEC: &str = "SPEC.md";

/// Promises whose test does not exist, or that do not say that they have none.
#[must_use]
pub fn promises(tree: &Tree) -> Vec<Finding> {
    let Some(text) = tree.text(SPEC) else {
        return vec![Finding::new(&PROMISES, SPEC, 1, "missing")];
    };
    let functions: BTreeSet<&str> =
        tree.rust().iter().flat_map(|s| s.lines()).fold(BTreeSet::new(), |mut functions, line| {
            let mut names = words(&line.code).skip_while(|word| *word != "fn");
            functions.extend(names.nth(1));
            functions
        });
    let mut findings = Vec::new();
    let rows = promised(text);
    if rows.is_empty() {
        findings.push(Finding::new(&PROMISES, SPEC, 1, "no table of promises"));
    }
    for (at, cell) in rows {
        let tests: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
        if tests.is_empty() && !cell.to_lowercase().contains("no test") {
            findings.push(Finding::new(&PROMISES, SPEC, at, "neither a test nor \"no test\""));
        }
        let name = |test: &str| test.rsplit("::").next().unwrap_or_default().to_owned();
        let unknown = tests.iter().filter(|test| !functions.contains(name(test).as_str()));
        findings.extend(unknown.map(|test| Finding::new(&PROMISES, SPEC, at, *test)));
    }
    findings
}

/// What the last column of a table of promises is called.
const KEPT_BY: &str = "kept by";

/// The last cell of each row of the tables of promises.
fn promised(text: &str) -> Vec<(usize, &str)> {
    let last = |line: &'_ str| -> Option<(usize, usize)> {
        let row = line.trim_end().strip_suffix('|').filter(|row| row.starts_with('|'))?;
        Some((row.rfind('|')? + 1, row.len()))
    };
    let mut rows = Vec::new();
    let mut holds_tests = None;
    for (at, line) in (1..).zip(text.lines()) {
        let Some((from, to)) = last(line) else {
            holds_tests = None;
            continue;
        };
        let cell = &line[from..to];
        match holds_tests {
            None => holds_tests = Some(cell.trim() == KEPT_BY),
            // The line of dashes below a head is no row.
            Some(true) if !cell.trim().starts_with(['-', ':']) => rows.push((at, cell)),
            Some(_) => {}
        }
    }
    rows
}

const PATHS: Rule = Rule {
    says: "No file speaks of a folder of the machine that it was written on.",
    why: "nobody else has it.",
};

/// Put together, so that this file does not speak of them.
const FOLDERS: [&str; 3] =
    [concat!("/", "work", "/"), concat!("/", "root", "/"), concat!("/", "home", "/")];

/// Paths of somebody's machine.
#[must_use]
pub fn machine_paths(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, text) in tree.files() {
        for (at, line) in (1..).zip(text.lines()) {
            let found = FOLDERS.iter().find(|folder| line.contains(**folder));
            findings.extend(found.map(|folder| Finding::new(&PATHS, name, at, *folder)));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::{super::places, *};

    #[test]
    fn links_that_lead_nowhere_are_found() {
        let page = "[a](a.md) [b](../README.md#b) ![c](c.png)\n[d](#d) [e](https://e.example/f)\n\
                    ```\n[f](f.md)\n```\n`[g](g.md)` and [h](../docs/)\n[i]: missing.md\n\
                    [j](../../outside.md) [k](a.md \"title\")\n";
        let files = [("README.md", ""), ("docs/a.md", ""), ("docs/page.md", page)];
        let want = ["docs/page.md:1", "docs/page.md:7", "docs/page.md:8"];
        assert_eq!(places(links, &files), want);
    }

    #[test]
    fn a_promise_without_its_test_is_found() {
        let code = "fn it_is_kept() {}\n// fn it_is_a_comment\n";
        let spec = "| promise | kept by |\n|---|:---|\n| a | `tests::a::it_is_kept` |\n\
                    | b | `tests::b::it_is_gone` `it_is_kept` |\n| c | no test |\n| d | |\n\
                    | e | `it_is_a_comment` |\n\n| unit | word |\n|---|---|\n| f | `nothing` |\n";
        let files = [("tests/tests/a.rs", code), (SPEC, spec)];
        assert_eq!(places(promises, &files), ["SPEC.md:4", "SPEC.md:6", "SPEC.md:7"]);
        assert_eq!(places(promises, &[(SPEC, "# Promises\n")]), ["SPEC.md:1"]);
        assert_eq!(places(promises, &[]), ["SPEC.md:1"]);
    }

    #[test]
    fn paths_of_a_machine_are_found() {
        let text = format!("a\ncd {}x\n", FOLDERS[2]);
        assert_eq!(places(machine_paths, &[("a.sh", &text), ("b.sh", "/workshop")]), ["a.sh:2"]);
    }
}
