//! The invariants: what must hold after every step, and what must have happened at the end.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use mynah::audio::HOP_FRAMES;
use mynah::flow::{CloseCause, GateEvent};
use mynah::units::{CallId, Epoch, Time};

use super::device::ReplyId;

#[path = "watch_ear.rs"]
mod ear;
#[path = "watch_wire.rs"]
mod wire;

/// The rules, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rule {
    /// No sample of an old epoch reaches the device after a flush.
    OldEpochSilent,
    /// What was cut, or was never wanted, is not heard later under another number.
    CutStaysCut,
    /// The gate's segments are whole: hops in order, no gap, none twice, and there is one at least.
    GateWhole,
    /// The first syllable is in its segment, and the pre-roll before it.
    PrerollFirst,
    /// A segment that no broken connection hit arrives whole, once and in order.
    SpeechWhole,
    /// Setup first, nothing before `setupComplete`, nothing after the end.
    SentInTime,
    /// No window is empty, nested or left open.
    Windows,
    /// The strict service finds no reason to close.
    NotRefused,
    /// Every call is answered once or cancelled once.
    CallsOnce,
    /// After a drain the next deadline lies ahead.
    DeadlineAhead,
    /// Every queue keeps its limit.
    QueueLimits,
    /// Kept speech keeps its limit.
    KeptLimit,
    /// A run with a healthy link ends idle.
    EndsIdle,
    /// Never more heard than received; after an undisturbed reply exactly that.
    HeardCount,
    /// What is heard of a reply is what the service sent, to the sample; an undisturbed one is heard whole.
    ReplyExact,
    /// A cue is heard whole and once, over whatever plays, and its facts come when it begins and when it is over.
    CueWhole,
}

/// A broken rule.
#[derive(Clone, Debug)]
pub struct Failure {
    pub rule: Rule,
    pub at: Time,
    pub message: String,
}

/// A segment as the gate gave it: hops by number.
struct Segment {
    start: u32,
    /// After its last hop.
    end: u32,
    is_closed: bool,
    /// After the last hop that was sent.
    sent_until: u32,
    /// A connection ended while a part of it was under way.
    is_hit: bool,
    /// More than may be kept.
    is_overfull: bool,
    has_arrived: bool,
    /// A mistaken press: it need not be sent, but if a part of it is, all of it is.
    is_mistake: bool,
}

/// A window that was sent, and the reply to it.
pub struct Exchange {
    attempt: u32,
    first: u32,
    last: u32,
    is_wanted: bool,
    /// Why its reply need not be heard whole.
    disturbed: Option<&'static str>,
    reply: Option<ReplyId>,
    has_arrived: bool,
    /// The core has heard anything of the reply.
    shows_life: bool,
    /// The next window began before it did, or it began before the one before did: nothing on the wire tells whose
    /// reply is whose then.
    is_blurred: bool,
}

/// A reply of the service.
pub struct Reply {
    exchange: usize,
    truth: Arc<[i16]>,
    epoch: Option<Epoch>,
    is_cut: bool,
    is_complete: bool,
    /// When the core last heard of it.
    last_at: Time,
    played: usize,
    heard: usize,
}

#[derive(Default)]
struct CallRecord {
    attempt: u32,
    runs: u32,
    answers: u32,
    cancels: u32,
    cancelled_in: u64,
    taken_back: bool,
}

/// Sound of an epoch, counted by the world.
#[derive(Default)]
struct Counted {
    received: usize,
    heard: usize,
    is_cut: bool,
    is_lossy: bool,
}

/// The wire as the core may see it.
#[derive(Default)]
struct Wire {
    attempt: u32,
    is_connected: bool,
    is_setup_sent: bool,
    is_ready: bool,
    /// First and last hop sent in the open window.
    window: Option<Option<(u32, u32)>>,
    /// The open window began before the reply to the last one showed life.
    is_blurred: bool,
    /// When the last window ended, for the service's half second.
    ended_at: Option<Time>,
}

