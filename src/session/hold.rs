//! A reply that comes under a held button: it waits until it is known what the press was.
//!
//! Who presses wants to be heard, so nothing new is said to them before they have spoken: the gate, where it cannot tell
//! an echo from a voice, would be deaf to their first words. But a press may also be nothing (an accident, a hesitation),
//! and then the answer that was awaited is still wanted. So its sound is kept back, not dropped: a window that opens drops
//! it, a press that comes to nothing lets it out, and so does a button that is stuck. No more is ever kept than the
//! speaker's own queue may hold.

use std::time::Duration;

use super::{Output, Session};
use crate::flow::SpeakerOrder;

/// For so long a reply is kept back at most: longer than a tap in which nothing is said stays open.
pub const HOLD_MAX: Duration = Duration::from_secs(12);

/// What is kept back.
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

    /// Whether anything is kept back.
    pub fn is_waiting(&self) -> bool {
        !self.orders.is_empty()
    }

    /// The button went down, and whatever played is silenced.
    pub fn pressed(&mut self) {
        self.is_on = true;
    }

    /// A window opened: nobody wants what was kept back.
    pub fn spoken(&mut self) {
        self.is_on = false;
        self.orders.clear();
    }

    /// Takes an order for the speaker; gives it back where it is to go out now.
    pub fn admit(&mut self, order: SpeakerOrder) -> Option<SpeakerOrder> {
        match order {
            SpeakerOrder::Play { .. } | SpeakerOrder::End { .. } if self.is_on => {
                self.orders.push(order);
                None
            }
            SpeakerOrder::Flush { .. } => {
                self.orders.clear();
                Some(order)
            }
            order => Some(order),
        }
    }
}

impl Session {
    /// The press came to nothing: what was kept back, and not flushed since, goes to the speaker.
    pub(super) fn press_was_nothing(&mut self) {
        self.hold.is_on = false;
        self.out.extend(self.hold.orders.drain(..).map(Output::Speaker));
    }
}
