//! Operations of a disk that fail by their number, so that a test can have each of them fail.

use std::{
    cell::{Cell, RefCell},
    io::{self, ErrorKind},
};

/// Operations that fail, by their number.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// The first one, counted from when this was said.
    pub at: u64,
    /// How many, from that one on.
    pub count: u64,
    /// How.
    pub kind: ErrorKind,
}

/// Operations of one sort, of which some may fail.
#[derive(Default)]
pub(super) struct Operations {
    fault: Cell<Option<Fault>>,
    /// Since the fault was said, or unsaid.
    count: Cell<u64>,
    failed: RefCell<Option<Failed>>,
}

/// The last operation that failed because of a [`Fault`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// What was done.
    pub what: &'static str,
    /// The file or folder, as it was called.
    pub name: String,
    /// The file, if it was one that was open.
    number: Option<u64>,
    /// Writes and syncs of that file since.
    pub again: u64,
}

impl Operations {
    pub(super) fn set_fault(&self, fault: Option<Fault>) {
        self.fault.set(fault);
        self.count.set(0);
        self.failed.take();
    }

    /// Counts an operation, which may be one that fails.
    pub(super) fn begin(
        &self,
        what: &'static str,
        name: &str,
        number: Option<u64>,
    ) -> io::Result<()> {
        let count = self.count.replace(self.count.get() + 1);
        let mut failed = self.failed.borrow_mut();
        match self.fault.get() {
            Some(Fault { at, count: most, kind }) if count >= at && count - at < most => {
                let name = name.to_owned();
                let text = format!("operation {count} fails: {what} {name:?}");
                *failed = Some(Failed { what, name, number, again: 0 });
                Err(io::Error::new(kind, text))
            }
            _ => {
                let again = failed.as_mut().filter(|f| number.is_some() && f.number == number);
                again.into_iter().for_each(|failed| failed.again += 1);
                Ok(())
            }
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.count.get()
    }

    pub(super) fn failed(&self) -> Option<Failed> {
        self.failed.borrow().clone()
    }
}
