//! The report of a job: its lines put in order for a reader, as a page or as Markdown.

pub mod html;
pub mod markdown;
mod timeline;

use std::collections::BTreeMap;

use serde_json::Value;

use super::record::{End, Entry, Lines, Party, Record};
use crate::config::procedure::Step;

/// Letters of a caption.
const CAPTION_CHARS_MAX: usize = 120;
/// What is said within this time before a picture is its caption.
const CAPTION_WITHIN_MS: i64 = 60_000;

/// A moment of the job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Milliseconds since 1970.
    pub unix_ms: i64,
    /// `2026-11-22 08:40:03 +0100`.
    pub at: String,
}

impl Moment {
    fn of(record: &Record) -> Moment {
        Moment { unix_ms: record.unix_ms, at: record.at.clone() }
    }

    /// The day: `2026-11-22`.
    pub fn date(&self) -> &str {
        self.at.get(..10).unwrap_or(&self.at)
    }

    /// The time of day: `08:40:03`.
    pub fn time(&self) -> &str {
        self.at.get(11..19).unwrap_or(&self.at)
    }
}

/// A step, and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct StepRow {
    /// Its number, from 1.
    pub number: u32,
    /// What was to be done.
    pub step: Step,
    /// When it was done or left out; none where it is open.
    pub ticked: Option<Moment>,
    /// Left out.
    pub is_skipped: bool,
    /// What was said about it.
    pub comment: Option<String>,
    /// Its pictures, by their number in the report.
    pub stills: Vec<usize>,
    /// Its readings, by their index in the report.
    pub readings: Vec<usize>,
}

/// A reading.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadingRow {
    /// When.
    pub when: Moment,
    /// What was measured.
    pub name: String,
    /// The value with its unit.
    pub value: String,
    /// What would be right.
    pub wanted: Option<String>,
    /// Whether it is not.
    pub is_out_of_range: bool,
    /// What was said about it.
    pub comment: Option<String>,
}

/// A picture.
#[derive(Clone, Debug, PartialEq)]
pub struct StillRow {
    /// When.
    pub when: Moment,
    /// Its file beside the log; none where it was not kept.
    pub file: Option<String>,
    /// Pixels.
    pub size: (u16, u16),
    /// What was said just before.
    pub caption: Option<String>,
    /// The step it belongs to.
    pub step: Option<u32>,
}

/// What one party said in one turn.
#[derive(Clone, Debug, PartialEq)]
pub struct Utterance {
    /// When it began.
    pub when: Moment,
    /// The turn.
    turn: u32,
    /// Who.
    pub by: Party,
    /// Its words.
    pub text: String,
    /// Whether it was cut: not all of it was heard.
    pub is_cut: bool,
}

/// A tool call.
#[derive(Clone, Debug, PartialEq)]
pub struct CallRow {
    /// When.
    pub when: Moment,
    /// The call.
    id: String,
    /// The function.
    pub name: String,
    /// Its arguments.
    pub args: Value,
    /// Its result, or why there is none; neither where no answer is on record.
    pub result: Option<Result<Value, String>>,
    /// Milliseconds it took.
    pub took_ms: u64,
}

/// A report.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// The job's name.
    pub job: String,
    /// What it was, where somebody said so.
    pub title: Option<String>,
    /// The procedure's title, where there was one.
    pub procedure: Option<String>,
    /// The first line.
    pub began: Moment,
    /// The last thing that somebody did.
    pub last: Moment,
    /// Why it ended; none while it is open.
    pub ended: Option<End>,
    /// The steps.
    pub steps: Vec<StepRow>,
    /// The readings.
    pub readings: Vec<ReadingRow>,
    /// The notes.
    pub notes: Vec<(Moment, String)>,
    /// The pictures.
    pub stills: Vec<StillRow>,
    /// What was said.
    pub said: Vec<Utterance>,
    /// What tools did.
    pub calls: Vec<CallRow>,
    /// What was wrong with the device.
    pub troubles: Vec<(Moment, String)>,
    /// Lines that are missing, because the disk took none or the power was cut.
    pub missing: u64,
    /// Pictures and readings since the last step.
    since_step: (usize, usize),
}

