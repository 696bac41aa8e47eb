//! A timer or an alarm rings: the sound again and again until somebody has heard it.
//!
//! Which it is the tools know; here is only how a device rings in a room where people talk. It keeps silent while somebody
//! speaks, is answered or is about to speak, since it would be in the way of the very words that stop it; but not for long, so that no
//! noise that is taken for a voice hides it. A press stops it at once, and a tap says nothing else.

use std::time::Duration;

use super::timers::Reason;
use super::{Output, Session, playback};
use crate::flow::{Cue, GateNote, SpeakerOrder, ToolOrder, What};
use crate::units::Time;

/// From one stroke to the next: the figure, and as much silence as it takes to say a word.
pub const RING_EVERY: Duration = Duration::from_millis(1500);
/// Who was heard saying the wake word speaks within this.
const LISTENS_FOR: Duration = Duration::from_secs(5);
/// Talk keeps it silent for so long at most.
pub const SILENT_MAX: Duration = Duration::from_secs(15);
/// A device that was turned down for the night rings this loud nevertheless, percent.
pub const RING_VOLUME_MIN: u8 = 40;

/// What is known of ringing.
#[derive(Debug, Default)]
pub struct Ring {
    is_on: bool,
    /// Since when it keeps silent.
    silent_since: Option<Time>,
    /// Somebody is about to speak until then.
    listens_until: Option<Time>,
    /// The present press stopped it.
    is_pressed: bool,
}

impl Session {
    /// Rings from now on, or no more.
    pub(super) fn ring(&mut self, is_on: bool, now: Time) {
        if self.ring.is_on == is_on {
            return;
        }
        self.ring = Ring { is_on, is_pressed: self.ring.is_pressed, ..Ring::default() };
        self.event(What::Ringing { is_ringing: is_on });
        let percent = self.volume_percent.unwrap_or(self.agent.speak.volume_percent);
        if percent < RING_VOLUME_MIN {
            self.speak(SpeakerOrder::Volume(if is_on { RING_VOLUME_MIN } else { percent }));
        }
        if is_on {
            // Once at least it sounds at once, over a reply too; only a person's own words are not spoken into.
            self.timers.set(Reason::Ring, now + RING_EVERY);
            if !self.is_spoken(now) {
                self.cue(Cue::Ring);
            }
        } else {
            self.timers.clear(Reason::Ring);
        }
    }

    /// A person has heard it.
    pub(super) fn hush(&mut self, now: Time) {
        if self.ring.is_on {
            self.ring(false, now);
            self.out.push_back(Output::Tool(ToolOrder::Hushed));
        }
    }

    /// [`Reason::Ring`] passed.
    pub(super) fn ring_due(&mut self, now: Time) {
        self.timers.set(Reason::Ring, now + RING_EVERY);
        let is_talk = self.is_spoken(now) || !self.turn.is_idle() || self.playback.state() != playback::State::Silent;
        let since = *self.ring.silent_since.get_or_insert(now);
        if is_talk && now.since(since) < SILENT_MAX {
            return;
        }
        self.ring.silent_since = None;
        self.cue(Cue::Ring);
    }

    /// Whether somebody speaks or is about to.
    fn is_spoken(&self, now: Time) -> bool {
        let is_listening = self.ring.listens_until.is_some_and(|until| now < until);
        self.uplink.is_gate_open() || self.hold.is_on() || is_listening
    }

    /// The wake word was heard.
    pub(super) fn ring_listens(&mut self, now: Time) {
        self.ring.listens_until = Some(now + LISTENS_FOR);
    }

    /// The button went down.
    pub(super) fn ring_pressed(&mut self, now: Time) {
        self.ring.is_pressed = self.ring.is_on;
        self.hush(now);
    }

    /// The button came up. Answers whether the press was a tap that stopped what rang.
    pub(super) fn ring_released(&mut self, is_tap: bool) -> bool {
        let is_meant = std::mem::take(&mut self.ring.is_pressed) && is_tap;
        if is_meant {
            self.out.push_back(Output::Gate(GateNote::Abort));
        }
        is_meant
    }
}
