//! The job log's thread: takes events and orders, writes lines and pictures, and has nobody wait for the disk.
//!
//! Whoever tells an event leaves it in a queue and goes on; a full queue is counted, and the log says how many lines it
//! lost. Only the tools wait for an answer, because what they say is written is on the disk.

mod desk;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::oneshot;

use super::record::{Entry, Record};
use super::recorder::{Output, PART, Recorder, Settings};
use super::retention::Limits;
use crate::config::agent::job_log::JobLog;
use crate::config::procedure::Procedure;
use crate::flow::{Control, Event, JOB_EVENTS_MAX, JOB_ORDERS_MAX, JobOrder, What};
use crate::hw::jobs::Jobs;
use crate::hw::{Clock, clock};
use crate::units::Time;
use desk::Desk;

/// Nicer than the rest of this program: a job is written beside the sound, not before it.
const NICE: libc::c_int = 5;
/// Pictures that wait for the disk; each is about 100 kB.
const STILLS_WAITING_MAX: usize = 8;
/// The longest wait without anything to do; a clock that is set in between is seen then.
const IDLE_WAIT: Duration = Duration::from_secs(60);
/// A stop must not wait for a disk that is broken: the service manager would kill the program, safe states and all.
const FINISH_WITHIN: Duration = Duration::from_secs(5);
/// How often it is looked for jobs that are too old.
const TIDY_EVERY: Duration = Duration::from_secs(3600);

/// What the thread needs.
pub struct Parts {
    /// The agent file's section.
    pub log: JobLog,
    /// Where the jobs are.
    pub folder: PathBuf,
    /// The procedures by their names.
    pub procedures: Vec<(String, Procedure)>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Gives the core what the device wants to say; false where it takes none now.
    pub give: Arc<dyn Fn(Control) -> bool + Send + Sync>,
    /// Told of what an owner wants to know.
    pub tell: Arc<dyn Fn(What) + Send + Sync>,
}

enum Letter {
    Event(Event),
    Order(JobOrder, oneshot::Sender<Result<Value, String>>),
    Close,
}

/// Hears events and takes orders; never waits.
#[derive(Clone)]
pub struct Ear {
    letters: SyncSender<Letter>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    /// Events that found the queue full.
    lost: AtomicU64,
    /// Pictures of them.
    lost_stills: AtomicU64,
    stills: AtomicUsize,
    orders: AtomicUsize,
}

/// The running thread.
pub struct Handle {
    ear: Ear,
    /// Ends with the thread.
    running: Receiver<()>,
}

/// Starts the thread.
///
/// # Errors
/// The system has no thread to give.
pub fn spawn(parts: Parts) -> io::Result<Handle> {
    let (letters, from_all) = sync_channel(JOB_EVENTS_MAX);
    let ear = Ear { letters, counts: Arc::default() };
    let counts = ear.counts.clone();
    let (until_its_end, running) = sync_channel(0);
    thread::Builder::new().name("job_log".into()).spawn(move || {
        let _until_its_end: SyncSender<()> = until_its_end;
        // SAFETY: takes numbers; 0 is the calling thread. A wish, not a condition.
        unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) };
        Log::new(parts, counts).work(&from_all);
    })?;
    Ok(Handle { ear, running })
}

impl Handle {
    /// To hear events and take orders.
    pub fn ear(&self) -> Ear {
        self.ear.clone()
    }

    /// Writes what is still to be written, and ends the thread. The job stays open: the next start goes on with it. A disk
    /// that does not answer is not waited for longer than five seconds. Answers whether all was written.
    pub fn finish(self) -> bool {
        self.finish_within(FINISH_WITHIN)
    }

    fn finish_within(self, within: Duration) -> bool {
        let until = Instant::now() + within;
        let mut letter = Letter::Close;
        loop {
            match self.ear.letters.try_send(letter) {
                Ok(()) => break,
                Err(TrySendError::Disconnected(_)) => return true,
                Err(TrySendError::Full(_)) if Instant::now() >= until => return self.is_stuck(),
                Err(TrySendError::Full(back)) => letter = back,
            }
            thread::sleep(Duration::from_millis(10));
        }
        match self.running.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Err(RecvTimeoutError::Timeout) => self.is_stuck(),
            Ok(()) | Err(RecvTimeoutError::Disconnected) => true,
        }
    }

    fn is_stuck(&self) -> bool {
        tracing::warn!("the disk does not answer: the job's last lines may be missing");
        false
    }
}

