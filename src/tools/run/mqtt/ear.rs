//! What the rest of the program tells, folded into what Home Assistant is to see of it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::json;
use tokio::sync::Notify;

use crate::config::agent::Agent;
use crate::flow::{Event, What};
use crate::panel::State;
use crate::tools::mqtt::presence::BUTTON_EVENTS;
use crate::units::{Epoch, Time};

/// Moves of the button that wait for the broker; who presses more often than that while it is away is not told of all.
const PRESSES_MAX: usize = 8;
/// Bytes of what was said, for each side.
const SAID_BYTES_MAX: usize = 2000;

/// Hears events, on whatever thread they happen; never waits.
#[derive(Clone)]
pub struct Ear(Arc<Heard>);

struct Heard {
    fold: Mutex<Fold>,
    changed: Notify,
}

/// What is known.
struct Fold {
    state: State,
    is_muted: bool,
    is_muted_by_line: bool,
    volume_percent: u8,
    presses: VecDeque<&'static str>,
    user: String,
    reply: (Option<Epoch>, String),
    /// What was said in the last turn that is over.
    said: Option<(String, String)>,
    hears_words: bool,
}

/// What there is to show.
pub(super) struct Shown {
    /// Topics by name, and what they say.
    pub(super) states: Vec<(&'static str, String)>,
    /// Moves of the button since the last look.
    pub(super) presses: Vec<&'static str>,
    /// When it may change by itself.
    pub(super) again_in: Option<Duration>,
}

impl Ear {
    /// An ear at the beginning of the program; words are kept only where they may be told.
    pub(super) fn new(agent: &Agent, hears_words: bool) -> Ear {
        let fold = Fold {
            state: State::new(agent.session.connection),
            is_muted: false,
            is_muted_by_line: false,
            volume_percent: agent.speak.volume_percent,
            presses: VecDeque::new(),
            user: String::new(),
            reply: (None, String::new()),
            said: None,
            hears_words,
        };
        Ear(Arc::new(Heard { fold: Mutex::new(fold), changed: Notify::new() }))
    }

    /// Takes what happened.
    pub fn hear(&self, event: &Event) {
        if self.0.fold.lock().unwrap_or_else(PoisonError::into_inner).handle_event(event) {
            self.0.changed.notify_one();
        }
    }

    /// Waits until there may be something new.
    pub(super) async fn changed(&self) {
        self.0.changed.notified().await;
    }

    /// What there is to show at `now`; presses are told once.
    pub(super) fn look(&self, now: Time) -> Shown {
        let mut fold = self.0.fold.lock().unwrap_or_else(PoisonError::into_inner);
        let presses = fold.presses.drain(..).collect();
        Shown { states: fold.states(now), presses, again_in: fold.state.next_change(now).map(|at| at.since(now)) }
    }
}

impl Fold {
    /// Answers whether there may be something new to show.
    fn handle_event(&mut self, event: &Event) -> bool {
        let is_new = self.state.handle_event(event);
        match &event.what {
            What::Pressed => self.press(BUTTON_EVENTS[0]),
            What::Released => self.press(BUTTON_EVENTS[1]),
            What::Muted { is_muted, by_line: false } => self.is_muted = *is_muted,
            What::Muted { is_muted, by_line: true } => self.is_muted_by_line = *is_muted,
            What::VolumeSet { percent } => self.volume_percent = *percent,
            What::UserText { text } if self.hears_words => {
                self.user.clear();
                append(&mut self.user, text);
                return is_new;
            }
            What::ModelText { epoch, text } if self.hears_words => {
                if self.reply.0 != Some(*epoch) {
                    self.reply = (Some(*epoch), String::new());
                }
                append(&mut self.reply.1, text);
                return is_new;
            }
            What::TurnOver { .. } | What::ReplyCut { .. } if self.hears_words && !self.user.is_empty() => {
                self.said = Some((self.user.clone(), self.reply.1.clone()));
            }
            _ => return is_new,
        }
        true
    }

    fn press(&mut self, event: &'static str) {
        if self.presses.len() == PRESSES_MAX {
            self.presses.pop_front();
        }
        self.presses.push_back(event);
    }

    fn states(&self, now: Time) -> Vec<(&'static str, String)> {
        let is_muted = self.is_muted || self.is_muted_by_line;
        let mut states = vec![
            ("state", self.state.look(now).word().to_string()),
            ("mute", if is_muted { "ON" } else { "OFF" }.to_string()),
            ("volume", self.volume_percent.to_string()),
        ];
        if let Some((user, reply)) = &self.said {
            states.push(("transcript", json!({ "user": user, "reply": reply }).to_string()));
        }
        states
    }
}

fn append(text: &mut String, more: &str) {
    let room = SAID_BYTES_MAX.saturating_sub(text.len());
    text.push_str(&more[..more.floor_char_boundary(room)]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{CloseCause, OpenCause};
    use crate::panel::Look;
    use crate::tools::mqtt::presence::STATES;

    fn hear(ear: &Ear, what: What) {
        ear.hear(&Event { at: Time::from_ms(10), what });
    }

    fn says(ear: &Ear, name: &str) -> Option<String> {
        let shown = ear.look(Time::from_ms(20));
        shown.states.into_iter().find(|(topic, _)| *topic == name).map(|(_, says)| says)
    }

    #[test]
    fn every_look_has_a_word_that_home_assistant_knows() {
        for look in Look::ALL {
            assert!(STATES.contains(&look.word()), "{look:?}");
        }
    }

    #[test]
    fn what_happens_becomes_states_and_presses_are_told_once() {
        let ear = Ear::new(&Agent::default(), false);
        assert_eq!(says(&ear, "state").as_deref(), Some("starting"));
        hear(&ear, What::Pressed);
        hear(&ear, What::GateOpened { cause: OpenCause::Button });
        assert_eq!(ear.look(Time::from_ms(20)).presses, ["press"]);
        assert!(ear.look(Time::from_ms(20)).presses.is_empty());
        assert_eq!(says(&ear, "state").as_deref(), Some("listening"));
        hear(&ear, What::GateClosed { cause: CloseCause::Released });
        hear(&ear, What::Muted { is_muted: true, by_line: true });
        hear(&ear, What::VolumeSet { percent: 35 });
        assert_eq!(says(&ear, "mute").as_deref(), Some("ON"));
        assert_eq!(says(&ear, "volume").as_deref(), Some("35"));
        hear(&ear, What::Muted { is_muted: false, by_line: true });
        assert_eq!(says(&ear, "mute").as_deref(), Some("OFF"));
        assert_eq!(says(&ear, "state").as_deref(), Some("thinking"));
    }

    #[test]
    fn words_are_kept_only_where_they_may_be_told_and_only_so_many() {
        let said = |may: bool| {
            let ear = Ear::new(&Agent::default(), may);
            hear(&ear, What::UserText { text: "turn the".into() });
            hear(&ear, What::UserText { text: "turn the lamp on".into() });
            hear(&ear, What::ModelText { epoch: Epoch(1), text: "It ".into() });
            hear(&ear, What::ModelText { epoch: Epoch(1), text: "is on. ".repeat(1000) });
            hear(&ear, What::TurnOver { reason: None });
            says(&ear, "transcript")
        };
        assert_eq!(said(false), None);
        let said = said(true).unwrap_or_default();
        assert!(said.contains(r#""user":"turn the lamp on""#) && said.contains("It is on. "), "{said}");
        assert!(said.len() < SAID_BYTES_MAX + 100);
    }
}
