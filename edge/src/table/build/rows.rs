//! Pass 1: rows are read by threads and gathered by partition.
//!
//! One thread cuts the input into pieces, the others read them. A bad row stands in a piece, and
//! pieces are given out in order: when the build ends because of one, all pieces before it were
//! read, so that it is the first one of the input whatever the number of threads.

use super::{
    BuildError, BuildOptions, check,
    dictionary::{Dictionary, SeenCodes},
    input::{
        Rows, Source, csv,
        lines::{Chunk, Lines},
        ndjson, parquet,
        row::{self, BadRow, Given, Row, shown},
    },
    partition::{Gathered, Numbered, Partitions},
    progress::Progress,
};
use ::parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use arrow_array::RecordBatch;
use brink_proto::table::Namespace;
use std::{
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, sync_channel},
    },
    thread,
};

/// Where rows go.
pub(super) struct Sink<'s> {
    pub(super) partitions: &'s Partitions,
    pub(super) dictionary: &'s Dictionary,
}

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) rows: u64,
    pub(super) bad_rows: u64,
    /// The first few of them.
    pub(super) bad_first: Vec<String>,
}

/// How many bad rows are shown.
const BAD_SHOWN: usize = 5;

/// Reads all rows.
pub(super) fn read(
    source: Source,
    sink: &Sink<'_>,
    options: &BuildOptions,
    progress: &mut Progress,
    stop: &AtomicBool,
) -> Result<Read, BuildError> {
    let shared = Shared::new(sink, options.skip_bad);
    let threads = options.threads();
    let Source { path, rows } = source;
    let is_parquet = matches!(rows, Rows::Parquet(_));
    let mut pieces = Pieces::of(rows).map_err(|text| shape(&path, text))?;
    // BOUND: a piece waits for each thread.
    let (queue, end) = sync_channel(threads);
    let end = Mutex::new(end);
    let (shared, end) = (&shared, &end);
    let reports = thread::scope(|scope| {
        let workers: Vec<_> =
            (0..threads).map(|_| scope.spawn(move || Worker::new(shared).run(end))).collect();
        let mut fed = Ok(());
        while !shared.is_over() {
            fed = check(stop);
            let piece = match pieces.next(&path) {
                Ok(Some(piece)) if fed.is_ok() => piece,
                Ok(_) => break,
                Err(error) => {
                    fed = Err(error);
                    break;
                }
            };
            // ORDER: a figure to be shown.
            progress.tick("reading", shared.rows.load(Ordering::Relaxed), "rows");
            if queue.send(piece).is_err() {
                break;
            }
        }
        drop(queue);
        let joined = workers.into_iter().map(|worker| worker.join().expect("it does not panic"));
        let reports: Result<Vec<Report>, BuildError> = joined.collect();
        fed.and(check(stop)).and(reports)
    })?;
    let what = if is_parquet { "row" } else { "line" };
    shared.told(&path, what, reports)
}

fn shape(path: &Path, text: String) -> BuildError {
    BuildError::Shape { path: path.to_owned(), text }
}

/// The input, piece by piece.
enum Pieces {
    Ndjson(Lines),
    Csv(Lines),
    Parquet(Box<ParquetRecordBatchReader>, usize),
}

/// What a thread takes at once.
enum Piece {
    Ndjson(Chunk),
    Csv(Chunk),
    Parquet(usize, RecordBatch),
}

impl Pieces {
    fn of(rows: Rows) -> Result<Pieces, String> {
        Ok(match rows {
            Rows::Ndjson(lines) => Pieces::Ndjson(lines),
            Rows::Csv(lines) => Pieces::Csv(lines),
            Rows::Parquet(file) => Pieces::Parquet(Box::new(parquet::batches(file)?), 0),
        })
    }

    fn next(&mut self, path: &Path) -> Result<Option<Piece>, BuildError> {
        let failed = |source| BuildError::input(path, source);
        Ok(match self {
            Pieces::Ndjson(lines) => lines.next().map_err(failed)?.map(Piece::Ndjson),
            Pieces::Csv(lines) => lines.next().map_err(failed)?.map(Piece::Csv),
            Pieces::Parquet(batches, index) => {
                let batch = batches.next().transpose();
                let batch = batch.map_err(|error| shape(path, error.to_string()))?;
                *index += 1;
                batch.map(|batch| Piece::Parquet(*index - 1, batch))
            }
        })
    }
}

