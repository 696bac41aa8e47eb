//! Programs that a test starts: their logs, bounded waits, and an end in any case.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long a program may take to end before it is killed.
const END_WITHIN: Duration = Duration::from_secs(5);
/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Waits until `look` answers something; panics with `what` after `limit`.
pub fn wait_for<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(since.elapsed() < limit, "waited {limit:?} for this: {what}");
        std::thread::sleep(LOOK_EVERY);
    }
}

/// A command that goes before what else the machine does, where that is allowed.
///
/// Devices do not compete with compilers, but a sound server and its client's threads do, and PulseAudio's plugin
/// tells nobody when they were too late. `mynah` gives its own audio threads this priority by itself.
pub fn before_others(program: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "chrt -r 5 true 2>/dev/null && exec chrt -r 5 \"$0\" \"$@\"; exec \"$0\" \"$@\"", program]);
    command
}

/// A running program; ended when dropped.
pub struct Process {
    child: Child,
    name: String,
    log: PathBuf,
}

impl Process {
    /// Starts `command`; what it prints goes to `NAME.log` in `folder`, after what an earlier one of this name printed.
    pub fn start(name: &str, folder: &Path, command: &mut Command) -> Process {
        let log = folder.join(format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log).unwrap();
        let child = command.stdout(file.try_clone().unwrap()).stderr(file).stdin(Stdio::null()).spawn();
        let child = child.unwrap_or_else(|e| panic!("{name} does not start: {e}"));
        Process { child, name: name.into(), log }
    }

    /// Its number.
    #[allow(dead_code, reason = "the network's tests look at it")]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it printed so far.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Panics where it has ended.
    pub fn must_live(&mut self) {
        if let Some(status) = self.child.try_wait().unwrap() {
            panic!("{} has ended ({status}):\n{}", self.name, self.text());
        }
    }

    pub fn signal(&self, signal: i32) {
        // SAFETY: our own child, which nobody has waited for yet.
        unsafe { libc::kill(self.child.id() as i32, signal) };
    }

    /// Waits for its end.
    pub fn end_within(&mut self, limit: Duration) -> ExitStatus {
        let what = format!("the end of {}", self.name);
        wait_for(&what, limit, || self.child.try_wait().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        self.signal(libc::SIGTERM);
        let since = Instant::now();
        while since.elapsed() < END_WITHIN {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(LOOK_EVERY);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
