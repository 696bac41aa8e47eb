//! What must hold whatever happens: watched over every input and output of every script and random run.

use std::collections::BTreeSet;

use mynah::flow::{GateNote, LinkEvent, LinkOrder, SpeakerOrder, ToolOrder, What};
use mynah::live::client::Message;
use mynah::session::{Input, Output};
use mynah::units::{CallId, Time};

/// An observer between the world and the session.
#[derive(Debug, Default)]
pub struct Rules {
    broken: Option<String>,
    attempt: u32,
    /// A connection was asked for and has not ended.
    is_asked: bool,
    is_connected: bool,
    is_setup_sent: bool,
    is_ready: bool,
    /// Frames sent in the window that is open on the wire.
    window: Option<u64>,
    last_hop: Option<i16>,
    /// The model's sound is a ramp from 1 to 1000: its last sample, and the turn it was of.
    last_sample: Option<(u32, i16)>,
    flushed: u32,
    ended: u32,
    newest: u32,
    /// Calls of this connection that were neither run, answered nor taken back.
    called: BTreeSet<CallId>,
    /// Calls that run and that the server waits for.
    owed: BTreeSet<CallId>,
    /// Calls that the tools are at work on.
    working: BTreeSet<CallId>,
    taken_back: BTreeSet<CallId>,
    /// Calls that were answered on this connection.
    answered: BTreeSet<CallId>,
    /// Calls whose connection ended before their answer surely arrived: it may be given on another, once.
    lost: BTreeSet<CallId>,
    /// The gate is told that nothing may be heard.
    is_muted: bool,
    /// The turn that says an old reply once more: its sound is no new ramp.
    repeated: Option<u32>,
}

impl Rules {
    /// What was broken first, once.
    pub fn take_broken(&mut self) -> Option<String> {
        self.broken.take()
    }

    /// Notes that a rule was broken.
    pub fn broken(&mut self, what: impl Into<String>) {
        self.broken.get_or_insert(what.into());
    }

    fn check(&mut self, holds: bool, what: &str) {
        if !holds {
            self.broken(what);
        }
    }

    /// Before the session takes `input`.
    pub fn input(&mut self, input: &Input) {
        match input {
            Input::Tool(reply) => _ = self.working.remove(&reply.id),
            Input::Link(report) if report.attempt == self.attempt => self.link_event(&report.event),
            _ => {}
        }
    }

    fn link_event(&mut self, event: &LinkEvent) {
        match event {
            LinkEvent::Connected => self.is_connected = self.is_asked,
            LinkEvent::Garbage(_) | LinkEvent::Alive => {}
            LinkEvent::Down(_) => self.disconnected(),
            LinkEvent::Message(message) => {
                self.is_ready |= message.setup_complete && self.is_setup_sent;
                if self.is_ready {
                    let news = message.calls.iter().map(|call| &call.id).filter(|id| !self.owed.contains(*id));
                    self.called.extend(news.cloned());
                    self.taken_back.extend(message.cancelled.iter().cloned());
                }
            }
        }
    }

    fn disconnected(&mut self) {
        self.is_asked = false;
        self.is_connected = false;
        self.is_setup_sent = false;
        self.is_ready = false;
        self.window = None;
        self.called.clear();
        self.lost.append(&mut self.owed);
        self.lost.append(&mut self.answered);
    }

    /// As the session gives `output`.
    pub fn output(&mut self, output: &Output) {
        match output {
            Output::Link(LinkOrder::Open { attempt, .. }) => {
                self.check(*attempt > self.attempt && !self.is_asked, "a connection was asked for beside another");
                self.is_asked = true;
                self.attempt = *attempt;
            }
            Output::Link(LinkOrder::Close) => self.disconnected(),
            Output::Link(LinkOrder::Send(message)) => self.sent(message),
            Output::Speaker(order) => self.spoken(order),
            Output::Tool(order) => self.tool(order),
            Output::Link(LinkOrder::Ping) => self.check(self.is_connected, "a ping was sent on no connection"),
            Output::Gate(GateNote::Mute(is_muted)) => {
                self.check(self.is_muted != *is_muted, "the gate was muted twice, or unmuted");
                self.is_muted = *is_muted;
            }
            Output::Event(What::ReplyRepeated { epoch }) => self.repeated = Some(epoch.0),
            Output::Keep(_)
            | Output::Eyes(_)
            | Output::Gate(_)
            | Output::Event(_)
            | Output::Refused(_)
            | Output::Timeout(_) => {}
        }
    }

