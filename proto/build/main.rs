//! Makes Rust from `events.proto`: prost's decoder, the borrowed encoder, and the column tables.
//!
//! protox parses the file, so no system `protoc` is needed. What the comments say (`unit:`,
//! `null:`, `limit:` …) is part of the definition: a field without them fails the build here
//! rather than leaving a hole in docs/events.md.

mod columns;
mod model;
mod rows;

use std::{env, error::Error, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=events.proto");
    println!("cargo::rerun-if-changed=build");

    let mut compiler = protox::Compiler::new(["."])?;
    compiler.include_source_info(true).open_file("events.proto")?;
    let descriptors = compiler.file_descriptor_set();

    let topics = model::topics(&descriptors)?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("columns.rs"), columns::render(&topics))?;
    fs::write(out.join("rows.rs"), rows::render(&topics))?;
    fs::write(out.join("events.desc"), compiler.encode_file_descriptor_set())?;

    prost_build::Config::new().disable_comments(["."]).compile_fds(descriptors)?;
    Ok(())
}
