//! Signals as values: the few this program waits for, taken by one thread with `sigwait`.

use std::io;

/// A signal that the program acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM or SIGINT: stop in order.
    Stop,
}

const STOP: [libc::c_int; 2] = [libc::SIGTERM, libc::SIGINT];

/// Signals that are held back from the whole program until [`Held::wait`] takes them.
pub struct Held(libc::sigset_t);

/// Holds the signals back. Must be called before any thread is started: threads inherit it.
///
/// # Errors
/// The system refuses the mask.
pub fn hold() -> io::Result<Held> {
    // SAFETY: a sigset_t is plain data, which sigemptyset fills before anything reads it.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is a valid sigset_t; a null old set is allowed.
    let failed = unsafe {
        libc::sigemptyset(&raw mut set);
        for signal in STOP {
            libc::sigaddset(&raw mut set, signal);
        }
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut())
    };
    if failed == 0 { Ok(Held(set)) } else { Err(io::Error::from_raw_os_error(failed)) }
}

impl Held {
    /// Waits for the next signal.
    ///
    /// # Errors
    /// The system refuses to wait (it never does for a valid set).
    pub fn wait(&self) -> io::Result<Signal> {
        let mut signal = 0;
        // SAFETY: the set is valid, and `signal` is a valid place for the answer.
        let failed = unsafe { libc::sigwait(&raw const self.0, &raw mut signal) };
        if failed == 0 { Ok(Signal::Stop) } else { Err(io::Error::from_raw_os_error(failed)) }
    }
}
