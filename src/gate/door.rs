//! The door: when a voice alone may open the gate where otherwise the button does.
//!
//! After a reply that was heard to its end ([`Door::follow_up`]), once its echo has died away, and after the wake word
//! ([`Door::wake`]); each for a while. A window, a press, a mute or a new reply shuts it.

use std::time::Duration;

use crate::flow::{DropCause, GateEvent};
use crate::units::Time;

/// Who said the wake word and nothing after it for so long has changed their mind: longer than anybody looks for
/// words, shorter than the next thing that is said in the room.
pub const WOKEN_WAITS: Duration = Duration::from_secs(8);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing opens it.
    Shut,
    /// A reply was heard to its end; its echo is not over.
    Echoing { until: Time },
    /// After a reply.
    FollowUp { until: Time },
    /// After the wake word.
    Woken { until: Time },
}

/// The machine.
#[derive(Clone, Copy, Debug)]
pub struct Door {
    follow_up: Duration,
    echo_tail: Duration,
    state: State,
}

impl Door {
    /// A door that is shut, and after a reply's echo of `echo_tail` is open for `follow_up`; never where that is zero.
    pub fn new(follow_up: Duration, echo_tail: Duration) -> Door {
        Door { follow_up, echo_tail, state: State::Shut }
    }

    /// Whether a voice may open the gate.
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::FollowUp { .. } | State::Woken { .. })
    }

    /// A reply was heard to its end.
    pub fn follow_up(&mut self, now: Time) {
        if !self.follow_up.is_zero() && self.state == State::Shut {
            self.state = State::Echoing { until: now + self.echo_tail };
        }
    }

    /// The wake word was heard. Answers what is to be told, in order.
    pub fn wake(&mut self, now: Time) -> impl Iterator<Item = GateEvent> + use<> {
        let before = self.shut();
        self.state = State::Woken { until: now + WOKEN_WAITS };
        before.into_iter().chain([GateEvent::Woken])
    }

    /// Shuts it, because of something that is told itself. Answers what is to be told before that.
    pub fn shut(&mut self) -> Option<GateEvent> {
        let before = std::mem::replace(&mut self.state, State::Shut);
        matches!(before, State::FollowUp { .. }).then_some(GateEvent::FollowUp(false))
    }

    /// Takes the time. Answers what is to be told.
    pub fn handle_time(&mut self, now: Time) -> Option<GateEvent> {
        match self.state {
            State::Echoing { until } if now >= until => {
                self.state = State::FollowUp { until: until + self.follow_up };
                Some(GateEvent::FollowUp(true))
            }
            State::FollowUp { until } if now >= until => self.shut(),
            State::Woken { until } if now >= until => {
                self.state = State::Shut;
                Some(GateEvent::Dropped(DropCause::OnlySilence))
            }
            State::Shut | State::Echoing { .. } | State::FollowUp { .. } | State::Woken { .. } => None,
        }
    }
}
