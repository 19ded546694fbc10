//! `bench report`: the files of a saved report, made again from its JSON.

use super::{Report, files, files::FileError};
use clap::Args;
use std::{path::PathBuf, process::ExitCode};

/// What can be said on the command line.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Example:\n  bench report pixel/report.json --html pixel.html")]
pub struct RemakeOptions {
    /// The report.json that `bench run --out` has saved.
    pub file: PathBuf,
    /// Writes the page for people, which needs nothing else.
    #[arg(long, required_unless_present_any = ["hgrm", "hlog", "out"])]
    pub html: Option<PathBuf>,
    /// Writes the percentile distribution, in microseconds; of several rounds one file for each,
    /// with the round's name before the extension.
    #[arg(long)]
    pub hgrm: Option<PathBuf>,
    /// Writes the interval log, one histogram per second.
    #[arg(long)]
    pub hlog: Option<PathBuf>,
    /// Writes all files into a folder, as `bench run` does.
    #[arg(long)]
    pub out: Option<PathBuf>,
}

/// Reads, writes, and says what it wrote. 0: all is written; 2: something is not.
#[must_use]
pub fn run(options: &RemakeOptions) -> ExitCode {
    let written = files::read(&options.file).and_then(|report| write(&report, options));
    match written {
        Ok(paths) => {
            paths.iter().for_each(|path| eprintln!("wrote {}", path.display()));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("bench report: {error}");
            ExitCode::from(2)
        }
    }
}

fn write(report: &Report, options: &RemakeOptions) -> Result<Vec<PathBuf>, FileError> {
    let mut paths = Vec::new();
    if let Some(path) = &options.html {
        files::write_html(report, path)?;
        paths.push(path.clone());
    }
    if let Some(path) = &options.hlog {
        files::write_hlog(report, path)?;
        paths.push(path.clone());
    }
    if let Some(path) = &options.hgrm {
        paths.extend(files::write_hgrm(report, path)?);
    }
    if let Some(folder) = &options.out {
        paths.extend(files::write_all(report, folder)?);
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: RemakeOptions,
    }

    #[test]
    fn the_files_made_again_are_those_that_the_run_wrote() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let first = files::write_all(&sample::plain(2), &folder.path().join("run")).unwrap();
        let (json, html, hgrm, hlog) =
            (path("run/report.json"), path("a.html"), path("a.hgrm"), path("a.hlog"));
        let words = ["report", &json, "--html", &html, "--hgrm", &hgrm, "--hlog", &hlog];
        let line = Line::try_parse_from(words).unwrap();
        let report = files::read(&line.options.file).unwrap();
        let again = write(&report, &line.options).unwrap();
        assert_eq!(again.len(), 3);
        let bytes = |paths: &[PathBuf]| -> Vec<Vec<u8>> {
            paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
        };
        assert_eq!(bytes(&again), bytes(&first[1..]));
    }

    #[test]
    fn nothing_to_write_is_refused() {
        assert!(Line::try_parse_from(["report", "a.json"]).is_err());
        for file in ["--html", "--hgrm", "--hlog", "--out"] {
            assert!(Line::try_parse_from(["report", "a.json", file, "b"]).is_ok(), "{file}");
        }
    }
}
