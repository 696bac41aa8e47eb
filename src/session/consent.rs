//! A person's yes to what a tool asks, on its way to the tools: a tap of the button, or what was said.
//!
//! The session only carries it. Whether it is a yes, and to what, the tools decide.

use std::time::Duration;

use super::{Output, Session};
use crate::config::agent::Agent;
use crate::config::agent::policy::{Confirm, WhenOffline};
use crate::flow::{Cue, GateNote, ToolOrder};
use crate::units::Time;

/// What is known of questions.
#[derive(Debug)]
pub struct Consent {
    /// A tap is a yes until then.
    tap_until: Option<Time>,
    pressed_at: Option<Time>,
    tap_max: Duration,
    /// Whether any tool asks for a spoken yes.
    is_spoken: bool,
    /// When the turn began of which a transcript comes.
    turn_began_at: Time,
    /// Whether any tool wants to know that the connection was lost.
    is_offline_told: bool,
}

impl Consent {
    /// For the tools of `agent`.
    pub fn new(agent: &Agent) -> Consent {
        Consent {
            tap_until: None,
            pressed_at: None,
            tap_max: Duration::from_millis(agent.listen.tap_max_ms.into()),
            is_spoken: agent.policies().any(|policy| policy.confirm == Confirm::Voice),
            turn_began_at: Time::ZERO,
            is_offline_told: agent.policies().any(|policy| policy.when_offline == WhenOffline::Rest),
        }
    }

    /// The user begins to say something new.
    pub fn turn_began(&mut self, now: Time) {
        self.turn_began_at = now;
    }

    /// The button went down.
    pub fn pressed(&mut self, now: Time) {
        self.pressed_at = Some(now);
    }
}

impl Session {
    /// A tool asks for a tap.
    pub(super) fn ask_tap(&mut self, within: Duration, now: Time) {
        self.consent.tap_until = Some(now + within);
    }

    /// The button came up: a tap that was asked for is a yes, and nothing else.
    pub(super) fn released(&mut self, now: Time) {
        let tap_max = self.consent.tap_max;
        let is_tap = self.consent.pressed_at.take().is_some_and(|at| now.since(at) <= tap_max);
        if self.ring_released(is_tap) {
            return; // it said that somebody heard what rings, and nothing else
        }
        if is_tap && self.consent.tap_until.take_if(|until| *until > now).is_some() {
            self.out.push_back(Output::Gate(GateNote::Abort));
            self.confirmed();
        }
    }

    /// A person said yes by a button.
    pub(super) fn confirmed(&mut self) {
        self.cue(Cue::Heard);
        self.out.push_back(Output::Tool(ToolOrder::Tapped));
    }

    /// More of what the user says is understood.
    pub(super) fn tell_tools_heard(&mut self, text: &str) {
        if self.consent.is_spoken {
            let (text, began_at) = (text.to_string(), self.consent.turn_began_at);
            self.out.push_back(Output::Tool(ToolOrder::Heard { text, began_at }));
        }
    }

    /// The connection was lost, not left.
    pub(super) fn tell_tools_offline(&mut self) {
        if self.consent.is_offline_told {
            self.out.push_back(Output::Tool(ToolOrder::Offline));
        }
    }
}
