//! The manifests: who may know whom, what each crate stands on, and that it does stand on it.

use super::{Finding, Rule, source::words, tree::Tree};
use std::collections::BTreeSet;
use toml::{Table, Value};

/// The crates: folder, package, and the packages of ours that it may know.
const CRATES: [(&str, &str, &[&str]); 7] = [
    ("proto", "brink-proto", &[]),
    ("shipper", "brink-shipper", &["brink-proto"]),
    ("tuning", "brink-tuning", &[]),
    ("bench", "brink-bench", &["brink-proto"]),
    ("bench/peers", "brink-peers", &["brink-bench"]),
    ("edge", "edge", &["brink-proto", "brink-shipper", "brink-tuning", "brink-bench"]),
    (
        "tests",
        "brink-tests",
        &["brink-proto", "brink-shipper", "brink-tuning", "brink-bench", "edge"],
    ),
];

const ARROWS: Rule = Rule {
    says: "Crates know each other along these arrows only: proto ← shipper ← edge, tuning ← edge, \
           proto ← bench ← edge (optional, for the demo), bench ← peers, tests → all. Every \
           member of the workspace stands in this list.",
    why: "what does not know the shard cannot make it late, and can be read without it.",
};

const DEPENDENCIES: [&str; 3] = ["dependencies", "build-dependencies", "dev-dependencies"];

/// Arrows between crates that nobody drew, and crates that nobody knows.
#[must_use]
pub fn arrows(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for member in members(tree) {
        if !CRATES.iter().any(|(folder, ..)| *folder == member) {
            let found = format!("{member}: a crate that no arrow speaks of");
            findings.push(Finding::new(&ARROWS, "Cargo.toml", 1, found));
        }
    }
    for (folder, _, may_know) in CRATES {
        let manifest = Manifest::read(tree, folder);
        for section in DEPENDENCIES {
            let ours = |name: &&String| CRATES.iter().any(|(_, package, _)| package == name);
            for name in manifest.names(section).iter().filter(ours) {
                if !may_know.contains(&name.as_str()) {
                    findings.push(manifest.finding(&ARROWS, name, "an arrow that nobody drew"));
                }
            }
        }
    }
    let edge = Manifest::read(tree, "edge");
    let demo = edge.dependency("dependencies", "brink-bench");
    if demo.is_some_and(|d| d.get("optional") != Some(&Value::Boolean(true))) {
        findings.push(edge.finding(&ARROWS, "brink-bench", "not optional"));
    }
    findings
}

/// The workspace's members.
fn members(tree: &Tree) -> Vec<String> {
    let root = parse(tree.text("Cargo.toml").unwrap_or_default());
    let members = root.get("workspace").and_then(|w| w.get("members")?.as_array());
    let names = members.into_iter().flatten().filter_map(Value::as_str);
    names.map(str::to_owned).collect()
}

const STANDS_ON: Rule = Rule {
    says: "The packages that the design is made of are direct dependencies of the crates that the \
           design gives them to.",
    why: "the design page and the code would otherwise speak of two systems.",
};

const PACKAGES: [(&str, &[&str]); 3] = [
    ("edge", &["io-uring", "socket2", "quanta", "serde", "rtrb", "hdrhistogram"]),
    ("shipper", &["rtrb", "zstd", "glommio", "object_store"]),
    ("bench", &["hdrhistogram", "quanta"]),
];

/// Packages of the design that a crate does not depend on.
#[must_use]
pub fn packages(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (folder, packages) in PACKAGES {
        let manifest = Manifest::read(tree, folder);
        let names = manifest.names("dependencies");
        let missing = packages.iter().filter(|package| !names.contains(**package));
        findings.extend(missing.map(|p| manifest.finding(&STANDS_ON, p, "no dependency")));
    }
    findings
}

const USED: Rule = Rule {
    says: "Every dependency of a crate is used in its code: those of `[dependencies]` in `src`, the \
           others anywhere.",
    why: "a package that nobody uses is built, audited and updated for nothing.",
};

/// Dependencies that code made at build time uses, where no search finds them.
const USED_BY_MADE_CODE: [(&str, &str); 1] = [("proto", "prost")];

