//! A program with all that it started, as one process group that is never left behind.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::sync::Arc;
use std::time::Duration;

use crate::hw::process;
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::timeout;

/// From the request to end to the kill: enough to put a file down, short enough for a person who waits.
const GRACE: Duration = Duration::from_millis(500);
/// From the kill to the end; longer takes only one whose disk hangs, and nobody waits for that.
const KILLED_TIMEOUT: Duration = Duration::from_millis(500);

/// How a program ended: its exit code, or the signal.
pub(super) type End = (Option<i32>, Option<i32>);

/// The longest that somebody waits for all of it; only a start that hangs takes longer.
const ALL_OVER_TIMEOUT: Duration = Duration::from_secs(2);

/// How many groups are just being started or ended.
#[derive(Clone, Default)]
pub(super) struct Changes(Arc<watch::Sender<usize>>);

impl Changes {
    /// Waits until there is none.
    pub(super) async fn all_over(&self) {
        let mut count = self.0.subscribe();
        let _ = timeout(ALL_OVER_TIMEOUT, count.wait_for(|count| *count == 0)).await; // what hangs is not waited for
    }

    /// One more, until the answer is dropped.
    pub(super) fn begin(&self) -> Change {
        self.0.send_modify(|count| *count += 1);
        Change(self.0.clone())
    }
}

/// A start or an end that goes on.
pub(super) struct Change(Arc<watch::Sender<usize>>);

impl Drop for Change {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

/// A program that runs. Dropped before it has ended, it and all of its group are ended.
pub(super) struct Group {
    /// None once it has ended.
    program: Option<Program>,
    changes: Changes,
}

/// The program; dropped, its group is killed at once. The group's number is the program's: it leads it.
struct Program {
    child: Child,
    id: i32,
}

impl Group {
    /// Starts a program in a session and group of its own. Must be called within a runtime, on a thread that
    /// lives on (see [`process::set_apart`]).
    pub(super) fn start(mut command: Command, changes: &Changes) -> io::Result<Group> {
        process::set_apart(command.as_std_mut());
        let child = command.spawn()?;
        let id = child.id().and_then(|id| i32::try_from(id).ok()).unwrap_or_default();
        Ok(Group { program: Some(Program { child, id }), changes: changes.clone() })
    }

    /// What it prints and what it complains of; only once.
    pub(super) fn pipes(&mut self) -> (Option<ChildStdout>, Option<ChildStderr>) {
        match &mut self.program {
            Some(program) => (program.child.stdout.take(), program.child.stderr.take()),
            None => (None, None),
        }
    }

    /// Waits for the program's end; what it left behind of its group is killed.
    pub(super) async fn wait(&mut self) -> io::Result<End> {
        let Some(program) = &mut self.program else { return Ok((None, None)) };
        let status = program.child.wait().await?;
        self.program = None;
        Ok((status.code(), status.signal()))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let Some(program) = self.program.take() else { return };
        let ending = self.changes.begin();
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(end(program, ending));
        }
    }
}

/// Ends a program: first asked, then forced.
async fn end(mut program: Program, _ending: Change) {
    program.signal(libc::SIGTERM);
    let _ = timeout(GRACE, program.child.wait()).await;
    program.signal(libc::SIGKILL);
    if timeout(KILLED_TIMEOUT, program.child.wait()).await.is_err() {
        tracing::warn!(process = program.id, "a tool's program cannot be killed: its disk or device hangs");
    }
}

impl Program {
    fn signal(&self, signal: libc::c_int) {
        if self.id > 1 {
            // SAFETY: takes two numbers. The group is that of a child of this process: a number is not used anew
            // while one of its group lives, and in the moment after the last of them ended nobody else gets it.
            unsafe { libc::kill(-self.id, signal) };
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.signal(libc::SIGKILL);
    }
}
