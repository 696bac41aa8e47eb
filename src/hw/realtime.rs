//! Real-time priority for the thread that asks for it.

/// The lowest real-time priorities are enough: above everything that is not real-time, below the kernel's own
/// interrupt threads (50).
const PRIORITY: libc::c_int = 10;

/// Puts the calling thread, called `who`, under SCHED_FIFO where the system allows it (`LimitRTPRIO=` in the
/// unit). Where not, it stays as it is, and one line at DEBUG says so.
pub fn ask(who: &str) {
    // SAFETY: all fields of the struct are plain numbers, and zero is a value of each.
    let mut wish: libc::sched_param = unsafe { std::mem::zeroed() };
    wish.sched_priority = PRIORITY;
    // SAFETY: the pointer is to a live, initialised struct; the thread is the calling one.
    let refusal = unsafe { libc::pthread_setschedparam(libc::pthread_self(), libc::SCHED_FIFO, &wish) };
    if refusal == 0 {
        tracing::debug!(who, priority = PRIORITY, "real-time priority");
    } else {
        let why = std::io::Error::from_raw_os_error(refusal);
        tracing::debug!(who, %why, "no real-time priority; sound may stutter under load");
    }
}
