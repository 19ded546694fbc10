//! Each Rust file by itself: what opens it, how long and how wide it is, what must not stand in it.

use super::{
    Finding, Rule,
    source::{Line, Source},
    tree::Tree,
};

const HEADER: Rule = Rule {
    says: "Every Rust file opens with `//!` and a sentence on what lives in it.",
    why: "the tree alone tells the story, and a reader knows at once whether this is the place.",
};

/// Files that do not say what lives in them.
#[must_use]
pub fn headers(tree: &Tree) -> Vec<Finding> {
    let is_header = |line: &Line| line.text.strip_prefix("//! ").is_some_and(|t| !t.is_empty());
    let mute = tree.rust().iter().filter(|s| !s.lines().first().is_some_and(is_header));
    mute.map(|s| Finding::new(&HEADER, s.name(), 1, "no header")).collect()
}

/// A file has fewer lines, not counting its tests.
const LINES_MAX: usize = 500;

/// Tests that stand beside the code have no more lines.
const TEST_LINES_MAX: usize = 150;

const LENGTH: Rule = Rule {
    says: "A file has fewer than 500 lines without its tests.",
    why: "a file is one idea, and an idea fits in one head.",
};

const TEST_LENGTH: Rule = Rule {
    says: "Tests over 150 lines stand in a sibling `tests.rs`; shorter ones end their file.",
    why: "whoever reads the code should not have to look for its end.",
};

/// Files that are too long, and tests that stand in the wrong place.
#[must_use]
pub fn lengths(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in tree.rust() {
        let code = source.numbered_without_tests().count();
        if code >= LINES_MAX {
            findings.push(Finding::new(&LENGTH, source.name(), code, format!("{code} lines")));
        }
        findings.extend(test_place(source));
    }
    findings
}

fn test_place(source: &Source) -> Option<Finding> {
    let from = source.tests_from()?;
    let count = source.lines().len() - from;
    // The module's closing brace is the first one without indentation.
    let close = source.lines()[from..].iter().position(|l| l.code.starts_with('}'))?;
    let found = match () {
        () if close + 1 < count => "code behind the tests".to_owned(),
        () if count > TEST_LINES_MAX => format!("{count} lines of tests"),
        () => return None,
    };
    Some(Finding::new(&TEST_LENGTH, source.name(), from + 1, found))
}

/// rustfmt's width.
const COLUMNS_MAX: usize = 100;

const WIDTH: Rule = Rule {
    says: "A line has at most 100 characters; only one that is a string literal for more than half \
           of what is on it may have more.",
    why: "two files fit side by side; and rustfmt leaves long literals alone, for good reason.",
};

/// Lines that are too wide.
#[must_use]
pub fn widths(tree: &Tree) -> Vec<Finding> {
    let is_wide = |line: &Line| {
        let used = line.text.trim_start().chars().count();
        line.text.chars().count() > COLUMNS_MAX && 2 * line.literal_chars <= used
    };
    let of_file = |source: &Source| -> Vec<Finding> {
        let wide = source.numbered().filter(|(_, line)| is_wide(line));
        let found = |line: &Line| format!("{} characters", line.text.chars().count());
        wide.map(|(at, line)| Finding::new(&WIDTH, source.name(), at, found(line))).collect()
    };
    tree.rust().iter().flat_map(of_file).collect()
}

const UNFINISHED: Rule = Rule {
    says: "Nothing is left unfinished or disabled: no TODO, FIXME or XXX, no `todo!`, \
           `unimplemented!` or `dbg!`, no test that is ignored or that should panic.",
    why: "what is not done is absent, and what is there works; a note of it belongs to an issue.",
};

const NOTES: [&str; 3] = ["TODO", "FIXME", "XXX"];
const STUBS: [&str; 5] = ["todo!", "unimplemented!", "dbg!", "#[ignore", "should_panic"];

