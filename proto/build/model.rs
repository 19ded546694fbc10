//! The definition as the generators want it: topics and fields with what their comments promise.

use prost_types::{
    DescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet,
    field_descriptor_proto::Type,
};
use std::collections::BTreeMap;

pub(crate) struct Topic {
    pub(crate) message: String,
    pub(crate) topic: String,
    pub(crate) schema: u32,
    pub(crate) class: String,
    pub(crate) about: String,
    /// Fields 1 to 12, the same in every topic.
    pub(crate) stamp: Vec<Field>,
    /// Fields from 16 on, which the role describes.
    pub(crate) row: Vec<Field>,
}

#[derive(Clone, PartialEq)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) number: i32,
    pub(crate) kind: Kind,
    pub(crate) nullable: bool,
    pub(crate) about: String,
    pub(crate) unit: String,
    pub(crate) null: String,
    pub(crate) example: String,
    pub(crate) limit: Option<usize>,
    pub(crate) bloom: bool,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    Text,
    Int32,
    Int64,
    Bool,
    TimeMicros,
}

/// The field that the encoder fills in by itself when a text was cut.
pub(crate) const TRUNCATED: &str = "truncated";

const STAMP_LAST: i32 = 12;
const ROW_FIRST: i32 = 16;

pub(crate) fn topics(set: &FileDescriptorSet) -> Result<Vec<Topic>, String> {
    let file = set.file.first().ok_or("events.proto has no file descriptor")?;
    let comments = comments(file);
    let topics = file
        .message_type
        .iter()
        .enumerate()
        .map(|(index, message)| topic(index as i32, message, &comments))
        .collect::<Result<Vec<_>, _>>()?;
    let first = topics.first().ok_or("events.proto has no message")?;
    for other in &topics {
        if other.stamp != first.stamp {
            let (a, b) = (&first.message, &other.message);
            return Err(format!("fields 1 to 12 of {b} differ from those of {a}"));
        }
    }
    Ok(topics)
}

type Comments = BTreeMap<Vec<i32>, String>;

fn comments(file: &FileDescriptorProto) -> Comments {
    let info = file.source_code_info.as_ref();
    info.map(|info| {
        info.location.iter().map(|l| (l.path.clone(), l.leading_comments().to_owned())).collect()
    })
    .unwrap_or_default()
}

fn topic(index: i32, message: &DescriptorProto, comments: &Comments) -> Result<Topic, String> {
    let name = message.name();
    let note = Note::read(comments.get(&vec![4, index]), name)?;
    let mut stamp = Vec::new();
    let mut row = Vec::new();
    for (at, field) in message.field.iter().enumerate() {
        let path = vec![4, index, 2, at as i32];
        let field = self::field(field, comments.get(&path), name)?;
        match field.number {
            1..=STAMP_LAST => stamp.push(field),
            ROW_FIRST.. => row.push(field),
            n => return Err(format!("{name}.{}: number {n} is kept for the stamp", field.name)),
        }
    }
    Ok(Topic {
        message: name.to_owned(),
        topic: note.must("topic")?,
        schema: note.must("schema")?.parse().map_err(|e| format!("{name}: schema: {e}"))?,
        class: note.must("class")?,
        about: note.about,
        stamp,
        row,
    })
}

fn field(
    field: &FieldDescriptorProto,
    comment: Option<&String>,
    message: &str,
) -> Result<Field, String> {
    let name = format!("{message}.{}", field.name());
    let note = Note::read(comment, &name)?;
    let parquet = note.pairs.get("parquet").map(String::as_str).unwrap_or_default();
    let kind = match (field.r#type(), parquet) {
        (Type::Int64, "timestamp") => Kind::TimeMicros,
        (Type::Int64, _) => Kind::Int64,
        (Type::Int32, _) => Kind::Int32,
        (Type::Bool, _) => Kind::Bool,
        (Type::String, _) => Kind::Text,
        (other, _) => return Err(format!("{name}: no column type for {other:?}")),
    };
    let limit = match note.pairs.get("limit") {
        Some(text) => Some(text.parse().map_err(|e| format!("{name}: limit: {e}"))?),
        None if kind == Kind::Text && field.number() >= ROW_FIRST => {
            return Err(format!("{name}: a text needs a limit"));
        }
        None => None,
    };
    Ok(Field {
        name: field.name().to_owned(),
        number: field.number(),
        kind,
        nullable: field.proto3_optional(),
        unit: note.must("unit")?,
        null: note.must("null")?,
        example: note.must("example")?,
        limit,
        bloom: parquet == "bloom",
        about: note.about,
    })
}

/// A comment, split into its prose and its `key: value` lines.
struct Note {
    owner: String,
    about: String,
    pairs: BTreeMap<String, String>,
}

const KEYS: [&str; 8] = ["topic", "schema", "class", "unit", "null", "example", "limit", "parquet"];

impl Note {
    fn read(comment: Option<&String>, owner: &str) -> Result<Note, String> {
        let comment = comment.ok_or_else(|| format!("{owner} has no comment"))?;
        let mut note =
            Note { owner: owner.to_owned(), about: String::new(), pairs: BTreeMap::new() };
        for line in comment.lines().map(str::trim).filter(|line| !line.is_empty()) {
            match line.split_once(": ").filter(|(key, _)| KEYS.contains(key)) {
                Some((key, value)) => {
                    note.pairs.insert(key.to_owned(), value.to_owned());
                }
                None => {
                    let space = if note.about.is_empty() { "" } else { " " };
                    note.about = format!("{}{space}{line}", note.about);
                }
            }
        }
        if note.about.is_empty() {
            return Err(format!("{owner}: the comment says nothing but keys"));
        }
        Ok(note)
    }

    fn must(&self, key: &str) -> Result<String, String> {
        let value = self.pairs.get(key).cloned();
        value.ok_or_else(|| format!("{}: the comment lacks a line `{key}: …`", self.owner))
    }
}
