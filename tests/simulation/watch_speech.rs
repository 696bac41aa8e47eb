//! What the user says: the gate's segments, what is sent of them, what is told to be lost, who waits for a reply.

use std::time::Duration;

use mynah::audio::HOP_FRAMES;
use mynah::flow::{CloseCause, Cue, GateEvent, What};
use mynah::units::Time;

use super::{Rule, Watch, number_of};

/// Times that a question without an answer is asked again.
const ASKED_AGAIN_MAX: u32 = 3;
/// Times that a reply of which something came is asked for again.
const BROKEN_OFF_MAX: u32 = 1;
/// What is finished and waits for a connection is dropped after this.
const KEPT_FOR: Duration = Duration::from_secs(60);

/// A segment as the gate gave it, hops by number, and what became of it.
#[derive(Default)]
pub struct Segment {
    pub start: u32,
    /// After its last hop.
    pub end: u32,
    has_begun: bool,
    is_closed: bool,
    cause: Option<CloseCause>,
    /// After the last hop that the core took.
    pub taken: u32,
    /// The core took no more of it: too much was kept.
    pub is_overfull: bool,
    /// As the core has heard it.
    pub core_closed: Option<CloseCause>,
    /// Nothing of it was taken: the day's limit is used up.
    pub is_turned_away: bool,
    /// The core takes nothing (more) of it: the microphone is closed, or a new conversation has begun.
    pub is_silenced: bool,
    /// It was sent, and is not kept for being sent again.
    pub is_forgotten: bool,
    /// When the last hop that the core took was said, or it was to be asked again; and that of the piece before.
    spoken_at: Time,
    spoken_before: Time,
    /// It waits to be asked again.
    pub is_to_ask: bool,
    /// Where a window with it must begin; later than its start only where the loss was told.
    pub begin: u32,
    /// The newest connection that it was sent on.
    pub sent_on: u32,
    /// Windows that were sent to their end.
    pub windows: u32,
    pub has_arrived: bool,
    /// The reply to it was taken for whole.
    pub is_answered: bool,
    /// It was told that it is lost, or that no reply comes.
    pub is_told_lost: bool,
    /// The user spoke again after it.
    is_superseded: bool,
    asked_again: u32,
    broken_off: u32,
}

impl Segment {
    /// Whether it may be asked again: it is to be, or was to be just as the user began anew and goes before what they say now.
    pub fn may_be_asked(&self) -> bool {
        self.is_to_ask || (self.is_superseded && self.asked_again > 0)
    }

    /// After the last hop that is due in a window.
    pub fn due_end(&self) -> u32 {
        if self.is_overfull || self.is_silenced { self.taken } else { self.end }
    }

    /// Whether all of it is known.
    pub fn is_complete(&self) -> bool {
        self.is_overfull || self.is_silenced || self.is_closed
    }

    /// Whether the user meant it.
    pub fn is_wanted(&self) -> bool {
        !self.is_silenced && (self.is_overfull || self.cause != Some(CloseCause::Mistake))
    }
}

/// Somebody who spoke and waits.
pub struct Pending {
    pub segment: usize,
    pub is_sent: bool,
    /// The reply was lost, and nothing of another one has come yet.
    is_reply_lost: bool,
}

impl Watch {
    /// The gate says this.
    pub fn gate_said(&mut self, event: &GateEvent) {
        match event {
            GateEvent::Opened(_) => {
                let is_open = self.segments.last().is_some_and(|s| !s.is_closed);
                self.must(!is_open, Rule::GateWhole, || "a window opens within a window".into());
                let end = self.segments.last().map_or(0, |s| s.end);
                self.segments.push(Segment { start: end, end, begin: end, taken: end, ..Segment::default() });
            }
            GateEvent::Speech(speech) => self.gate_spoke(speech.frames()),
            GateEvent::Closed(cause) => {
                let closed = self.segments.last_mut().map(|s| {
                    s.cause = Some(*cause);
                    (std::mem::replace(&mut s.is_closed, true), s.start, s.end)
                });
                let is_sound = matches!(closed, Some((false, start, end)) if start < end);
                self.must(is_sound, Rule::GateWhole, || {
                    format!("a window closes that is empty or not open: {closed:?}")
                });
            }
            _ => {}
        }
    }

    fn gate_spoke(&mut self, frames: &[i16]) {
        for hop in frames.chunks_exact(HOP_FRAMES) {
            let number = number_of(hop);
            let Some(segment) = self.segments.last_mut().filter(|s| !s.is_closed) else {
                return self.fail(Rule::GateWhole, || format!("hop {number} outside a window"));
            };
            if !std::mem::replace(&mut segment.has_begun, true) {
                let before = segment.start;
                (segment.start, segment.end, segment.begin, segment.taken) = (number, number, number, number);
                self.must(number >= before, Rule::GateWhole, || {
                    format!("hop {number} is sent again (from {before} on)")
                });
                let wanted = self.wanted.take().unwrap_or(number).max(before);
                self.must(number <= wanted, Rule::PrerollFirst, || {
                    format!("the segment begins with hop {number}, what was said and its pre-roll with {wanted}")
                });
            }
            let Some(segment) = self.segments.last_mut() else { return };
            let wanted = segment.end;
            segment.end = number + 1;
            self.must(number == wanted, Rule::GateWhole, || format!("hop {number} where {wanted} was due"));
        }
    }

