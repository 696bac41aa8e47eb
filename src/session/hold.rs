//! A reply that comes under a press: it waits a moment until it is known what the press was.
//!
//! Who presses wants to be heard, so nothing new is said to them before they have begun to speak: the gate, where it
//! cannot tell an echo from a voice, would be deaf to their first words. But a press may also be nothing (an accident, a
//! hesitation), and then the answer that was awaited is still wanted. So its sound is kept back, not dropped: a window
//! that opens drops it; a press that comes to nothing, or in which nobody says anything for [`HOLD_MAX`], lets it out.

use std::time::Duration;

use super::Session;
use super::timers::Reason;
use crate::flow::SpeakerOrder;
use crate::units::{Epoch, Time};

/// Who presses begins to speak within this.
pub const HOLD_MAX: Duration = Duration::from_secs(3);

/// What is kept back: no more than the speaker's own queue may hold.
#[derive(Debug, Default)]
pub struct Hold {
    is_on: bool,
    orders: Vec<SpeakerOrder>,
}

impl Hold {
    /// Whether a reply that comes is kept back.
    pub fn is_on(&self) -> bool {
        self.is_on
    }
}

impl Session {
    /// The button went down, and whatever played is silenced.
    pub(super) fn hold_replies(&mut self, now: Time) {
        self.hold.is_on = true;
        self.timers.set(Reason::Held, now + HOLD_MAX);
    }

    /// The press came to nothing: what was kept back, and not flushed since, is said.
    pub(super) fn press_was_nothing(&mut self) {
        self.end_hold().into_iter().for_each(|order| self.say(order));
    }

    /// A window opened: nobody wants what was kept back.
    pub(super) fn press_was_spoken_in(&mut self) {
        self.end_hold();
    }

    fn end_hold(&mut self) -> Vec<SpeakerOrder> {
        self.timers.clear(Reason::Held);
        std::mem::take(&mut self.hold).orders
    }

    /// Hands a piece of a reply, or its end, to the speaker as soon as nobody is about to speak.
    pub(super) fn say(&mut self, order: SpeakerOrder) {
        if self.hold.is_on {
            return self.hold.orders.push(order);
        }
        if let SpeakerOrder::Play { chunk, .. } = &order {
            self.replay.played(chunk);
        }
        self.speak(order);
    }

    /// Silences the turn that [`Playback::flush`](super::playback::Playback::flush) answered, and what of it is kept back.
    pub(super) fn flush(&mut self, epoch: Epoch) {
        self.hold.orders.clear();
        self.speak(SpeakerOrder::Flush { epoch });
    }
}
