//! Segments whose file turns into another one, or fails, while it is read.

use super::*;
use std::cell::{Cell, RefCell};

/// A file to which something happens at one of its reads.
struct Turning {
    bytes: RefCell<Vec<u8>>,
    reads: Cell<u32>,
    at_read: u32,
    turn: Turn,
}

/// What happens.
enum Turn {
    /// The next frames have come.
    Grows(Vec<u8>),
    /// The disk does not give it.
    Fails,
}

impl Turning {
    fn new(bytes: &[u8], at_read: u32, turn: Turn) -> Turning {
        Turning { bytes: RefCell::new(bytes.to_vec()), reads: Cell::new(0), at_read, turn }
    }
}

impl crate::disk::ReadFile for Turning {
    async fn read(&self, offset: u64, bytes: usize, out: &mut Vec<u8>) -> io::Result<()> {
        if self.reads.replace(self.reads.get() + 1) == self.at_read {
            match &self.turn {
                Turn::Grows(next) => drop(self.bytes.replace(next.clone())),
                Turn::Fails => return Err(io::Error::other("the disk does not give it")),
            }
        }
        let from = offset as usize;
        out.clear();
        out.extend_from_slice(&self.bytes.borrow()[from..from + bytes]);
        Ok(())
    }
}

#[test]
fn a_log_that_is_appended_to_while_it_is_walked_has_no_holes() {
    // Enough frames for several windows; the first walk passes the place of the second one early.
    let batches: Vec<_> = (0..40).map(|n| batch(A, 5 * n, 5)).collect();
    let fold =
        |count: usize| batches[..count].iter().fold(Made::new(1), |made, one| made.group(&[*one]));
    let (before, after) = (fold(1), fold(40));
    let mut deceived = 0;
    for at_read in 1..6 {
        let file = || Turning::new(&before.bytes, at_read, Turn::Grows(after.bytes.clone()));
        let once = block_on(crate::spool::walk::walk(&file(), 1, SUMMARY_AT)).unwrap();
        deceived += once.holes.len();
        let walked = block_on(segment::walk_twice(&file(), 1, SUMMARY_AT)).unwrap();
        assert_eq!(walked.holes, [], "grown at read {at_read}");
        let found = &after.frames[..walked.frames.len()];
        assert!(walked.frames == found && [1, 40].contains(&found.len()), "at read {at_read}");
    }
    assert!(deceived > 0, "one walk alone is never deceived");
}

#[test]
fn what_the_disk_does_not_give_is_unreadable_and_never_sound() {
    for made in some() {
        let place = Place { generation: made.generation, is_last: made.generation == 6 };
        let look = |fails| {
            let file = Turning::new(&made.bytes, fails, Turn::Fails);
            let read = &mut |_| {};
            let looked =
                block_on(segment::look(&file, u64::from(BYTES), place, Depth::Payloads, read));
            (file.reads.get(), looked)
        };
        let (reads, sound) = look(u32::MAX);
        assert_eq!(sound.unwrap().faults.count, 0);
        // The payloads come last, and each is read by itself.
        let payloads = made.frames.len() as u32;
        for fails in 0..reads {
            let faults = match look(fails).1 {
                Err(error) => segment::unreadable(place, u64::from(BYTES), &error).faults,
                Ok(looked) => {
                    assert!(fails >= reads - payloads, "read {fails} is of no payload");
                    assert_eq!(looked.frames, made.frames, "read {fails}");
                    looked.faults
                }
            };
            let kinds: Vec<_> = faults.kept.iter().map(|fault| fault.fault).collect();
            assert_eq!(kinds, [FaultKind::Unreadable], "segment {}, read {fails}", made.generation);
        }
    }
}
