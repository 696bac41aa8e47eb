//! The flight recorder: the last things that happened, with counts, to be read after something went wrong.
//!
//! It is free of speech, words, tool arguments, handles and keys because there is no place for them: an entry holds
//! numbers, words of this program's own text (`&'static str`) and names that the owner's configuration gave. Nothing
//! that a server or a person said can be put into one. That also makes an entry a plain copy: recording allocates
//! nothing, so all that passes the core can be recorded, fifty messages a second and more.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use crate::units::Time;

/// Entries that are kept: an hour without a network, or a few dozen turns; 150 KB.
const ENTRIES_MAX: usize = 1024;
/// Numbers of an entry.
const NUMBERS_MAX: usize = 5;
/// Entries in which an equal one is looked for: a turn has fewer streams at the same time.
const NEAR: usize = 12;
/// The longest run of entries whose repetition is folded: an attempt to connect that fails is no longer.
const CYCLE_MAX: usize = 10;
/// Columns of the totals.
const TOTALS_WIDTH: usize = 100;

/// Whom an entry is about, as the dump shows it.
pub type Lane = &'static str;

/// What becomes of a number when an equal entry is folded into the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Entries with another number are others.
    Same,
    /// Added up.
    Sum,
    /// The newest counts.
    Last,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Number {
    label: &'static str,
    value: u64,
    kind: Kind,
}

/// A name that the configuration gave; of any other only that there was one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name(Option<u16>);

/// One thing that happened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entry {
    lane: Lane,
    what: &'static str,
    is_stream: bool,
    name: Option<Name>,
    numbers: [Option<Number>; NUMBERS_MAX],
    note: &'static str,
}

impl Entry {
    /// That `what` happened.
    pub fn new(lane: Lane, what: &'static str) -> Entry {
        Entry { lane, what, is_stream: false, name: None, numbers: [None; NUMBERS_MAX], note: "" }
    }

    /// … as one of many that are one line, as long as only such ones happen: sound.
    pub fn stream(mut self) -> Entry {
        self.is_stream = true;
        self
    }

    /// … with a number that tells it from others.
    pub fn of(self, label: &'static str, value: impl Into<u64>) -> Entry {
        self.number(label, value.into(), Kind::Same)
    }

    /// … with a number that is added up over repeats.
    pub fn sum(self, label: &'static str, value: impl Into<u64>) -> Entry {
        self.number(label, value.into(), Kind::Sum)
    }

    /// … with a number of which the newest counts.
    pub fn last(self, label: &'static str, value: impl Into<u64>) -> Entry {
        self.number(label, value.into(), Kind::Last)
    }

    /// … about something that has this name.
    pub fn name(mut self, name: Name) -> Entry {
        self.name = Some(name);
        self
    }

    /// … for this reason.
    pub fn note(mut self, note: &'static str) -> Entry {
        self.note = note;
        self
    }

    /// One number too many is left out.
    fn number(mut self, label: &'static str, value: u64, kind: Kind) -> Entry {
        if let Some(place) = self.numbers.iter_mut().find(|place| place.is_none()) {
            *place = Some(Number { label, value, kind });
        }
        self
    }

    /// Whether `other` is the same again.
    fn is_like(&self, other: &Entry) -> bool {
        let same = |(a, b): (&Option<Number>, &Option<Number>)| match (a, b) {
            (Some(a), Some(b)) => {
                a.label == b.label && a.kind == b.kind && (a.kind != Kind::Same || a.value == b.value)
            }
            (a, b) => a.is_none() && b.is_none(),
        };
        (self.lane, self.what, self.note, self.name) == (other.lane, other.what, other.note, other.name)
            && self.is_stream == other.is_stream
            && self.numbers.iter().zip(&other.numbers).all(same)
    }

    fn fold(&mut self, newer: &Entry) {
        for (own, newer) in self.numbers.iter_mut().flatten().zip(newer.numbers.iter().flatten()) {
            own.value = match own.kind {
                Kind::Same => own.value,
                Kind::Sum => own.value.saturating_add(newer.value),
                Kind::Last => newer.value,
            };
        }
    }
}

/// An entry with its repeats.
#[derive(Clone, Copy, Debug)]
struct Kept {
    entry: Entry,
    first: Time,
    last: Time,
    times: u64,
}

impl Kept {
    fn fold(&mut self, newer: &Kept) {
        self.entry.fold(&newer.entry);
        self.last = newer.last;
        self.times += newer.times;
    }
}

