//! Writes the column tables: what `proto::schema` shows of each topic.

use super::model::{Field, Kind, Topic};
use std::fmt::Write;

pub(crate) fn render(topics: &[Topic]) -> String {
    let mut out = String::new();
    if let Some(first) = topics.first() {
        let _ = writeln!(out, "/// Fields 1 to 12, the same in every topic; the tap writes them.");
        table(&mut out, "STAMP", &first.stamp);
    }
    for topic in topics {
        let upper = topic.topic.to_uppercase();
        table(&mut out, &format!("{upper}_ROW"), &topic.row);
        let _ = writeln!(
            out,
            "/// {}\npub static {upper}: Schema = Schema {{ topic: {:?}, message: {:?}, version: {}, \
             class: Class::{}, about: {:?}, row: {upper}_ROW }};",
            topic.about,
            topic.topic,
            topic.message,
            topic.schema,
            capital(&topic.class),
            topic.about,
        );
    }
    let names: Vec<_> = topics.iter().map(|t| format!("&{}", t.topic.to_uppercase())).collect();
    let _ = writeln!(out, "/// Every topic of this build, in the order of events.proto.");
    let _ = writeln!(out, "pub static TOPICS: &[&Schema] = &[{}];", names.join(", "));
    out
}

fn table(out: &mut String, name: &str, fields: &[Field]) {
    let visibility = if name == "STAMP" { "pub " } else { "" };
    let _ = writeln!(out, "{visibility}static {name}: &[Field] = &[");
    for f in fields {
        let kind = match f.kind {
            Kind::Text => "Text",
            Kind::Int32 => "Int32",
            Kind::Int64 => "Int64",
            Kind::Bool => "Bool",
            Kind::TimeMicros => "TimeMicros",
        };
        let _ = writeln!(
            out,
            "    Field {{ number: {}, name: {:?}, kind: Kind::{kind}, nullable: {}, bloom: {}, \
             about: {:?}, unit: {:?}, null: {:?}, example: {:?}, bytes_max: {:?} }},",
            f.number, f.name, f.nullable, f.bloom, f.about, f.unit, f.null, f.example, f.limit,
        );
    }
    let _ = writeln!(out, "];");
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|c| c.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