/// What the threads share.
struct Shared<'s> {
    sink: &'s Sink<'s>,
    skip_bad: u64,
    rows: AtomicU64,
    bad_rows: AtomicU64,
    /// Whether a thread could not go on.
    failed: AtomicBool,
}

impl<'s> Shared<'s> {
    fn new(sink: &'s Sink<'s>, skip_bad: u64) -> Shared<'s> {
        let (rows, bad_rows, failed) = Default::default();
        Shared { sink, skip_bad, rows, bad_rows, failed }
    }

    /// Whether there were more bad rows than may be left out.
    fn is_too_bad(&self) -> bool {
        // ORDER: threads end a little later or earlier, and are waited for.
        self.bad_rows.load(Ordering::Relaxed) > self.skip_bad
    }

    fn is_over(&self) -> bool {
        // ORDER: as above.
        self.is_too_bad() || self.failed.load(Ordering::Relaxed)
    }

    fn told(&self, path: &Path, what: &str, reports: Vec<Report>) -> Result<Read, BuildError> {
        let mut lines: Vec<(usize, u64)> = Vec::new();
        let mut bad: Vec<Bad> = Vec::new();
        for report in reports {
            lines.extend(report.lines);
            bad.extend(report.bad);
        }
        lines.sort_unstable();
        bad.sort_unstable_by_key(|bad| (bad.piece, bad.line));
        let told = |bad: &Bad| {
            let before: u64 = lines.iter().take(bad.piece).map(|(_, lines)| lines).sum();
            format!("{}:{what} {}: {}", path.display(), before + bad.line, bad.text)
        };
        let mut bad_first: Vec<String> = bad.iter().take(BAD_SHOWN).map(told).collect();
        if self.is_too_bad() {
            let text = bad_first.swap_remove(0);
            return Err(BuildError::BadRow { text, allowed: self.skip_bad });
        }
        // ORDER: the threads that counted were joined.
        let (rows, bad_rows) =
            (self.rows.load(Ordering::Relaxed), self.bad_rows.load(Ordering::Relaxed));
        Ok(Read { rows, bad_rows, bad_first })
    }
}

/// A bad row.
struct Bad {
    piece: usize,
    /// From 1, in its piece.
    line: u64,
    text: String,
}

/// What one thread tells at its end.
#[derive(Default)]
struct Report {
    /// How many lines each of its pieces has.
    lines: Vec<(usize, u64)>,
    /// Its first bad rows.
    bad: Vec<Bad>,
}

/// One thread.
struct Worker<'s> {
    shared: &'s Shared<'s>,
    codes: SeenCodes<'s>,
    gathered: Gathered<'s>,
    numbers: Vec<u32>,
    /// Rows of one namespace often come together.
    namespace: (Vec<u8>, Namespace),
    report: Report,
}

