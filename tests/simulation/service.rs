//! The network and the emulated service behind it: one [`Connection`] for each attempt.

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
pub struct Connection {
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
    is_continued: bool,
    note: String,
}

impl Connection {
    pub fn new(attempt: u32, script: Arc<Script>, first_turn: usize, sessions: Sessions) -> Connection {
        let is_continued = script.continues();
        let options = Options {
            key: Some("a-key".into()),
            api: Api::V1beta,
            session: u64::from(attempt),
            first_turn: if is_continued { first_turn } else { 0 },
        };
        Connection {
            attempt,
            state: State::Opening,
            emulator: Emulator::new(script, options, sessions),
            reader: Reader::default(),
            due: None,
            reply: None,
            unread: VecDeque::new(),
            last_up: Time::ZERO,
            last_down: Time::ZERO,
            is_continued,
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

    /// What the service has to say now.
    pub fn drain(&mut self, turns: &[TurnTruth], watch: &mut Watch) -> VecDeque<Down> {
        let mut down = VecDeque::new();
        loop {
            match self.emulator.poll_output() {
                Output::Send { body, .. } => down.push_back(Down::Message(body)),
                Output::Heard(voice) => {
                    let turn = turns[(self.emulator.next_turn() - 1).min(turns.len() - 1)].clone();
                    let reply = watch.arrived(self.attempt, &voice.frames, turn.frames, turn.breaks_off);
                    down.push_back(Down::Begins(reply));
                }
                Output::Cut(_) => {}
                Output::Log(line) => {
                    watch.note(|| format!("        service {line}"));
                    if line.side == Side::Note {
                        self.note = line.text;
                    }
                }
                Output::Close { code, reason } => {
                    let is_scripted = reason.starts_with("scripted") || code == 1006;
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
