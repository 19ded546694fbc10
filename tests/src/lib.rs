//! Whole-appliance tests live in `tests/`, one theme per file.
#![forbid(unsafe_code)]
