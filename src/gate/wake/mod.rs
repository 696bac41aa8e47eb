//! The wake word: found by comparing what is heard with a few sayings that the owner recorded.
//!
//! Why no library: of those that learn from a few recordings the best known (rustpotter) has had no release since
//! 2023 and brings an old neural-network framework along; those that use trained networks (livekit-wakeword and its
//! kin) bring megabytes of front-end models and an inference engine, and need a network trained for the word
//! elsewhere. Template matching is a few hundred lines, needs nothing but the recordings, and is honest about what
//! it is: it knows a word **as its owner says it**. Another voice is mostly not found.
//!
//! How: [`features`] makes a row of numbers of every hop, [`align`] lays the recordings over the newest rows,
//! [`model`] holds the recordings and what they say about themselves: how far the owner's sayings lie from each other
//! is the unit of every distance. A second matcher hears what the loudspeaker plays, and where the device itself
//! has just said the word, the microphone's match is its echo.
//!
//! Pure. Nothing is allocated per hop; alignment runs only where a voice was heard.

pub mod align;
pub mod cut;
pub mod features;
pub mod file;
pub mod history;
pub mod model;
pub mod spotter;

use self::model::Model;
use self::spotter::Spotter;
use crate::audio::HOP_FRAMES;
use crate::audio::level::rms_dbfs;

/// A wake word's detector with memory of its own: give it every hop, in order, once.
pub trait WakeDetector {
    /// Takes the next hop (`[160 frames, 1 channel] S16 @ 16 kHz`) after the echo canceller; `voiced` is the voice
    /// detector's word on it, `far_active` whether the loudspeaker is audible. Answers whether the word has just been
    /// heard; once for each time it is said.
    fn hear(&mut self, hop: &[i16; HOP_FRAMES], voiced: bool, far_active: bool) -> bool;

    /// Takes a hop of what the loudspeaker plays, when it is heard, before the microphone's hop of that time.
    fn hear_far(&mut self, hop: &[i16; HOP_FRAMES]);
}

/// A match is refused where the loudspeaker said the word so many hops before (1 s: the longest echo, and a matcher
/// that was late)…
const VETO_HOPS: u64 = 100;
/// … and held back for so many hops while the loudspeaker is or was audible, in case its own match comes late.
const HOLD_HOPS: u64 = 20;
/// What the loudspeaker says counts as the word so much earlier: rather miss a word than answer oneself.
const FAR_EASE: f32 = 1.2;
/// Below this level the loudspeaker says nothing, dBFS.
const FAR_SILENCE_DB: f32 = -60.0;
/// A gap of so many hops in the far-end copy is a new beginning.
const FAR_GAP_HOPS: u64 = 10;
/// After a match the matcher rests for so many hops: one saying is one match.
const REST_HOPS: u64 = 100;

/// The detector that compares with the owner's recordings.
pub struct Templates {
    near: Spotter,
    far: Spotter,
    /// Hops heard from the microphone.
    hops: u64,
    far_heard_at: Option<u64>,
    far_active_at: Option<u64>,
    far_said_at: Option<u64>,
    /// A match that waits for what the loudspeaker's matcher says.
    held_since: Option<u64>,
    rests_until: u64,
    vetoed: u64,
}

impl Templates {
    /// A detector of the word of `model`; `sensitivity_percent` as in `[wake]`.
    pub fn new(model: &Model, sensitivity_percent: u32) -> Templates {
        let threshold = model::threshold(sensitivity_percent);
        Templates {
            near: Spotter::new(model, threshold),
            far: Spotter::new(model, threshold * FAR_EASE),
            hops: 0,
            far_heard_at: None,
            far_active_at: None,
            far_said_at: None,
            held_since: None,
            rests_until: 0,
            vetoed: 0,
        }
    }

    /// The best score of the newest match: 1 is how the owner's sayings compare with each other, more is further away.
    /// None before the first.
    pub fn matched(&self) -> Option<f32> {
        self.near.matched()
    }

    /// Matches that were the loudspeaker's own (count).
    pub fn vetoed(&self) -> u64 {
        self.vetoed
    }

    fn is_within(&self, at: Option<u64>, hops: u64) -> bool {
        at.is_some_and(|at| self.hops.saturating_sub(at) <= hops)
    }
}

impl WakeDetector for Templates {
    fn hear(&mut self, hop: &[i16; HOP_FRAMES], voiced: bool, far_active: bool) -> bool {
        self.hops += 1;
        if far_active {
            self.far_active_at = Some(self.hops);
        }
        let is_match = self.near.hear(hop, voiced) && self.hops >= self.rests_until;
        if is_match && self.held_since.is_none() {
            self.held_since = Some(self.hops);
        }
        let Some(since) = self.held_since else { return false };
        if self.is_within(self.far_said_at, VETO_HOPS) {
            self.vetoed += 1;
        } else if self.is_within(self.far_active_at, VETO_HOPS) && self.hops < since + HOLD_HOPS {
            return false;
        }
        self.held_since = None;
        self.rests_until = since + REST_HOPS;
        !self.is_within(self.far_said_at, VETO_HOPS)
    }

    fn hear_far(&mut self, hop: &[i16; HOP_FRAMES]) {
        if !self.is_within(self.far_heard_at, FAR_GAP_HOPS) {
            self.far.reset();
        }
        self.far_heard_at = Some(self.hops);
        if self.far.hear(hop, rms_dbfs(hop).0 > FAR_SILENCE_DB) {
            self.far_said_at = Some(self.hops);
        }
    }
}

#[cfg(test)]
pub(in crate::gate) mod tests;