/// The record.
#[derive(Debug, Default)]
struct Trace {
    kept: VecDeque<Kept>,
    /// Entries that were pushed out.
    lost: u64,
    /// How often each thing happened since the start; as many as there are kinds in the program's text.
    totals: Vec<(Lane, &'static str, u64)>,
    /// The next deadline and what it is for.
    deadline: Option<(Time, &'static str)>,
}

impl Trace {
    fn add(&mut self, at: Time, entry: Entry) {
        match self.totals.iter_mut().find(|(lane, what, _)| (*lane, *what) == (entry.lane, entry.what)) {
            Some((_, _, times)) => *times += 1,
            None => self.totals.push((entry.lane, entry.what, 1)),
        }
        let new = Kept { entry, first: at, last: at, times: 1 };
        if let Some(near) = self.near(&entry) {
            return near.fold(&new);
        }
        self.kept.push_back(new);
        self.fold_cycle();
        if self.kept.len() > ENTRIES_MAX {
            self.kept.pop_front();
            self.lost += 1;
        }
    }

    /// The entry that this one repeats: the newest; of a stream any that only streams have followed.
    fn near(&mut self, entry: &Entry) -> Option<&mut Kept> {
        let reach = if entry.is_stream { NEAR } else { 1 };
        let mut near =
            self.kept.iter_mut().rev().take(reach).take_while(|kept| kept.entry.is_stream == entry.is_stream);
        near.find(|kept| kept.entry.is_like(entry))
    }

    /// Folds what has just repeated the entries before it, as attempts to connect do: a night without a network is
    /// a few lines with a count.
    fn fold_cycle(&mut self) {
        let len = self.kept.len();
        let is_cycle = |length: usize| {
            let (old, new) = (len - 2 * length, len - length);
            (0..length).all(|i| self.kept[old + i].entry.is_like(&self.kept[new + i].entry))
        };
        let Some(length) = (2..=CYCLE_MAX.min(len / 2)).find(|length| is_cycle(*length)) else { return };
        for i in 0..length {
            let newer = self.kept[len - length + i];
            self.kept[len - 2 * length + i].fold(&newer);
        }
        self.kept.truncate(len - length);
    }

    fn text(&self, names: &[String]) -> String {
        let mut out = match self.deadline {
            Some((at, what)) => format!("the next timer: {what}, at second {}\n\n", seconds(at)),
            None => "no timer runs: it waits for something to happen\n\n".to_string(),
        };
        self.totals_text(&mut out);
        match self.lost {
            0 => out.push_str("\nall that happened, the newest last:\n\n"),
            lost => {
                let _ = writeln!(out, "\nwhat happened, the newest last ({lost} earlier lines are gone):\n");
            }
        }
        let row = |out: &mut String, cells: [&str; 7]| {
            let [seconds, until, lane, what, times, numbers, note] = cells;
            let line = format!("{seconds:>12} {until:>12}  {lane:<10}  {what:<20} {times:>6}  {numbers:<26}  {note}");
            let _ = writeln!(out, "{}", line.trim_end());
        };
        row(&mut out, ["second", "until", "whom", "what", "times", "how much", "why"]);
        for Kept { entry, first, last, times } in &self.kept {
            let until = if times > &1 { seconds(*last) } else { String::new() };
            let count = if times > &1 { times.to_string() } else { String::new() };
            let numbers = numbers_text(entry, names);
            row(&mut out, [&seconds(*first), &until, entry.lane, entry.what, &count, &numbers, entry.note]);
        }
        out
    }

    fn totals_text(&self, out: &mut String) {
        let mut totals = self.totals.clone();
        totals.sort_unstable();
        out.push_str("since the start:\n");
        let mut lane = "";
        let mut width = 0;
        for (whom, what, times) in totals {
            let piece = format!("{what} {times}");
            let is_same = whom == lane;
            if is_same && width + piece.len() <= TOTALS_WIDTH {
                let _ = write!(out, ", {piece}");
                width += piece.len() + 2;
                continue;
            }
            let end = if lane.is_empty() { "" } else { ["\n", ",\n"][usize::from(is_same)] };
            let head = if is_same { "" } else { whom };
            let _ = write!(out, "{end}  {head:<10}  {piece}");
            (lane, width) = (whom, piece.len());
        }
        out.push('\n');
    }
}

fn seconds(at: Time) -> String {
    format!("{}.{:03}", at.as_ms() / 1000, at.as_ms() % 1000)
}

fn numbers_text(entry: &Entry, names: &[String]) -> String {
    let mut text = String::new();
    if let Some(Name(index)) = entry.name {
        text.push_str(index.and_then(|index| names.get(usize::from(index))).map_or("(unknown name)", String::as_str));
    }
    for Number { label, value, .. } in entry.numbers.iter().flatten() {
        let gap = if text.is_empty() { "" } else { ", " };
        let _ = match *label {
            "ms" => write!(text, "{gap}{value} ms"),
            "bytes" => write!(text, "{gap}{value} bytes"),
            _ => write!(text, "{gap}{label} {value}"),
        };
    }
    text
}

/// The record that all threads add to. Clones are one record.
#[derive(Clone, Debug)]
pub struct Recorder {
    names: Arc<[String]>,
    trace: Arc<Mutex<Trace>>,
}

impl Recorder {
    /// An empty record; `names` are those of the configuration that may be shown: of tools, lines, parts.
    pub fn new(names: impl IntoIterator<Item = String>) -> Recorder {
        let trace = Trace { kept: VecDeque::with_capacity(ENTRIES_MAX + 1), ..Trace::default() };
        Recorder { names: names.into_iter().collect(), trace: Arc::new(Mutex::new(trace)) }
    }

    /// The name, where the configuration has it.
    pub fn name(&self, name: &str) -> Name {
        Name(self.names.iter().position(|known| known == name).and_then(|index| u16::try_from(index).ok()))
    }

    /// Adds an entry.
    pub fn add(&self, at: Time, entry: Entry) {
        self.trace.lock().unwrap_or_else(PoisonError::into_inner).add(at, entry);
    }

    /// Notes the next deadline and what it is for; none where only something from outside goes on.
    pub fn wait_for(&self, deadline: Option<(Time, &'static str)>) {
        self.trace.lock().unwrap_or_else(PoisonError::into_inner).deadline = deadline;
    }

    /// The whole record as text, for people.
    pub fn text(&self) -> String {
        self.trace.lock().unwrap_or_else(PoisonError::into_inner).text(&self.names)
    }

    /// As [`Recorder::text`], but never waits: none while a thread adds to it, which may be the one that panics.
    pub fn text_now(&self) -> Option<String> {
        match self.trace.try_lock() {
            Ok(trace) => Some(trace.text(&self.names)),
            Err(TryLockError::Poisoned(trace)) => Some(trace.into_inner().text(&self.names)),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorder() -> Recorder {
        Recorder::new(["lamp".to_string()])
    }

    /// The lines of what happened, blanks squeezed.
    fn lines(recorder: &Recorder) -> Vec<String> {
        let text = recorder.text();
        let rows = text.lines().skip_while(|line| !line.trim_start().starts_with("second")).skip(1);
        rows.map(|row| row.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }

    #[test]
    fn sound_is_one_line_however_its_messages_mix_and_a_press_ends_it() {
        let recorder = recorder();
        for turn in 0..2 {
            recorder.add(Time::from_ms(turn * 10_000), Entry::new("<- gate", "pressed"));
            for piece in 1..=50 {
                let at = Time::from_ms(turn * 10_000 + piece * 20);
                recorder.add(at, Entry::new("<- gate", "speech").stream().sum("ms", 20u64));
                recorder.add(at, Entry::new("-> link", "audio").stream().of("attempt", turn).sum("ms", 20u64));
                recorder.add(at, Entry::new("<- speaker", "heard").stream().last("ms", piece * 20));
            }
        }
        let expected = [
            "0.000 <- gate pressed",
            "0.020 1.000 <- gate speech 50 1000 ms",
            "0.020 1.000 -> link audio 50 attempt 0, 1000 ms",
            "0.020 1.000 <- speaker heard 50 1000 ms",
            "10.000 <- gate pressed",
            "10.020 11.000 <- gate speech 50 1000 ms",
            "10.020 11.000 -> link audio 50 attempt 1, 1000 ms",
            "10.020 11.000 <- speaker heard 50 1000 ms",
        ];
        assert_eq!(lines(&recorder), expected);
        assert!(recorder.text().contains("speech 100"), "{}", recorder.text());
    }

    #[test]
    fn a_night_of_failed_attempts_is_a_few_lines_with_a_count() {
        let recorder = recorder();
        recorder.add(Time::ZERO, Entry::new("core", "start"));
        for attempt in 1..=1000u64 {
            let at = Time::from_ms(attempt * 30_000);
            recorder.add(at, Entry::new("-> link", "open").last("attempt", attempt));
            recorder.add(at, Entry::new("<- link", "down").note("the network is down"));
            recorder.add(at, Entry::new("event", "link down"));
        }
        recorder.add(Time::from_ms(40_000_000), Entry::new("<- link", "connected"));
        let expected = [
            "0.000 core start",
            "30.000 30000.000 -> link open 1000 attempt 1000",
            "30.000 30000.000 <- link down 1000 the network is down",
            "30.000 30000.000 event link down 1000",
            "40000.000 <- link connected",
        ];
        assert_eq!(lines(&recorder), expected);
    }

    #[test]
    fn the_oldest_go_first_and_are_counted() {
        let recorder = recorder();
        for n in 0..ENTRIES_MAX as u64 + 7 {
            recorder.add(Time::from_ms(n), Entry::new("core", "n").of("n", n).name(recorder.name("lamp")));
        }
        let lines = lines(&recorder);
        assert_eq!((lines.len(), lines[0].as_str()), (ENTRIES_MAX, "0.007 core n lamp, n 7"));
        assert!(recorder.text().contains("7 earlier lines are gone"));
        recorder.add(Time::ZERO, Entry::new("core", "m").name(recorder.name("what a stranger said")));
        assert!(recorder.text().contains("(unknown name)"));
    }

    #[test]
    fn what_is_waited_for_stands_above() {
        let recorder = recorder();
        assert!(recorder.text().starts_with("no timer runs"));
        recorder.wait_for(Some((Time::from_ms(1234), "connect again")));
        assert!(recorder.text().starts_with("the next timer: connect again, at second 1.234\n"));
    }

    #[test]
    fn a_record_in_use_is_not_waited_for() {
        let recorder = recorder();
        assert!(recorder.text_now().is_some());
        let held = recorder.trace.lock();
        assert!(recorder.text_now().is_none());
        drop(held);
    }
}
