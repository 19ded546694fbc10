//! An input that never ends is noticed from outside: the thread that tries it cannot.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread,
    time::Duration,
};

/// Watches over one thread's inputs.
pub struct Watch {
    current: Arc<Mutex<Current>>,
    /// Its end tells the watching thread that all is over.
    _alive: Sender<()>,
}

#[derive(Default)]
struct Current {
    number: u64,
    input: Vec<u8>,
}

impl Watch {
    /// Begins to watch: `on_stuck` is called with an input that takes longer than `longest`.
    #[must_use]
    pub fn begin(longest: Duration, on_stuck: impl FnOnce(&[u8]) + Send + 'static) -> Watch {
        let current = Arc::new(Mutex::new(Current::default()));
        let (alive, is_over) = mpsc::channel::<()>();
        let seen = Arc::clone(&current);
        thread::spawn(move || {
            let mut last = None;
            while is_over.recv_timeout(longest) == Err(RecvTimeoutError::Timeout) {
                let current = seen.lock().unwrap_or_else(PoisonError::into_inner);
                if last == Some(current.number) && current.number > 0 {
                    on_stuck(&current.input);
                    return;
                }
                last = Some(current.number);
            }
        });
        Watch { current, _alive: alive }
    }

    /// This input is tried next.
    pub fn see(&self, input: &[u8]) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.number += 1;
        current.input.clear();
        current.input.extend_from_slice(input);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_that_never_ends_is_noticed() {
        let (told, stuck) = mpsc::channel();
        let tell = move |input: &[u8]| told.send(input.to_vec()).unwrap();
        let watch = Watch::begin(Duration::from_millis(5), tell);
        watch.see(b"slow");
        assert_eq!(stuck.recv(), Ok(b"slow".to_vec()));
        drop(watch);
    }
}