    /// The window that has just opened must begin with this hop, if it is not of the window before.
    pub fn opened_wanting(&mut self, first: u32) {
        self.wanted = Some(first);
    }

    /// The core takes this from the gate.
    pub fn core_heard_gate(&mut self, event: &GateEvent) {
        match event {
            GateEvent::Pressed => {
                self.disturb("the button was pressed");
                self.pending.take_if(|pending| pending.is_sent);
            }
            GateEvent::Opened(_) if self.person.is_muted() => {
                self.core_segment = Some(self.core_opened);
                self.segments[self.core_opened].is_silenced = true;
                self.core_opened += 1;
            }
            GateEvent::Opened(_) => {
                self.disturb("a window was opened");
                let segment = self.core_opened;
                self.core_segment = Some(segment);
                self.core_opened += 1;
                self.pending = Some(Pending { segment, is_sent: false, is_reply_lost: false });
            }
            GateEvent::Speech(speech) => {
                let last = speech.frames().chunks_exact(HOP_FRAMES).next_back().map(number_of);
                let at = self.core_segment.unwrap_or(0);
                let (older, newer) = self.segments.split_at_mut(at);
                let taken = newer.first_mut().filter(|s| !s.is_overfull && !s.is_turned_away && !s.is_silenced);
                if let (Some(segment), Some(last)) = (taken, last) {
                    // What only waited to be asked again is worth nothing any more.
                    for older in older.iter_mut().filter(|_| segment.taken == segment.start) {
                        (older.is_superseded, older.is_to_ask) = (true, false);
                    }
                    segment.spoken_before = segment.spoken_at;
                    (segment.taken, segment.spoken_at) = (last + 1, speech.at);
                }
            }
            GateEvent::Closed(cause) => {
                if let Some(segment) = self.core_segment.and_then(|at| self.segments.get_mut(at)) {
                    segment.core_closed = Some(*cause);
                }
                let newest = self.core_segment;
                self.pending.take_if(|p| *cause == CloseCause::Mistake && Some(p.segment) == newest);
            }
            _ => {}
        }
    }

    /// The core reports what becomes of what was said. Heard after its orders of the same step.
    pub(super) fn speech_event(&mut self, what: &What) {
        match what {
            What::SpeechLost { ms, why } => self.speech_lost((*ms / 10) as u32, why),
            What::ReplyLost { epoch, is_asked_again, .. } => self.reply_lost(epoch.is_some(), *is_asked_again),
            What::TurnOver { reason } => {
                if let Some(last) = self.exchanges.last_mut().filter(|_| reason.is_some()) {
                    last.disturbed.get_or_insert("its end was not waited for");
                }
                if let Some(segment) = self.asked_segment() {
                    segment.is_answered = true;
                    // What the model says after it, of a late result or because its end was told twice, counts anew.
                    (segment.asked_again, segment.broken_off) = (0, 0);
                }
                let is_ignored = self.exchanges.last().is_some_and(|last| last.is_ignored);
                self.pending.take_if(|pending| pending.is_sent && !is_ignored);
            }
            What::ReplyStarted { .. } => self.pending.iter_mut().for_each(|pending| pending.is_reply_lost = false),
            What::ReplyGenerated { epoch } if self.counted.get(epoch).is_none_or(|sound| sound.received == 0) => {
                self.pending.take_if(|pending| pending.is_sent);
            }
            What::ReplyDrained { epoch, .. } if self.person.is_repeated(*epoch) => {}
            What::ReplyDrained { .. } => {
                self.pending.take_if(|pending| pending.is_sent && !pending.is_reply_lost);
            }
            What::ReplyCut { by_user, .. } => {
                self.pending.take_if(|pending| pending.is_sent);
                // Who wants it to stop does not want it twice.
                if let Some(segment) = self.asked_segment().filter(|_| *by_user) {
                    (segment.is_superseded, segment.is_to_ask) = (true, false);
                }
            }
            _ => {}
        }
    }

    /// The gate is told to close, and to ignore what comes.
    pub fn aborted(&mut self) {
        if let Some(segment) = self.core_segment.and_then(|at| self.segments.get_mut(at)) {
            segment.is_turned_away |= segment.taken == segment.start;
        }
    }

    /// The device sounds this.
    pub(super) fn cue_ordered(&mut self, cue: Cue) {
        if matches!(cue, Cue::Lost | Cue::Spent) {
            self.pending = None;
        }
    }

    /// The segment to which the service owes the reply.
    fn asked_segment(&mut self) -> Option<&mut Segment> {
        let at = self.exchanges.last()?.segment?;
        self.segments.get_mut(at)
    }

