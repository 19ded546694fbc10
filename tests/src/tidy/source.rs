//! A Rust file, line by line, with its code told from its comments and its literals.
//!
//! No parser: rules look for words, and a word counts only where it is what it seems to be. A
//! marker in a string is none, and `unsafe` in a comment is no danger.

/// What a character belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Code, white space among it.
    Code,
    /// A comment with its slashes.
    Comment,
    /// A string or a character with its quotes.
    Literal,
}

/// One line.
#[derive(Debug)]
pub struct Line {
    /// As it stands there.
    pub text: String,
    /// Its code; what is no code is blank, so that columns are kept.
    pub code: String,
    /// Its comment, without what surrounds it.
    pub comment: String,
    /// Its characters that belong to literals.
    pub literal_chars: usize,
}

impl Line {
    fn new(chars: &[(char, Kind)]) -> Line {
        let only = |kind: Kind| -> String {
            chars.iter().map(|(c, k)| if *k == kind { *c } else { ' ' }).collect()
        };
        Line {
            text: chars.iter().map(|(c, _)| *c).collect(),
            code: only(Kind::Code),
            comment: only(Kind::Comment).trim().to_owned(),
            literal_chars: chars.iter().filter(|(_, k)| *k == Kind::Literal).count(),
        }
    }

    /// Whether there is nothing on it but a comment.
    #[must_use]
    pub fn is_comment(&self) -> bool {
        !self.comment.is_empty() && self.code.trim().is_empty() && self.literal_chars == 0
    }
}

/// A Rust file.
pub struct Source {
    name: String,
    lines: Vec<Line>,
    tests_from: Option<usize>,
}

impl Source {
    /// Takes a file apart.
    #[must_use]
    pub fn read(name: &str, text: &str) -> Source {
        let kinds = kinds(text);
        let mut lines: Vec<Line> = kinds.split(|(c, _)| *c == '\n').map(Line::new).collect();
        // What stands behind the last line's end is no line.
        lines.pop_if(|line| line.text.is_empty());
        let opens = |pair: &[Line]| {
            pair[0].code.trim() == "#[cfg(test)]" && pair[1].code.starts_with("mod tests {")
        };
        let tests_from = lines.windows(2).position(opens);
        Source { name: name.to_owned(), lines, tests_from }
    }

    /// Its name, from the top of the repository.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its lines.
    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Its lines with their numbers, from 1.
    pub fn numbered(&self) -> impl Iterator<Item = (usize, &Line)> {
        (1..).zip(&self.lines)
    }

    /// Where its tests begin, counted from 0, if they stand in it.
    #[must_use]
    pub fn tests_from(&self) -> Option<usize> {
        self.tests_from
    }

    /// Whether the file holds nothing but tests: a `tests.rs`, or one in a crate's `tests` folder.
    #[must_use]
    pub fn is_tests(&self) -> bool {
        // The first part is the crate, and one crate is called tests.
        self.name.ends_with("/tests.rs") || self.name.split('/').skip(1).any(|p| p == "tests")
    }

    /// The lines that are no tests, with their numbers.
    pub fn numbered_without_tests(&self) -> impl Iterator<Item = (usize, &Line)> {
        let end = if self.is_tests() { 0 } else { self.tests_from.unwrap_or(self.lines.len()) };
        self.numbered().take(end)
    }
}

/// The words of a piece of code: identifiers, keywords and numbers.
pub fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty())
}

/// Every character with what it belongs to.
fn kinds(text: &str) -> Vec<(char, Kind)> {
    let chars: Vec<char> = text.chars().collect();
    let mut out = Vec::with_capacity(chars.len());
    let mut at = 0;
    while at < chars.len() {
        let behind_word = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
        let (kind, end) = match chars[at..] {
            ['/', '/', ..] => (Kind::Comment, line_end(&chars, at)),
            ['/', '*', ..] => (Kind::Comment, block_end(&chars, at)),
            ['"', ..] => (Kind::Literal, quoted_end(&chars, at, '"')),
            ['\'', '\\', ..] | ['\'', _, '\'', ..] => (Kind::Literal, quoted_end(&chars, at, '\'')),
            ['r', '"' | '#', ..] if !behind_word || is_byte_prefix(&chars, at) => {
                match raw_end(&chars, at) {
                    Some(end) => (Kind::Literal, end),
                    None => (Kind::Code, at + 1),
                }
            }
            _ => (Kind::Code, at + 1),
        };
        out.extend(chars[at..end].iter().map(|c| (*c, kind)));
        at = end;
    }
    out
}