    fn sent(&mut self, message: &Message) {
        if let Message::Setup(_) = message {
            self.check(self.is_connected && !self.is_setup_sent, "setup goes out once, on an open connection");
            self.is_setup_sent = true;
            return;
        }
        self.check(self.is_ready, "something was sent before setupComplete or on no connection");
        match message {
            Message::Setup(_) => {}
            Message::ActivityStart => {
                self.check(self.window.is_none(), "a window was opened in an open window");
                self.check(!self.is_muted, "a window was opened while muted");
                self.window = Some(0);
                self.last_hop = None;
            }
            Message::Audio(speech) => {
                self.check(self.window.is_some(), "speech was sent outside of a window");
                self.check(!speech.is_empty(), "an empty audio message was sent");
                // A window that has begun and has nothing in it ends with a hop of silence.
                let is_silence = speech.frames().iter().all(|frame| *frame == 0);
                self.check(!self.is_muted || is_silence, "speech was sent while muted");
                self.window = self.window.map(|frames| frames + speech.frames().len() as u64);
                for hop in speech.frames().chunks(mynah::audio::HOP_FRAMES) {
                    let follows = self.last_hop.is_none_or(|last| (i32::from(last) + 1) % 30_000 == i32::from(hop[0]));
                    self.check(follows, "speech was sent out of order or with a gap");
                    self.last_hop = Some(hop[0]);
                }
            }
            Message::Video(_) => {
                self.check(
                    self.window.is_some_and(|frames| frames > 0),
                    "a picture was sent before its window's sound",
                );
                self.check(!self.is_muted, "a picture was sent while muted");
            }
            Message::ActivityEnd => {
                self.check(self.window.is_some(), "a window was closed that was not open");
                self.check(self.window != Some(0), "an empty window was sent");
                self.window = None;
            }
            Message::Text(_) => self.check(self.window.is_none(), "text was sent in an open window"),
            Message::History(_) => {}
            Message::ToolResponse { id, .. } => {
                let is_known = self.owed.remove(id) || self.called.remove(id) || self.lost.remove(id);
                self.check(is_known, "a call was answered that was not asked, or twice");
                self.answered.insert(id.clone());
                self.check(!self.taken_back.contains(id), "a call was answered that the server had taken back");
            }
        }
    }

    fn spoken(&mut self, order: &SpeakerOrder) {
        match order {
            SpeakerOrder::Play { epoch, chunk } => {
                self.check(epoch.0 > self.flushed, "sound of a flushed turn was played");
                self.check(epoch.0 > self.ended, "sound of an ended turn was played: the speaker refuses it");
                self.check(epoch.0 >= self.newest, "sound of an older turn was played");
                self.check(self.window.is_none(), "the model was made to speak while the user does");
                self.newest = epoch.0;
                let is_repeated = self.repeated == Some(epoch.0);
                for sample in chunk.frames.iter().filter(|_| !is_repeated) {
                    let follows = match self.last_sample {
                        Some((of, last)) if of == epoch.0 => *sample == last % 1000 + 1,
                        _ => (1..=1000).contains(sample),
                    };
                    self.check(follows, "the model's sound has lost or shifted a byte");
                    self.last_sample = Some((epoch.0, *sample));
                }
            }
            SpeakerOrder::End { epoch } => {
                self.check(
                    epoch.0 > self.ended && epoch.0 > self.flushed,
                    "a turn was ended twice, or after its flush",
                );
                self.ended = epoch.0;
            }
            SpeakerOrder::Flush { epoch } => {
                self.check(epoch.0 > self.flushed, "a turn was flushed twice");
                self.flushed = epoch.0;
            }
            SpeakerOrder::Volume(_) | SpeakerOrder::Cue(_) | SpeakerOrder::Wake | SpeakerOrder::Duck(_) => {}
        }
    }

    fn tool(&mut self, order: &ToolOrder) {
        match order {
            ToolOrder::Run(call) => {
                let was_asked = self.called.remove(&call.id);
                self.check(was_asked, "a call was run that was not asked, or twice");
                self.owed.insert(call.id.clone());
                self.working.insert(call.id.clone());
            }
            ToolOrder::Cancel(id) => {
                let was_working = self.working.remove(id);
                self.check(was_working, "a call was cancelled that does not run");
            }
            ToolOrder::ByHand(_)
            | ToolOrder::Tapped
            | ToolOrder::Heard { .. }
            | ToolOrder::Offline
            | ToolOrder::Hushed
            | ToolOrder::VisitOver => {}
        }
    }

    /// After the drain that ended with `deadline`.
    pub fn drained(&mut self, deadline: Option<Time>, now: Time) {
        self.check(deadline.is_none_or(|at| at > now), "the deadline after a drain is not in the future");
        for id in std::mem::take(&mut self.taken_back) {
            self.owed.remove(&id);
            self.called.remove(&id);
            self.check(!self.working.contains(&id), "a call that the server took back was not stopped");
        }
        self.check(self.owed.is_subset(&self.working), "a call is neither at work nor answered");
    }

    /// The calls that the tools are at work on.
    pub fn working(&self) -> impl Iterator<Item = &CallId> {
        self.working.iter()
    }

    /// The newest turn that the speaker was told the end of, unless it was flushed.
    pub fn to_drain(&self) -> Option<u32> {
        (self.ended > self.flushed).then_some(self.ended)
    }

    /// Whether a connection is asked for and whether it is open.
    pub fn connection(&self) -> (bool, bool) {
        (self.is_asked, self.is_connected)
    }

    /// Whether speech may be sent.
    pub fn is_ready(&self) -> bool {
        self.is_ready
    }
}
