//! A bell: wakes one thread that waits for any of several queues.
//!
//! Each thread owns one bell and drains all its queues after it rang. Ringing takes no lock and allocates
//! nothing, so the audio threads may do it every period.

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
    }

    /// Wakes the thread, or lets its next wait return at once.
    pub fn ring(&self) {
        if let Some(thread) = self.0.get() {
            thread.unpark();
        }
    }

    /// Waits for a ring, at most `timeout`. May return early: look into the queues after it.
    pub fn wait(&self, timeout: Duration) {
        thread::park_timeout(timeout);
    }
}
