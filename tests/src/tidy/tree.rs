//! The repository's files as they lie in the working tree, whether they are committed yet or not.

use super::source::Source;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// What git does not track: its own (a file in a linked working tree), what is built, what a demo
/// writes, what a fuzzer gathers.
const IGNORED: [&str; 6] = [".git", "target", "brink-data", "corpus", "artifacts", "coverage"];

/// The files of a repository.
pub struct Tree {
    files: BTreeMap<String, String>,
    rust: Vec<Source>,
}

impl Tree {
    /// This repository.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    pub fn of_repository() -> Tree {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in it");
        let mut files = BTreeMap::new();
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).expect("a folder of ours can be listed") {
                let path = entry.expect("an entry").path();
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                if IGNORED.contains(&name.as_ref()) {
                    continue;
                }
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(root).expect("below the root").to_string_lossy();
                    let bytes = fs::read(&path).expect("a file of ours can be read");
                    files.insert(name.into_owned(), String::from_utf8_lossy(&bytes).into_owned());
                }
            }
        }
        Tree::from(files)
    }

    /// A tree of a few files, for tests of checks.
    #[must_use]
    pub fn of(files: &[(&str, &str)]) -> Tree {
        let owned = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
        Tree::from(files.iter().map(owned).collect::<BTreeMap<_, _>>())
    }

    /// Names and texts of all files, in the order of their names.
    pub fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(name, text)| (name.as_str(), text.as_str()))
    }

    /// The text of a file.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.files.get(name).map(String::as_str)
    }

    /// Whether there is a file or a folder of this name.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        let name = name.trim_end_matches('/');
        let inside = |file: &String| file.strip_prefix(name).is_some_and(|r| r.starts_with('/'));
        name.is_empty() || self.files.contains_key(name) || self.files.keys().any(inside)
    }

    /// The Rust files.
    #[must_use]
    pub fn rust(&self) -> &[Source] {
        &self.rust
    }

    /// The Rust files below a folder.
    pub fn rust_below<'t>(&'t self, folder: &'t str) -> impl Iterator<Item = &'t Source> {
        self.rust.iter().filter(move |source| source.name().starts_with(folder))
    }

    /// What stands directly in a folder (`""` is the top, others end in `/`): files and folders.
    #[must_use]
    pub fn entries(&self, folder: &str) -> BTreeSet<&str> {
        let rest = self.files.keys().filter_map(|name| name.strip_prefix(folder));
        rest.map(|rest| rest.split('/').next().unwrap_or(rest)).collect()
    }
}

impl From<BTreeMap<String, String>> for Tree {
    fn from(files: BTreeMap<String, String>) -> Tree {
        let is_rust = |name: &&String| name.ends_with(".rs");
        let rust = files.keys().filter(is_rust).map(|name| Source::read(name, &files[name]));
        Tree { rust: rust.collect(), files }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_repository_is_found_and_what_is_built_is_not() {
        let tree = Tree::of_repository();
        assert!(tree.text("edge/src/lib.rs").is_some());
        assert!(tree.has("edge/src") && tree.has("edge/src/") && tree.has("Cargo.toml"));
        assert!(!tree.has("target") && !tree.has("edge/s"));
        assert!(tree.rust().iter().any(|source| source.name() == "tests/src/tidy/tree.rs"));
    }

    #[test]
    fn a_folder_has_files_and_folders() {
        let tree = Tree::of(&[("a/b.rs", ""), ("a/c/d.rs", ""), ("e", "")]);
        assert_eq!(tree.entries("").into_iter().collect::<Vec<_>>(), ["a", "e"]);
        assert_eq!(tree.entries("a/").into_iter().collect::<Vec<_>>(), ["b.rs", "c"]);
    }
}
