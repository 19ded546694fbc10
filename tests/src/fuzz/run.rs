//! A run: inputs through a body until one breaks it, which is then made small.

use super::{Target, feature, mutate::Mutator};
use std::{
    cell::RefCell,
    panic::{self, AssertUnwindSafe},
    sync::Once,
    time::{Duration, Instant},
};

/// When a run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// After so many inputs beside the seeds: the same ones every time.
    Inputs(u64),
    /// After this time.
    Elapsed(Duration),
}

/// What a run did.
#[derive(Debug)]
pub struct Report {
    /// Inputs that were tried.
    pub inputs: u64,
    /// How long it took.
    pub elapsed: Duration,
    /// Inputs that got where none was before.
    pub kept: usize,
    /// The one that broke the body, if one did.
    pub broken: Option<Broken>,
}

/// An input that breaks a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The input, made small.
    pub input: Vec<u8>,
    /// What the body said, and where.
    pub message: String,
}

/// Runs a target from a seed. `before` sees every input before it is tried.
pub fn run(target: &Target, seed: u64, until: Until, mut before: impl FnMut(&[u8])) -> Report {
    feature::forget();
    let begun = Instant::now();
    let mut mutator = Mutator::new(target, seed);
    let mut inputs = 0;
    let mut try_and_keep = |input: &[u8], mutator: &mut Mutator| {
        before(input);
        inputs += 1;
        let tried = attempt(target, input);
        if feature::take_new() {
            mutator.keep(input);
        }
        let input = input.to_vec();
        tried.err().map(|message| Broken { input, message })
    };
    let mut broken = None;
    for seed in (target.seeds)() {
        mutator.keep(&seed);
        broken = broken.or_else(|| try_and_keep(&seed, &mut mutator));
    }
    let mut input = Vec::new();
    let mut made = 0;
    while broken.is_none() {
        let is_over = match until {
            Until::Inputs(count) => made >= count,
            // The clock is looked at now and then.
            Until::Elapsed(time) => made % 16 == 0 && begun.elapsed() >= time,
        };
        if is_over {
            break;
        }
        made += 1;
        mutator.next(&mut input);
        broken = try_and_keep(&input, &mut mutator);
    }
    let broken = broken.map(|broken| shrink(target, broken, &mut before));
    Report { inputs, elapsed: begun.elapsed(), kept: mutator.kept(), broken }
}

/// Tries one input.
///
/// # Errors
/// What the body said when it panicked, and where.
pub fn attempt(target: &Target, input: &[u8]) -> Result<(), String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let others = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let is_ours = MESSAGE.with_borrow_mut(|message| {
                message.as_mut().map(|message| *message = info.to_string()).is_some()
            });
            if !is_ours {
                others(info);
            }
        }));
    });
    MESSAGE.set(Some(String::new()));
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| (target.body)(input)));
    let message = MESSAGE.take().unwrap_or_default();
    outcome.map_err(|_| message)
}

thread_local! {
    /// What the panic of a body says; nothing while no body runs on this thread.
    static MESSAGE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// BOUND: attempts to make an input smaller.
const SHRINKS_MAX: usize = 4000;

/// Takes parts out of an input as long as it still breaks the body.
fn shrink(target: &Target, mut broken: Broken, before: &mut impl FnMut(&[u8])) -> Broken {
    let mut attempts = 0;
    let mut part = broken.input.len() / 2;
    while part > 0 {
        let mut at = 0;
        while at < broken.input.len() && attempts < SHRINKS_MAX {
            attempts += 1;
            let end = broken.input.len().min(at + part);
            let input = [&broken.input[..at], &broken.input[end..]].concat();
            before(&input);
            match attempt(target, &input) {
                Err(message) => broken = Broken { input, message },
                Ok(()) => at = end,
            }
        }
        part /= 2;
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Breaks when it sees `bug!` behind an `A`, which it is told about in steps.
    fn breakable(data: &[u8]) {
        let behind = data.iter().position(|b| *b == b'A').map_or(&[][..], |at| &data[at..]);
        feature::reached(behind.is_empty());
        assert!(!behind.windows(4).any(|w| w == b"bug!"), "found the bug");
    }

    const BREAKABLE: Target = Target {
        name: "breakable",
        about: "it breaks",
        body: breakable,
        seeds: || vec![b"some seed".to_vec()],
        words: &[b"bug", b"!"],
        bytes_max: 64,
    };

    #[test]
    fn an_input_that_breaks_a_body_is_found_and_made_small() {
        let report = run(&BREAKABLE, 1, Until::Inputs(2_000_000), |_| {});
        let broken = report.broken.expect("it is found");
        assert_eq!(broken.input, b"Abug!");
        assert!(broken.message.contains("found the bug") && broken.message.contains("run.rs"));
        assert_eq!(attempt(&BREAKABLE, &broken.input), Err(broken.message));
        assert_eq!(attempt(&BREAKABLE, b"bug!"), Ok(()));
    }

    #[test]
    fn a_run_of_one_seed_is_always_the_same() {
        let inputs = |seed: u64| {
            let mut all = Vec::new();
            let report =
                run(&BREAKABLE, seed, Until::Inputs(300), |input| all.push(input.to_vec()));
            (all, report.inputs, report.kept)
        };
        assert_eq!(inputs(3), inputs(3));
        assert_ne!(inputs(3).0, inputs(4).0);
    }

    #[test]
    fn a_seed_that_breaks_the_body_is_found_too() {
        let broken = Target { seeds: || vec![b"xAbug!".to_vec()], ..BREAKABLE };
        let report = run(&broken, 1, Until::Inputs(0), |_| {});
        assert_eq!((report.inputs, report.broken.unwrap().input), (1, b"Abug!".to_vec()));
    }
}