impl Report {
    /// The report of a job's lines.
    pub fn new(job: &str, lines: &Lines) -> Report {
        let mut report = Report { job: job.to_string(), missing: lines.torn as u64, ..Report::default() };
        let mut open = BTreeMap::new();
        for (index, record) in lines.records.iter().enumerate() {
            let when = Moment::of(record);
            if index == 0 {
                report.began = when.clone();
            }
            if !matches!(record.entry, Entry::Ended { .. } | Entry::Resumed { .. }) || index == 0 {
                report.last = when.clone();
            }
            report.take(record, when, &mut open);
        }
        report
    }

    fn take(&mut self, record: &Record, when: Moment, open: &mut BTreeMap<String, usize>) {
        match &record.entry {
            Entry::Began { .. } => {}
            Entry::Resumed { after_s } => {
                let after = length(i64::try_from(*after_s).unwrap_or(i64::MAX).saturating_mul(1000));
                self.troubles.push((when, format!("the device was started again, {after} after it had stopped")));
            }
            Entry::Titled { title, procedure } => {
                self.title = Some(title.clone());
                self.procedure = procedure.as_ref().map(|procedure| procedure.title.clone());
                let steps = procedure.iter().flat_map(|procedure| procedure.steps.iter().cloned()).zip(1..);
                self.steps = steps.map(|(step, number)| StepRow::open(number, step)).collect();
            }
            Entry::Said { turn, by, text } => self.say(when, *turn, *by, text),
            Entry::Cut { turn } => {
                let cut = self.said.iter_mut().rev().find(|said| said.turn == *turn && said.by == Party::Model);
                cut.into_iter().for_each(|said| said.is_cut = true);
            }
            Entry::Still { file, width, height, .. } => {
                let caption = self.caption(when.unix_ms);
                self.stills.push(StillRow { when, file: file.clone(), size: (*width, *height), caption, step: None });
            }
            Entry::Called { id, name, args } => {
                open.insert(id.clone(), self.calls.len());
                let (id, name, args) = (id.clone(), name.clone(), args.clone());
                self.calls.push(CallRow { when, id, name, args, result: None, took_ms: 0 });
            }
            Entry::Answered { id, result, error, took_ms, .. } => {
                if let Some(call) = open.remove(id).and_then(|index| self.calls.get_mut(index)) {
                    let result = result.clone().unwrap_or(Value::Null);
                    call.result = Some(error.clone().map_or(Ok(result), Err));
                    call.took_ms = *took_ms;
                }
            }
            Entry::Note { text } => self.notes.push((when, text.clone())),
            Entry::Reading { name, value, unit, comment, wanted, is_out_of_range } => {
                let unit = unit.as_ref().map_or_else(String::new, |unit| format!(" {unit}"));
                self.readings.push(ReadingRow {
                    when,
                    name: name.clone(),
                    value: format!("{value}{unit}"),
                    wanted: wanted.clone(),
                    is_out_of_range: *is_out_of_range,
                    comment: comment.clone(),
                });
            }
            Entry::Step { step, is_skipped, comment } => self.tick(when, *step, *is_skipped, comment.clone()),
            Entry::Trouble { part, text } => self.troubles.push((when, format!("{part}: {text}"))),
            Entry::Recovered { part } => self.troubles.push((when, format!("{part} works again"))),
            Entry::Lost { lines, .. } => self.missing += lines,
            Entry::Ended { why } => self.ended = Some(*why),
        }
    }

    /// A piece belongs to what the same party said in the same turn, if nobody was in between but the other party.
    fn say(&mut self, when: Moment, turn: u32, by: Party, text: &str) {
        let same = self.said.iter_mut().rev().take(2).find(|said| said.turn == turn && said.by == by);
        match same {
            Some(said) => said.text.push_str(text),
            None => self.said.push(Utterance { when, turn, by, text: text.to_string(), is_cut: false }),
        }
    }

