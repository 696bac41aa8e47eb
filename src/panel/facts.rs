//! What must never be wrong on the page: small enough to be kept where things happen, so that no event of it is lost.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Look, State};
use crate::config::agent::Agent;
use crate::flow::{Cue, Event, What};
use crate::units::Time;

/// What is known of the device.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    state: State,
    is_muted: bool,
    is_muted_by_line: bool,
    volume_percent: u8,
    is_camera_running: bool,
    is_ringing: bool,
    /// The job that is recorded.
    recording: Option<Arc<str>>,
    is_link_awaited: bool,
    /// A yes by a button is waited for until then.
    asked_until: Option<Time>,
    /// Somebody spoke since it was asked: the sound at the end of it is no yes.
    spoke_since: bool,
}

impl Facts {
    /// A device that was just started.
    pub fn new(agent: &Agent) -> Facts {
        Facts {
            state: State::new(agent.session.connection),
            is_muted: false,
            is_muted_by_line: false,
            volume_percent: agent.speak.volume_percent,
            is_camera_running: false,
            is_ringing: false,
            recording: None,
            is_link_awaited: false,
            asked_until: None,
            spoke_since: false,
        }
    }

    /// Takes what happened.
    pub fn handle_event(&mut self, event: &Event) {
        self.state.handle_event(event);
        match &event.what {
            What::Muted { is_muted, by_line: true } => self.is_muted_by_line = *is_muted,
            What::Muted { is_muted, by_line: false } => self.is_muted = *is_muted,
            What::VolumeSet { percent } => self.volume_percent = *percent,
            What::CameraRuns { is_running } => self.is_camera_running = *is_running,
            What::Ringing { is_ringing } => self.is_ringing = *is_ringing,
            What::Recording { job } => self.recording = job.as_deref().map(Arc::from),
            What::LinkOpening => self.is_link_awaited = true,
            What::LinkReady { .. } | What::LinkDown { .. } | What::LinkClosed { .. } => self.is_link_awaited = false,
            What::Asked { within_ms } => {
                self.asked_until = Some(event.at + std::time::Duration::from_millis(*within_ms));
                self.spoke_since = false;
            }
            What::GateOpened { .. } => self.spoke_since = true,
            // The sound of a yes that was taken; the same ends a window of speech.
            What::Cue { cue: Cue::Heard } if !std::mem::take(&mut self.spoke_since) => self.asked_until = None,
            What::ConversationReset => self.asked_until = None,
            _ => {}
        }
    }

    /// Whether the microphone is closed.
    pub fn is_muted(&self) -> bool {
        self.is_muted || self.is_muted_by_line
    }

    /// Whether somebody speaks, is answered, or waits for an answer.
    pub fn is_busy(&self, now: Time) -> bool {
        use Look::{Listening, ListeningInTrouble, Speaking, Thinking};
        matches!(self.state.look(now), Listening | ListeningInTrouble | Speaking | Thinking)
    }

    /// The member `look` of the page's state.
    pub fn json(&self, now: Time) -> Value {
        let (state, text) = self.words(now);
        json!({
            "state": state, "text": text, "is_muted": self.is_muted(), "by_line": self.is_muted_by_line,
            "volume": self.volume_percent, "is_camera_running": self.is_camera_running, "is_ringing": self.is_ringing,
            "recording": self.recording,
        })
    }

    /// One word for programs, one sentence for people.
    fn words(&self, now: Time) -> (&'static str, &'static str) {
        let look = self.state.look(now);
        let is_quiet = matches!(look, Look::Idle | Look::Starting | Look::FollowUp | Look::Thinking);
        if is_quiet && self.asked_until.is_some_and(|until| now < until) {
            return ("asking", "Please confirm: press the button briefly, or confirm here");
        }
        match look {
            Look::Starting => ("connecting", "Starting"),
            Look::Idle if self.is_link_awaited => ("connecting", "Connecting"),
            Look::Idle => ("idle", "Ready"),
            Look::Listening => ("listening", "Listening"),
            Look::ListeningInTrouble => ("listening", "Listening, but something is out of order"),
            Look::Thinking => ("thinking", "Thinking"),
            Look::Speaking => ("speaking", "Speaking"),
            Look::Ringing => ("ringing", "Ringing"),
            Look::FollowUp => ("listening", "Go on, if you like"),
            Look::Offline => ("offline", "No connection; what you say is kept for a moment"),
            Look::Spent => ("spent", "Today's limit is used up"),
            Look::Muted => ("muted", "The microphone is off"),
            Look::MutedByLine => ("muted", "The microphone is off by its switch"),
            Look::Trouble => ("trouble", "Microphone, loudspeaker or button is out of order"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{CloseCause, OpenCause};

    fn after(events: &[What]) -> Facts {
        let mut facts = Facts::new(&Agent::default());
        for what in events {
            facts.handle_event(&Event { at: Time::from_ms(10), what: what.clone() });
        }
        facts
    }

    fn word(facts: &Facts, at_ms: u64) -> String {
        facts.json(Time::from_ms(at_ms))["state"].as_str().unwrap_or_default().to_string()
    }

    #[test]
    fn the_page_says_in_a_word_what_a_light_says_by_rhythm() {
        assert_eq!(word(&after(&[]), 20), "connecting");
        assert_eq!(word(&after(&[What::Pressed]), 20), "listening");
        assert_eq!(word(&after(&[What::Muted { is_muted: true, by_line: true }]), 20), "muted");
        assert_eq!(word(&after(&[What::Ringing { is_ringing: true }]), 20), "ringing");
    }

    #[test]
    fn what_is_recorded_is_shown_for_as_long_as_it_is() {
        let recording = |job: Option<&str>| What::Recording { job: job.map(str::to_string) };
        let shown = |events: &[What]| after(events).json(Time::from_ms(20))["recording"].clone();
        assert_eq!(shown(&[]), Value::Null);
        assert_eq!(shown(&[recording(Some("2026-11-22-1")), What::ConversationReset]), "2026-11-22-1");
        assert_eq!(shown(&[recording(Some("2026-11-22-1")), recording(None)]), Value::Null);
    }

    #[test]
    fn a_question_is_shown_until_somebody_says_yes_or_its_time_is_over() {
        let asked = What::Asked { within_ms: 1000 };
        let heard = What::Cue { cue: Cue::Heard };
        assert_eq!(word(&after(std::slice::from_ref(&asked)), 20), "asking");
        assert_eq!(word(&after(std::slice::from_ref(&asked)), 1020), "connecting");
        assert_eq!(word(&after(&[asked.clone(), heard.clone()]), 20), "connecting");
        let spoken = [What::GateOpened { cause: OpenCause::Voice }, What::GateClosed { cause: CloseCause::Silence }];
        let spoken: Vec<What> = [asked].into_iter().chain(spoken).chain([heard]).collect();
        assert_eq!(word(&after(&spoken), 20), "asking", "the sound ended what was said, and was no yes");
    }
}
