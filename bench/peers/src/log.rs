//! An access log as nginx keeps one with `buffer=64k flush=1s`: lines are gathered and written
//! together.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
    time::{Duration, Instant},
};

/// Written when it holds so much, or when it was not written for [`FLUSH`].
const BUFFER_BYTES: usize = 64 * 1024;

/// How long a line may wait for the next one.
const FLUSH: Duration = Duration::from_secs(1);

/// An access log.
#[derive(Debug)]
pub struct Log {
    file: File,
    buffer: Vec<u8>,
    flushed: Instant,
}

impl Log {
    /// A new one.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn create(path: &Path) -> io::Result<Log> {
        let (file, buffer) = (File::create(path)?, Vec::with_capacity(2 * BUFFER_BYTES));
        Ok(Log { file, buffer, flushed: Instant::now() })
    }

    /// Adds a line, which `write` writes without its end.
    ///
    /// # Errors
    /// When lines that were gathered cannot be written.
    pub fn line(&mut self, write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> io::Result<()> {
        write(&mut self.buffer)?;
        self.buffer.push(b'\n');
        if self.buffer.len() >= BUFFER_BYTES || self.flushed.elapsed() >= FLUSH {
            self.flush()?;
        }
        Ok(())
    }

    /// Writes what was gathered.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn flush(&mut self) -> io::Result<()> {
        self.file.write_all(&self.buffer)?;
        self.buffer.clear();
        self.flushed = Instant::now();
        Ok(())
    }
}
