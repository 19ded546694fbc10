//! A page with blocks that are made from the code, and what is read of the code to make them.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// What a page says between two markers.
pub(crate) struct Block {
    pub(crate) name: String,
    /// Where it comes from, for whoever edits the page.
    pub(crate) from: &'static str,
    pub(crate) content: Content,
}

/// What a block holds.
pub(crate) enum Content {
    /// A table: the columns made here, those written by hand, and the rows of the former.
    Table { made: Vec<String>, by_hand: &'static [&'static str], rows: Vec<Vec<String>> },
    /// A text in a fence.
    Picture(String),
}

/// A table that is made as a whole.
pub(crate) fn table(
    name: &str,
    from: &'static str,
    made: &[&str],
    rows: Vec<Vec<String>>,
) -> Block {
    with_notes(name, from, made, &[], rows)
}

/// A table with columns behind that are written by hand.
pub(crate) fn with_notes(
    name: &str,
    from: &'static str,
    made: &[&str],
    by_hand: &'static [&'static str],
    rows: Vec<Vec<String>>,
) -> Block {
    let made = made.iter().map(|&title| title.to_owned()).collect();
    Block { name: name.to_owned(), from, content: Content::Table { made, by_hand, rows } }
}

impl Block {
    fn begin(&self) -> String {
        let kept = match &self.content {
            Content::Table { by_hand, .. } if !by_hand.is_empty() => {
                format!("; by hand: {}", by_hand.join(", "))
            }
            _ => String::new(),
        };
        format!(
            "<!-- generated: {} from {}{kept}; \
             `BRINK_BLESS=1 cargo test -p brink-tests --test documents` writes it anew -->\n",
            self.name, self.from
        )
    }

    fn end(&self) -> String {
        format!("<!-- end: {} -->\n", self.name)
    }

    /// The block as it should be, with what was written by hand in the `old` one.
    fn render(&self, old: &str) -> String {
        match &self.content {
            Content::Picture(text) => format!("```text\n{text}```\n"),
            Content::Table { made, by_hand, rows } => {
                let notes = notes(old, made.len());
                let titles = made.iter().map(String::as_str).chain(by_hand.iter().copied());
                let titles: Vec<_> = titles.collect();
                let rule = "---|".repeat(titles.len());
                let mut out = format!("| {} |\n|{rule}\n", titles.join(" | "));
                for row in rows {
                    let mut cells: Vec<String> =
                        row.iter().map(|c| c.replace('|', "\\|")).collect();
                    let notes = notes.get(&cells[0]).cloned().unwrap_or_default();
                    cells.extend(notes);
                    cells.resize(titles.len(), String::new());
                    out.push_str(&format!("| {} |\n", cells.join(" | ")));
                }
                out
            }
        }
    }
}

/// What was written by hand behind the first `made` columns of a table, by a row's first cell.
fn notes(table: &str, made: usize) -> BTreeMap<String, Vec<String>> {
    let row = |line: &str| {
        let mut cells = cells(line);
        let notes = cells.split_off(made.min(cells.len()));
        Some((cells.into_iter().next()?, notes))
    };
    table.lines().filter_map(row).collect()
}

/// The cells of a table's row; none of what is no row.
fn cells(line: &str) -> Vec<String> {
    let Some(inner) = line.strip_prefix("| ").and_then(|l| l.strip_suffix(" |")) else {
        return Vec::new();
    };
    inner.split(" | ").map(|cell| cell.trim().to_owned()).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// A file of the workspace.
pub(crate) fn source(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Holds a page against its blocks.
pub(crate) fn hold(page: &str, blocks: &[Block]) {
    let mut text = source(page);
    for block in blocks {
        let marker = format!("<!-- generated: {} ", block.name);
        let from = text.find(&marker).unwrap_or_else(|| panic!("{page} has no `{marker}… -->`"));
        let end = block.end();
        let to =
            text[from..].find(&end).unwrap_or_else(|| panic!("{page} has no `{}`", end.trim()));
        let old = &text[from..from + to];
        let new = format!("{}{}", block.begin(), block.render(old));
        text.replace_range(from..from + to, &new);
    }
    if std::env::var_os("BRINK_BLESS").is_some() {
        fs::write(root().join(page), &text).expect("the page can be written");
    }
    for (number, (is, want)) in source(page).lines().zip(text.lines()).enumerate() {
        assert_eq!(is, want, "{page}:{}: not what the code says; see the block's head", number + 1);
    }
    assert_eq!(source(page).len(), text.len(), "{page} is shorter or longer than the code says");
    let empty = text.lines().position(|line| cells(line).iter().any(String::is_empty));
    assert_eq!(empty.map(|at| at + 1), None, "{page} has a row with a cell that nobody has filled");
    let known = text.matches("<!-- generated: ").count();
    assert_eq!(known, blocks.len(), "{page} has a block that nobody holds");
}

/// A field or a variant in a source text, with the comment that stands above it.
pub(crate) struct Item {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) about: String,
}

/// The fields of a struct, or the variants of an enum.
pub(crate) fn items(source: &str, head: &str) -> Vec<Item> {
    let from = source.find(head).unwrap_or_else(|| panic!("there is no `{head}`"));
    let mut about = Vec::new();
    let mut items = Vec::new();
    for line in source[from..].lines().skip(1).take_while(|line| *line != "}").map(str::trim) {
        if let Some(part) = line.strip_prefix("/// ") {
            about.push(part);
        } else if let Some(item) = line.strip_suffix(',').filter(|l| !l.starts_with("#[")) {
            let (name, kind) = item
                .strip_prefix("pub ")
                .unwrap_or(item)
                .split_once(": ")
                .unwrap_or((item.split(" = ").next().unwrap_or(item), ""));
            let about = std::mem::take(&mut about).join(" ");
            items.push(Item { name: name.to_owned(), kind: kind.to_owned(), about });
        }
    }
    assert!(!items.is_empty(), "`{head}` has nothing in it");
    items
}

/// The pictures in a module's header.
pub(crate) fn pictures(path: &str) -> Vec<String> {
    let source = source(path);
    let header = source.lines().map_while(|line| line.strip_prefix("//!"));
    let mut pictures: Vec<String> = Vec::new();
    let mut inside = false;
    for line in header.map(|line| line.strip_prefix(' ').unwrap_or(line)) {
        match line {
            "```text" => {
                inside = true;
                pictures.push(String::new());
            }
            "```" => inside = false,
            line if inside => {
                let picture = pictures.last_mut().expect("one was begun");
                picture.push_str(line.trim_end());
                picture.push('\n');
            }
            _ => {}
        }
    }
    pictures
}

/// A text as code.
pub(crate) fn code(text: &str) -> String {
    format!("`{text}`")
}
