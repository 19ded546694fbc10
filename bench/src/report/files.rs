//! The files of a report: JSON for machines, `.hgrm` and `.hlog` for HdrHistogram's tools, a page
//! for people. All of them are made from the JSON, so any can be made again from that.

use super::{FORMAT, HistogramError, Report, hgrm, hlog, html, names::plain_names};
use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

/// Why a report's files cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system does not let us read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// What.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system does not let us write.
    #[error("cannot write {path}: {source}")]
    Write {
        /// What.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is not what `bench run` saves.
    #[error("{path} is no report: {source}; `bench run --out DIR` saves one as DIR/report.json")]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// Another version of this program has saved it.
    #[error("{path} has format {found}, and this program reads format {FORMAT}")]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// A histogram in it is broken.
    #[error(transparent)]
    Histogram(#[from] HistogramError),
}

/// Reads a report from its JSON.
///
/// # Errors
/// [`FileError`] when there is none.
pub fn read(path: &Path) -> Result<Report, FileError> {
    let failed = |source| FileError::Read { path: path.to_owned(), source };
    let text = fs::read(path).map_err(failed)?;
    let json = |source| FileError::Json { path: path.to_owned(), source };
    // The format first: another one may lack what this one has.
    let format: Format = serde_json::from_slice(&text).map_err(json)?;
    if format.format != FORMAT {
        return Err(FileError::Format { path: path.to_owned(), found: format.format });
    }
    serde_json::from_slice(&text).map_err(json)
}

#[derive(serde::Deserialize)]
struct Format {
    format: u32,
}

/// Writes all files of a report into a folder, which is made if it is not there: `report.json`,
/// `report.html`, `report.hlog`, and `report.hgrm` or, with several rounds, one for each.
///
/// # Errors
/// [`FileError`] when they cannot be written.
pub fn write_all(report: &Report, folder: &Path) -> Result<Vec<PathBuf>, FileError> {
    let failed = |source| FileError::Write { path: folder.to_owned(), source };
    fs::create_dir_all(folder).map_err(failed)?;
    let file = |extension: &str| folder.join("report").with_extension(extension);
    let mut paths = vec![file("json"), file("html"), file("hlog")];
    write_json(report, &paths[0])?;
    write_html(report, &paths[1])?;
    write_hlog(report, &paths[2])?;
    paths.extend(write_hgrm(report, &file("hgrm"))?);
    Ok(paths)
}

/// Writes the JSON.
///
/// # Errors
/// [`FileError`] when it cannot be written.
pub fn write_json(report: &Report, path: &Path) -> Result<(), FileError> {
    let json = |source| FileError::Json { path: path.to_owned(), source };
    let mut text = serde_json::to_vec(report).map_err(json)?;
    text.push(b'\n');
    write(path, &text)
}

/// Writes the page.
///
/// # Errors
/// [`FileError`] when it cannot be written, or a histogram cannot be read.
pub fn write_html(report: &Report, path: &Path) -> Result<(), FileError> {
    write(path, html::page(report)?.as_bytes())
}

/// Writes the interval log.
///
/// # Errors
/// [`FileError`] when it cannot be written, or a histogram cannot be read.
pub fn write_hlog(report: &Report, path: &Path) -> Result<(), FileError> {
    write(path, &hlog::log(report)?)
}

/// Writes the percentile distribution. A file holds one, and those of different rates have no sum
/// that means anything: with several rounds each has a file, with its name before the extension.
///
/// # Errors
/// [`FileError`] when it cannot be written, or a histogram cannot be read.
pub fn write_hgrm(report: &Report, path: &Path) -> Result<Vec<PathBuf>, FileError> {
    let several = report.rounds.len() > 1;
    let mut paths = Vec::with_capacity(report.rounds.len());
    for (round, name) in report.rounds.iter().zip(plain_names(report)) {
        let path = if several { with_name(path, &name) } else { path.to_owned() };
        let what = format!("{}, {}: latency from when requests were due", report.title, round.name);
        let mut text = Vec::new();
        let written = hgrm::write(&round.intended.decode()?, &what, &mut text);
        written.map_err(|source| FileError::Write { path: path.clone(), source })?;
        write(&path, &text)?;
        paths.push(path);
    }
    Ok(paths)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    fs::write(path, bytes).map_err(|source| FileError::Write { path: path.to_owned(), source })
}

/// `a.hgrm` and `50` are `a-50.hgrm`.
fn with_name(path: &Path, name: &str) -> PathBuf {
    let mut file: OsString = path.file_stem().unwrap_or_default().to_owned();
    file.push(format!("-{name}"));
    if let Some(extension) = path.extension() {
        file.push(".");
        file.push(extension);
    }
    path.with_file_name(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn names(paths: &[PathBuf]) -> Vec<&str> {
        paths.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect()
    }

    #[test]
    fn a_report_is_read_back_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let report = sample::plain(6);
        let paths = write_all(&report, &folder.path().join("new")).unwrap();
        assert_eq!(names(&paths), ["report.json", "report.html", "report.hlog", "report.hgrm"]);
        assert_eq!(read(&paths[0]).unwrap(), report);
        assert!(paths.iter().all(|path| path.metadata().unwrap().len() > 100));
    }

    #[test]
    fn each_round_of_a_ladder_has_its_own_distribution() {
        let folder = tempfile::tempdir().unwrap();
        let mut report = sample::ladder(2);
        report.rounds.truncate(3);
        report.rounds[1].name = "../a b".to_owned();
        report.rounds[2].name = "…".to_owned();
        let paths = write_hgrm(&report, &folder.path().join("a.hgrm")).unwrap();
        assert_eq!(names(&paths), ["a-10.hgrm", "a-..-a-b.hgrm", "a--3.hgrm"]);
        assert!(paths.iter().all(|path| path.parent() == Some(folder.path()) && path.exists()));
    }

    #[test]
    fn what_is_no_report_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        let error = |text: &str| {
            fs::write(&path, text).unwrap();
            read(&path).unwrap_err().to_string()
        };
        assert!(error("{\"format\":9}").contains("format 9"));
        for text in ["", "[]", "{}", "{\"format\":1}", "{\"format\":-1}"] {
            assert!(error(text).contains("is no report"), "{text}");
        }
        let missing = read(&folder.path().join("missing.json")).unwrap_err();
        assert!(missing.to_string().starts_with("cannot read "), "{missing}");
    }
}
