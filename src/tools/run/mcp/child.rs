//! A server that is a child process: in a process group of its own, which ends with it, whatever it started.

use std::collections::BTreeMap;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::{ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::hw::process;

/// From the end of its input to SIGTERM, and from there to SIGKILL.
const GRACE: Duration = Duration::from_millis(500);
/// How often it is looked whether it has ended meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Bytes of a line of its standard error that are logged.
const LINE_BYTES_MAX: usize = 300;
/// Such lines in a minute; a server that floods is read on and not logged.
const LINES_A_MINUTE: u32 = 60;

/// The running process. Dropped, its whole group is killed.
pub struct Child {
    child: tokio::process::Child,
    /// The number of its process group; it stays its own until the process is waited for.
    group: Option<i32>,
}

/// Starts it. Its standard error goes to the log at debug.
///
/// # Errors
/// What the system says.
pub fn start(
    name: &str,
    program: &str,
    arguments: &[String],
    environment: &BTreeMap<String, String>,
) -> io::Result<(Child, ChildStdout, ChildStdin)> {
    let mut command = Command::new(program);
    command.args(arguments).env_clear();
    command.envs(process::PASSED_ON.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    command.envs(environment);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.kill_on_drop(true);
    process::set_apart(command.as_std_mut());
    let mut child = command.spawn()?;
    let group = child.id().and_then(|id| i32::try_from(id).ok());
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let child = Child { child, group };
    let (Some(stdin), Some(stdout), Some(stderr)) = (stdin, stdout, stderr) else {
        return Err(io::Error::other("no pipes to it"));
    };
    tokio::spawn(log(name.to_string(), stderr));
    Ok((child, stdout, stdin))
}

impl Child {
    /// Ends it, after its input was closed: by itself, by SIGTERM, by SIGKILL. Nothing of its group is left.
    pub async fn end(mut self) -> Option<ExitStatus> {
        if !self.has_ended_within(GRACE).await {
            self.signal(libc::SIGTERM);
            self.has_ended_within(GRACE).await;
        }
        // Before it is waited for: until then its number is no other group's.
        self.signal(libc::SIGKILL);
        self.group = None;
        timeout(GRACE, self.child.wait()).await.ok()?.ok()
    }

    async fn has_ended_within(&self, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        while !self.has_ended() {
            if Instant::now() >= until {
                return false;
            }
            sleep(LOOK_EVERY).await;
        }
        true
    }

    /// Looked at without being waited for.
    fn has_ended(&self) -> bool {
        let Some(group) = self.group else { return true };
        // SAFETY: all fields of the struct are plain numbers, and zero is a value of each.
        let mut found: libc::siginfo_t = unsafe { std::mem::zeroed() };
        let how = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        // SAFETY: `found` is a live siginfo_t.
        let answer = unsafe { libc::waitid(libc::P_PID, group as libc::id_t, &raw mut found, how) };
        // SAFETY: waitid has filled it in, or it is all zeros.
        answer != 0 || unsafe { found.si_pid() } != 0
    }

    fn signal(&self, signal: libc::c_int) {
        if let Some(group) = self.group {
            // SAFETY: takes two numbers. An empty group is an error that nobody minds.
            unsafe { libc::killpg(group, signal) };
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.signal(libc::SIGKILL);
    }
}

/// Reads standard error to its end, and logs what is a reasonable amount of it.
async fn log(name: String, mut stderr: ChildStderr) {
    let mut buffer = [0; 1024];
    let mut line = Vec::new();
    let (mut minute, mut lines) = (Instant::now(), 0);
    while let Ok(count) = stderr.read(&mut buffer).await {
        if count == 0 {
            return;
        }
        for byte in &buffer[..count] {
            if *byte != b'\n' {
                line.extend(Some(*byte).filter(|_| line.len() < LINE_BYTES_MAX));
                continue;
            }
            if minute.elapsed() > Duration::from_secs(60) {
                (minute, lines) = (Instant::now(), 0);
            }
            lines += 1;
            if lines <= LINES_A_MINUTE && !line.is_empty() {
                let text: String = String::from_utf8_lossy(&line).chars().filter(|c| !c.is_control()).collect();
                tracing::debug!(server = name, "{text}");
            }
            line.clear();
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::hw::signals;
    use std::os::unix::process::ExitStatusExt;

    /// SIGTERM is held back in every thread of mynah, and what a thread starts inherits that.
    #[test]
    fn a_server_that_does_not_mind_the_end_of_its_input_hears_that_it_is_to_end() {
        let server = async {
            let (child, _stdout, stdin) = start("x", "/bin/sleep", &["1000".into()], &BTreeMap::new()).unwrap();
            drop(stdin);
            child.end().await.unwrap()
        };
        let status = std::thread::spawn(|| {
            let _held = signals::hold().unwrap();
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(server)
        });
        assert_eq!(status.join().unwrap().signal(), Some(libc::SIGTERM));
    }
}