impl Ear {
    /// Takes what happened, where it is of a job.
    pub fn hear(&self, event: &Event) {
        let is_still = match &event.what {
            What::StillSent { .. } => true,
            What::Trouble { part, .. } | What::Recovered { part } if part == PART => return,
            what if is_of_a_job(what) => false,
            _ => return,
        };
        if is_still && self.counts.stills.fetch_add(1, Ordering::Relaxed) >= STILLS_WAITING_MAX {
            self.counts.stills.fetch_sub(1, Ordering::Relaxed);
            return self.lose(is_still);
        }
        if self.letters.try_send(Letter::Event(event.clone())).is_err() {
            if is_still {
                self.counts.stills.fetch_sub(1, Ordering::Relaxed);
            }
            self.lose(is_still);
        }
    }

    fn lose(&self, is_still: bool) {
        self.counts.lost.fetch_add(1, Ordering::Relaxed);
        self.counts.lost_stills.fetch_add(is_still.into(), Ordering::Relaxed);
    }

    /// Gives an order; false where it cannot be taken now.
    pub fn ask(&self, order: JobOrder, answer: oneshot::Sender<Result<Value, String>>) -> bool {
        if self.counts.orders.fetch_add(1, Ordering::Relaxed) >= JOB_ORDERS_MAX
            || self.letters.try_send(Letter::Order(order, answer)).is_err()
        {
            self.counts.orders.fetch_sub(1, Ordering::Relaxed);
            return false;
        }
        true
    }
}

fn is_of_a_job(what: &What) -> bool {
    matches!(
        what,
        What::WindowOpened
            | What::UserText { .. }
            | What::ModelText { .. }
            | What::TurnOver { .. }
            | What::ReplyCut { .. }
            | What::ToolCalled { .. }
            | What::ToolAnswered { .. }
            | What::ToolCancelled { .. }
            | What::Trouble { .. }
            | What::Recovered { .. }
            | What::NoticeTold
            | What::NoticeLost { .. }
            | What::ConversationReset
    )
}

struct Log {
    recorder: Recorder,
    desk: Desk,
    clock: Arc<dyn Clock>,
    give: Arc<dyn Fn(Control) -> bool + Send + Sync>,
    tell: Arc<dyn Fn(What) + Send + Sync>,
    announce: String,
    counts: Arc<Counts>,
    idle: Duration,
    /// When it is looked for jobs that are too old.
    tidy_at: Time,
}

impl Log {
    fn new(parts: Parts, counts: Arc<Counts>) -> Log {
        let Parts { log, folder, procedures, clock, give, tell } = parts;
        let bytes = u64::from(log.keep_mb) * 1_000_000;
        let idle = Duration::from_secs(u64::from(log.idle_ends_min) * 60);
        // Half of all: the other half is for jobs before it, which its report may be compared with.
        let still_bytes_max = if log.keeps_pictures { bytes / 2 } else { 0 };
        let recorder = Recorder::new(Settings { idle, still_bytes_max, procedures });
        let desk = Desk::new(Jobs::new(folder), Limits { days: log.keep_days, bytes }, tell.clone());
        Log { recorder, desk, clock, give, tell, announce: log.announce, counts, idle, tidy_at: Time::ZERO }
    }

