//! What is to be written and waits for the disk, in order and with an end.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::flow::What;
use crate::hw::jobs::{JobFile, Jobs};
use crate::job::progress::Progress;
use crate::job::record::{Entry, Record};
use crate::job::recorder::PART;
use crate::job::retention::{Limits, outdated};
use crate::still::Jpeg;
use crate::units::Time;

/// A line is on the disk after so long; with the half second that a piece of speech waits less than a second.
const SYNC_EVERY: Duration = Duration::from_millis(500);
/// A disk that is full or read-only changes when somebody comes.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// Lines that wait for it; some minutes of talk.
const WAITING_MAX: usize = 512;
/// Pictures among them, each about 100 kB.
const STILLS_MAX: usize = 8;

/// What waits.
enum Waiting {
    Begin(i64, String),
    Line(Record),
    Still(Record, Jpeg),
    Close,
}

/// What has happened on the disk.
pub(super) enum News {
    /// A job was made, with this name.
    Begun(String),
    /// It is closed.
    Closed,
}

/// A job that an earlier run left open.
pub(super) struct Left {
    pub(super) name: String,
    pub(super) progress: Progress,
    /// Its last sign of life, milliseconds since 1970.
    pub(super) last_ms: i64,
}

/// The disk, and what waits for it.
pub(super) struct Desk {
    jobs: Jobs,
    limits: Limits,
    tell: Arc<dyn Fn(What) + Send + Sync>,
    /// The job's name, and its file while it can be written.
    job: Option<String>,
    file: Option<JobFile>,
    waiting: VecDeque<Waiting>,
    /// Lines that were lost, and pictures of them.
    lost: (u64, u64),
    sync_at: Option<Time>,
    again_at: Option<Time>,
    is_in_trouble: bool,
    news: Vec<News>,
}

impl Desk {
    pub(super) fn new(jobs: Jobs, limits: Limits, tell: Arc<dyn Fn(What) + Send + Sync>) -> Desk {
        Desk {
            jobs,
            limits,
            tell,
            job: None,
            file: None,
            waiting: VecDeque::new(),
            lost: (0, 0),
            sync_at: None,
            again_at: None,
            is_in_trouble: false,
            news: Vec::new(),
        }
    }

    /// The newest job, where nobody ended it; what is written next belongs to it.
    pub(super) fn left_open(&mut self) -> Option<Left> {
        let newest = self.jobs.list().ok()?.pop()?;
        let lines = self.jobs.read(&newest.name).ok()?;
        if lines.records.iter().any(|record| matches!(record.entry, Entry::Ended { .. })) {
            return None;
        }
        let mut progress = Progress::default();
        lines.records.iter().for_each(|record| progress.take(&record.entry));
        progress.job.clone_from(&newest.name);
        let of_a_person = lines.records.iter().rev().find(|record| {
            !matches!(
                record.entry,
                Entry::Resumed { .. } | Entry::Trouble { .. } | Entry::Recovered { .. } | Entry::Lost { .. }
            )
        });
        let last_ms = of_a_person.map_or(newest.last_ms, |record| record.unix_ms);
        self.job = Some(newest.name.clone());
        Some(Left { name: newest.name, progress, last_ms })
    }

    /// A job begins at this moment.
    pub(super) fn begin(&mut self, (unix_ms, at): (i64, String)) {
        self.waiting.push_back(Waiting::Begin(unix_ms, at)); // one for each close
    }

    /// A line of the job, perhaps with its picture. The last one always finds room, and says first what was lost: that is of
    /// this job, and not of the next.
    pub(super) fn write(&mut self, mut record: Record, jpeg: Option<Jpeg>) {
        if matches!(record.entry, Entry::Ended { .. }) {
            let (lines, stills) = self.lost();
            if lines > 0 {
                let lost = Record { entry: Entry::Lost { lines, stills }, ..record.clone() };
                self.waiting.push_back(Waiting::Line(lost));
            }
        } else if self.waiting.len() >= WAITING_MAX {
            return self.lose((1, jpeg.is_some().into()));
        }
        let stills = self.waiting.iter().filter(|waiting| matches!(waiting, Waiting::Still(..))).count();
        self.waiting.push_back(match jpeg {
            Some(jpeg) if stills < STILLS_MAX => Waiting::Still(record, jpeg),
            Some(_) => {
                without_file(&mut record);
                Waiting::Line(record)
            }
            None => Waiting::Line(record),
        });
    }

    /// The job is over.
    pub(super) fn close(&mut self) {
        self.waiting.push_back(Waiting::Close);
    }

    pub(super) fn lose(&mut self, (lines, stills): (u64, u64)) {
        self.lost = (self.lost.0 + lines, self.lost.1 + stills);
    }

    pub(super) fn has_lost(&self) -> bool {
        self.lost.0 > 0 && self.waiting.len() < WAITING_MAX
    }

    pub(super) fn is_open(&self) -> bool {
        self.job.is_some()
    }

    /// How much was lost, once.
    pub(super) fn lost(&mut self) -> (u64, u64) {
        std::mem::take(&mut self.lost)
    }

