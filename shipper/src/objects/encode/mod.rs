//! The encoder: a thread of low priority that turns frames into Parquet, one object at a time.
//!
//! Payloads are read through the spool, so that appends come first on the disk; they are checked
//! against their checksums once more, decompressed, and appended row by row. Memory is one object.

mod columns;
mod file;

pub(crate) use file::DIGEST_KEY;

use super::plan::Plan;
use crate::{
    spool::{
        payload::Unpacker,
        port::{FrameBytes, ReadEnd, ReadFault},
    },
    steps::Step,
    threads::{Weight, settle},
};
use brink_proto::{
    frame::{FrameHeader, LogPosition},
    kafka::record::records,
    schema::Schema,
};
use file::{File, FileError};
use std::{
    io,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::{self, JoinHandle},
    time::Duration,
};
use tokio::sync::oneshot;

/// An encoded object.
#[derive(Debug)]
pub struct Encoded {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its rows.
    pub rows: u64,
}

/// Why an object could not be encoded.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// The payload of a frame is not what was written; the spool keeps a copy.
    #[error("the frame at {0} is corrupt")]
    Corrupt(LogPosition),
    /// The payload is what was written, and is no batch of this schema.
    #[error("the frame at {at} cannot be decoded: {text}")]
    Undecodable {
        /// The frame.
        at: LogPosition,
        /// What is wrong.
        text: String,
    },
    /// The disk answered with an error that may pass.
    #[error("the frame at {0} cannot be read now")]
    Disk(LogPosition),
    /// No schema of this build has the frames' topic.
    #[error("topic {0:?} is unknown to this build; its frames stay in the spool")]
    UnknownTopic(String),
    /// The Parquet writer refused.
    #[error("{0}")]
    Writer(String),
    /// The spool or the encoder is gone.
    #[error("the encoder has ended")]
    Gone,
}

struct Job {
    plan: Plan,
    reply: oneshot::Sender<(Plan, Result<Encoded, EncodeError>)>,
}

/// The encoder thread.
pub struct Encoder {
    jobs: SyncSender<Job>,
    thread: JoinHandle<()>,
}

impl Encoder {
    /// Starts the thread. It may run on `cpus` only, at the lowest priority.
    ///
    /// # Errors
    /// What the system said when no thread could be had.
    pub fn spawn(
        reads: ReadEnd,
        schemas: Vec<&'static Schema>,
        cpus: Vec<usize>,
    ) -> io::Result<Encoder> {
        // BOUND: whoever asks waits for the answer before it asks again.
        let (jobs, inbox) = sync_channel(1);
        let unpacker = Unpacker::new()?;
        let thread = thread::Builder::new().name("encode".to_owned()).spawn(move || {
            settle(&cpus, Weight::Lowest);
            Worker { reads, schemas, unpacker }.run(&inbox);
        })?;
        Ok(Encoder { jobs, thread })
    }

    /// Encodes one object; gives the plan back.
    pub async fn encode(
        &self,
        plan: Plan,
    ) -> Result<(Plan, Result<Encoded, EncodeError>), EncodeError> {
        let (reply, answer) = oneshot::channel();
        self.jobs.try_send(Job { plan, reply }).map_err(|_| EncodeError::Gone)?;
        answer.await.map_err(|_| EncodeError::Gone)
    }

    /// Ends the thread once its object is done.
    pub fn join(self) {
        drop(self.jobs);
        if self.thread.join().is_err() {
            tracing::error!("the encoder panicked");
        }
    }
}

struct Worker {
    reads: ReadEnd,
    schemas: Vec<&'static Schema>,
    unpacker: Unpacker,
}

impl Worker {
    fn run(mut self, inbox: &Receiver<Job>) {
        while let Ok(job) = inbox.recv() {
            let result = self.encode(&job);
            // Who asked may have given up.
            let _ = job.reply.send((job.plan, result));
        }
    }

    fn encode(&mut self, job: &Job) -> Result<Encoded, EncodeError> {
        let plan = &job.plan;
        let topic = plan.seal.stream.topic;
        let known = self.schemas.iter().find(|s| s.topic == topic.as_str());
        let schema = *known.ok_or_else(|| EncodeError::UnknownTopic(topic.to_string()))?;
        let writer = |e: FileError| EncodeError::Writer(e.to_string());
        let mut file = File::new(schema, &plan.seal, plan.rows()).map_err(writer)?;

        let mut asked = 0;
        let mut outcome = Ok(());
        for frame in &plan.frames {
            // Who asked gives up only when all ends, so nobody minds what is still being read.
            if job.reply.is_closed() {
                return Err(EncodeError::Gone);
            }
            // Ask ahead, but for nothing once something is wrong.
            while outcome.is_ok() && asked < plan.frames.len() {
                if !self.reads.try_request(plan.frames[asked]) {
                    break;
                }
                asked += 1;
            }
            let position = frame.position;
            if asked == 0 || plan.frames[asked - 1].position < position {
                break;
            }
            let bytes = match self.next_read()? {
                (bytes, Ok(())) => bytes,
                (_, Err(fault)) => {
                    outcome = outcome.and(Err(match fault {
                        ReadFault::Corrupt => EncodeError::Corrupt(position),
                        ReadFault::Disk => EncodeError::Disk(position),
                        ReadFault::Gone => EncodeError::Gone,
                    }));
                    continue;
                }
            };
            if outcome.is_ok() {
                outcome = self.append(&mut file, frame, &bytes);
                Step::ObjectEncoding.pass();
            }
        }
        outcome?;
        Ok(Encoded { bytes: file.finish().map_err(writer)?, rows: plan.rows() })
    }

    /// Waits for the next payload. The spool answers at its tick.
    fn next_read(&mut self) -> Result<(FrameBytes, Result<(), ReadFault>), EncodeError> {
        loop {
            if let Some(reply) = self.reads.try_read() {
                return Ok((reply.bytes, reply.result));
            }
            if self.reads.is_abandoned() {
                return Err(EncodeError::Gone);
            }
            thread::park_timeout(READ_POLL);
        }
    }

    fn append(
        &mut self,
        file: &mut File,
        frame: &FrameHeader,
        bytes: &[u8],
    ) -> Result<(), EncodeError> {
        let bad = |text: String| EncodeError::Undecodable { at: frame.position, text };
        let raw = self.unpacker.unpack(frame, bytes).map_err(|e| bad(e.to_string()))?;
        let mut count = 0;
        for record in records(raw) {
            let record = record.map_err(|e| bad(e.to_string()))?;
            file.append(record.value).map_err(|e| match e {
                FileError::Row(e) => bad(e.to_string()),
                other => EncodeError::Writer(other.to_string()),
            })?;
            count += 1;
        }
        if count != frame.batch.count {
            return Err(bad(format!("{count} records, {} announced", frame.batch.count)));
        }
        Ok(())
    }
}

/// How often the encoder looks for the spool's answer.
const READ_POLL: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests;