/// Marks of what was left for later, in comments of Rust files and in the text of others.
#[must_use]
pub fn unfinished(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in tree.rust() {
        for (at, line) in source.numbered() {
            let notes = NOTES.iter().filter(|note| has_word(&line.comment, note));
            let stubs = STUBS.iter().filter(|stub| line.code.contains(**stub));
            let found = notes.chain(stubs);
            findings.extend(found.map(|f| Finding::new(&UNFINISHED, source.name(), at, *f)));
        }
    }
    let extensions = [".toml", ".proto", ".sh", ".py", ".ci/run"];
    let others = tree.files().filter(|(name, _)| extensions.iter().any(|e| name.ends_with(e)));
    for (name, text) in others {
        for (at, line) in (1..).zip(text.lines()) {
            let found = NOTES.iter().find(|note| has_word(line, note));
            findings.extend(found.map(|f| Finding::new(&UNFINISHED, name, at, *f)));
        }
    }
    findings
}

fn has_word(text: &str, word: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric()).any(|part| part == word)
}

const DEAD_CODE: Rule = Rule {
    says: "No code is commented out: no line of a `//` comment ends in `;`, `{` or `}`.",
    why: "the history keeps what was; a sentence that happens to break behind a semicolon can break \
          elsewhere.",
};

/// Comments that look like code.
#[must_use]
pub fn commented_out(tree: &Tree) -> Vec<Finding> {
    let is_code = |line: &Line| {
        let text = line.comment.strip_prefix("//").filter(|t| !t.starts_with(['/', '!']));
        text.is_some_and(|t| t.trim_end().ends_with([';', '{', '}']))
    };
    let of_file = |source: &Source| -> Vec<Finding> {
        let dead = source.numbered().filter(|(_, line)| is_code(line));
        dead.map(|(at, l)| Finding::new(&DEAD_CODE, source.name(), at, l.comment.as_str()))
            .collect()
    };
    tree.rust().iter().flat_map(of_file).collect()
}

const SLEEP: Rule = Rule {
    says: "No test sleeps; the few that must let time pass are listed in this check.",
    why: "a sleep that is long enough today is too short on another machine, and too long on all \
          the others.",
};

/// Files of tests that may sleep, how often, and what for.
const SLEEPERS: [(&str, usize, &str); 5] = [
    ("tests/src/appliance.rs", 1, "looks again, up to a bound, for what has no event to wait for"),
    ("tests/src/process.rs", 1, "looks again, up to a bound, whether a child has ended"),
    ("tests/tests/http.rs", 1, "is a client that does not read for a while"),
    ("tests/tests/provider.rs", 1, "is an exchange that asks once a millisecond"),
    ("tests/tests/readiness.rs", 1, "is a stall"),
];

