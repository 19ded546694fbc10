//! Writes the borrowed encoders: one struct of borrowed fields per topic, and its `Row`.

use super::model::{Field, Kind, TRUNCATED, Topic};
use std::fmt::Write;

pub(crate) fn render(topics: &[Topic]) -> String {
    let mut out = String::new();
    for topic in topics {
        structure(&mut out, topic);
        row(&mut out, topic);
        limits(&mut out, topic);
    }
    out
}

fn described(topic: &Topic) -> impl Iterator<Item = &Field> {
    topic.row.iter().filter(|f| f.name != TRUNCATED)
}

fn structure(out: &mut String, topic: &Topic) {
    let _ =
        writeln!(out, "/// What a role says of one `{}` row; the tap adds the stamp.", topic.topic);
    let _ = writeln!(out, "#[derive(Debug, Clone, Copy)]\npub struct {}Row<'a> {{", topic.message);
    for f in described(topic) {
        let plain = match f.kind {
            Kind::Text => format!("Text<'a, {}>", f.limit.unwrap_or(0)),
            Kind::Int32 => "i32".to_owned(),
            Kind::Int64 | Kind::TimeMicros => "i64".to_owned(),
            Kind::Bool => "bool".to_owned(),
        };
        let kind = if f.nullable { format!("Option<{plain}>") } else { plain };
        let _ = writeln!(out, "    /// {}\n    pub {}: {kind},", f.about, f.name);
    }
    let _ = writeln!(out, "}}\n");
}

fn row(out: &mut String, topic: &Topic) {
    let _ = writeln!(out, "impl Row for {}Row<'_> {{", topic.message);
    let _ = writeln!(out, "    fn schema(&self) -> &'static Schema {{");
    let _ = writeln!(out, "        &schema::{}\n    }}\n", topic.topic.to_uppercase());
    let _ = writeln!(out, "    fn encoded_bytes(&self) -> usize {{\n        let mut bytes = 0;");
    for f in described(topic) {
        let size = |v: &str| match f.kind {
            Kind::Text => format!("wire::bytes_field_bytes({}, {v}.encoded_bytes())", f.number),
            Kind::Bool => format!("wire::varint_field_bytes({}, u64::from({v}))", f.number),
            Kind::Int32 => {
                format!("wire::varint_field_bytes({}, i64::from({v}) as u64)", f.number)
            }
            Kind::Int64 | Kind::TimeMicros => {
                format!("wire::varint_field_bytes({}, {v} as u64)", f.number)
            }
        };
        each(out, f, |v| format!("bytes += {};", size(v)));
    }
    let number = topic.row.iter().find(|f| f.name == TRUNCATED).map(|f| f.number);
    if let Some(n) = number {
        let _ = writeln!(
            out,
            "        if self.is_cut() {{ bytes += wire::varint_field_bytes({n}, 1); }}"
        );
    }
    let _ = writeln!(out, "        bytes\n    }}\n");

    let _ = writeln!(out, "    fn encode(&self, out: &mut Writer<'_>) {{");
    for f in described(topic) {
        each(out, f, |v| match f.kind {
            Kind::Text => format!("{v}.encode({}, out);", f.number),
            Kind::Bool => format!("out.varint_field({}, u64::from({v}));", f.number),
            Kind::Int32 => format!("out.varint_field({}, i64::from({v}) as u64);", f.number),
            Kind::Int64 | Kind::TimeMicros => {
                format!("out.varint_field({}, {v} as u64);", f.number)
            }
        });
    }
    if let Some(n) = number {
        let _ = writeln!(out, "        if self.is_cut() {{ out.varint_field({n}, 1); }}");
    }
    let _ = writeln!(out, "    }}\n}}\n");
}

/// One line for a field that is always there, a conditional for one that may be null. A plain text
/// that is empty is left out, as proto3 does with defaults.
fn each(out: &mut String, f: &Field, line: impl Fn(&str) -> String) {
    let name = &f.name;
    let _ = if f.nullable {
        writeln!(out, "        if let Some(v) = &self.{name} {{ let v = *v; {} }}", line("v"))
    } else if f.kind == Kind::Text {
        let own = format!("self.{name}");
        writeln!(out, "        if !self.{name}.is_empty() {{ {} }}", line(&own))
    } else {
        writeln!(out, "        {}", line(&format!("self.{name}")))
    };
}

/// The longest row, and whether a text was cut.
fn limits(out: &mut String, topic: &Topic) {
    let sum: usize = topic.row.iter().map(|f| 8 + f.limit.unwrap_or(10)).sum();
    let cuts: Vec<_> = described(topic)
        .filter(|f| f.kind == Kind::Text)
        .map(|f| match f.nullable {
            true => format!("self.{0}.is_some_and(|t| t.is_cut())", f.name),
            false => format!("self.{0}.is_cut()", f.name),
        })
        .collect();
    let _ = writeln!(out, "impl {}Row<'_> {{", topic.message);
    let _ = writeln!(out, "    /// No row of this topic encodes to more.");
    let _ = writeln!(out, "    pub const BYTES_MAX: usize = {sum};\n");
    let _ = writeln!(out, "    /// Whether a text was longer than its limit.");
    let _ = writeln!(out, "    #[must_use]\n    pub fn is_cut(&self) -> bool {{");
    let _ = writeln!(out, "        {}\n    }}\n}}", cuts.join(" || "));
    let message = &topic.message;
    let _ = writeln!(
        out,
        "const _: () = assert!({message}Row::BYTES_MAX + crate::event::STAMP_BYTES_MAX <= crate::event::EVENT_BYTES_MAX);\n"
    );
}
