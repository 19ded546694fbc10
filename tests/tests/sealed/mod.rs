//! `edge` where the kernel gives out no ring: a seccomp filter that the process inherits.

use brink_tests::process::binary;
use rustix::io::Errno;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use std::{
    collections::BTreeMap,
    process::{Command, Output, Stdio},
    thread,
};

/// What the kernel answers to `io_uring_setup`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// As in a container whose profile forbids it.
    NotPermitted,
    /// As a kernel that was built without it.
    NotImplemented,
}

/// Its number on every architecture, as of all calls that came since 2019.
const IO_URING_SETUP: i64 = 425;

/// Runs `edge` to its end. The filter is put on a thread that ends with this call; a process that
/// the thread starts has it, the other tests do not.
pub(crate) fn edge_without_io_uring(answer: Answer, arguments: &[&str]) -> Output {
    let errno = match answer {
        Answer::NotPermitted => Errno::PERM,
        Answer::NotImplemented => Errno::NOSYS,
    };
    let mut command = Command::new(binary("edge", "edge"));
    command.args(arguments).stdin(Stdio::null());
    let filtered = thread::spawn(move || {
        seccompiler::apply_filter(&filter(errno)).expect("a filter");
        command.output().expect("edge runs")
    });
    filtered.join().expect("a filter, and a process")
}

fn filter(errno: Errno) -> BpfProgram {
    let refused = SeccompAction::Errno(errno.raw_os_error() as u32);
    let rules = BTreeMap::from([(IO_URING_SETUP, Vec::new())]);
    let here = std::env::consts::ARCH.try_into().expect("a known architecture");
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refused, here);
    filter.expect("rules").try_into().expect("a program")
}
