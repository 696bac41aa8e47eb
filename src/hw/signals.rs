//! Signals as values: the few this program waits for, taken by one thread with `sigwait`.

use std::io;

/// A signal that the program acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM or SIGINT: stop in order.
    Stop,
    /// SIGUSR1: write down what happened so far.
    Dump,
    /// SIGHUP: read the files anew.
    Reload,
}

const HELD: [libc::c_int; 4] = [libc::SIGTERM, libc::SIGINT, libc::SIGUSR1, libc::SIGHUP];

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
        for signal in HELD {
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
        match (failed, signal) {
            (0, libc::SIGUSR1) => Ok(Signal::Dump),
            (0, libc::SIGHUP) => Ok(Signal::Reload),
            (0, _) => Ok(Signal::Stop),
            (error, _) => Err(io::Error::from_raw_os_error(error)),
        }
    }
}

/// Does something that must come to its end once it is begun: until then an interrupt at the terminal (SIGINT) and its closing
/// (SIGHUP) are ignored, by programs that it starts as well. For what takes less than a minute.
pub fn without_interrupts<T>(something: impl FnOnce() -> T) -> T {
    const IGNORED: [libc::c_int; 2] = [libc::SIGINT, libc::SIGHUP];
    // SAFETY: takes two numbers, and SIG_IGN is valid for both: no code of ours runs in a handler.
    let before = IGNORED.map(|signal| unsafe { libc::signal(signal, libc::SIG_IGN) });
    let done = something();
    for (signal, before) in IGNORED.into_iter().zip(before).filter(|(_, before)| *before != libc::SIG_ERR) {
        // SAFETY: what was there before is valid.
        unsafe { libc::signal(signal, before) };
    }
    done
}

/// Sends another process the signal that it takes for [`Signal::Dump`]. One that does not hold it back ends by it:
/// ask only a process that is known to.
///
/// # Errors
/// There is no such process, or this user has no right to signal it.
pub fn ask_for_dump(process: i32) -> io::Result<()> {
    // SAFETY: takes two numbers; nothing of this process is touched.
    let failed = unsafe { libc::kill(process, libc::SIGUSR1) };
    if failed == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupt_does_not_cut_short_what_must_be_done() {
        // Whoever runs the tests in the background has it ignored already.
        // SAFETY: takes numbers, and SIG_DFL is valid.
        let outside = unsafe { libc::signal(libc::SIGINT, libc::SIG_DFL) };
        // SAFETY: takes a number; what happens is what is tried.
        let done = without_interrupts(|| unsafe { libc::raise(libc::SIGINT) });
        // SAFETY: what was there before is valid.
        let after = unsafe { libc::signal(libc::SIGINT, outside) };
        assert_eq!(done, 0, "without it this process were gone");
        assert_eq!(after, libc::SIG_DFL, "afterwards an interrupt is one again");
    }
}