/// Sleeps in tests, and entries of the list that nothing answers to any more.
#[must_use]
pub fn sleeps(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in tree.rust() {
        let all = source.is_tests() || source.name().starts_with("tests/");
        let from = if all { 0 } else { source.tests_from().unwrap_or(source.lines().len()) };
        let asleep = |(_, line): &(usize, &Line)| line.code.contains("thread::sleep(");
        let sleeps: Vec<usize> = source.numbered().skip(from).filter(asleep).map(|s| s.0).collect();
        let listed = SLEEPERS.iter().find(|(file, ..)| *file == source.name());
        let allowed = listed.map_or(0, |(_, count, _)| *count);
        let excess = sleeps.iter().skip(allowed);
        findings.extend(excess.map(|at| Finding::new(&SLEEP, source.name(), *at, "a sleep")));
        if sleeps.len() < allowed {
            let found = format!("{allowed} sleeps are allowed and there are {}", sleeps.len());
            findings.push(Finding::new(&SLEEP, source.name(), 1, found));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::{super::places, *};

    #[test]
    fn a_file_that_does_not_say_what_lives_in_it_is_found() {
        let files = [
            ("a/src/a.rs", "//! A.\n"),
            ("a/src/b.rs", "// B.\n"),
            ("a/src/c.rs", ""),
            ("a/src/d.rs", "//!\n"),
            ("a/src/e.rs", "use a::b;\n//! E.\n"),
            ("a/src/f.txt", "text"),
        ];
        assert_eq!(
            places(headers, &files),
            ["a/src/b.rs:1", "a/src/c.rs:1", "a/src/d.rs:1", "a/src/e.rs:1"]
        );
    }

    #[test]
    fn files_and_tests_that_are_too_long_are_found() {
        let code = "fn a() {}\n".repeat(499);
        let tests = |lines: usize| {
            format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "    fn b() {}\n".repeat(lines - 3))
        };
        let fits = format!("{code}{}", tests(150));
        let long = format!("{code}fn z() {{}}\n");
        let many = tests(151);
        let behind = format!("{}fn z() {{}}\n", tests(10));
        let files = [
            ("a/src/fits.rs", fits.as_str()),
            ("a/src/long.rs", &long),
            ("a/src/many.rs", &many),
            ("a/src/behind.rs", &behind),
            ("a/src/long/tests.rs", &long),
            ("a/tests/long.rs", &long),
        ];
        let want = ["a/src/behind.rs:1", "a/src/long.rs:500", "a/src/many.rs:1"];
        assert_eq!(places(lengths, &files), want);
    }

    #[test]
    fn lines_that_are_too_wide_are_found() {
        let comment = format!("// {}\n", "x".repeat(98));
        let code = format!("    let a = [{}];\n", "1, ".repeat(40));
        let literal = format!("    let a = \"{}\";\n", "x".repeat(120));
        let row = format!("        (\"{}\".into(), 400, Some(\"a\"), None),\n", "x".repeat(80));
        let wide_umlauts = format!("// {}\n", "ü".repeat(97));
        let text = [comment, code, literal, row, wide_umlauts].concat();
        assert_eq!(places(widths, &[("a/src/a.rs", &text)]), ["a/src/a.rs:1", "a/src/a.rs:2"]);
    }

    #[test]
    fn what_is_left_for_later_is_found() {
        let text = "// TODO: more\nlet a = \"TODO\";\n/// FIXME\nfn f() { todo!() }\ndbg!(a);\n\
                    #[ignore]\n#[should_panic]\n// TODOs are none\nunimplemented!()\n";
        let found = places(unfinished, &[("a/src/a.rs", text), ("a/x.sh", "a\n# XXX\n# XXXX\n")]);
        let want = [1, 3, 4, 5, 6, 7, 9].map(|at| format!("a/src/a.rs:{at}"));
        assert_eq!(found[..7], want);
        assert_eq!(found[7..], ["a/x.sh:2"]);
    }

    #[test]
    fn code_that_is_commented_out_is_found() {
        let text = "// let a = 1;\n//! let b = 2;\n/// c();\n// if d {\n// }\n// A sentence.\n\
                    e(); // It was f(); once\n";
        let want = ["a/src/a.rs:1", "a/src/a.rs:4", "a/src/a.rs:5"];
        assert_eq!(places(commented_out, &[("a/src/a.rs", text)]), want);
    }

    #[test]
    fn tests_that_sleep_are_found() {
        let asleep = "fn a() {\n    std::thread::sleep(time);\n}\n";
        let beside = format!("{asleep}#[cfg(test)]\nmod tests {{\n    thread::sleep(time);\n}}\n");
        let files = [
            ("a/src/a.rs", beside.as_str()),
            ("a/tests/b.rs", asleep),
            ("tests/src/sim.rs", "clock.sleep(time).await;\n"),
            ("tests/src/process.rs", ""),
        ];
        assert_eq!(
            places(sleeps, &files),
            ["a/src/a.rs:6", "a/tests/b.rs:2", "tests/src/process.rs:1"]
        );
    }
}
