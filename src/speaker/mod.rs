//! The speaker: decides what the loudspeaker plays next, and knows what was heard.
//!
//! Pure. The thread around it (`run.rs`) hands in orders and where the device stands, carries out the
//! [`Plan`], and passes the facts on. Sound waits in the jitter buffer until enough of a turn is there; a gap in
//! mid-turn is faded and filled with silence; a flush kills a turn wherever its sound is; what was heard is what
//! was rendered less the device's delay, without the silence.

pub mod jitter;
pub mod ledger;
pub mod run;
pub mod volume;

use std::collections::VecDeque;
use std::time::Duration;

use self::jitter::{Front, Jitter};
use self::ledger::Ledger;
use self::volume::{Edges, Volume};
use crate::audio::{Chunk, DOWNLINK_RATE, resample};
use crate::config::agent::Speak;
use crate::flow::{SPEAKER_FACTS_MAX, SpeakerFact, SpeakerOrder};
use crate::units::{Epoch, Hertz, Time};

/// Length of what is rendered at a time, ms.
pub const BLOCK_MS: u32 = 10;
/// Sound that is waited for before a turn starts even where `prebuffer_ms` is less: the two blocks that start a
/// device. With one, every reply would begin with a gap.
const START_MS: u32 = 2 * BLOCK_MS;
/// Silence played in one gap before the device is stopped until sound comes: a stalled network is no reason to
/// feed a device for minutes.
const GAP_MAX: Duration = Duration::from_millis(1000);
/// How often a position is worth a fact.
const HEARD_EVERY: Duration = Duration::from_millis(100);

/// Where the device stands, as the thread sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// It cannot be used now.
    Lost,
    /// It stands and holds nothing.
    Stopped,
    /// It holds frames, but less than its start threshold: it does not run.
    Held,
    /// It runs.
    Running {
        /// It holds so little that what is not written now comes too late.
        is_low: bool,
        /// There is room for another block below the fill that is aimed at.
        has_room: bool,
    },
}

/// What the thread does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Call [`Speaker::render`] and write the block.
    Render,
    /// Start the device with what it holds.
    Start,
    /// Stop the device at once and discard what it holds, then call [`Speaker::on_dropped`].
    Drop,
    /// Nothing until an order comes, the device empties, or this time.
    Wait(Option<Time>),
}

/// Where the next sound stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// No turn is being played.
    Idle,
    /// A turn has begun (or starved) and is waited for until enough of it is there.
    Filling {
        /// When its first sound came, once it has.
        since: Option<Time>,
        /// Since when there is silence in mid-turn; none before the turn's first sound.
        gap_since: Option<Time>,
    },
    /// Sound of this turn goes to the device.
    Playing(Epoch),
}

/// The loudspeaker's side of a conversation. Allocates only when made.
#[derive(Debug)]
pub struct Speaker {
    prebuffer: Duration,
    jitter: Jitter,
    ledger: Ledger,
    volume: Volume,
    edges: Edges,
    source: Source,
    rate: Hertz,
    /// Turns up to this one were flushed.
    flushed: Option<Epoch>,
    /// Turns up to this one have ended: no more sound of them is taken.
    ended: Option<Epoch>,
    /// The newest turn that any sound came of; sound of an older one is too late.
    newest: Option<Epoch>,
    /// The turn that ran over the bound: the rest of it is refused.
    overfull: Option<Epoch>,
    /// The turn whose first frame was rendered but that is not yet known to sound.
    starting: Option<Epoch>,
    /// The last turn that was reported as started.
    started: Option<Epoch>,
    /// The device holds sound that must not be heard.
    must_drop: bool,
    facts: VecDeque<SpeakerFact>,
    heard_at: Time,
    heard_told_ms: u64,
    refused: u64,
}

impl Speaker {
    /// A silent speaker with the configured loudness and prebuffer.
    pub fn new(speak: &Speak) -> Speaker {
        let rate = DOWNLINK_RATE;
        Speaker {
            prebuffer: Duration::from_millis(u64::from(speak.prebuffer_ms.max(START_MS))),
            jitter: Jitter::new(),
            ledger: Ledger::new(rate),
            volume: Volume::new(speak.volume_percent),
            edges: Edges::new(rate),
            source: Source::Idle,
            rate,
            flushed: None,
            ended: None,
            newest: None,
            overfull: None,
            starting: None,
            started: None,
            must_drop: false,
            facts: VecDeque::with_capacity(SPEAKER_FACTS_MAX),
            heard_at: Time::ZERO,
            heard_told_ms: 0,
            refused: 0,
        }
    }

