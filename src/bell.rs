//! A bell: wakes one thread that waits for any of several queues.
//!
//! Each thread owns one bell and drains all its queues after it rang. Ringing takes no lock and allocates
//! nothing, so the audio threads may do it every period.

use std::sync::atomic::{Ordering, fence};
use std::sync::{Arc, OnceLock};
use std::thread::{self, Thread};
use std::time::Duration;

/// The handle by which others wake a thread.
#[derive(Clone, Default)]
pub struct Bell(Arc<OnceLock<Thread>>);

impl Bell {
    /// A bell that nobody listens to yet; rings before [`Bell::answer`] are forgotten, so a thread answers
    /// first and looks into its queues next.
    pub fn new() -> Bell {
        Bell::default()
    }

    /// Makes the calling thread the one that is woken. The first caller stays.
    pub fn answer(&self) {
        let _ = self.0.set(thread::current());
        fence(Ordering::SeqCst); // with that of `ring`: who finds no thread has filled a queue that the thread will see
    }

    /// Wakes the thread, or lets its next wait return at once.
    pub fn ring(&self) {
        fence(Ordering::SeqCst);
        if let Some(thread) = self.0.get() {
            thread.unpark();
        }
    }

    /// Waits for a ring, at most `timeout`. May return early: look into the queues after it.
    pub fn wait(&self, timeout: Duration) {
        thread::park_timeout(timeout);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::atomic::AtomicBool;
    use std::time::Instant;

    use super::*;

    /// Longer than any test machine sleeps by itself.
    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn what_was_queued_before_a_ring_is_seen_however_the_thread_begins() {
        for _ in 0..500 {
            let (bell, full) = (Bell::new(), Arc::new(AtomicBool::new(false)));
            let (of_thread, queue) = (bell.clone(), full.clone());
            let began = Instant::now();
            let thread = thread::spawn(move || {
                of_thread.answer();
                while !queue.load(Ordering::Relaxed) {
                    of_thread.wait(LONG);
                }
            });
            full.store(true, Ordering::Relaxed);
            bell.ring();
            thread.join().unwrap();
            assert!(began.elapsed() < LONG, "the ring was lost");
        }
    }

    #[test]
    fn a_bell_without_a_thread_and_one_that_rang_before_the_wait_keep_nobody_waiting() {
        let bell = Bell::new();
        bell.ring();
        bell.answer();
        bell.ring();
        let began = Instant::now();
        bell.wait(LONG);
        assert!(began.elapsed() < LONG);
    }
}
