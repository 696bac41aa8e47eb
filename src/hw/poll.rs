//! Waits until a file descriptor can be read.

use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

/// Waits at most `timeout` until something can be read from `fd`; a signal counts as time passed.
pub(super) fn wait_readable(fd: BorrowedFd<'_>, timeout: Duration) -> io::Result<bool> {
    // Rounded up: a wait of 0.4 ms must not become a busy loop.
    let timeout_ms = i32::try_from(timeout.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
    let mut wanted = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one valid pollfd that outlives the call, with a descriptor that is borrowed for as long.
    let answer = unsafe { libc::poll(&raw mut wanted, 1, timeout_ms) };
    if answer >= 0 {
        return Ok(answer > 0);
    }
    let error = io::Error::last_os_error();
    if error.kind() == ErrorKind::Interrupted { Ok(false) } else { Err(error) }
}