impl<'s> Worker<'s> {
    fn new(shared: &'s Shared<'s>) -> Worker<'s> {
        Worker {
            shared,
            codes: SeenCodes::new(shared.sink.dictionary),
            gathered: Gathered::new(shared.sink.partitions),
            numbers: Vec::new(),
            namespace: (Vec::new(), Namespace::new("")),
            report: Report::default(),
        }
    }

    fn run(mut self, pieces: &Mutex<Receiver<Piece>>) -> Result<Report, BuildError> {
        // The lock is given back as soon as a piece was taken.
        let next = || pieces.lock().unwrap_or_else(PoisonError::into_inner).recv().ok();
        let mut read = Ok(());
        while let Some(piece) = next() {
            // When it is over, pieces are taken all the same: nobody may wait for room.
            if read.is_err() || self.shared.is_over() {
                continue;
            }
            read = match piece {
                Piece::Ndjson(chunk) => self.lines(&chunk, |_| false, ndjson::parse),
                Piece::Csv(chunk) => self.lines(&chunk, csv::is_head, csv::parse),
                Piece::Parquet(index, batch) => self.batch(index, &batch),
            };
            if read.is_err() {
                // ORDER: as for bad rows.
                self.shared.failed.store(true, Ordering::Relaxed);
            }
        }
        read?;
        self.gathered.finish()?;
        Ok(self.report)
    }

    fn lines<'c>(
        &mut self,
        chunk: &'c Chunk,
        is_head: impl Fn(&[u8]) -> bool,
        parse: impl Fn(&'c [u8], &mut Vec<Given<'c>>) -> Result<Row<'c>, BadRow>,
    ) -> Result<(), BuildError> {
        let mut segments = Vec::new();
        let mut rest = chunk.bytes.as_slice();
        let mut line = 0;
        let mut rows = 0;
        while !rest.is_empty() {
            let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            let text = &rest[..end];
            rest = rest.get(end + 1..).unwrap_or_default();
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            line += 1;
            if text.is_empty() || (chunk.index == 0 && line == 1 && is_head(text)) {
                continue;
            }
            segments.clear();
            let parsed = parse(text, &mut segments);
            rows += self.take(parsed, &segments, (chunk.index, line))?;
        }
        self.end_piece(chunk.index, line, rows);
        Ok(())
    }

    fn batch(&mut self, index: usize, batch: &RecordBatch) -> Result<(), BuildError> {
        let columns = match parquet::Columns::of(batch) {
            Ok(columns) => columns,
            Err(text) => return Err(BuildError::Shape { path: "Parquet".into(), text }),
        };
        let mut segments = Vec::new();
        let mut rows = 0;
        for at in 0..batch.num_rows() {
            segments.clear();
            let parsed = columns.row(at, &mut segments);
            rows += self.take(parsed, &segments, (index, at as u64 + 1))?;
        }
        self.end_piece(index, batch.num_rows() as u64, rows);
        Ok(())
    }

    fn end_piece(&mut self, index: usize, lines: u64, rows: u64) {
        self.report.lines.push((index, lines));
        // ORDER: a figure; the end of the thread orders it.
        self.shared.rows.fetch_add(rows, Ordering::Relaxed);
    }

    /// Keeps a row, or notes that it is bad. Returns how many rows were kept.
    fn take(
        &mut self,
        parsed: Result<Row<'_>, BadRow>,
        segments: &[Given<'_>],
        (piece, line): (usize, u64),
    ) -> Result<u64, BuildError> {
        let kept = parsed.map_err(Refusal::Bad).and_then(|row| self.keep(&row, segments));
        let bad = match kept {
            Ok(()) => return Ok(1),
            Err(Refusal::Bad(bad)) => bad,
            Err(Refusal::Failed(error)) => return Err(error),
        };
        if self.report.bad.len() < BAD_SHOWN {
            self.report.bad.push(Bad { piece, line, text: bad.to_string() });
        }
        // ORDER: a count; see `is_over`.
        self.shared.bad_rows.fetch_add(1, Ordering::Relaxed);
        Ok(0)
    }

    fn keep(&mut self, row: &Row<'_>, segments: &[Given<'_>]) -> Result<(), Refusal> {
        row::check(row, segments.len()).map_err(Refusal::Bad)?;
        if self.namespace.0 != *row.namespace {
            let name = String::from_utf8_lossy(&row.namespace);
            self.namespace = (row.namespace.to_vec(), Namespace::new(&name));
        }
        let codes = segments.iter().map(|segment| &*segment.code);
        let numbered = self.codes.number_all(codes, &mut self.numbers);
        numbered.map_err(|code| Refusal::Bad(BadRow::Code(shown(code))))?;
        let numbered = segments.iter().zip(&self.numbers).map(|(segment, number)| Numbered {
            number: *number,
            price: segment.price,
            score: segment.score,
        });
        let key = self.namespace.1.key(&row.id);
        self.gathered.push(key, row.base_price, numbered).map_err(Refusal::Failed)
    }
}

/// Why a row was not kept.
enum Refusal {
    Bad(BadRow),
    Failed(BuildError),
}
