//! What the time of day is, and whether the kernel believes in it.

use std::time::SystemTime;

use crate::live::diagnose::Clock;

/// This machine's clock now.
pub fn wall() -> Clock {
    let unix_s = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    // SAFETY: a `timex` of zeros is valid, and with `modes` zero the call only writes into it.
    let (state, status) = unsafe {
        let mut timex: libc::timex = std::mem::zeroed();
        (libc::adjtimex(&raw mut timex), timex.status)
    };
    // A sandbox may forbid the question; then nothing is known.
    let is_synchronised = (state >= 0).then_some(status & libc::STA_UNSYNC == 0);
    Clock { unix_s, is_synchronised }
}