/// Dependencies that the code does not use.
#[must_use]
pub fn unused(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (folder, ..) in CRATES {
        let manifest = Manifest::read(tree, folder);
        for (section, below) in DEPENDENCIES.iter().zip(["/src/", "/", "/"]) {
            let below = format!("{folder}{below}");
            let lines = tree.rust_below(&below).flat_map(|source| source.lines());
            let used: BTreeSet<&str> = lines.flat_map(|line| words(&line.code)).collect();
            for name in manifest.names(section) {
                let made = USED_BY_MADE_CODE.contains(&(folder, &name));
                if !made && !used.contains(name.replace('-', "_").as_str()) {
                    let found = format!("not used below {below}");
                    findings.push(manifest.finding(&USED, &name, &found));
                }
            }
        }
    }
    findings
}

const LINTS: Rule = Rule {
    says: "Every crate takes the workspace's lints, and every library but those that need it \
           forbids unsafe code.",
    why: "a lint that one crate does without is a wish.",
};

/// Libraries that forbid unsafe code.
const FORBID_UNSAFE: [&str; 4] = ["proto", "bench", "tuning", "tests"];

/// Crates that do not take the workspace's lints.
#[must_use]
pub fn lints(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (folder, ..) in CRATES {
        let manifest = Manifest::read(tree, folder);
        if manifest.text.is_empty() {
            continue;
        }
        let takes = manifest.table.get("lints").and_then(|l| l.get("workspace"));
        if takes != Some(&Value::Boolean(true)) {
            findings.push(manifest.finding(&LINTS, "lints", "no `[lints] workspace = true`"));
        }
    }
    for folder in FORBID_UNSAFE {
        let lib = format!("{folder}/src/lib.rs");
        let forbids = |text: &str| text.lines().any(|line| line == "#![forbid(unsafe_code)]");
        if !tree.text(&lib).is_some_and(forbids) {
            findings.push(Finding::new(&LINTS, &lib, 1, "no `#![forbid(unsafe_code)]`"));
        }
    }
    findings
}

const LOCK: Rule = Rule {
    says: "Cargo.lock holds bitmaps at 3.1.0 and nothing of rusoto.",
    why: "bitmaps is unsound from 3.2.0 on (RUSTSEC-2025-0167) and comes with glommio; rusoto is no \
          longer looked after, and object_store does its work.",
};

/// Packages in the lock file that must not be there, or not in that version.
#[must_use]
pub fn lock(tree: &Tree) -> Vec<Finding> {
    let text = tree.text("Cargo.lock").unwrap_or_default();
    let finding = |name: &str, found: String| {
        Finding::new(&LOCK, "Cargo.lock", line_of(text, &format!("name = {name:?}")), found)
    };
    let table = parse(text);
    let packages = table.get("package").and_then(Value::as_array).into_iter().flatten();
    let fields = |p: &Value| {
        Some((p.get("name")?.as_str()?.to_owned(), p.get("version")?.as_str()?.to_owned()))
    };
    let packages: Vec<(String, String)> = packages.filter_map(fields).collect();
    let mut findings = Vec::new();
    for (name, version) in &packages {
        if name.starts_with("rusoto") || (name == "bitmaps" && version != "3.1.0") {
            findings.push(finding(name, format!("{name} {version}")));
        }
    }
    if !packages.iter().any(|(name, _)| name == "bitmaps") {
        findings.push(finding("bitmaps", "no bitmaps".to_owned()));
    }
    findings
}

/// A crate's manifest.
struct Manifest<'t> {
    file: String,
    text: &'t str,
    table: Table,
}

impl Manifest<'_> {
    fn read<'t>(tree: &'t Tree, folder: &str) -> Manifest<'t> {
        let file = format!("{folder}/Cargo.toml");
        let text = tree.text(&file).unwrap_or_default();
        Manifest { file, text, table: parse(text) }
    }

    /// The packages of a section, whatever they are called in the code.
    fn names(&self, section: &str) -> BTreeSet<String> {
        let section = self.table.get(section).and_then(Value::as_table);
        section.into_iter().flat_map(|table| table.keys().cloned()).collect()
    }

    fn dependency(&self, section: &str, name: &str) -> Option<&Value> {
        self.table.get(section)?.get(name)
    }

    fn finding(&self, rule: &'static Rule, name: &str, found: &str) -> Finding {
        Finding::new(rule, &self.file, line_of(self.text, name), format!("{name}: {found}"))
    }
}