    fn work(mut self, letters: &Receiver<Letter>) {
        self.take_up();
        loop {
            let wait = self.wait();
            match letters.recv_timeout(wait) {
                Ok(Letter::Event(event)) => {
                    if matches!(event.what, What::StillSent { .. }) {
                        self.counts.stills.fetch_sub(1, Ordering::Relaxed);
                    }
                    self.recorder.handle_event(&event);
                }
                Ok(Letter::Order(order, answer)) => {
                    self.counts.orders.fetch_sub(1, Ordering::Relaxed);
                    // Who waits no more was told that it may not be written.
                    if !answer.is_closed() {
                        let result = self.obey(&order);
                        let _ = answer.send(result);
                    }
                }
                Ok(Letter::Close) | Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.recorder.handle_time(self.clock.now());
            self.write();
            if self.clock.now() >= self.tidy_at {
                self.tidy_up();
            }
        }
        self.recorder.pause(self.clock.now());
        self.write();
        let _ = self.desk.write_now(&[], self.clock.now());
    }

    /// How long there is nothing to do.
    fn wait(&self) -> Duration {
        let now = self.clock.now();
        let next = self.recorder.deadline().into_iter().chain(self.desk.deadline()).min();
        next.map_or(IDLE_WAIT, |at| at.since(now)).min(IDLE_WAIT)
    }

    /// Goes on with the job that an earlier run left, and deletes what is too old.
    fn take_up(&mut self) {
        let now = self.clock.now();
        let is_clock_set = self.clock.unix_ms() / 1000 >= clock::CLOCK_SET_S;
        if let Some(left) = self.desk.left_open() {
            // A clock that was not set yet, or was set back, says nothing of how long it is since.
            let age_ms = if is_clock_set { self.clock.unix_ms().saturating_sub(left.last_ms) } else { 0 };
            let age = Duration::from_millis(u64::try_from(age_ms).unwrap_or(0));
            if age < self.idle {
                self.recorder.resume(left.progress, age, now);
                (self.tell)(What::Recording { job: Some(left.name) });
            } else {
                self.recorder.end_left(left.progress, now);
            }
        }
        self.write();
        self.tidy_up();
    }

    /// Deletes what is too old or too much. Until the clock is set nothing is too old: it is soon looked at again.
    fn tidy_up(&mut self) {
        let unix_ms = self.clock.unix_ms();
        let is_clock_set = unix_ms / 1000 >= clock::CLOCK_SET_S;
        self.desk.tidy_up(is_clock_set.then_some(unix_ms));
        self.tidy_at = self.clock.now() + if is_clock_set { TIDY_EVERY } else { IDLE_WAIT };
    }

    /// Does what the recorder wants.
    fn write(&mut self) {
        let lost = (self.counts.lost.swap(0, Ordering::Relaxed), self.counts.lost_stills.swap(0, Ordering::Relaxed));
        self.desk.lose(lost);
        let now = self.clock.now();
        while let Some(output) = self.recorder.poll_output() {
            match output {
                Output::Begin(at) => self.desk.begin(self.moment(at)),
                Output::Write(at, entry) => self.desk.write(self.record(at, entry), None),
                Output::Still(at, entry, jpeg) => self.desk.write(self.record(at, entry), Some(jpeg)),
                Output::Announce => {
                    let text = format!(
                        "[device] Tell the user this now, in their language, and nothing else: \"{}\"",
                        self.announce
                    );
                    self.recorder.announced((self.give)(Control::Tell(text.into())));
                }
                Output::PicturesFull => {
                    let text =
                        "the pictures of this job take half of `keep_mb`: no more of them are kept; end the job, or \
                                raise it"
                            .to_string();
                    (self.tell)(What::Trouble { part: PART.into(), text });
                }
                Output::Close => self.desk.close(),
            }
        }
        if self.desk.has_lost() && self.desk.is_open() {
            let (lines, stills) = self.desk.lost();
            self.desk.write(self.record(now, Entry::Lost { lines, stills }), None);
        }
        self.desk.work(now);
        let told = self.desk.told();
        for news in told {
            match news {
                desk::News::Begun(name) => {
                    self.recorder.named(&name);
                    (self.tell)(What::Recording { job: Some(name) });
                }
                desk::News::Closed => {
                    (self.tell)(What::Recording { job: None });
                    self.tidy_up();
                }
            }
        }
    }

    /// Writes what an order wants, and answers once it is on the disk.
    fn obey(&mut self, order: &JobOrder) -> Result<Value, String> {
        let now = self.clock.now();
        let planned = self.recorder.plan(order, now);
        self.write();
        let lines = planned?;
        let records: Vec<Record> = lines.iter().map(|entry| self.record(now, entry.clone())).collect();
        if !records.is_empty() {
            self.desk.write_now(&records, now).map_err(|why| format!("NOT written: {why}"))?;
        }
        let told = self.recorder.done(order, &lines);
        self.write();
        Ok(told)
    }

    fn record(&self, at: Time, entry: Entry) -> Record {
        let (unix_ms, at) = self.moment(at);
        Record { at, unix_ms, entry }
    }

    /// A moment by the wall clock, and as a person writes it.
    fn moment(&self, at: Time) -> (i64, String) {
        let ago_ms = self.clock.now().since(at).as_millis();
        let unix_ms = self.clock.unix_ms().saturating_sub(i64::try_from(ago_ms).unwrap_or(0));
        (unix_ms, clock::written(unix_ms.div_euclid(1000)))
    }
}

#[cfg(test)]
mod tests;
