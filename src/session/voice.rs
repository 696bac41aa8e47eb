//! Voice and language that a person chose for the next conversation.
//!
//! The service keeps a conversation's voice: one that is taken up by its handle goes on as it began. So what was chosen
//! waits until a setup carries no handle.

use super::Session;
use crate::config::agent::Agent;
use crate::flow::What;
use crate::units::Time;

/// What is chosen, and what the agent file says.
#[derive(Debug)]
pub struct Voice {
    configured: Pair,
    wanted: Pair,
}

/// Voice and language; none for the service's and the user's own choice.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pair {
    voice: Option<String>,
    language: Option<String>,
}

impl Voice {
    /// As the agent file says.
    pub fn new(agent: &Agent) -> Voice {
        let configured = Pair { voice: agent.voice.clone(), language: agent.language.clone() };
        Voice { wanted: configured.clone(), configured }
    }

    /// Chooses them for the next conversation: none for no change, empty for what the agent file says. Answers what is
    /// to be told, where that is another choice than before.
    pub fn choose(&mut self, voice: Option<&str>, language: Option<&str>) -> Option<What> {
        let before = self.wanted.clone();
        let pick = |chosen: &str, configured: &Option<String>| match chosen {
            "" => configured.clone(),
            chosen => Some(chosen.to_string()),
        };
        if let Some(voice) = voice {
            self.wanted.voice = pick(voice, &self.configured.voice);
        }
        if let Some(language) = language {
            self.wanted.language = pick(language, &self.configured.language);
        }
        let Pair { voice, language } = self.wanted.clone();
        (self.wanted != before)
            .then(|| What::VoiceChosen { voice: voice.unwrap_or_default(), language: language.unwrap_or_default() })
    }
}

impl Session {
    /// A setup is about to be made: one without a handle speaks as was chosen.
    pub(super) fn speak_as_chosen(&mut self, now: Time) {
        let Pair { voice, language } = &self.voice.wanted;
        let is_same = (voice, language) == (&self.agent.voice, &self.agent.language);
        if is_same || self.resume.has_handle(now) {
            return;
        }
        // Whether the model knows that voice was not asked yet.
        self.variant.without_voice &= *voice == self.agent.voice;
        (self.agent.voice, self.agent.language) = (voice.clone(), language.clone());
        self.rebuild();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::agent::Connection;
    use crate::flow::{Control, LinkEvent, LinkOrder, LinkReport};
    use crate::live::client;
    use crate::live::server::Message;
    use crate::session::{Input, Output};

    struct Rig {
        session: Session,
        now: Time,
    }

    impl Rig {
        fn new(voice: Option<&str>) -> Rig {
            let mut agent = Agent { voice: voice.map(str::to_string), ..Agent::default() };
            agent.session.connection = Connection::KeepOpen;
            Rig { session: Session::new(&agent, 7), now: Time::from_ms(1) }
        }

        /// Answers the events that were told and the setups that were sent.
        fn give(&mut self, input: Input) -> (Vec<What>, Vec<String>) {
            self.now += std::time::Duration::from_secs(1);
            self.session.handle_input(input, self.now);
            let (mut told, mut setups) = (Vec::new(), Vec::new());
            loop {
                match self.session.poll_output() {
                    Output::Timeout(_) => return (told, setups),
                    Output::Event(what) => told.push(what),
                    Output::Link(LinkOrder::Send(client::Message::Setup(setup))) => setups.push(setup.to_string()),
                    _ => {}
                }
            }
        }

        fn link(&mut self, event: LinkEvent) -> String {
            let attempt = self.session.attempt();
            self.give(Input::Link(LinkReport { attempt, event })).1.pop().unwrap_or_default()
        }

        /// Connects; answers the setup. The service gives a handle.
        fn connect(&mut self) -> String {
            self.give(Input::Timeout);
            let setup = self.link(LinkEvent::Connected);
            let message = Message { setup_complete: true, handle: Some("h".into()), ..Message::default() };
            self.link(LinkEvent::Message(Box::new(message)));
            setup
        }

        fn lose(&mut self) {
            self.link(LinkEvent::Down(crate::live::close::Closing::Network("it is gone".into())));
        }

        fn choose(&mut self, voice: &str, language: &str) -> Vec<What> {
            self.give(Input::Control(Control::Voice { voice: Some(voice.into()), language: Some(language.into()) })).0
        }
    }

    #[test]
    fn what_was_chosen_waits_for_a_conversation_that_begins_anew() {
        let mut rig = Rig::new(Some("Kore"));
        rig.give(Input::Start);
        assert!(rig.connect().contains("Kore"));
        let told = rig.choose("Puck", "German");
        assert_eq!(told, [What::VoiceChosen { voice: "Puck".into(), language: "German".into() }]);
        assert_eq!(rig.choose("Puck", "German"), [], "it is the same choice");
        rig.lose();
        let setup = rig.connect();
        assert!(setup.contains("Kore") && setup.contains("\"handle\""), "{setup}");
        rig.give(Input::Control(Control::Reset));
        let setup = rig.connect();
        assert!(setup.contains("Puck") && setup.contains("GERMAN") && !setup.contains("Kore"), "{setup}");
        rig.lose();
        assert!(rig.connect().contains("\"handle\""), "the new conversation is gone on with");
    }

    #[test]
    fn empty_is_what_the_agent_file_says() {
        let mut rig = Rig::new(None);
        rig.give(Input::Start);
        rig.choose("Puck", "");
        assert_eq!(rig.choose("", ""), [What::VoiceChosen { voice: String::new(), language: String::new() }]);
        assert!(!rig.connect().contains("speechConfig"));
    }
}