    /// What the person said last, where that was just now.
    fn caption(&self, unix_ms: i64) -> Option<String> {
        let said = self.said.iter().rev().find(|said| said.by == Party::User)?;
        let is_near = (0..=CAPTION_WITHIN_MS).contains(&(unix_ms - said.when.unix_ms));
        let text = said.text.trim();
        (is_near && !text.is_empty()).then(|| short(text, CAPTION_CHARS_MAX))
    }

    fn tick(&mut self, when: Moment, number: u32, is_skipped: bool, comment: Option<String>) {
        let Some(row) = self.steps.iter_mut().find(|row| row.number == number) else { return };
        let (stills, readings) = self.since_step;
        (row.ticked, row.is_skipped, row.comment) = (Some(when), is_skipped, comment);
        row.stills = (stills + 1..=self.stills.len()).collect();
        row.readings = (readings..self.readings.len()).collect();
        self.stills.iter_mut().skip(stills).for_each(|still| still.step = Some(number));
        self.since_step = (self.stills.len(), self.readings.len());
    }

    /// What it is called: its title, else its procedure's, else that nobody said.
    pub fn heading(&self) -> &str {
        let title = self.title.as_deref().or(self.procedure.as_deref()).map(str::trim);
        title.filter(|title| !title.is_empty()).unwrap_or("Job without a title")
    }

    /// From its beginning to the last thing somebody did, in words.
    pub fn length(&self) -> String {
        length(self.last.unix_ms.saturating_sub(self.began.unix_ms))
    }

    /// How it stands, in words.
    pub fn state(&self) -> &'static str {
        match self.ended {
            None => "in progress",
            Some(End::Asked) => "finished",
            Some(End::Reset) => "ended with the conversation",
            Some(End::Idle) => "ended: nobody spoke any more",
            Some(End::Another) => "ended when another job began",
        }
    }

    /// Steps that are done, left out, and open.
    pub fn step_counts(&self) -> (usize, usize, usize) {
        let skipped = self.steps.iter().filter(|row| row.is_skipped).count();
        let ticked = self.steps.iter().filter(|row| row.ticked.is_some()).count();
        (ticked - skipped, skipped, self.steps.len() - ticked)
    }
}

impl StepRow {
    fn open(number: u32, step: Step) -> StepRow {
        let (stills, readings) = (Vec::new(), Vec::new());
        StepRow { number, step, ticked: None, is_skipped: false, comment: None, stills, readings }
    }

    /// `done`, `skipped` or `open`.
    pub fn state(&self) -> &'static str {
        match (&self.ticked, self.is_skipped) {
            (None, _) => "open",
            (Some(_), true) => "skipped",
            (Some(_), false) => "done",
        }
    }
}

/// Milliseconds in words: `1 h 12 min`, `4 min 10 s`.
fn length(ms: i64) -> String {
    let s = ms.max(0) / 1000;
    let (hours, minutes, seconds) = (s / 3600, s / 60 % 60, s % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds} s"),
        (0, _) => format!("{minutes} min {seconds} s"),
        _ => format!("{hours} h {minutes} min"),
    }
}

/// The beginning of a text.
fn short(text: &str, chars_max: usize) -> String {
    let mut letters = text.chars();
    let start: String = letters.by_ref().take(chars_max).collect();
    if letters.next().is_some() { format!("{start}…") } else { start }
}

/// Arguments or a result as one readable line: `room: kitchen, on: true`.
fn plain(value: &Value) -> String {
    const CHARS_MAX: usize = 400; // the log has all of it
    let text = match value {
        Value::Object(members) => {
            let one = |(name, value): (&String, &Value)| format!("{name}: {}", inner(value));
            members.iter().map(one).collect::<Vec<_>>().join(", ")
        }
        other => inner(other),
    };
    short(&text, CHARS_MAX)
}

fn inner(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "–".to_string(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