    /// The rate at which blocks are rendered now. It changes only while nothing is unheard.
    pub fn rate(&self) -> Hertz {
        self.rate
    }

    /// Frames in a block at the rate of now.
    pub fn block_frames(&self) -> usize {
        self.rate.frames_in_ms(BLOCK_MS)
    }

    /// Sound that waits for the device, in milliseconds.
    pub fn queued_ms(&self) -> u64 {
        self.jitter.queued_ms()
    }

    /// Chunks that died on arrival: of a flushed or ended turn, past the bound, or of an impossible rate.
    pub fn refused_chunks(&self) -> u64 {
        self.refused
    }

    /// Takes an order. Before a flush, tell the newest position with [`Speaker::on_position`].
    pub fn handle(&mut self, order: SpeakerOrder, now: Time) {
        match order {
            SpeakerOrder::Play { epoch, chunk } => self.on_play(epoch, chunk, now),
            SpeakerOrder::End { epoch } => self.on_end(epoch),
            SpeakerOrder::Flush { epoch } => self.on_flush(epoch),
            SpeakerOrder::Volume(percent) => self.volume.set(percent),
            SpeakerOrder::Cue(_) => {}
        }
    }

    fn on_play(&mut self, epoch: Epoch, chunk: Chunk, now: Time) {
        let is_over = self.flushed.max(self.ended).is_some_and(|over| epoch <= over)
            || self.newest.is_some_and(|newest| epoch < newest)
            || self.overfull == Some(epoch);
        if is_over || chunk.frames.is_empty() || !resample::RATES.contains(&chunk.rate.0) {
            self.refused += u64::from(!chunk.frames.is_empty());
            self.jitter.put_aside(chunk.frames);
            return;
        }
        if !self.jitter.push_sound(epoch, chunk) {
            self.refused += 1;
            self.overfull = Some(epoch);
            self.fact(SpeakerFact::Full { epoch });
            return;
        }
        self.newest = Some(epoch);
        match &mut self.source {
            Source::Idle => self.source = Source::Filling { since: Some(now), gap_since: None },
            Source::Filling { since, .. } => {
                since.get_or_insert(now);
            }
            Source::Playing(_) => {}
        }
    }

    fn on_end(&mut self, epoch: Epoch) {
        // The end of a turn before the newest is implied by the newer turn's sound.
        let is_over = self.flushed.max(self.ended).is_some_and(|over| epoch <= over);
        if !is_over && self.newest.is_none_or(|newest| epoch >= newest) {
            self.ended = Some(epoch);
            self.jitter.push_end(epoch);
        }
    }

    fn on_flush(&mut self, epoch: Epoch) {
        let heard_ms = self.ledger.heard_ms(epoch);
        let next_turn_sounds = self.ledger.is_only_after(epoch);
        self.flushed = self.flushed.max(Some(epoch));
        self.starting = self.starting.filter(|starting| *starting > epoch);
        self.jitter.discard_through(epoch);
        self.ledger.discard_through(epoch);
        self.must_drop |= !next_turn_sounds;
        if !matches!(self.source, Source::Playing(playing) if playing > epoch) {
            self.source = Source::Idle; // what is left begins anew
            self.edges.reset();
        }
        self.fact(SpeakerFact::Flushed { epoch, heard_ms });
    }

    /// Tells how many frames (at [`Speaker::rate`]) of what was rendered are still to be heard.
    pub fn on_position(&mut self, unheard_frames: u64) {
        let facts = &mut self.facts;
        self.ledger.advance(unheard_frames, |epoch, heard_ms| {
            if facts.len() < SPEAKER_FACTS_MAX {
                facts.push_back(SpeakerFact::Drained { epoch, heard_ms });
            }
        });
    }

