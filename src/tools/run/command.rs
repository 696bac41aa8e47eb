//! Runs programs for the action `command`, each in a group of its own, and leaves none behind.
//!
//! A group is asked to end (SIGTERM) when its call is stopped, and is killed shortly after; also when the program has
//! ended and something that it started has not. What leaves the group on purpose (`setsid`, a daemon) gets away: as a
//! service, systemd ends it with mynah.

pub(super) mod group;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use super::secrets::SecretBook;
use crate::flow::TOOL_ORDERS_MAX;
use crate::tools::Failure;
use crate::tools::command::{COMPLAINT_BYTES_MAX, CommandLine, Ended};
use group::{Change, Changes, Group};

/// What a program finds of mynah's own environment. Keys and systemd's credentials are in the rest.
const PASSED_ON: [&str; 7] = ["PATH", "LANG", "LC_ALL", "HOME", "USER", "LOGNAME", "TZ"];
/// `PATH` where mynah has none.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Complains more, and it is stopped: nobody reads so much.
const COMPLAINTS_BYTES_MAX: usize = 256 * 1024;
/// Read at once.
const READ_BYTES: usize = 4096;
/// What is still in its pipes when it has ended is there at once; longer, and somebody else holds them open.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(200);

/// A program to be started.
struct Job {
    command: Command,
    program: PathBuf,
    started: oneshot::Sender<std::io::Result<Group>>,
    /// A call that is stopped in this moment waits for what becomes of it.
    starting: Change,
}

/// Runs programs.
#[derive(Default)]
pub(super) struct Commands {
    starter: Mutex<Option<mpsc::SyncSender<Job>>>,
    changes: Changes,
}

impl Commands {
    /// Runs a program to its end. Dropped halfway, its group is ended; [`Commands::all_over`] waits for that.
    pub(super) async fn run(&self, line: &CommandLine, secrets: &SecretBook) -> Result<Value, Failure> {
        let environment = secrets.reveal_all(&line.environment)?;
        let mut group = self.start(command(line, &environment), line).await?;
        let ended = gather(&mut group, line).await?;
        line.result(&ended)
    }

    /// Waits until no group is being started or ended any more; about a second, two at most.
    pub(super) async fn all_over(&self) {
        self.changes.all_over().await;
    }

    async fn start(&self, command: Command, line: &CommandLine) -> Result<Group, Failure> {
        let refused = |why: String| Failure::Refused(format!("`{}` could not be started: {why}", line.name()));
        let (started, is_started) = oneshot::channel();
        let job = Job { command, program: line.program.clone(), started, starting: self.changes.begin() };
        self.starter()
            .map_err(|error| refused(error.to_string()))?
            .try_send(job)
            .map_err(|_| refused("others are being started and do not come to it; call again later".to_string()))?;
        match is_started.await {
            Ok(Ok(group)) => Ok(group),
            Ok(Err(error)) => Err(refused(error.to_string())),
            Err(error) => Err(refused(error.to_string())),
        }
    }

    /// The thread that starts programs; the first call starts it. A thread of its own, because a start waits for the
    /// disk, and because the kernel kills a program when the thread that started it ends: helper threads come and go.
    fn starter(&self) -> std::io::Result<mpsc::SyncSender<Job>> {
        let mut starter = self.starter.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(starter) = &*starter {
            return Ok(starter.clone());
        }
        let (sender, jobs) = mpsc::sync_channel(TOOL_ORDERS_MAX);
        let (runtime, changes) = (Handle::current(), self.changes.clone());
        thread::Builder::new().name("programs".to_string()).spawn(move || serve(&runtime, &jobs, &changes))?;
        *starter = Some(sender.clone());
        Ok(sender)
    }
}

fn serve(runtime: &Handle, jobs: &mpsc::Receiver<Job>, changes: &Changes) {
    let _entered = runtime.enter(); // the runtime learns of the program's end
    while let Ok(Job { command, program, started, starting }) = jobs.recv() {
        if started.is_closed() {
            continue; // the call was stopped before it began
        }
        let group = Group::start(command, changes);
        if let Err(why) = &group {
            tracing::warn!(program = %program.display(), %why, "a tool's program could not be started");
        }
        let _ = started.send(group); // where nobody waits any more, it is ended by being dropped
        drop(starting);
    }
}

fn command(line: &CommandLine, environment: &BTreeMap<String, String>) -> Command {
    let mut command = Command::new(&line.program);
    command
        .args(&line.arguments)
        .env_clear()
        .env("PATH", PATH)
        .envs(PASSED_ON.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
        .envs(environment)
        .current_dir(&line.folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Reads what the program says until it ends.
async fn gather(group: &mut Group, line: &CommandLine) -> Result<Ended, Failure> {
    let (mut out, mut err) = group.pipes();
    let (mut out_bytes, mut err_bytes) = ([0; READ_BYTES], [0; READ_BYTES]);
    let (mut printed, mut complaint, mut complained) = (Vec::new(), Vec::new(), 0);
    let mut drained_at = Instant::now(); // only looked at once it has ended
    let mut ended = None;
    while ended.is_none() || out.is_some() || err.is_some() {
        tokio::select! {
            bytes = read(&mut out, &mut out_bytes) => {
                printed.extend_from_slice(bytes);
                if printed.len() > line.output_bytes_max {
                    return Err(line.flooded());
                }
            }
            bytes = read(&mut err, &mut err_bytes) => {
                complaint.extend_from_slice(bytes);
                complaint.drain(..complaint.len().saturating_sub(COMPLAINT_BYTES_MAX));
                complained += bytes.len();
                if complained > COMPLAINTS_BYTES_MAX {
                    return Err(line.flooded());
                }
            }
            status = group.wait(), if ended.is_none() => {
                drained_at = Instant::now() + DRAIN_TIMEOUT;
                ended = Some(status.map_err(|error| Failure::Refused(format!("`{}`: {error}", line.name())))?);
            }
            () = sleep_until(drained_at), if ended.is_some() => break,
        }
    }
    let (code, signal) = ended.unwrap_or_default();
    Ok(Ended { code, signal, printed, complaint })
}

/// What comes next; the pipe is closed at its end. Without a pipe it never returns.
async fn read<'b>(pipe: &mut Option<impl AsyncRead + Unpin>, bytes: &'b mut [u8]) -> &'b [u8] {
    let Some(open) = pipe else { return std::future::pending().await };
    let count = open.read(bytes).await.unwrap_or(0);
    if count == 0 {
        *pipe = None;
    }
    &bytes[..count]
}

#[cfg(test)]
mod tests;