    /// What has happened since the last look.
    pub(super) fn told(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    /// When [`Desk::work`] has something to do.
    pub(super) fn deadline(&self) -> Option<Time> {
        let again = self.again_at.filter(|_| !self.waiting.is_empty());
        self.sync_at.into_iter().chain(again).min()
    }

    /// Writes what waits, as far as the disk takes it.
    pub(super) fn work(&mut self, now: Time) {
        if self.again_at.is_some_and(|at| now < at) {
            return;
        }
        let done = self.hand_over(now).and_then(|()| match self.sync_at {
            Some(at) if at <= now => self.sync(),
            _ => Ok(()),
        });
        self.judge(done, now);
    }

    /// Writes what waits and these lines, and answers when all is on the disk.
    pub(super) fn write_now(&mut self, records: &[Record], now: Time) -> Result<(), String> {
        let lines: Vec<u8> = records.iter().flat_map(Record::line).collect();
        let done = self.hand_over(now).and_then(|()| self.append(&lines)).and_then(|()| self.sync());
        let answer = done.as_ref().map_err(ToString::to_string).copied();
        self.judge(done, now);
        answer
    }

    fn judge(&mut self, done: io::Result<()>, now: Time) {
        let part = PART.to_string();
        match done {
            Ok(()) => {
                self.again_at = None;
                if std::mem::take(&mut self.is_in_trouble) {
                    (self.tell)(What::Recovered { part });
                }
            }
            Err(why) => {
                // What of a line was written is not known: it is opened anew, which closes half a line.
                (self.file, self.sync_at, self.again_at) = (None, None, Some(now + AGAIN_AFTER));
                if !std::mem::replace(&mut self.is_in_trouble, true) {
                    let text = format!(
                        "the job cannot be recorded in {} ({why}): is the disk full or read-only? It is tried again",
                        self.jobs.path().display()
                    );
                    (self.tell)(What::Trouble { part, text });
                }
            }
        }
    }

    fn hand_over(&mut self, now: Time) -> io::Result<()> {
        while let Some(waiting) = self.waiting.pop_front() {
            let done = match &waiting {
                Waiting::Begin(unix_ms, at) => self.make(*unix_ms, at),
                Waiting::Line(record) => self.append(&record.line()),
                Waiting::Still(record, jpeg) => self.append_still(record, jpeg),
                Waiting::Close => self.sync(),
            };
            if let Err(why) = done {
                self.waiting.push_front(waiting);
                return Err(why);
            }
            if matches!(waiting, Waiting::Close) {
                (self.job, self.file, self.sync_at) = (None, None, None);
                self.news.push(News::Closed);
            } else {
                self.sync_at.get_or_insert(now + SYNC_EVERY);
            }
        }
        Ok(())
    }

    fn make(&mut self, unix_ms: i64, at: &str) -> io::Result<()> {
        self.jobs.claim().map_err(io::Error::other)?;
        let (name, mut file) = self.jobs.create(at)?;
        let entry = Entry::Began { job: name.clone() };
        file.write(&Record { at: at.to_string(), unix_ms, entry }.line())?;
        (self.job, self.file) = (Some(name.clone()), Some(file));
        self.news.push(News::Begun(name));
        Ok(())
    }

    /// The job's file, opened anew where it has to be.
    fn file(&mut self) -> io::Result<&mut JobFile> {
        if self.file.is_none() {
            self.jobs.claim().map_err(io::Error::other)?;
            let name = self.job.as_ref().ok_or_else(|| io::Error::other("there is no job"))?;
            self.file = Some(self.jobs.open(name)?);
        }
        self.file.as_mut().ok_or_else(|| io::Error::other("there is no file"))
    }

    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        if lines.is_empty() { Ok(()) } else { self.file()?.write(lines) }
    }

    fn append_still(&mut self, record: &Record, jpeg: &Jpeg) -> io::Result<()> {
        if let Entry::Still { file: Some(name), .. } = &record.entry {
            self.file()?.still(name, jpeg)?;
        }
        self.append(&record.line())
    }

    fn sync(&mut self) -> io::Result<()> {
        if let Some(file) = &self.file {
            file.sync()?;
        }
        self.sync_at = None;
        Ok(())
    }

    /// Deletes the jobs that are too old or too many; without a time none is too old.
    pub(super) fn tidy_up(&self, now_ms: Option<i64>) {
        let jobs = match self.jobs.list() {
            Ok(jobs) => jobs,
            Err(e) => return tracing::warn!("old jobs are not deleted: their folder cannot be read ({e})"),
        };
        let going = outdated(&jobs, self.job.as_deref(), self.limits, now_ms);
        if going.is_empty() {
            return;
        }
        if let Err(trouble) = self.jobs.claim() {
            return tracing::warn!("old jobs are not deleted: {trouble}");
        }
        for job in going {
            match self.jobs.delete(&job) {
                Ok(()) => tracing::info!(job, "a job was deleted: it was too old, or all took too much room"),
                Err(e) => tracing::warn!(job, "an old job cannot be deleted ({e})"),
            }
        }
    }
}

/// The line of a picture that is not kept.
fn without_file(record: &mut Record) {
    if let Entry::Still { file, .. } = &mut record.entry {
        *file = None;
    }
}
