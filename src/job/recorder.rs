//! What happens becomes a job's lines: when one begins and ends, what of it is written, who is told.
//!
//! A piece of what is said waits half a second for more of it: a line for each word would wear the card, and a line for
//! each turn would lose a minute with the battery.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde_json::Value;

use super::progress::Progress;
use super::record::{End, Entry, Party, bounded, bounded_value};
use crate::config::agent::job_log;
use crate::config::procedure::Procedure;
use crate::flow::{Event, What};
use crate::still::Jpeg;
use crate::units::{CallId, Time};

mod order;

/// How long a piece of what is said waits for more of it; with the disk's own wait less than a second.
pub const PIECE_WAITS: Duration = Duration::from_millis(400);
/// Calls that may be open; the tools take eight at a time.
const OPEN_CALLS_MAX: usize = 32;
/// The part's name in troubles.
pub const PART: &str = "job_log";

/// What the owner wants.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Nobody speaks for so long, and the job is over.
    pub idle: Duration,
    /// What the pictures of one job may take, bytes; 0 where none are kept.
    pub still_bytes_max: u64,
    /// The procedures by their names.
    pub procedures: Vec<(String, Procedure)>,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Make a job; what follows belongs to it.
    Begin(Time),
    /// Write a line.
    Write(Time, Entry),
    /// Write a picture to the line's file, then the line.
    Still(Time, Entry, Jpeg),
    /// Have the device say that it records; [`Recorder::announced`] says whether it can.
    Announce,
    /// Tell the owner that no more pictures of this job are kept.
    PicturesFull,
    /// The job is over, and so are its files.
    Close,
}

/// Whether the user was told of the recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Announce {
    #[default]
    Done,
    /// To be told as soon as the core takes it.
    Due,
    /// The core has it.
    Given,
    /// It was not told; to be told when somebody speaks again.
    Lost,
}

/// What a party says and is not written yet.
#[derive(Debug, Default)]
struct Piece {
    text: String,
    since: Option<Time>,
}

impl Piece {
    fn add(&mut self, text: &str, at: Time) {
        if !text.is_empty() {
            self.text.push_str(text);
            self.since.get_or_insert(at);
        }
    }
}

/// The job that is open.
#[derive(Debug, Default)]
struct Open {
    progress: Progress,
    /// When it is over unless somebody speaks.
    ends_at: Time,
    turn: u32,
    /// Whether anything was said in this turn.
    is_turn_begun: bool,
    has_model_spoken: bool,
    user: Piece,
    model: Piece,
    announce: Announce,
    is_full_told: bool,
}

/// Folds events into lines.
#[derive(Debug)]
pub struct Recorder {
    settings: Settings,
    job: Option<Open>,
    /// What the user said in this turn, as far as it is in pieces or lines.
    user_seen: String,
    /// A person ended the job in this turn: what is still heard of the turn begins no other.
    is_turn_past: bool,
    calls: BTreeMap<CallId, (String, Value)>,
    out: VecDeque<Output>,
}

impl Recorder {
    /// One without a job.
    pub fn new(settings: Settings) -> Recorder {
        Recorder {
            settings,
            job: None,
            user_seen: String::new(),
            is_turn_past: false,
            calls: BTreeMap::new(),
            out: VecDeque::new(),
        }
    }

    /// Goes on with a job that an earlier run left open, whose last sign of life is so old.
    pub fn resume(&mut self, progress: Progress, age: Duration, now: Time) {
        let left = self.settings.idle.saturating_sub(age);
        let turn = progress.turn + 1;
        // Who speaks now may be somebody else: it is said again.
        self.job = Some(Open { progress, ends_at: now + left, turn, announce: Announce::Lost, ..Open::default() });
        self.write(now, Entry::Resumed { after_s: age.as_secs() });
    }