/// Everything that is watched.
pub struct Watch {
    pub now: Time,
    pub step: u64,
    pub failure: Option<Failure>,
    /// What happened last; kept only in a replay.
    pub log: Option<VecDeque<(Time, String, u32)>>,
    /// What happens after this is not noted.
    log_until: Time,
    pub turns: u64,
    pub exact_replies: u64,
    /// Chunks of unwanted replies that were played because nothing told whose they were.
    pub blurred: u64,
    segments: Vec<Segment>,
    /// The hop that the segment that is opening must begin with, where it is known.
    wanted: Option<u32>,
    /// The newest segment that the core has heard of.
    core_segment: Option<usize>,
    core_opened: usize,
    last_sent: Option<u32>,
    last_cause: CloseCause,
    closed_causes: VecDeque<(usize, CloseCause)>,
    wire: Wire,
    pub exchanges: Vec<Exchange>,
    pub replies: Vec<Reply>,
    calls: BTreeMap<CallId, CallRecord>,
    counted: BTreeMap<Epoch, Counted>,
}

const LOG_MAX: usize = 30;

/// The number that a hop carries in its samples, from 104 on: four digits to the base of 64.
pub fn number_of(hop: &[i16]) -> u32 {
    hop[104..108].iter().fold(0, |number, &digit| number * 64 + digit as u32)
}

/// Writes it.
pub fn put_number(hop: &mut [i16; HOP_FRAMES], number: u32) {
    for (place, sample) in hop[104..108].iter_mut().enumerate() {
        *sample = (number >> (18 - 6 * place) & 63) as i16;
    }
}

impl Watch {
    /// `log_until`: note what happens, up to then.
    pub fn new(log_until: Option<Time>) -> Watch {
        Watch {
            now: Time::ZERO,
            step: 0,
            failure: None,
            log: log_until.map(|_| VecDeque::new()),
            log_until: log_until.unwrap_or_default(),
            turns: 0,
            exact_replies: 0,
            blurred: 0,
            segments: Vec::new(),
            wanted: None,
            core_segment: None,
            core_opened: 0,
            last_sent: None,
            last_cause: CloseCause::Released,
            closed_causes: VecDeque::new(),
            wire: Wire::default(),
            exchanges: Vec::new(),
            replies: Vec::new(),
            calls: BTreeMap::new(),
            counted: BTreeMap::new(),
        }
    }

    /// Notes a broken rule; the first stays.
    pub fn fail(&mut self, rule: Rule, message: impl FnOnce() -> String) {
        self.fail_at(self.now, rule, message);
    }

    /// The same for what went wrong earlier and is only known now.
    fn fail_at(&mut self, at: Time, rule: Rule, message: impl FnOnce() -> String) {
        if self.failure.is_none() {
            self.failure = Some(Failure { rule, at, message: message() });
        }
    }

    fn must(&mut self, holds: bool, rule: Rule, message: impl FnOnce() -> String) {
        if !holds {
            self.fail(rule, message);
        }
    }

    /// Notes what happened, in a replay.
    pub fn note(&mut self, what: impl FnOnce() -> String) {
        if let Some(log) = self.log.as_mut().filter(|_| self.now <= self.log_until) {
            let what = what();
            if let Some((_, _, times)) = log.back_mut().filter(|(_, last, _)| *last == what) {
                *times += 1;
                return;
            }
            if log.len() == LOG_MAX {
                log.pop_front();
            }
            log.push_back((self.now, what, 1));
        }
    }

    // The gate.

