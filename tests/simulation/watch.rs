//! The invariants: what must hold after every step, and what must have happened at the end.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use mynah::audio::HOP_FRAMES;
use mynah::flow::{CloseCause, GateEvent, LinkOrder, SpeakerFact, SpeakerOrder, ToolOrder, What};
use mynah::live::client;
use mynah::live::server;
use mynah::units::{CallId, Epoch, Time};

use super::device::ReplyId;

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

    // The core's orders to the link.

    /// The core sees this connection open.
    pub fn core_connected(&mut self, attempt: u32) {
        self.wire.is_connected |= attempt == self.wire.attempt;
    }

    /// The core sees `setupComplete`, on the connection that it holds for the present one.
    pub fn core_ready(&mut self, attempt: u32) {
        self.wire.is_ready |= attempt == self.wire.attempt && self.wire.is_setup_sent;
    }

    /// The core sees the end of the present connection, or ends it.
    pub fn core_lost(&mut self, attempt: u32) {
        if attempt != self.wire.attempt || !self.wire.is_connected {
            return;
        }
        self.disturb("the connection ended");
        let attempt = self.wire.attempt;
        self.wire = Wire { attempt, ..Wire::default() };
        for segment in &mut self.segments {
            segment.is_hit |= segment.start < segment.sent_until && segment.sent_until < segment.end;
        }
        // A window on its way is hit as well, even one that was sent whole.
        let open = self.last_sent;
        for segment in self.segments.iter_mut().filter(|s| !s.has_arrived) {
            segment.is_hit |= open.is_some_and(|last| (segment.start..segment.end).contains(&last));
        }
    }

    /// The core orders this.
    pub fn ordered(&mut self, order: &LinkOrder) {
        match order {
            LinkOrder::Open { attempt } => {
                self.must(*attempt != self.wire.attempt, Rule::SentInTime, || {
                    "a connection's number is used twice".into()
                });
                self.core_lost(self.wire.attempt);
                self.wire = Wire { attempt: *attempt, ..Wire::default() };
            }
            LinkOrder::Close => self.core_lost(self.wire.attempt),
            LinkOrder::Send(message) => self.sent(message),
        }
    }

    fn sent(&mut self, message: &client::Message) {
        let wire = &mut self.wire;
        let is_setup = matches!(message, client::Message::Setup(_));
        let may = if is_setup { wire.is_connected && !wire.is_setup_sent } else { wire.is_ready };
        wire.is_setup_sent |= is_setup;
        self.must(may, Rule::SentInTime, || format!("{} is sent where it may not be", name_of(message)));
        match message {
            client::Message::Setup(_) => {}
            client::Message::ActivityStart => self.window_started(),
            client::Message::Audio(speech) => self.speech_sent(speech.frames()),
            client::Message::ActivityEnd => self.window_ended(),
            client::Message::ToolResponse { id, .. } => self.call_answered(id),
        }
    }

    fn window_started(&mut self) {
        self.must(self.wire.window.is_none(), Rule::Windows, || "a window opens within a window".into());
        let pause_ms = self.wire.ended_at.map_or(500, |at| self.now.since(at).as_millis());
        self.must(pause_ms >= 500, Rule::Windows, || format!("a window opens {pause_ms} ms after the last"));
        self.disturb("the next window began");
        self.wire.window = Some(None);
        let attempt = self.wire.attempt;
        if let Some(last) = self.exchanges.last_mut().filter(|e| e.attempt == attempt && !e.shows_life) {
            last.is_blurred = true;
            self.wire.is_blurred = true;
        }
    }

    fn speech_sent(&mut self, frames: &[i16]) {
        for hop in frames.chunks_exact(HOP_FRAMES) {
            let number = number_of(hop);
            if self.last_sent.is_some_and(|last| number <= last) {
                return self.fail(Rule::SpeechWhole, || format!("hop {number} is sent again or too late"));
            }
            self.last_sent = Some(number);
            let Some(window) = &mut self.wire.window else {
                return self.fail(Rule::Windows, || "speech outside a window".into());
            };
            let segment = self.segments.iter_mut().rev().find(|s| (s.start..s.end).contains(&number));
            let Some(segment) = segment else {
                return self.fail(Rule::SpeechWhole, || format!("hop {number} is of no segment"));
            };
            let due = segment.sent_until;
            let crosses = window.is_some_and(|(first, _)| first < segment.start);
            let is_new_window = window.is_none() && number != segment.start && !segment.is_hit;
            segment.sent_until = number + 1;
            *window = Some((window.map_or(number, |(first, _)| first), number));
            self.must(number == due, Rule::SpeechWhole, || format!("hop {number} is sent where {due} was due"));
            self.must(!crosses, Rule::SpeechWhole, || format!("two segments in one window, at hop {number}"));
            self.must(!is_new_window, Rule::SpeechWhole, || {
                format!("a window begins within a segment, at hop {number}")
            });
        }
    }

    fn window_ended(&mut self) {
        let Some(Some((first, last))) = self.wire.window.take() else {
            return self.fail(Rule::Windows, || "a window ends that is empty or not open".into());
        };
        self.wire.ended_at = Some(self.now);
        let at = self.segments.iter().rposition(|s| (s.start..s.end).contains(&last)).unwrap_or(0);
        let segment = &self.segments[at];
        let is_whole = segment.is_overfull || (segment.is_closed && segment.sent_until == segment.end);
        let (sent, end, is_overfull) = (segment.sent_until, segment.end, segment.is_overfull);
        self.must(is_whole, Rule::SpeechWhole, || format!("a window ends after hop {sent} of a segment up to {end}"));
        while self.closed_causes.front().is_some_and(|(of, _)| *of < at) {
            self.closed_causes.pop_front();
        }
        let cause = self.closed_causes.front().filter(|(of, _)| *of == at).map(|(_, cause)| *cause);
        self.last_cause = cause.unwrap_or(CloseCause::TooLong);
        self.turns += 1;
        self.exchanges.push(Exchange {
            attempt: self.wire.attempt,
            first,
            last,
            is_wanted: segment_is_wanted(is_overfull, self.last_cause),
            // The user is not to be spoken over, even where the next window has not reached the service.
            disturbed: self.core_segment.filter(|newest| *newest > at).map(|_| "the next segment had begun"),
            reply: None,
            has_arrived: false,
            shows_life: false,
            is_blurred: std::mem::take(&mut self.wire.is_blurred),
        });
    }

    // The service.

    /// The service has heard a whole window; its reply begins. `truth`: what it will say.
    pub fn arrived(&mut self, attempt: u32, voice: &[i16], truth: Arc<[i16]>, breaks_off: bool) -> ReplyId {
        let id = self.replies.len();
        let at = self.exchanges.iter().position(|e| e.attempt == attempt && !e.has_arrived);
        let numbers: Vec<u32> = voice.chunks_exact(HOP_FRAMES).map(number_of).collect();
        let Some(at) = at else {
            self.fail(Rule::SpeechWhole, || "the service heard a window that was not sent".into());
            return id;
        };
        let exchange = &mut self.exchanges[at];
        let (first, last) = (exchange.first, exchange.last);
        exchange.has_arrived = true;
        exchange.reply = Some(id);
        if breaks_off {
            exchange.disturbed.get_or_insert("the service breaks it off");
        }
        self.must(numbers.iter().copied().eq(first..=last), Rule::SpeechWhole, || {
            format!(
                "hops {first} to {last} were sent, {:?} to {:?} arrived, {} in all",
                numbers.first(),
                numbers.last(),
                numbers.len()
            )
        });
        for segment in self.segments.iter_mut().filter(|s| (s.start..s.end).contains(&last)) {
            segment.has_arrived = true;
        }
        self.replies.push(Reply {
            exchange: at,
            truth,
            epoch: None,
            is_cut: false,
            is_complete: false,
            last_at: self.now,
            played: 0,
            heard: 0,
        });
        id
    }

    /// A message of the service reaches the core on the present connection.
    pub fn core_heard_service(
        &mut self,
        attempt: u32,
        message: &server::Message,
        reply: Option<ReplyId>,
        is_over: bool,
    ) {
        if message.setup_complete {
            self.core_ready(attempt);
        }
        if attempt != self.wire.attempt || !self.wire.is_ready {
            return;
        }
        for call in &message.calls {
            self.calls.entry(call.id.clone()).or_default().attempt = attempt;
        }
        for id in &message.cancelled {
            if let Some(call) = self.calls.get_mut(id) {
                call.taken_back = true;
            }
        }
        if let Some(reply) = reply {
            if message.interrupted {
                self.exchange_of(reply).disturbed.get_or_insert("the service was interrupted");
            }
            self.exchange_of(reply).shows_life |= message.has_content() || message.turn_complete;
            self.replies[reply].is_complete |= is_over;
            self.replies[reply].last_at = self.now;
        }
    }

    fn exchange_of(&mut self, reply: ReplyId) -> &mut Exchange {
        &mut self.exchanges[self.replies[reply].exchange]
    }

    // The core's orders to the speaker, and the ear.

    /// The core orders this, while it handles a message of `reply`.
    pub fn speaker_ordered(&mut self, order: &SpeakerOrder, reply: Option<ReplyId>) {
        match order {
            SpeakerOrder::Play { epoch, chunk } => self.played(*epoch, &chunk.frames, reply),
            SpeakerOrder::Flush { epoch } => {
                for (_, counted) in self.counted.range_mut(..=*epoch) {
                    counted.is_cut = true;
                }
                for reply in self.replies.iter_mut().filter(|r| r.epoch.is_some_and(|of| of <= *epoch)) {
                    reply.is_cut = true;
                }
            }
            SpeakerOrder::End { .. } | SpeakerOrder::Volume(_) => {}
        }
    }

    fn played(&mut self, epoch: Epoch, frames: &[i16], reply: Option<ReplyId>) {
        let counted = self.counted.entry(epoch).or_default();
        counted.received += frames.len();
        let was_flushed = counted.is_cut;
        self.must(!was_flushed, Rule::OldEpochSilent, || format!("{epoch} is given to the speaker after its flush"));
        let Some(reply) = reply else {
            return self.fail(Rule::ReplyExact, || format!("{epoch} is played, but the service is not replying"));
        };
        let exchange = self.exchange_of(reply);
        let (is_wanted, is_blurred) = (exchange.is_wanted, exchange.is_blurred);
        self.blurred += u64::from(!is_wanted && is_blurred);
        self.must(is_wanted || is_blurred, Rule::CutStaysCut, || {
            format!("reply {reply} to a mistaken press is played as {epoch}")
        });
        let others = self.replies.iter().position(|r| r.epoch == Some(epoch)).filter(|other| *other != reply);
        self.must(others.is_none(), Rule::ReplyExact, || format!("{epoch} mixes the replies {others:?} and {reply}"));
        let record = &mut self.replies[reply];
        // What is said after generationComplete has an epoch of its own.
        let (is_cut, before) = (record.is_cut, record.epoch.replace(epoch));
        let from = record.played;
        record.played += frames.len();
        let is_true = record.truth.get(from..from + frames.len()) == Some(frames);
        self.must(!is_cut || is_blurred, Rule::CutStaysCut, || {
            format!("reply {reply} was cut and is played again as {epoch}")
        });
        self.must(before.is_none_or(|b| b <= epoch), Rule::ReplyExact, || {
            format!("reply {reply} is {before:?}, then {epoch}")
        });
        self.must(is_true, Rule::ReplyExact, || format!("reply {reply} differs from the script after frame {from}"));
    }

    /// The speaker refused sound of this epoch: old, or over the limit.
    pub fn chunk_refused(&mut self, epoch: Epoch) {
        self.counted.entry(epoch).or_default().is_lossy = true;
    }

    /// The loudspeaker has played so many frames of it.
    pub fn heard(&mut self, epoch: Epoch, reply: ReplyId, frames: usize) {
        self.counted.entry(epoch).or_default().heard += frames;
        if let Some(reply) = self.replies.get_mut(reply) {
            reply.heard += frames;
        }
    }

    /// The speaker reports this.
    pub fn fact(&mut self, fact: &SpeakerFact) {
        let (epoch, heard_ms, is_end) = match fact {
            SpeakerFact::Heard { epoch, heard_ms } | SpeakerFact::Flushed { epoch, heard_ms } => {
                (epoch, heard_ms, false)
            }
            SpeakerFact::Drained { epoch, heard_ms } => (epoch, heard_ms, true),
            _ => return,
        };
        let counted = self.counted.entry(*epoch).or_default();
        let ms = |frames: usize| frames as u64 / 24;
        let (received, heard, is_whole) =
            (ms(counted.received), ms(counted.heard), !counted.is_cut && !counted.is_lossy);
        self.must(*heard_ms <= received, Rule::HeardCount, || format!("{fact:?}, of {received} ms that were received"));
        self.must(*heard_ms == heard, Rule::HeardCount, || format!("{fact:?}, but {heard} ms left the loudspeaker"));
        if is_end && is_whole {
            self.must(*heard_ms == received, Rule::HeardCount, || format!("{fact:?}, but {received} ms were received"));
        }
    }

    /// The core reports this to whoever watches.
    pub fn event(&mut self, what: &What) {
        match what {
            What::NoAnswer { .. } => self.disturb("no answer came in time"),
            What::SpeechLost { why, .. } if why.contains("are kept already") => {
                if let Some(segment) = self.core_segment.and_then(|at| self.segments.get_mut(at)) {
                    segment.is_overfull = true;
                }
            }
            What::ReplyCut { epoch, .. } => {
                for reply in self.replies.iter_mut().filter(|r| r.epoch == Some(*epoch)) {
                    reply.is_cut = true;
                }
            }
            _ => {}
        }
    }

    // The tools.

    /// The core orders this of the tools.
    pub fn tool_ordered(&mut self, order: &ToolOrder) {
        let step = self.step;
        match order {
            ToolOrder::Run(call) => {
                let record = self.calls.entry(call.id.clone()).or_default();
                record.runs += 1;
                let is_first = record.runs == 1 && record.answers == 0;
                self.must(is_first, Rule::CallsOnce, || format!("{} is run again", call.id));
            }
            ToolOrder::Cancel(id) => {
                let record = self.calls.entry(id.clone()).or_default();
                record.cancels += 1;
                record.cancelled_in = step;
                let is_due = record.runs == 1 && record.cancels == 1 && record.answers == 0;
                self.must(is_due, Rule::CallsOnce, || format!("{id} is cancelled, but is not open"));
            }
        }
    }

    fn call_answered(&mut self, id: &CallId) {
        let (step, attempt) = (self.step, self.wire.attempt);
        let record = self.calls.entry(id.clone()).or_default();
        record.answers += 1;
        let is_open = record.answers == 1 && (record.cancels == 0 || record.cancelled_in == step);
        let is_here = record.attempt == attempt;
        self.must(is_open, Rule::CallsOnce, || format!("{id} is answered, but is not open"));
        self.must(is_here, Rule::CallsOnce, || format!("{id} is answered on another connection"));
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

fn segment_is_wanted(is_overfull: bool, cause: CloseCause) -> bool {
    is_overfull || cause != CloseCause::Mistake
}

fn name_of(message: &client::Message) -> &'static str {
    match message {
        client::Message::Setup(_) => "setup",
        client::Message::ActivityStart => "activityStart",
        client::Message::Audio(_) => "audio",
        client::Message::ActivityEnd => "activityEnd",
        client::Message::ToolResponse { .. } => "toolResponse",
    }
}
