//! What is said beside what is dangerous: `SAFETY:` at unsafe code, `ORDER:`, `BOUND:` at queues.

use super::{
    Finding, Rule,
    source::{Line, Source, words},
    tree::Tree,
};

const SAFETY: Rule = Rule {
    says: "Every `unsafe` block and impl has a comment with `SAFETY:` right above it, and every \
           `unsafe fn` that is not a trait's has a `# Safety` section.",
    why: "it names the invariant and who keeps it; without it nobody can tell when it breaks.",
};

const UNSAFE_PLACE: Rule = Rule {
    says: "Unsafe code stands only in the files that this check lists, and the lint is opened only \
           at the top of them.",
    why: "what can break memory must be small enough to be read as a whole.",
};

/// Files with unsafe code, and what they cannot do without it.
const UNSAFE_FILES: [(&str, &str); 10] = [
    ("bench/peers/src/bin/peer-floor.rs", "is a bare io_uring loop, to measure others by"),
    ("edge/src/ring/blocks.rs", "writes answers into memory that the kernel sends from"),
    ("edge/src/ring/receive.rs", "reads memory that the kernel receives into"),
    ("edge/src/ring/region.rs", "maps the memory that is shared with the kernel"),
    ("edge/src/ring/uring/buffers.rs", "gives buffers to the kernel through a shared queue"),
    ("edge/src/ring/uring/entries.rs", "reads the address that an accept has filled in"),
    ("edge/src/ring/uring/mod.rs", "pushes entries whose memory has to outlive them"),
    ("edge/src/table/arena.rs", "maps memory of huge pages for a table"),
    ("shipper/src/threads.rs", "asks the scheduler for short slices"),
    ("tests/tests/allocations.rs", "counts allocations, as the allocator that it stands in for"),
];

/// Files that open the lint against unsafe code, for themselves and what lies below them.
const OPENS_UNSAFE: [&str; 5] = [
    "bench/peers/src/bin/peer-floor.rs",
    "edge/src/ring/mod.rs",
    "edge/src/table/arena.rs",
    "shipper/src/threads.rs",
    "tests/tests/allocations.rs",
];

/// Unsafe code without its reason, or where none may be; and entries of the list that nothing
/// answers to any more.
#[must_use]
pub fn unsafe_code(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in tree.rust() {
        let listed = UNSAFE_FILES.iter().any(|(file, _)| *file == source.name());
        let mut used = false;
        for (at, line) in source.numbered() {
            if line.code.contains("allow(unsafe_code") && !OPENS_UNSAFE.contains(&source.name()) {
                let found = "the lint is opened";
                findings.push(Finding::new(&UNSAFE_PLACE, source.name(), at, found));
            }
            if !words(&line.code).any(|word| word == "unsafe") {
                continue;
            }
            used = true;
            if !listed {
                findings.push(Finding::new(&UNSAFE_PLACE, source.name(), at, "unsafe code"));
            }
            let is_fn = line.code.contains("unsafe fn");
            if is_fn && is_in_unsafe_impl(source, at - 1) {
                continue;
            }
            let wanted = if is_fn { "# Safety" } else { "SAFETY:" };
            if !is_said_above(source, at - 1, wanted) {
                let found = format!("no {wanted:?} above");
                findings.push(Finding::new(&SAFETY, source.name(), at, found));
            }
        }
        if listed && !used {
            let found = "listed, and there is no unsafe code in it";
            findings.push(Finding::new(&UNSAFE_PLACE, source.name(), 1, found));
        }
    }
    findings
}

/// Whether the comment right above the statement on line `at` (from 0) says `wanted`. Attributes
/// may stand between them, and the statement may have begun on a line above.
fn is_said_above(source: &Source, at: usize, wanted: &str) -> bool {
    let above = source.lines()[..at].iter().rev();
    let goes_on = |line: &&Line| {
        let code = line.code.trim();
        let ends = code.is_empty() || code.ends_with([';', '{', '}', ',']);
        line.is_comment() || code.starts_with("#[") || !ends
    };
    above.take_while(goes_on).any(|line| line.comment.contains(wanted))
}

/// Whether line `at` (from 0) lies in an `unsafe impl`, whose trait says what its functions ask
/// for.
fn is_in_unsafe_impl(source: &Source, at: usize) -> bool {
    let starts = |line: &&Line| line.code.starts_with(|c: char| !c.is_whitespace() && c != '}');
    let outer = source.lines()[..at].iter().rev().find(starts);
    outer.is_some_and(|line| line.code.starts_with("unsafe impl"))
}

const ORDER: Rule = Rule {
    says: "Each use of an atomic's `Ordering` has a comment with `ORDER:` above it, at most eight \
           lines up and in the same function; orderings are written `Ordering::…`.",
    why: "an ordering pairs with another one, and only a sentence can say with which.",
};

const ORDERINGS: [&str; 5] = ["Relaxed", "Acquire", "Release", "AcqRel", "SeqCst"];

/// How far above an atomic its reason may stand.
const ORDER_LINES_MAX: usize = 8;

