//! A thread beside the errands, with a runtime of its own: what a stranger sends is read there, and a flood of it delays
//! no pulse (a program that says `y` without end was seen to, by half a second).

use std::future::Future;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

/// Nicer than the rest of this program, and so are the processes started there: one at work is not to be heard in the
/// sound.
const NICE: libc::c_int = 5;

/// The thread, once it is started.
#[derive(Default)]
pub(super) struct Aside {
    stop: watch::Sender<bool>,
    /// Says when the thread has ended; none before it was started.
    ended: Mutex<Option<oneshot::Receiver<()>>>,
}

/// Tells what runs there when it is time to stop.
#[derive(Clone)]
pub(super) struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Waits until it is time.
    pub(super) async fn wait(&mut self) {
        let _ = self.0.wait_for(|stop| *stop).await; // nobody left to say so: it is time, too
    }
}

impl Aside {
    /// Starts the thread, which ends with what it does.
    ///
    /// # Errors
    /// The system gives no thread or no runtime.
    pub(super) fn start<F: Future<Output = ()>>(
        &self,
        name: &str,
        work: impl FnOnce(Stop) -> F + Send + 'static,
    ) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().thread_name(name).build()?;
        let stop = Stop(self.stop.subscribe());
        let (end, ended) = oneshot::channel();
        thread::Builder::new().name(name.to_string()).spawn(move || {
            // SAFETY: takes numbers; 0 is the calling thread. A wish, not a condition.
            unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) };
            runtime.block_on(work(stop));
            runtime.shutdown_background();
            let _ = end.send(()); // nobody waits for it where the errands have gone
        })?;
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(ended);
        Ok(())
    }

    /// Says that it is time to stop, and waits for the end so long.
    pub(super) async fn stop(&self, within: Duration) {
        self.stop.send_replace(true);
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(ended) = ended {
            let _ = timeout(within, ended).await;
        }
    }
}
