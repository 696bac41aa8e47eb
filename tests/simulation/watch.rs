//! The invariants: what must hold after every step, and what must have happened at the end.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use mynah::audio::HOP_FRAMES;
use mynah::flow::SPEECH_KEPT_MS;
use mynah::units::{CallId, Epoch, Time};

use super::device::ReplyId;

#[path = "watch_ear.rs"]
mod ear;
#[path = "watch_handles.rs"]
mod handles;
#[path = "watch_person.rs"]
mod person;
#[path = "watch_speech.rs"]
mod speech;
#[path = "watch_wire.rs"]
mod wire;

use handles::Handles;
use person::Person;
use speech::{Pending, Segment};

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
    /// Every window has all of its segment, from its first hop; segments go out in order, and once on a connection;
    /// each is heard whole by the service, or what is lost of it is told.
    SpeechWhole,
    /// What was answered is not asked again, nor what was told to be lost; a broken reply is asked for again once.
    AskedAgain,
    /// Who spoke gets a reply, or a cue that there will be none.
    NobodyForgotten,
    /// Setup first, nothing before `setupComplete`, nothing after the end.
    SentInTime,
    /// No window is empty, nested or left open.
    Windows,
    /// The strict service finds no reason to close.
    NotRefused,
    /// A setup carries the newest handle, none that was refused, and nothing that was refused twice in a row; the old
    /// connection is closed before the next is opened.
    Handles,
    /// On a spent day nothing is sent.
    SpentRests,
    /// While a person or the hardware's line holds the microphone closed nothing that was said is sent.
    MutedSilent,
    /// A picture is fresh, and at least a second after the last.
    PicturesFresh,
    /// The gate knows whether anything can be heard.
    AudibleTold,
    /// Every call is answered once, cancelled once or reported lost once.
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

/// A window that was sent, and the reply to it.
#[derive(Default)]
pub struct Exchange {
    attempt: u32,
    /// The segment that asked, also where it was asked again in words.
    segment: Option<usize>,
    is_in_words: bool,
    first: u32,
    last: u32,
    is_wanted: bool,
    /// Why its reply need not be heard whole.
    disturbed: Option<&'static str>,
    reply: Option<ReplyId>,
    has_arrived: bool,
    /// The service does not answer it: it was stuck.
    is_ignored: bool,
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
    /// Those on a later connection than the one that called.
    answers_later: u32,
    later_on: Option<u32>,
    cancels: u32,
    /// Reported lost with its connection; and whether as told to the service.
    losses: u32,
    is_told: bool,
    cancelled_in: u64,
    taken_back: bool,
}

/// Sound of an epoch, counted by the world.
#[derive(Default)]
struct Counted {
    /// Whose it is, where the core has told.
    reply: Option<ReplyId>,
    /// Frames given to the speaker; of what is kept back none yet.
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
    /// The core ordered its end; it may come to be connected all the same, which nobody minds.
    is_given_up: bool,
    is_setup_sent: bool,
    is_ready: bool,
    /// First and last hop sent in the open window.
    window: Option<Option<(u32, u32)>>,
    /// The open window began before the reply to the last one showed life.
    is_blurred: bool,
    /// The open window has nothing in it but a hop of silence, because it may not be empty.
    is_silence: bool,
    /// When the last window ended, for the service's half second.
    ended_at: Option<Time>,
    /// Whether anything but the setup went out.
    is_used: bool,
    /// The service ended the last turn without an answer: it may be asked again here.
    may_ask_again: bool,
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
    /// What happened how often.
    pub counts: BTreeMap<&'static str, u64>,
    /// When a connection was last ready.
    pub ready_at: Time,
    handles: Handles,
    person: Person,
    /// The day's limit is used up, and the connection was closed for it.
    is_spent: bool,
    /// It was said that the limit is used up: what was lost with a connection is told tomorrow.
    is_day_spent: bool,
    /// When the last picture went out.
    picture_at: Option<Time>,
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
    /// The newest segment of which anything was sent.
    newest_sent: Option<usize>,
    /// Who waits for a reply.
    pending: Option<Pending>,
    wire: Wire,
    pub exchanges: Vec<Exchange>,
    pub replies: Vec<Reply>,
    calls: BTreeMap<CallId, CallRecord>,
    counted: BTreeMap<Epoch, Counted>,
}

const LOG_MAX: usize = 80;

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
            counts: BTreeMap::new(),
            ready_at: Time::ZERO,
            handles: Handles::default(),
            person: Person::default(),
            is_spent: false,
            is_day_spent: false,
            picture_at: None,
            turns: 0,
            exact_replies: 0,
            blurred: 0,
            segments: Vec::new(),
            wanted: None,
            core_segment: None,
            core_opened: 0,
            newest_sent: None,
            pending: None,
            wire: Wire::default(),
            exchanges: Vec::new(),
            replies: Vec::new(),
            calls: BTreeMap::new(),
            counted: BTreeMap::new(),
        }
    }

    /// Counts what happened.
    pub fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// The calendar turns.
    pub fn new_day(&mut self) {
        (self.is_spent, self.is_day_spent) = (false, false);
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

    /// Nothing that is under way need be heard whole any more.
    fn disturb(&mut self, why: &'static str) {
        for exchange in &mut self.exchanges {
            let is_over = exchange.reply.is_some_and(|r| {
                let reply = &self.replies[r];
                reply.is_complete
                    && reply
                        .epoch
                        .is_none_or(|e| self.counted.get(&e).is_some_and(|c| c.received > 0 && c.heard == c.received))
            });
            if !is_over {
                exchange.disturbed.get_or_insert(why);
            }
        }
    }

    // The clock and the queues.

    /// The core has drained and waits until then.
    pub fn drained(&mut self, deadline: Option<Time>, kept_ms: u64, remembered_ms: u64) {
        let now = self.now;
        self.check_silence_told();
        self.must(deadline.is_none_or(|at| at > now), Rule::DeadlineAhead, || {
            format!("the next deadline is {}, and it is {now}", deadline.unwrap_or_default())
        });
        let is_kept = kept_ms <= remembered_ms && remembered_ms <= SPEECH_KEPT_MS;
        self.must(is_kept, Rule::KeptLimit, || format!("{kept_ms} ms of speech are kept, {remembered_ms} ms in all"));
    }

    /// A queue holds so many now.
    pub fn queue(&mut self, name: &str, len: usize, limit: usize) {
        self.must(len <= limit, Rule::QueueLimits, || format!("{len} in the queue {name}, {limit} is the limit"));
    }

    // The end.

    /// The run is over and idle. `alive`: the connection that is up; `is_awaited`: the next one is tried in time.
    pub fn finish(&mut self, alive: Option<u32>, is_awaited: bool) {
        self.must(self.wire.window.is_none(), Rule::Windows, || "a window is left open".into());
        self.finish_speech(alive);
        self.finish_calls(is_awaited);
        self.finish_replies();
    }

    fn finish_calls(&mut self, is_awaited: bool) {
        let mut wrong = None;
        for (id, call) in &self.calls {
            let is_closed = call.answers > 0 || call.cancels > 0 || call.losses > 0 || is_awaited || self.is_day_spent;
            let is_gone = call.taken_back || call.attempt != self.wire.attempt || !self.wire.is_ready;
            if (call.runs > 0 && !is_closed) || (call.runs == 0 && call.answers == 0 && !is_gone) {
                wrong = Some(format!("{id} was run {} times and not answered, cancelled or reported lost", call.runs));
            }
            if call.answers_later > 0 && call.answers == 0 && !call.is_told {
                wrong = Some(format!("{id} was answered on another connection, and nothing tells it"));
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