/// Atomics without a reason for their ordering.
#[must_use]
pub fn orderings(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in tree.rust() {
        for (at, line) in source.numbered() {
            let names: Vec<&str> = words(&line.code).collect();
            let Some(place) = names.iter().position(|word| ORDERINGS.contains(word)) else {
                continue;
            };
            let is_full = place > 0 && names[place - 1] == "Ordering";
            let is_import = names.contains(&"use");
            let found = match () {
                () if is_full && is_ordered(source, at - 1) => continue,
                () if is_full => format!("no ORDER: above {}", names[place]),
                () if is_import => format!("{} is imported", names[place]),
                // A word of ours that happens to be one of theirs.
                () => continue,
            };
            findings.push(Finding::new(&ORDER, source.name(), at, found));
        }
    }
    findings
}

fn is_ordered(source: &Source, at: usize) -> bool {
    let above = source.lines()[..at].iter().rev().take(ORDER_LINES_MAX);
    let mut inside = above.take_while(|line| !words(&line.code).any(|word| word == "fn"));
    inside.any(|line| line.comment.contains("ORDER:"))
}

const BOUND: Rule = Rule {
    says: "A file that makes a queue or a channel says with `BOUND:` what keeps it from growing.",
    why: "a queue without a bound turns a slow neighbour into a dead process.",
};

/// What makes a queue.
const QUEUES: [&str; 6] = [
    "VecDeque::new(",
    "VecDeque::with_capacity(",
    "VecDeque::default(",
    "RingBuffer::new(",
    "sync_channel(",
    "unbounded",
];

/// Files with queues that do not say what bounds them. What the tests stand on is not held to it.
#[must_use]
pub fn bounds(tree: &Tree) -> Vec<Finding> {
    let makes_queue = |line: &Line| {
        let code = line.code.as_str();
        // A channel of the standard library; those of tokio that hold one value have a path.
        let channel = code.contains(" channel(") || code.contains("mpsc::channel(");
        channel || QUEUES.iter().any(|queue| code.contains(queue))
    };
    let mut findings = Vec::new();
    for source in tree.rust().iter().filter(|s| !s.name().starts_with("tests/")) {
        let queue = source.numbered_without_tests().find(|(_, line)| makes_queue(line));
        let is_said = source.lines().iter().any(|line| line.comment.contains("BOUND:"));
        if let Some((at, _)) = queue.filter(|_| !is_said) {
            findings.push(Finding::new(&BOUND, source.name(), at, "a queue and no BOUND:"));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::{super::places, *};

    #[test]
    fn unsafe_code_without_a_reason_or_a_place_is_found() {
        let good = "// SAFETY: a.\nunsafe impl Send for A {}\n// SAFETY: b\n// and c.\n\
                    #[inline]\nlet a = b(\n    unsafe { c() });\n/// D.\n///\n/// # Safety\n\
                    /// E.\npub unsafe fn d() {}\n\"unsafe\"; // unsafe\n\
                    // SAFETY: e.\nunsafe impl E for F {\n    unsafe fn g() {}\n}\n";
        let bad = "// SAFETY: a.\nlet a = unsafe { b() };\nlet c = unsafe { d() };\n\
                   /// SAFETY: no section.\nunsafe fn e() {}\n// SAFETY: f.\n\nunsafe { f() };\n";
        let files = [
            ("edge/src/ring/blocks.rs", good),
            ("edge/src/ring/region.rs", bad),
            ("edge/src/ring/receive.rs", "//! Nothing unsafe any more.\n"),
            ("edge/src/a.rs", "#![allow(unsafe_code)]\n// SAFETY: a.\nunsafe { a() };\n"),
        ];
        let want = [
            "edge/src/a.rs:1",
            "edge/src/a.rs:3",
            "edge/src/ring/receive.rs:1",
            "edge/src/ring/region.rs:3",
            "edge/src/ring/region.rs:5",
            "edge/src/ring/region.rs:8",
        ];
        assert_eq!(places(unsafe_code, &files), want);
    }

    #[test]
    fn atomics_without_a_reason_are_found() {
        let text = "use std::sync::atomic::Ordering::{self, Relaxed};\nfn a() {\n\
                    // ORDER: Relaxed, a flag.\na.load(Ordering::Relaxed);\n\
                    b.store(1, Ordering::Release);\n}\n\
                    fn c() {\nc.load(Ordering::SeqCst);\nOrdering::Less\n}\n\"Ordering::Relaxed\"\n";
        assert_eq!(places(orderings, &[("a/src/a.rs", text)]), ["a/src/a.rs:1", "a/src/a.rs:8"]);
        let far = format!("// ORDER: a.\n{}a.load(Ordering::Relaxed);\n", "a();\n".repeat(8));
        assert_eq!(places(orderings, &[("a/src/a.rs", &far)]), ["a/src/a.rs:10"]);
    }

    #[test]
    fn queues_without_a_bound_are_found() {
        let files = [
            ("a/src/a.rs", "let a = VecDeque::new();\n"),
            ("a/src/b.rs", "/// BOUND: 16.\nlet a = VecDeque::new();\n"),
            ("a/src/c.rs", "\nlet (a, b) = channel();\n"),
            ("a/src/d.rs", "let (a, b) = watch::channel(1);\n"),
            ("a/src/e.rs", "#[cfg(test)]\nmod tests {\nlet a = VecDeque::new();\n}\n"),
            ("tests/src/a.rs", "let a = VecDeque::new();\n"),
        ];
        assert_eq!(places(bounds, &files), ["a/src/a.rs:1", "a/src/c.rs:2"]);
    }
}