    /// Ends a job that an earlier run left open too long ago.
    pub fn end_left(&mut self, progress: Progress, now: Time) {
        self.job = Some(Open { progress, ..Open::default() });
        self.end(End::Idle, now);
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When [`Recorder::handle_time`] has something to do.
    pub fn deadline(&self) -> Option<Time> {
        let job = self.job.as_ref()?;
        let pieces = [&job.user, &job.model].into_iter().filter_map(|piece| piece.since).map(|at| at + PIECE_WAITS);
        pieces.chain([job.ends_at]).min()
    }

    /// The open job's name, as the disk has it.
    pub fn named(&mut self, job: &str) {
        if let Some(open) = &mut self.job {
            open.progress.take(&Entry::Began { job: job.to_string() });
        }
    }

    /// Time has passed.
    pub fn handle_time(&mut self, now: Time) {
        let Some(job) = &mut self.job else { return };
        let is_due = |piece: &Piece| piece.since.is_some_and(|at| at + PIECE_WAITS <= now);
        if is_due(&job.user) || is_due(&job.model) {
            self.flush(now);
        }
        if self.job.as_ref().is_some_and(|job| job.ends_at <= now) {
            self.end(End::Idle, now);
        }
    }

    /// The program ends; the job does not. What was said so far is written.
    pub fn pause(&mut self, now: Time) {
        self.flush(now);
    }

    /// Something happened.
    pub fn handle_event(&mut self, event: &Event) {
        let at = event.at;
        self.handle_time(at);
        match &event.what {
            What::UserText { .. } | What::ToolCalled { .. } | What::StillSent { .. } if self.is_turn_past => {}
            What::WindowOpened => self.next_turn(at),
            What::UserText { text } => self.user_said(text, at),
            What::ModelText { text, .. } => self.model_said(text, at),
            What::TurnOver { .. } => self.flush(at),
            What::ReplyCut { .. } => self.cut(at),
            What::ToolCalled { id, name, args } => self.called(id, name, args, at),
            What::ToolAnswered { id, name, result, took_ms } => self.answered(id, name, result.as_ref(), *took_ms, at),
            What::ToolCancelled { id } => {
                if let Some((name, _)) = self.calls.get(id).cloned() {
                    self.answered(id, &name, Err(&"it was taken back".to_string()), 0, at);
                }
            }
            What::StillSent { why, width, height, bytes, jpeg, .. } => {
                self.begin(at);
                let size = u64::try_from(*bytes).unwrap_or(u64::MAX);
                let file = self.room_for(size);
                self.still(
                    Entry::Still { file, width: *width, height: *height, bytes: size, why: (*why).into() },
                    jpeg,
                    at,
                );
            }
            What::Trouble { part, text } if part != PART => {
                self.write_in_job(at, Entry::Trouble { part: part.clone(), text: bounded(text) });
            }
            What::Recovered { part } if part != PART => {
                self.write_in_job(at, Entry::Recovered { part: part.clone() });
            }
            What::NoticeTold => {
                self.next_turn(at);
                self.announce_was(Announce::Done);
            }
            What::NoticeLost { .. } => self.announce_was(Announce::Lost),
            What::ConversationReset => {
                self.end(End::Reset, at);
                self.is_turn_past = true;
            }
            _ => {}
        }
    }

    /// Whether the core has taken what [`Output::Announce`] asked for; where it has not, it is asked again in the next turn.
    pub fn announced(&mut self, is_taken: bool) {
        if let Some(job) = &mut self.job {
            job.announce = if is_taken { Announce::Given } else { Announce::Lost };
        }
    }

    fn announce_was(&mut self, announce: Announce) {
        if let Some(job) = self.job.as_mut().filter(|job| job.announce == Announce::Given) {
            job.announce = announce;
        }
    }

    /// Begins a job where there is none; somebody is there.
    fn begin(&mut self, at: Time) {
        let ends_at = at + self.settings.idle;
        match &mut self.job {
            Some(job) => job.ends_at = ends_at,
            None => {
                self.job = Some(Open { ends_at, turn: 1, announce: Announce::Due, ..Open::default() });
                self.out.push_back(Output::Begin(at));
            }
        }
        if let Some(job) = self.job.as_mut().filter(|job| matches!(job.announce, Announce::Due | Announce::Lost)) {
            job.announce = Announce::Given;
            self.out.push_back(Output::Announce);
        }
    }

    fn end(&mut self, why: End, at: Time) {
        self.flush(at);
        if self.job.is_some() {
            self.write(at, Entry::Ended { why });
            self.close();
        }
    }

    fn close(&mut self) {
        self.job = None;
        self.out.push_back(Output::Close);
    }

    /// Writes a line of the open job.
    fn write(&mut self, at: Time, entry: Entry) {
        if let Some(job) = &mut self.job {
            job.progress.take(&entry);
        }
        self.out.push_back(Output::Write(at, entry));
    }

    /// Writes a line where a job is open.
    fn write_in_job(&mut self, at: Time, entry: Entry) {
        if self.job.is_some() {
            self.flush(at);
            self.write(at, entry);
        }
    }

    fn next_turn(&mut self, at: Time) {
        self.flush(at);
        self.user_seen.clear();
        self.is_turn_past = false;
        if let Some(job) = self.job.as_mut().filter(|job| job.is_turn_begun) {
            job.turn += 1;
            (job.is_turn_begun, job.has_model_spoken) = (false, false);
        }
    }

    /// `text` is all that is understood of this turn so far.
    fn user_said(&mut self, text: &str, at: Time) {
        let new = text.strip_prefix(self.user_seen.as_str()).unwrap_or(text).to_string();
        self.user_seen = text.to_string();
        if self.job.is_none() && new.trim().is_empty() {
            return;
        }
        self.begin(at);
        if let Some(job) = &mut self.job {
            job.user.add(&new, at);
            job.is_turn_begun = true;
        }
    }

    fn model_said(&mut self, text: &str, at: Time) {
        let Some(job) = &mut self.job else { return };
        if !job.has_model_spoken {
            self.flush(at); // what was asked stands before what is answered
        }
        if let Some(job) = &mut self.job {
            job.model.add(text, at);
            (job.is_turn_begun, job.has_model_spoken) = (true, true);
            job.ends_at = at + self.settings.idle;
        }
    }

    fn cut(&mut self, at: Time) {
        self.flush(at);
        if let Some(turn) = self.job.as_ref().filter(|job| job.has_model_spoken).map(|job| job.turn) {
            self.write(at, Entry::Cut { turn });
        }
    }

    /// Writes what was said so far, the user's words first.
    fn flush(&mut self, now: Time) {
        let Some(job) = &mut self.job else { return };
        let turn = job.turn;
        let mut said = Vec::new();
        for (by, piece) in [(Party::User, &mut job.user), (Party::Model, &mut job.model)] {
            let at = piece.since.take().unwrap_or(now);
            let text = std::mem::take(&mut piece.text);
            if !text.is_empty() {
                said.push((at, Entry::Said { turn, by, text: bounded(&text) }));
            }
        }
        said.into_iter().for_each(|(at, entry)| self.write(at, entry));
    }

    fn called(&mut self, id: &CallId, name: &str, args: &Value, at: Time) {
        self.begin(at);
        self.flush(at);
        if self.calls.len() >= OPEN_CALLS_MAX {
            self.calls.pop_first();
        }
        self.calls.insert(id.clone(), (name.to_string(), args.clone()));
        // What the job log's own tools write is a line of its own.
        if !job_log::is_tool(name) {
            self.write(at, called(id, name, args));
        }
    }

    fn answered(&mut self, id: &CallId, name: &str, result: Result<&Value, &String>, took_ms: u64, at: Time) {
        let call = self.calls.remove(id);
        if self.job.is_none() {
            return; // its own call ended it
        }
        self.flush(at);
        match (call, job_log::is_tool(name)) {
            (_, true) if result.is_ok() => return,
            // What could not be written is not lost with it: its words are in the arguments.
            (Some((_, args)), true) => self.write(at, called(id, name, &args)),
            _ => {}
        }
        let error = result.err().map(|why| bounded(why));
        let result = result.ok().map(bounded_value);
        self.write(at, Entry::Answered { id: id.to_string(), name: name.to_string(), result, error, took_ms });
    }

    /// The file of the next picture; none where it is not to be kept.
    fn room_for(&mut self, bytes: u64) -> Option<String> {
        let (job, max) = (self.job.as_mut()?, self.settings.still_bytes_max);
        if max == 0 {
            return None;
        }
        if job.progress.still_bytes.saturating_add(bytes) > max {
            if !std::mem::replace(&mut job.is_full_told, true) {
                self.out.push_back(Output::PicturesFull);
            }
            return None;
        }
        Some(format!("still-{:04}.jpg", job.progress.stills + 1))
    }

    fn still(&mut self, entry: Entry, jpeg: &Jpeg, at: Time) {
        self.flush(at);
        if let Some(job) = &mut self.job {
            job.progress.take(&entry);
        }
        self.out.push_back(match &entry {
            Entry::Still { file: Some(_), .. } => Output::Still(at, entry, jpeg.clone()),
            _ => Output::Write(at, entry),
        });
    }
}

fn called(id: &CallId, name: &str, args: &Value) -> Entry {
    Entry::Called { id: id.to_string(), name: name.to_string(), args: bounded_value(args) }
}

#[cfg(test)]
mod tests;
