//! Runs futures on one thread, in a fixed order, as far as they get without time passing.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

/// A few futures.
#[derive(Default)]
pub struct Executor<'a> {
    tasks: Vec<Task<'a>>,
}

struct Task<'a> {
    future: Option<Pin<Box<dyn Future<Output = ()> + 'a>>>,
    woken: Arc<Flag>,
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        // ORDER: Relaxed, everything is on one thread.
        self.0.store(true, Ordering::Relaxed);
    }
}

impl<'a> Executor<'a> {
    /// Adds a future.
    pub fn spawn(&mut self, future: impl Future<Output = ()> + 'a) {
        let woken = Arc::new(Flag(AtomicBool::new(true)));
        self.tasks.push(Task { future: Some(Box::pin(future)), woken });
    }

    /// Polls those that were woken, until nobody is.
    pub fn run_until_stalled(&mut self) {
        let mut progress = true;
        while std::mem::take(&mut progress) {
            for task in &mut self.tasks {
                let Some(future) = &mut task.future else { continue };
                // ORDER: Relaxed, everything is on one thread.
                if !task.woken.0.swap(false, Ordering::Relaxed) {
                    continue;
                }
                progress = true;
                let waker = Waker::from(Arc::clone(&task.woken));
                if future.as_mut().poll(&mut Context::from_waker(&waker)) == Poll::Ready(()) {
                    task.future = None;
                }
            }
        }
    }

    /// Whether every future is done.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.tasks.iter().all(|task| task.future.is_none())
    }
}

/// Runs one future to its end; `idle` lets time pass when it waits.
///
/// # Panics
/// When it does not end in ten million steps.
pub fn block_on<T>(future: impl Future<Output = T>, mut idle: impl FnMut()) -> T {
    let result = std::cell::RefCell::new(None);
    let mut executor = Executor::default();
    executor.spawn(async {
        let value = future.await;
        result.borrow_mut().replace(value);
    });
    for _ in 0..10_000_000 {
        executor.run_until_stalled();
        if executor.is_done() {
            break;
        }
        idle();
    }
    assert!(executor.is_done(), "the future waits for ever");
    drop(executor);
    result.into_inner().expect("the future is done")
}
