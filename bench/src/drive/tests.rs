//! What the loop does with memory, on the thread that it runs on.

use super::*;
use crate::{
    responder::{Conduct, Responder},
    scenario::{Answer, Verdict},
};

/// Asks what was rendered before, as all scenarios do.
struct Rendered;

impl Scenario for Rendered {
    fn request(&mut self, _number: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    }

    fn check(&mut self, _number: u64, answer: &Answer<'_>) -> Verdict {
        if answer.status == 200 { Verdict::Right } else { Verdict::Wrong("the status is not 200") }
    }
}

/// What a round of some requests in one second takes from the allocator, after it is connected.
fn allocations(rate: f64) -> (u64, allocation_counter::AllocationInfo) {
    let responder = Responder::start(Conduct::AtOnce, None).unwrap();
    let drive = Drive {
        duration: Duration::from_secs(1),
        warmup: Duration::ZERO,
        ..Drive::new(responder.address(), Arrivals::Constant { rate })
    };
    let worker = open(&drive, 0, drive.lanes_of(0, vec![Rendered])).unwrap();
    let (stop, answered) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut done = None;
    let info = allocation_counter::measure(|| done = Some(worker.run(&stop, &answered)));
    let Done { counts, ran, cpu, idle, .. } = done.unwrap().unwrap();
    assert!(counts.is_clean(), "{counts:?}");
    // Between one request and the next there is nothing to do, and that is never all of it.
    assert!(0 < idle && idle < ran && cpu > 0, "{idle} of {ran} ns, {cpu} of CPU time");
    (counts.due, info)
}

#[test]
fn ten_times_as_many_requests_take_no_more_memory() {
    let (few, of_few) = allocations(500.0);
    let (many, of_many) = allocations(5000.0);
    assert_eq!((few, many), (500, 5000));
    // The list of events, and what five windows leave behind: two packed tallies each, of which a
    // window that is opened again has another two. Nothing grows with the requests.
    for info in [of_few, of_many] {
        assert!(info.count_total <= 64, "{} allocations", info.count_total);
    }
}