/// A manifest that is none is cargo's to refuse.
fn parse(text: &str) -> Table {
    text.parse().unwrap_or_default()
}

/// The first line that begins so, or the first one of all.
fn line_of(text: &str, start: &str) -> usize {
    text.lines().position(|line| line.starts_with(start)).map_or(1, |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::{super::places, *};

    #[test]
    fn an_arrow_that_nobody_drew_is_found() {
        let files = [
            ("shipper/Cargo.toml", "[dependencies]\nbrink-proto.workspace = true\nedge = \"1\"\n"),
            ("proto/Cargo.toml", "[dev-dependencies]\nbrink-bench.workspace = true\n"),
            ("edge/Cargo.toml", "[dependencies]\nbrink-bench.workspace = true\n"),
            ("Cargo.toml", "[workspace]\nmembers = [\"edge\", \"more\"]\n"),
        ];
        let want =
            ["Cargo.toml:1", "proto/Cargo.toml:2", "shipper/Cargo.toml:3", "edge/Cargo.toml:2"];
        assert_eq!(places(arrows, &files), want);
        let optional = "[dependencies]\nbrink-bench = { workspace = true, optional = true }\n";
        assert!(places(arrows, &[("edge/Cargo.toml", optional)]).is_empty());
    }

    #[test]
    fn a_package_of_the_design_that_is_missing_is_found() {
        let edge = "[dependencies]\nio-uring = \"0\"\nsocket2 = \"0\"\nserde = \"1\"\nrtrb = \"0\"\n\
                    hdrhistogram = \"7\"\n[dev-dependencies]\nquanta = \"0\"\n";
        let found = packages(&Tree::of(&[("edge/Cargo.toml", edge)]));
        let of_edge: Vec<_> = found.iter().filter(|f| f.file == "edge/Cargo.toml").collect();
        assert_eq!(of_edge.len(), 1);
        assert_eq!(of_edge[0].found, "quanta: no dependency");
    }

    #[test]
    fn a_dependency_that_is_not_used_is_found() {
        let manifest = "[dependencies]\nio-uring = \"0\"\nrtrb = \"0\"\nserde = \"1\"\n\
                        [dev-dependencies]\nprost = \"0\"\ntempfile = \"3\"\n";
        let files = [
            ("edge/Cargo.toml", manifest),
            ("edge/src/a.rs", "use io_uring::IoUring; // rtrb\nlet a = \"serde\";\n"),
            ("edge/tests/a.rs", "use prost::Message;\nuse rtrb::Producer;\n"),
        ];
        let want = ["edge/Cargo.toml:3", "edge/Cargo.toml:4", "edge/Cargo.toml:7"];
        assert_eq!(places(unused, &files), want);
    }

    #[test]
    fn a_crate_without_the_lints_is_found() {
        let (with, without) = ("[lints]\nworkspace = true\n", "[lints]\nworkspace = false\n");
        let mut files: Vec<(String, &str)> =
            CRATES.iter().map(|(folder, ..)| (format!("{folder}/Cargo.toml"), with)).collect();
        files[1].1 = without;
        let forbids =
            FORBID_UNSAFE.map(|f| (format!("{f}/src/lib.rs"), "#![forbid(unsafe_code)]\n"));
        files.extend(forbids);
        files.last_mut().unwrap().1 = "#![deny(unsafe_code)]\n";
        let files: Vec<(&str, &str)> = files.iter().map(|(f, t)| (f.as_str(), *t)).collect();
        assert_eq!(places(lints, &files), ["shipper/Cargo.toml:1", "tests/src/lib.rs:1"]);
    }

    #[test]
    fn a_lock_file_with_what_must_not_be_there_is_found() {
        let package = |name: &str, version: &str| {
            format!("[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n")
        };
        let good = package("bitmaps", "3.1.0");
        assert!(places(lock, &[("Cargo.lock", &good)]).is_empty());
        let bad = package("bitmaps", "3.2.0") + &package("rusoto_core", "0.48.0");
        assert_eq!(places(lock, &[("Cargo.lock", &bad)]), ["Cargo.lock:2", "Cargo.lock:5"]);
        assert_eq!(places(lock, &[("Cargo.lock", "")]), ["Cargo.lock:1"]);
    }
}