    /// Tells that the device was stopped and emptied as [`Plan::Drop`] says.
    pub fn on_dropped(&mut self) {
        self.must_drop = false;
        self.ledger.discard_sound();
        self.on_position(0);
    }

    /// Tells that the device starved; all but `unwritten_frames` of what was rendered was heard.
    pub fn on_starved(&mut self, unwritten_frames: u64) {
        self.on_position(unwritten_frames);
        self.fact(SpeakerFact::Xrun);
    }

    /// Tells that the device slept and lost what it held; `unwritten_frames` of what was rendered are still to come.
    pub fn on_slept(&mut self, unwritten_frames: u64) {
        self.ledger.skip_to(unwritten_frames);
        self.on_starved(unwritten_frames);
    }

    /// Tells that the device is gone with what it held. What waits is kept.
    pub fn on_lost(&mut self) {
        self.on_dropped();
        self.edges.reset();
        self.source = Source::Idle; // what waits begins anew on the next device
    }

    /// Drops what waits, because the device has been gone too long: played later it would answer a question
    /// that nobody remembers. Turns still end.
    pub fn give_up_sound(&mut self) {
        self.jitter.discard_sound();
        self.ledger.discard_sound();
        self.source = Source::Idle;
        self.pass_ends();
    }

    /// Adds a fact of the thread's own (the device's trouble), in order with the others.
    pub fn note(&mut self, fact: SpeakerFact) {
        self.fact(fact);
    }

    /// What to do next, the device standing at `device`.
    pub fn plan(&mut self, device: Device, now: Time) -> Plan {
        if matches!(device, Device::Stopped | Device::Lost) {
            self.must_drop = false;
        }
        if self.must_drop {
            return Plan::Drop;
        }
        if device == Device::Lost {
            return Plan::Wait(None);
        }
        if matches!(device, Device::Running { .. })
            && let Some(epoch) = self.starting.take_if(|epoch| !self.ledger.has_before(*epoch))
        {
            self.started = Some(epoch);
            self.fact(SpeakerFact::Started { epoch });
        }
        self.move_source(now);
        match (self.source, device) {
            (Source::Playing(_), _) => self.plan_sound(device),
            _ => self.plan_silence(device, now),
        }
    }

    /// A turn is being played: keep the device filled as long as there is sound, and silent when there is none.
    fn plan_sound(&self, device: Device) -> Plan {
        let is_ready = self.jitter.has(u64::from(BLOCK_MS) * 1000);
        match device {
            Device::Stopped => Plan::Render,
            Device::Held if is_ready => Plan::Render,
            Device::Held => Plan::Start,
            Device::Running { has_room: true, .. } if is_ready => Plan::Render,
            Device::Running { is_low: true, .. } => Plan::Render,
            _ => Plan::Wait(None),
        }
    }

    /// Nothing to play now: push out what is unheard with silence, bridge a gap, else stop.
    fn plan_silence(&self, device: Device, now: Time) -> Plan {
        let (deadline, is_gap) = match self.source {
            Source::Filling { since, gap_since } => {
                (since.map(|at| at + self.prebuffer), gap_since.is_some_and(|at| now.since(at) < GAP_MAX))
            }
            _ => (None, false),
        };
        match device {
            Device::Stopped | Device::Lost => Plan::Wait(deadline),
            _ if !is_gap && !self.ledger.has_unheard() => Plan::Drop,
            Device::Held => Plan::Start,
            Device::Running { is_low: true, .. } => Plan::Render,
            Device::Running { .. } => Plan::Wait(deadline),
        }
    }

    /// Follows what is at the front of the jitter buffer.
    fn move_source(&mut self, now: Time) {
        if matches!(self.source, Source::Playing(_)) {
            return; // `render` ends it
        }
        self.pass_ends();
        let Front::Sound(epoch, rate) = self.jitter.front() else { return };
        if self.source == Source::Idle {
            self.source = Source::Filling { since: Some(now), gap_since: None };
        }
        let Source::Filling { since: Some(since), .. } = self.source else { return };
        let is_enough = self.jitter.has(self.prebuffer.as_micros() as u64) || now.since(since) >= self.prebuffer;
        if !is_enough || (rate != self.rate && self.ledger.has_unheard()) {
            return;
        }
        if rate != self.rate {
            self.rate = rate;
            self.ledger.set_rate(rate);
            self.edges = Edges::new(rate);
        }
        self.source = Source::Playing(epoch);
    }