    fn reply_lost(&mut self, is_broken_off: bool, is_asked_again: bool) {
        let now = self.now;
        let is_ready = self.wire.is_ready;
        self.pending.iter_mut().for_each(|pending| pending.is_reply_lost = pending.is_sent);
        let Some(segment) = self.asked_segment() else { return };
        if !is_asked_again {
            segment.is_told_lost = true;
            return;
        }
        segment.spoken_at = now;
        segment.is_to_ask = true;
        segment.asked_again += 1;
        segment.broken_off += u32::from(is_broken_off);
        let (asked, broken) = (segment.asked_again, segment.broken_off);
        self.wire.may_ask_again = is_ready;
        self.must(asked <= ASKED_AGAIN_MAX && broken <= BROKEN_OFF_MAX, Rule::AskedAgain, || {
            format!("the question is asked again {asked} times, {broken} of them for a broken reply")
        });
    }

    fn speech_lost(&mut self, hops: u32, why: &str) {
        if why.contains("too late to take it") {
            return; // before there was a segment
        }
        if why.contains("was muted") || why.contains("new conversation") {
            return self.silence_told(hops);
        }
        if why.contains("are kept already") {
            if let Some(segment) = self.core_segment.and_then(|at| self.segments.get_mut(at)) {
                segment.taken -= hops;
                segment.spoken_at = segment.spoken_before;
                segment.is_overfull = true;
                segment.is_told_lost |= segment.taken == segment.start;
            }
            return;
        }
        if why.contains("the connection ended") {
            // What was sent of the window under way, and is not kept any more.
            if let Some(segment) = self.newest_sent.and_then(|at| self.segments.get_mut(at)) {
                segment.begin += hops;
                segment.is_told_lost |= segment.is_complete() && segment.begin >= segment.due_end();
            }
            return;
        }
        let (now, from) = (self.now, self.newest_sent.unwrap_or(0));
        let mut told = 0;
        for segment in self.segments.iter_mut().skip(from) {
            let is_old = segment.is_complete() && segment.is_wanted() && segment.spoken_at + KEPT_FOR <= now;
            let is_due = is_old && !segment.is_turned_away;
            let is_waiting = segment.windows == 0 || (segment.is_to_ask && !segment.is_forgotten);
            if is_due && is_waiting && !segment.is_answered && !segment.is_told_lost {
                segment.is_told_lost = true;
                told += segment.due_end() - segment.begin;
            }
        }
        self.must(told == hops, Rule::SpeechWhole, || format!("{hops} hops are told to be lost, {told} were due"));
    }

    /// A window was sent to its end with this segment.
    pub(super) fn segment_sent(&mut self, at: usize) {
        self.segments[at].windows += 1;
        if let Some(pending) = self.pending.as_mut().filter(|pending| pending.segment == at) {
            pending.is_sent = true;
        }
    }

    /// Whether a window may begin with this segment now, and why not.
    pub(super) fn check_window(&mut self, at: usize, number: u32) {
        let (newest, attempt) = (self.newest_sent, self.wire.attempt);
        let may_ask_again = std::mem::take(&mut self.wire.may_ask_again);
        let s = &mut self.segments[at];
        let is_again = newest == Some(at);
        let is_here = is_again && s.sent_on == attempt && !may_ask_again;
        let (is_old, is_over) = (newest.is_some_and(|newest| newest > at), s.is_answered || s.is_told_lost);
        let begin = s.begin;
        (s.sent_on, s.is_to_ask) = (attempt, false);
        self.newest_sent = self.newest_sent.max(Some(at));
        self.must(!is_old, Rule::SpeechWhole, || format!("hop {number} is sent after a newer segment"));
        self.must(!is_here, Rule::SpeechWhole, || format!("hop {number} is sent again on the same connection"));
        self.must(!is_over, Rule::AskedAgain, || format!("hop {number} is sent again though its question is over"));
        self.must(number == begin, Rule::SpeechWhole, || {
            format!("a window begins within a segment, at hop {number}, not {begin}")
        });
    }

    /// At the end. `alive`: the connection that is up.
    pub(super) fn finish_speech(&mut self, alive: Option<u32>) {
        for at in 0..self.segments.len() {
            let s = &self.segments[at];
            let died = s.windows > 0 && Some(s.sent_on) != alive;
            // Where nothing tells whose reply it was, the core may take it for answered and leave.
            let is_blurred = self.exchanges.iter().any(|e| e.segment == Some(at) && e.is_blurred);
            let is_excused = died && (s.is_superseded || is_blurred);
            let is_let_go = s.is_silenced || (s.is_forgotten && died);
            let is_well = s.has_arrived || s.is_told_lost || s.is_turned_away || is_let_go || is_excused;
            let (start, end, is_wanted) = (s.start, s.due_end(), s.is_wanted());
            self.must(is_well || !is_wanted, Rule::SpeechWhole, || format!("hops {start} to {end} never arrived"));
        }
        if let Some(pending) = &self.pending {
            let (start, is_sent) = (self.segments[pending.segment].start, pending.is_sent);
            self.fail(Rule::NobodyForgotten, || {
                format!("what was said from hop {start} on (sent: {is_sent}) got neither a reply nor a cue")
            });
        }
    }
}