/// Whether the `b` or `c` in front of an `r` is all of its word: `br"…"`.
fn is_byte_prefix(chars: &[char], at: usize) -> bool {
    let before = at.checked_sub(2).map(|at| chars[at]);
    matches!(chars[at - 1], 'b' | 'c') && !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
}

fn line_end(chars: &[char], from: usize) -> usize {
    chars[from..].iter().position(|c| *c == '\n').map_or(chars.len(), |len| from + len)
}

/// Behind a block comment; such comments nest.
fn block_end(chars: &[char], from: usize) -> usize {
    let (mut at, mut depth) = (from, 0);
    while at < chars.len() {
        match chars[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    at
}

/// Behind the closing quote; a backslash takes the meaning from what follows it.
fn quoted_end(chars: &[char], from: usize, quote: char) -> usize {
    let mut at = from + 1;
    while at < chars.len() && chars[at] != quote {
        at += 1 + usize::from(chars[at] == '\\');
    }
    (at + 1).min(chars.len())
}

/// Behind a raw string, if one begins there: `r#name` is none.
fn raw_end(chars: &[char], from: usize) -> Option<usize> {
    let hashes = chars[from + 1..].iter().take_while(|c| **c == '#').count();
    let open = from + 1 + hashes;
    if chars.get(open) != Some(&'"') {
        return None;
    }
    let closes = |at: &usize| {
        chars[*at] == '"'
            && chars[at + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes
    };
    Some((open + 1..chars.len()).find(closes).map_or(chars.len(), |at| at + 1 + hashes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, code: &str, comment: &str) {
        let source = Source::read("a.rs", text);
        let [line] = source.lines() else { panic!("one line: {text}") };
        let got: Vec<_> = line.code.split_whitespace().collect();
        assert_eq!(got.join(" "), code, "{text}");
        assert_eq!(line.comment, comment, "{text}");
        assert_eq!(line.code.chars().count(), text.chars().count(), "columns are kept");
    }

    #[test]
    fn code_is_told_from_comments_and_literals() {
        check("let a = 1; // why; how", "let a = 1;", "// why; how");
        check(r#"let a = "unsafe \" // no";"#, "let a = ;", "");
        check("let a = r##\"x \"# y\"##.len();", "let a = .len();", "");
        check("let a = br\"x\"; let number = 1;", "let a = b ; let number = 1;", "");
        check("let r#type = b'\"'; // c", "let r#type = b ;", "// c");
        check(r"let a = '\''; let b: &'static str = c;", "let a = ; let b: &'static str = c;", "");
        check("a /* b /* c */ \"d */ e", "a e", "/* b /* c */ \"d */");
    }

    #[test]
    fn literals_go_over_lines() {
        let source = Source::read("a.rs", "let a = \"x\n// no comment\n\"; // one\n");
        let comments: Vec<_> = source.lines().iter().map(|l| l.comment.as_str()).collect();
        assert_eq!(comments, ["", "", "// one"]);
    }

    #[test]
    fn tests_are_found_at_the_end_of_a_file_or_in_a_file_of_their_own() {
        let text = "//! A.\nfn a() {}\n\n#[cfg(test)]\nmod tests {\n}\n";
        let source = Source::read("edge/src/a.rs", text);
        assert_eq!(source.tests_from(), Some(3));
        assert_eq!(source.numbered_without_tests().count(), 3);
        assert!(!source.is_tests());
        for name in ["edge/src/a/tests.rs", "proto/tests/a.rs", "tests/tests/a/mod.rs"] {
            assert!(Source::read(name, "").is_tests(), "{name}");
        }
        assert!(!Source::read("tests/src/a.rs", "").is_tests());
    }
}
