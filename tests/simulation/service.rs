//! The network and the emulated service behind it: one [`Socket`] for each attempt.

use std::collections::VecDeque;
use std::sync::Arc;

use mynah::emulator::{Api, Emulator, Options, Output, Script, Sessions, Side};
use mynah::live::close::Closing;
use mynah::live::server::Reader;
use mynah::units::Time;

use super::device::ReplyId;
use super::story::TurnTruth;
use super::watch::{Rule, Watch};

/// What travels from the service to us.
#[derive(Debug)]
pub enum Down {
    /// A message, as bytes.
    Message(String),
    /// The answer to a ping.
    Pong,
    /// Not on the wire: what follows belongs to this reply.
    Begins(ReplyId),
    /// The end.
    Closed(Closing),
}

/// How a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Opening,
    Open,
    /// Cut or closed: nothing passes any more.
    Dead,
}

/// One connection.
pub struct Socket {
    pub attempt: u32,
    pub state: State,
    pub emulator: Emulator,
    pub reader: Reader,
    /// When the service comes back to itself.
    pub due: Option<Time>,
    /// The reply whose messages arrive now.
    pub reply: Option<ReplyId>,
    /// Arrived, but the link does not read on while the core's queue is full.
    pub unread: VecDeque<Down>,
    pub last_up: Time,
    pub last_down: Time,
    /// Nothing passes either way, and nobody knows.
    pub is_half_open: bool,
    /// Reasons for a close that are not the device's fault.
    pub excused: Vec<&'static str>,
    is_continued: bool,
    is_asked_in_words: bool,
    turn_before: usize,
    note: String,
}

impl Socket {
    pub fn new(attempt: u32, script: Arc<Script>, first_turn: usize, sessions: Sessions) -> Socket {
        let is_continued = script.continues();
        let options = Options {
            key: Some("a-key".into()),
            api: Api::V1beta,
            session: u64::from(attempt),
            first_turn: if is_continued { first_turn } else { 0 },
        };
        Socket {
            attempt,
            state: State::Opening,
            emulator: Emulator::new(script, options, sessions),
            reader: Reader::default(),
            due: None,
            reply: None,
            unread: VecDeque::new(),
            last_up: Time::ZERO,
            last_down: Time::ZERO,
            is_half_open: false,
            excused: Vec::new(),
            is_continued,
            is_asked_in_words: false,
            turn_before: 0,
            note: String::new(),
        }
    }

    /// Nothing passes any more, and the service knows.
    pub fn end(&mut self, now: Time) {
        self.state = State::Dead;
        self.emulator.handle_end(now);
    }

    /// Where the next connection goes on.
    pub fn next_turn(&self) -> usize {
        if self.is_continued { self.emulator.next_turn() } else { 0 }
    }

    /// A message reaches the service.
    pub fn hear(&mut self, text: &str, now: Time) {
        // A turn that was typed is not told by the emulator.
        self.is_asked_in_words = text.starts_with("{\"realtimeInput\":{\"text\"");
        self.turn_before = self.emulator.next_turn();
        self.emulator.handle_message(text.as_bytes(), now);
    }

    fn begin_reply(&self, voice: Option<&[i16]>, turns: &[TurnTruth], watch: &mut Watch) -> ReplyId {
        if self.emulator.next_turn() == self.turn_before {
            // Stuck since calls of an older connection had no answer: the turn only ends the old exchange.
            return watch.arrived(self.attempt, voice, None);
        }
        let turn = &turns[(self.emulator.next_turn() - 1).min(turns.len() - 1)];
        watch.arrived(self.attempt, voice, Some(turn))
    }

    /// What the service has to say now.
    pub fn drain(&mut self, turns: &[TurnTruth], watch: &mut Watch) -> VecDeque<Down> {
        let mut down = VecDeque::new();
        if std::mem::take(&mut self.is_asked_in_words) {
            down.push_back(Down::Begins(self.begin_reply(None, turns, watch)));
        }
        loop {
            match self.emulator.poll_output() {
                Output::Send { body, .. } => down.push_back(Down::Message(body)),
                Output::Heard(voice) => {
                    down.push_back(Down::Begins(self.begin_reply(Some(&voice.frames), turns, watch)));
                }
                Output::Cut(_) => {}
                Output::Log(line) => {
                    watch.note(|| format!("        service {line}"));
                    if line.side == Side::Note {
                        self.note = line.text;
                    }
                }
                Output::Close { code, reason } => {
                    let is_scripted = reason.starts_with("scripted")
                        || code == 1006
                        || self.excused.iter().any(|excused| reason.starts_with(excused));
                    if !is_scripted {
                        let why = self.note.clone();
                        watch.fail(Rule::NotRefused, || format!("the service closes: {code} {reason} ({why})"));
                    }
                    let closing = match code {
                        1006 => Closing::Network("the line was cut".into()),
                        code => Closing::Frame { code, reason },
                    };
                    down.push_back(Down::Closed(closing));
                }
                Output::Timeout(at) => {
                    self.due = at;
                    return down;
                }
            }
        }
    }
}
