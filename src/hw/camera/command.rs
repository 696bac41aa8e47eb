//! A camera that is a program: it writes JPEG pictures one after the other, and this takes them apart.

use std::io::{self, ErrorKind, Read};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::eyes::splitter::Splitter;
use crate::hw::poll::wait_readable;
use crate::hw::{Camera, CameraTrouble, Clock, process};
use crate::still::Still;

/// Read at once: a pipe's own size.
const READ_BYTES: usize = 64 * 1024;
/// Reads in a row, 4 MiB: a program that writes without end must not keep the thread from what else it obeys.
const READS_MAX: usize = 64;
/// Bytes of its complaints that are kept, the last ones.
const COMPLAINT_BYTES_MAX: usize = 2048;
/// A program that was asked to end is given so long before it is killed; it must let go of the sensor.
const GRACE: Duration = Duration::from_millis(500);

/// The program, running.
pub(super) struct Running {
    name: String,
    child: Child,
    pictures: ChildStdout,
    complaints: ChildStderr,
    said: Vec<u8>,
    splitter: Splitter,
    clock: Arc<dyn Clock>,
}

impl Running {
    /// Starts it, in a group of its own.
    pub(super) fn start(command: &[String], clock: Arc<dyn Clock>) -> Result<Running, CameraTrouble> {
        let name = command.first().cloned().unwrap_or_default();
        let missing = |why: String| CameraTrouble::Missing { why };
        let mut program = Command::new(&name);
        program.args(command.iter().skip(1)).env_clear();
        program.envs(process::PASSED_ON.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        program.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        process::set_apart(&mut program);
        let mut child = program.spawn().map_err(|error| missing(format!("`{name}` cannot be started: {error}")))?;
        let (Some(pictures), Some(complaints)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(missing(format!("`{name}` has no output")));
        };
        for fd in [pictures.as_raw_fd(), complaints.as_raw_fd()] {
            never_wait(fd).map_err(|error| missing(format!("`{name}` cannot be read: {error}")))?;
        }
        Ok(Running { name, child, pictures, complaints, said: Vec::new(), splitter: Splitter::default(), clock })
    }

    /// Reads what is there. Answers the newest whole picture; none where there was none.
    fn take(&mut self) -> Result<Option<Still>, CameraTrouble> {
        let mut newest = None;
        let mut bytes = [0; READ_BYTES];
        for _ in 0..READS_MAX {
            match self.pictures.read(&mut bytes) {
                Ok(0) => return Err(self.ended()),
                Ok(count) => {
                    if let Some(picture) = self.splitter.push(&bytes[..count]) {
                        let taken_at = self.clock.now();
                        let (width, height) = (picture.size.width, picture.size.height);
                        newest = Some(Still { jpeg: picture.jpeg, width, height, taken_at });
                    }
                    // One that writes faster than it is read must not keep us here.
                    if newest.is_some() && count < READ_BYTES {
                        return Ok(newest);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(newest),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(CameraTrouble::Lost { why: format!("`{}` cannot be read: {error}", self.name) });
                }
            }
        }
        Ok(newest)
    }

    /// It closed its output: why?
    fn ended(&mut self) -> CameraTrouble {
        let until = Instant::now() + GRACE;
        let status = loop {
            self.listen();
            match self.child.try_wait() {
                Ok(None) if Instant::now() < until => std::thread::sleep(Duration::from_millis(10)),
                Ok(status) => break status,
                Err(_) => break None,
            }
        };
        self.listen();
        let said = String::from_utf8_lossy(&self.said);
        let last = said.lines().rev().map(str::trim).find(|line| !line.is_empty());
        let said = last.map(|line| format!(", and said last: {line}")).unwrap_or_default();
        CameraTrouble::Lost {
            why: format!("`{}` {}{said}", self.name, status.map_or("gave no more pictures".into(), how)),
        }
    }

    /// Reads its complaints, so that it is not held up by them.
    fn listen(&mut self) {
        let mut bytes = [0; 1024];
        for _ in 0..READS_MAX {
            let Ok(count @ 1..) = self.complaints.read(&mut bytes) else { return };
            self.said.extend_from_slice(&bytes[..count]);
            let too_many = self.said.len().saturating_sub(COMPLAINT_BYTES_MAX);
            self.said.drain(..too_many);
        }
    }

    fn signal(&self, signal: libc::c_int) {
        let Ok(id) = i32::try_from(self.child.id()) else { return };
        // SAFETY: takes two numbers. The group is that of a child of this process: a number is not used anew while one
        // of its group lives, and in the moment after the last of them ended nobody else gets it.
        unsafe { libc::kill(-id, signal) };
    }
}

impl Camera for Running {
    fn next(&mut self, timeout: Duration) -> Result<Option<Still>, CameraTrouble> {
        let until = Instant::now() + timeout;
        loop {
            self.listen();
            if let Some(still) = self.take()? {
                return Ok(Some(still));
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            wait_readable(self.pictures.as_fd(), left).map_err(|error| CameraTrouble::Lost {
                why: format!("`{}` cannot be waited for: {error}", self.name),
            })?;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.signal(libc::SIGTERM);
        let until = Instant::now() + GRACE;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
        // What it started itself, too.
        self.signal(libc::SIGKILL);
        let _ = self.child.wait(); // killed: it ends
    }
}

fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended".to_string(),
    }
}

/// Reading answers at once from now on.
fn never_wait(fd: libc::c_int) -> io::Result<()> {
    // SAFETY: takes numbers; the descriptor is open.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    // SAFETY: the same.
    if flags < 0 || unsafe { libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

#[cfg(test)]
#[path = "command/tests.rs"]
mod tests;
