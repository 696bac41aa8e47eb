//! The speaker: decides what the loudspeaker plays next, and knows what was heard.
//!
//! Pure. The thread around it (`run.rs`) hands in orders and where the device stands, carries out the
//! [`Plan`], and passes the facts on. Sound waits in the jitter buffer until enough of a turn is there; a gap in
//! mid-turn is faded and filled with silence; a flush kills a turn wherever its sound is; what was heard is what
//! was rendered less the device's delay, without the silence. The device's own cues are laid over all that. Around it the
//! device runs on with silence for as long as its converter is to stay awake.

pub mod awake;
pub mod cue;
pub mod duck;
pub mod far;
pub mod jitter;
pub mod ledger;
mod plan;
pub mod run;
pub mod volume;

use std::collections::VecDeque;
use std::time::Duration;

use self::awake::Awake;
use self::cue::sounds::Sounds;
use self::cue::{Change, CuePlayer};
use self::duck::Duck;
use self::jitter::{Front, Jitter};
use self::ledger::Ledger;
pub use self::plan::{Device, Plan};
use self::volume::{Edges, Volume};
use crate::audio::{Chunk, DOWNLINK_RATE, resample};
use crate::config::agent::{Cues, Speak};
use crate::flow::{Cue, SPEAKER_FACTS_MAX, SpeakerFact, SpeakerOrder};
use crate::units::{Epoch, Hertz, Time};

/// Length of what is rendered at a time, ms.
pub const BLOCK_MS: u32 = 10;
/// Sound that is waited for before a turn starts even where `prebuffer_ms` is less: the two blocks that start a
/// device. With one, every reply would begin with a gap.
const START_MS: u32 = 2 * BLOCK_MS;
/// How often a position is worth a fact.
const HEARD_EVERY: Duration = Duration::from_millis(100);

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
    duck: Duck,
    edges: Edges,
    awake: Awake,
    cues: CuePlayer,
    /// Whether the owner wants to hear cues.
    wants_cues: Cues,
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
    /// The turn whose sound was rendered last.
    rendered: Option<Epoch>,
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
            duck: Duck::default(),
            edges: Edges::new(rate),
            awake: Awake::new(speak.stay_awake_s),
            cues: CuePlayer::default(),
            wants_cues: speak.cues,
            source: Source::Idle,
            rate,
            flushed: None,
            ended: None,
            newest: None,
            overfull: None,
            starting: None,
            started: None,
            rendered: None,
            must_drop: false,
            facts: VecDeque::with_capacity(SPEAKER_FACTS_MAX),
            heard_at: Time::ZERO,
            heard_told_ms: 0,
            refused: 0,
        }
    }

    /// The same with a converter that swallows the first `wake_ms` of what finds it asleep: silence goes before that.
    #[must_use]
    pub fn with_wake_ms(mut self, wake_ms: u32) -> Speaker {
        self.awake.set_lead_ms(wake_ms);
        self
    }

    /// The same with other sounds of the device than the built-in ones.
    #[must_use]
    pub fn with_sounds(mut self, sounds: Sounds) -> Speaker {
        self.cues.set_sounds(sounds);
        self
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
            SpeakerOrder::Wake => self.awake.expect(now),
            SpeakerOrder::Duck(is_down) => self.duck.set(is_down),
            SpeakerOrder::Cue(cue) => {
                // Who sets a timer wants to hear it, whatever else is to be silent.
                if self.wants_cues != Cues::Off || cue == Cue::Ring {
                    self.cues.order(cue);
                }
            }
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
        // Anything else goes on: the next turn's sound, a cue with nothing of these turns beside it, silence.
        self.must_drop |= self.ledger.has_through(epoch);
        self.flushed = self.flushed.max(Some(epoch));
        self.starting = self.starting.filter(|starting| *starting > epoch);
        self.jitter.discard_through(epoch);
        self.ledger.discard_through(epoch);
        if !matches!(self.source, Source::Playing(playing) if playing > epoch) {
            self.source = Source::Idle; // what is left begins anew
            self.edges.reset();
            self.awake.on_reply_over();
        }
        if self.rendered.is_none_or(|rendered| rendered <= epoch) {
            self.duck.end();
        }
        self.fact(SpeakerFact::Flushed { epoch, heard_ms });
    }

    /// Tells how many frames (at [`Speaker::rate`]) of what was rendered are still to be heard.
    pub fn on_position(&mut self, unheard_frames: u64) {
        self.advance_turns(unheard_frames);
        let change = self.cues.on_position(self.ledger.here(unheard_frames), self.rate);
        self.note_cue(change);
    }

    fn advance_turns(&mut self, unheard_frames: u64) {
        let (facts, awake) = (&mut self.facts, &mut self.awake);
        self.ledger.advance(unheard_frames, |epoch, heard_ms| {
            awake.on_reply_over();
            if facts.len() < SPEAKER_FACTS_MAX {
                facts.push_back(SpeakerFact::Drained { epoch, heard_ms });
            }
        });
    }

    /// Tells that the device was stopped and emptied as [`Plan::Drop`] says.
    pub fn on_dropped(&mut self) {
        self.must_drop = false;
        self.ledger.discard_sound();
        self.advance_turns(0);
        self.cues.on_dropped();
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

    /// Tells that the device is gone with what it held. What waits is kept, save for cues: they are of their moment.
    pub fn on_lost(&mut self) {
        self.on_dropped();
        self.give_up_cues();
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
            self.advance_turns(0);
        }
    }

    /// Fills `block` (`[block_frames, 1 channel] S16 @ rate`) with what comes next.
    pub fn render(&mut self, block: &mut [i16], now: Time) {
        if self.awake.take_block(now) {
            block.fill(0);
            self.ledger.silence(block.len());
            return;
        }
        let line_at = self.ledger.rendered();
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
        self.duck.apply(block, self.rate);
        self.cues.mix(block, line_at, self.rate);
        self.volume.apply(block, self.rate);
    }

    /// Copies sound of `epoch` into `block` and answers the frames; where there is not enough, changes `source`.
    fn render_sound(&mut self, epoch: Epoch, block: &mut [i16], now: Time) -> usize {
        if self.rendered.replace(epoch) != Some(epoch) {
            self.duck.end();
            self.awake.on_reply();
        }
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

    fn give_up_cues(&mut self) {
        let change = self.cues.give_up();
        self.note_cue(change);
    }

    fn note_cue(&mut self, change: Option<Change>) {
        match change {
            Some(Change::Started) => self.fact(SpeakerFact::CueStarted),
            Some(Change::Over) => self.fact(SpeakerFact::CueOver),
            None => {}
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