    /// The gate says this.
    pub fn gate_said(&mut self, event: &GateEvent) {
        match event {
            GateEvent::Opened(_) => {
                let is_open = self.segments.last().is_some_and(|s| !s.is_closed);
                self.must(!is_open, Rule::GateWhole, || "a window opens within a window".into());
                let end = self.segments.last().map_or(0, |s| s.end);
                self.segments.push(Segment {
                    start: end,
                    end,
                    is_closed: false,
                    sent_until: 0,
                    is_hit: false,
                    is_overfull: false,
                    has_arrived: false,
                    is_mistake: false,
                });
            }
            GateEvent::Speech(speech) => self.gate_spoke(speech.frames()),
            GateEvent::Closed(cause) => {
                if let Some(segment) = self.segments.last_mut() {
                    segment.is_mistake = *cause == CloseCause::Mistake;
                }
                let closed =
                    self.segments.last_mut().map(|s| (std::mem::replace(&mut s.is_closed, true), s.start, s.end));
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
            if segment.sent_until == 0 && segment.start == segment.end {
                let before = segment.start;
                (segment.start, segment.end, segment.sent_until) = (number, number, number);
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
            GateEvent::Pressed => self.disturb("the button was pressed"),
            GateEvent::Opened(_) => {
                self.disturb("a window was opened");
                self.core_segment = Some(self.core_opened);
                self.core_opened += 1;
            }
            GateEvent::Closed(cause) => {
                if let Some(segment) = self.core_segment {
                    self.closed_causes.push_back((segment, *cause));
                }
            }
            _ => {}
        }
    }

    /// Nothing that is under way need be heard whole any more.
    fn disturb(&mut self, why: &'static str) {
        for exchange in &mut self.exchanges {
            let is_over = exchange.reply.is_some_and(|r| {
                let reply = &self.replies[r];
                reply.is_complete
                    && reply.epoch.is_none_or(|e| self.counted.get(&e).is_some_and(|c| c.heard == c.received))
            });
            if !is_over {
                exchange.disturbed.get_or_insert(why);
            }
        }
    }

    // The clock and the queues.

    /// The core has drained and waits until then.
    pub fn drained(&mut self, deadline: Option<Time>, kept_ms: u64) {
        let now = self.now;
        self.must(deadline.is_none_or(|at| at > now), Rule::DeadlineAhead, || {
            format!("the next deadline is {}, and it is {now}", deadline.unwrap_or_default())
        });
        self.must(kept_ms <= 30_000, Rule::KeptLimit, || format!("{kept_ms} ms of speech are kept"));
    }

    /// A queue holds so many now.
    pub fn queue(&mut self, name: &str, len: usize, limit: usize) {
        self.must(len <= limit, Rule::QueueLimits, || format!("{len} in the queue {name}, {limit} is the limit"));
    }

    // The end.

    /// The run is over and idle. `alive`: the connection that is up.
    pub fn finish(&mut self, alive: Option<u32>) {
        self.must(self.wire.window.is_none(), Rule::Windows, || "a window is left open".into());
        for at in 0..self.segments.len() {
            let s = &self.segments[at];
            let is_lost = !s.is_hit && !s.is_overfull && !s.has_arrived && !s.is_mistake;
            // Sent whole into a connection that died before it got there.
            let died = self.exchanges.iter().any(|e| (s.start..s.end).contains(&e.last) && Some(e.attempt) != alive);
            let (start, end) = (s.start, s.end);
            self.must(!is_lost || died, Rule::SpeechWhole, || format!("hops {start} to {end} never arrived"));
        }
        self.finish_calls();
        self.finish_replies();
    }

    fn finish_calls(&mut self) {
        let mut wrong = None;
        for (id, call) in &self.calls {
            let is_closed = call.answers == 1 || call.cancels == 1;
            let is_gone = call.taken_back || call.attempt != self.wire.attempt || !self.wire.is_ready;
            if (call.runs > 0 && !is_closed) || (call.runs == 0 && call.answers == 0 && !is_gone) {
                wrong = Some(format!("{id} was run {} times and neither answered nor cancelled", call.runs));
            }
        }
        if let Some(wrong) = wrong {
            self.fail(Rule::CallsOnce, || wrong);
        }
    }

    fn finish_replies(&mut self) {
        for at in 0..self.exchanges.len() {
            let exchange = &self.exchanges[at];
            if exchange.disturbed.is_some() || !exchange.is_wanted {
                continue;
            }
            let last = exchange.last;
            let Some(id) = exchange.reply else { continue };
            let reply = &self.replies[id];
            let (heard, played, is_complete, at) = (reply.heard, reply.played, reply.is_complete, reply.last_at);
            let said = reply.truth.len();
            if !is_complete {
                self.fail_at(at, Rule::ReplyExact, || format!("reply {id} (to hop {last}) never ends, undisturbed"));
            }
            if heard != said {
                self.fail_at(at, Rule::ReplyExact, || {
                    format!(
                        "reply {id} (to hop {last}): {said} frames said, {played} played, {heard} heard, undisturbed"
                    )
                });
            }
            self.exact_replies += 1;
        }
    }
}
