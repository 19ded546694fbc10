//! Valgrind's callgrind, run on this binary, and what it has written.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

/// Instructions, by whose code they are in.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Instructions {
    /// Rust's, in this binary.
    pub(super) rust: u64,
    /// C's, in this binary: that is zstd.
    pub(super) c: u64,
    /// In libraries: copies, comparisons and fills of libc.
    pub(super) libraries: u64,
}

/// What is counted.
pub(super) struct Counted<'a> {
    /// The function that is counted, and all that it calls: a part of its name.
    pub(super) function: &'a str,
    /// But for this one, and what it calls in libraries.
    pub(super) but: &'a str,
}

/// Runs this binary with `--run` and `argument` under callgrind; what was counted, and what the run
/// has written.
///
/// # Errors
/// A text that says what is missing.
pub(super) fn count(argument: &str, what: &Counted<'_>) -> Result<(Instructions, String), String> {
    let this = std::env::current_exe().map_err(|e| format!("this binary: {e}"))?;
    let folder = tempfile::tempdir().map_err(|e| format!("a temporary folder: {e}"))?;
    let out = folder.path().join("callgrind.out");
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--quiet", "--compress-strings=no", "--compress-pos=no"]);
    command.arg(format!("--callgrind-out-file={}", out.display()));
    command.arg(format!("--toggle-collect=*{}*", what.function));
    command.arg(&this).arg("--run").arg(argument).stderr(Stdio::inherit());
    let ran = command.output().map_err(|e| {
        format!("valgrind cannot be run ({e}); install it: apt-get install valgrind")
    })?;
    if !ran.status.success() {
        let what = format!("{} --run {argument}", this.display());
        return Err(format!("valgrind ended with {}; without it, run {what}", ran.status));
    }
    let text = fs::read_to_string(&out).map_err(|e| format!("{}: {e}", out.display()))?;
    Ok((sum(&text, &this, what.but), String::from_utf8_lossy(&ran.stdout).into_owned()))
}

/// Adds up the costs of functions themselves.
///
/// ```text
///  ob=…  fn=…            whose costs follow
///  12 7                  line and cost
///  cob=…  cfn=…          what it calls; no cob is the same object
///  calls=3 90
///  13 21                 line and cost of those calls, which stands under the callee, too
/// ```
fn sum(text: &str, this: &Path, but: &str) -> Instructions {
    let is_ours = |object: &str| Path::new(object) == this;
    let mut all = Instructions::default();
    let mut of_libraries_for_but = 0;
    let (mut ours, mut callee_is_ours, mut is_call) = (false, false, false);
    let mut function = "";
    for line in text.lines() {
        if let Some(object) = line.strip_prefix("ob=") {
            ours = is_ours(object);
            callee_is_ours = ours;
        } else if let Some(name) = line.strip_prefix("fn=") {
            function = name;
        } else if let Some(object) = line.strip_prefix("cob=") {
            callee_is_ours = is_ours(object);
        } else if line.starts_with("calls=") {
            is_call = true;
        } else if line.starts_with(|c: char| c.is_ascii_digit()) {
            let cost = line.split(' ').nth(1).and_then(|cost| cost.parse().ok()).unwrap_or(0);
            let is_but = function.contains(but);
            if std::mem::take(&mut is_call) {
                let to_library = ours && !std::mem::replace(&mut callee_is_ours, ours);
                of_libraries_for_but += if is_but && to_library { cost } else { 0 };
            } else if !ours {
                all.libraries += cost;
            } else if !is_rust(function) {
                all.c += cost;
            } else if !is_but {
                all.rust += cost;
            }
        }
    }
    all.libraries -= of_libraries_for_but;
    all
}

/// Whether a name is one of Rust's, which have a path, demangled or not.
fn is_rust(function: &str) -> bool {
    function.contains("::") || function.starts_with("_R") || function.starts_with("_ZN")
}