    /// Ends the turns that have no sound left at the front.
    fn pass_ends(&mut self) {
        while let Front::End(epoch) = self.jitter.front() {
            self.jitter.pop_end();
            self.finish(epoch);
        }
    }

    /// Writes down that all sound of `epoch` is rendered.
    fn finish(&mut self, epoch: Epoch) {
        self.ledger.end(epoch);
        self.source = Source::Idle;
        self.edges.reset();
        if self.ledger.has_only_ends() {
            // A turn without sound, or one that ended in a gap: nothing is left to be heard before its end.
            self.on_position(0);
        }
    }

    /// Fills `block` (`[block_frames, 1 channel] S16 @ rate`) with what comes next.
    pub fn render(&mut self, block: &mut [i16], now: Time) {
        let filled = match self.source {
            Source::Playing(epoch) => self.render_sound(epoch, block, now),
            _ => 0,
        };
        let rest = &mut block[filled..];
        match self.source {
            Source::Filling { gap_since: Some(_), .. } => self.edges.fill_gap(rest),
            _ => rest.fill(0),
        }
        self.ledger.silence(rest.len());
        self.volume.apply(block, self.rate);
    }

    /// Copies sound of `epoch` into `block` and answers the frames; where there is not enough, changes `source`.
    fn render_sound(&mut self, epoch: Epoch, block: &mut [i16], now: Time) -> usize {
        let mut filled = 0;
        while filled < block.len() {
            match self.jitter.front() {
                Front::Sound(of, rate) if of == epoch && rate == self.rate => {
                    let frames = self.jitter.take(&mut block[filled..]);
                    self.edges.pass(&mut block[filled..filled + frames]);
                    self.ledger.sound(epoch, frames);
                    filled += frames;
                }
                Front::End(of) => {
                    self.jitter.pop_end();
                    self.note_start(epoch, filled);
                    self.finish(of);
                    return filled;
                }
                // Another turn or another rate: this one is over, or goes on when what is out was heard.
                Front::Sound(of, _) => {
                    if of != epoch {
                        self.ledger.end(epoch);
                    }
                    self.source = Source::Idle;
                    break;
                }
                Front::Nothing => {
                    self.source = Source::Filling { since: None, gap_since: Some(now) };
                    self.fact(SpeakerFact::Concealed { epoch });
                    break;
                }
            }
        }
        self.note_start(epoch, filled);
        filled
    }

    fn note_start(&mut self, epoch: Epoch, frames: usize) {
        if frames > 0 && self.started != Some(epoch) {
            self.starting = Some(epoch);
        }
    }

    /// Adds a fact. Where nobody fetches them, those that only count something give way to those that end a turn.
    fn fact(&mut self, fact: SpeakerFact) {
        let only_counts = matches!(fact, SpeakerFact::Xrun | SpeakerFact::Concealed { .. });
        if self.facts.len() < if only_counts { SPEAKER_FACTS_MAX / 2 } else { SPEAKER_FACTS_MAX } {
            self.facts.push_back(fact);
        }
    }

    /// The next fact, once the plan that belongs to it was carried out.
    pub fn poll_fact(&mut self) -> Option<SpeakerFact> {
        if self.must_drop { None } else { self.facts.pop_front() }
    }

    /// What was heard of the turn that sounds, ten times a second.
    pub fn poll_heard(&mut self, now: Time) -> Option<SpeakerFact> {
        let (epoch, heard_ms) = (self.ledger.epoch(), self.ledger.heard_ms(self.ledger.epoch()));
        if now.since(self.heard_at) < HEARD_EVERY || heard_ms == self.heard_told_ms || !self.ledger.has_unheard() {
            return None;
        }
        (self.heard_at, self.heard_told_ms) = (now, heard_ms);
        Some(SpeakerFact::Heard { epoch, heard_ms })
    }

    /// A buffer that was played or dropped, for whoever may free it.
    pub fn take_spent(&mut self) -> Option<Vec<i16>> {
        self.jitter.take_spent()
    }
}

#[cfg(test)]
mod tests;
