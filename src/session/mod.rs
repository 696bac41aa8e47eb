//! The only place that decides: link × turn × playback × calls × uplink, composed and told the time.
//!
//! The run loop's contract: [`Session::handle_input`], then [`Session::poll_output`] until it answers
//! [`Output::Timeout`], whose deadline is strictly later than `now` (or there is none). Nothing here does I/O,
//! reads a clock or starts a thread; `run.rs` is the thread.
//!
//! | machine | file | holds |
//! |---|---|---|
//! | link | [`link`] | is there a connection, and when is it tried again |
//! | uplink | [`uplink`] | the user's windows on their way out |
//! | turn | [`turn`] | whose go it is, and which messages are of a turn that was cut |
//! | playback | [`playback`] | what the loudspeaker still has to say, what was heard |
//! | calls | [`calls`] | open tool calls |
//! | timers | [`timers`] | every deadline, with its reason |
//!
//! Barge-in, in this order: flush the speaker, then `activityStart` and the pre-roll. What of the old epoch is
//! still in flight dies in [`turn`]; the server's `interrupted` finds nothing left to do.

pub mod calls;
pub mod link;
pub mod memory;
pub mod playback;
pub mod run;
mod server;
pub mod timers;
pub mod turn;
pub mod uplink;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use calls::Calls;
use link::{Change, Link};
use playback::Playback;
use timers::{Reason, Timers};
use turn::{GivenUp, Turn};
use uplink::{Sent, Taken, Uplink};

use crate::config::agent::{Agent, Behavior, Tool};
use crate::flow::{
    CloseCause, GateEvent, GateNote, LinkEvent, LinkOrder, LinkReport, MicFact, SPEECH_KEPT_MS, SpeakerFact,
    SpeakerOrder, ToolOrder, ToolReply, What,
};
use crate::live::client::{self, Message};
use crate::live::close::Refusal;
use crate::live::models;
use crate::units::{Epoch, Time};

/// Something that happened outside.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "speech travels by value from the gate")]
pub enum Input {
    /// The program is up: connect.
    Start,
    /// From the gate.
    Gate(GateEvent),
    /// From the link.
    Link(LinkReport),
    /// From the speaker.
    Speaker(SpeakerFact),
    /// From the microphone.
    Mic(MicFact),
    /// From the tools.
    Tool(ToolReply),
    /// The calendar's day, counted from 1970 in local time: told at the start and when it changes.
    Today(u32),
    /// A deadline may have passed.
    Timeout,
}

/// Something to do outside.
#[derive(Debug)]
pub enum Output {
    /// For the link.
    Link(LinkOrder),
    /// For the speaker.
    Speaker(SpeakerOrder),
    /// For the tools.
    Tool(ToolOrder),
    /// For the gate.
    Gate(GateNote),
    /// For whoever watches.
    Event(What),
    /// Keep this on the disk, instead of what was kept before.
    Keep(Box<memory::Memory>),
    /// The service refuses; a person must act, and the program ends.
    Refused(Refusal),
    /// Nothing more to do until this deadline, or the next input.
    Timeout(Option<(Time, Reason)>),
}

/// The session.
#[derive(Debug)]
pub struct Session {
    setup: serde_json::Value,
    link: Link,
    uplink: Uplink,
    turn: Turn,
    playback: Playback,
    calls: Calls,
    timers: Timers,
    out: VecDeque<Output>,
    user_text: String,
    /// Frames of this connection that were no messages.
    garbage: u32,
    is_mic_in_trouble: bool,
}

impl Session {
    /// A session for `agent`; `seed` spreads its retries.
    pub fn new(agent: &Agent, seed: u64) -> Session {
        let ms = |ms: u32| Duration::from_millis(u64::from(ms));
        let model = models::model(&agent.model);
        let terms = |tool: &Tool| calls::Terms {
            limit: ms(tool.timeout_ms),
            is_blocking: model.behavior(tool.behavior) == Behavior::Blocking,
        };
        let tools: BTreeMap<String, calls::Terms> = agent.tools.iter().map(|t| (t.name.clone(), terms(t))).collect();
        Session {
            setup: crate::live::setup::setup(agent),
            link: Link::new(ms(agent.limits.setup_timeout_ms), seed),
            uplink: Uplink::new(agent.listen.message_ms),
            turn: Turn::new(model.turn_end, ms(agent.limits.answer_timeout_ms)),
            playback: Playback::default(),
            calls: Calls::new(tools),
            timers: Timers::default(),
            out: VecDeque::new(),
            user_text: String::new(),
            garbage: 0,
            is_mic_in_trouble: false,
        }
    }

    /// Takes one input. Drain [`Session::poll_output`] after it.
    pub fn handle_input(&mut self, input: Input, now: Time) {
        match input {
            Input::Start => self.open_link(now),
            Input::Gate(event) => self.handle_gate(event, now),
            Input::Link(report) if report.attempt != self.link.attempt() => {} // of a connection that was given up
            Input::Link(report) => self.handle_link(report.event, now),
            Input::Speaker(fact) => self.handle_speaker(fact),
            Input::Mic(fact) => self.handle_mic(fact),
            Input::Tool(reply) => self.handle_tool(reply, now),
            Input::Today(_) | Input::Timeout => {}
        }
        while let Some(reason) = self.timers.take_due(now) {
            self.handle_due(reason, now);
        }
    }

    /// The next thing to do; [`Output::Timeout`] ends the drain.
    pub fn poll_output(&mut self) -> Output {
        self.out.pop_front().unwrap_or_else(|| Output::Timeout(self.timers.next()))
    }

    /// Whether nothing is under way: no speech kept or open, no reply awaited or heard, no call open.
    pub fn is_idle(&self) -> bool {
        self.uplink.is_idle()
            && self.turn.model() == turn::Model::Idle
            && self.playback.state() == playback::State::Silent
            && !self.calls.is_any_open()
    }

    /// Milliseconds of the user's speech that wait to be sent.
    pub fn kept_ms(&self) -> u64 {
        self.uplink.kept_ms()
    }

    /// Messages that the link's queue takes now; told before an input, where the queue is a real one.
    pub fn set_link_room(&mut self, messages: usize) {
        self.uplink.set_room(messages);
    }

    /// The number of the newest connection.
    pub fn attempt(&self) -> u32 {
        self.link.attempt()
    }

    fn event(&mut self, what: What) {
        self.out.push_back(Output::Event(what));
    }

    fn speak(&mut self, order: SpeakerOrder) {
        self.out.push_back(Output::Speaker(order));
    }

    fn send(&mut self, message: Message) {
        self.out.push_back(Output::Link(LinkOrder::Send(message)));
    }

    // The user's side.

    fn handle_gate(&mut self, event: GateEvent, now: Time) {
        match event {
            GateEvent::Pressed => {
                self.event(What::Pressed);
                self.cut();
            }
            GateEvent::Released => self.event(What::Released),
            GateEvent::Opened(cause) => {
                self.event(What::GateOpened { cause });
                self.cut();
                self.open_link(now);
                self.uplink.open();
            }
            GateEvent::Speech(speech) => self.handle_speech(&speech, now),
            GateEvent::Closed(cause) => {
                self.event(What::GateClosed { cause });
                self.uplink.close(cause);
                self.send_kept(now);
                self.uplink.arm(&mut self.timers);
            }
            GateEvent::Dropped(cause) => self.event(What::PressDropped { cause }),
            GateEvent::Lost(hops) => {
                let why = "the program was too late to take it from the microphone".to_string();
                self.event(What::SpeechLost { ms: u64::from(hops) * u64::from(crate::audio::HOP_MS), why });
            }
        }
    }

    fn handle_speech(&mut self, speech: &crate::audio::Speech, now: Time) {
        match self.uplink.speech(speech) {
            Taken::Kept => self.send_kept(now),
            Taken::NoWindow => {}
            Taken::Full => {
                let trouble = if self.link.is_ready() { "the network is too slow" } else { "there is no connection" };
                let why = format!("{trouble}, and {} s of speech are kept already", SPEECH_KEPT_MS / 1000);
                let ms = speech.frames().len() as u64 * 1000 / u64::from(crate::audio::UPLINK_RATE.0);
                self.event(What::SpeechLost { ms, why });
                self.uplink.close(CloseCause::TooLong);
                self.uplink.arm(&mut self.timers);
                self.out.push_back(Output::Gate(GateNote::Abort));
            }
        }
    }

    /// The user wants to be heard: whatever the model says is over, here and now.
    fn cut(&mut self) {
        let cut = self.turn.cut();
        self.silence(cut, true);
    }

    /// Flushes what plays and tells what was cut: the turn `cut`, or one that was only still to be heard.
    fn silence(&mut self, cut: Option<Epoch>, by_user: bool) {
        let flushed = self.playback.flush();
        if let Some(epoch) = flushed {
            self.speak(SpeakerOrder::Flush { epoch });
        }
        if let Some(epoch) = cut.or(flushed) {
            let received_ms = self.playback.received_ms(epoch).unwrap_or(0);
            self.event(What::ReplyCut { epoch, received_ms, by_user });
        }
    }

    /// Sends what is kept, where the link is ready.
    fn send_kept(&mut self, now: Time) {
        if !self.link.is_ready() {
            return;
        }
        let Session { uplink, turn, timers, out, user_text, .. } = self;
        let mut sent = Vec::new();
        uplink.send(now, timers, |what| sent.push(what));
        for what in sent {
            match what {
                Sent::Started => {
                    user_text.clear();
                    turn.window_started(timers);
                    out.push_back(Output::Event(What::WindowOpened));
                }
                Sent::Message(message) => {
                    let ms = spoken_ms(&message);
                    out.push_back(Output::Link(LinkOrder::Send(message)));
                    if ms > 0 {
                        out.push_back(Output::Event(What::SpeechSent { ms }));
                    }
                }
                Sent::Ended { sent_ms, cause } => {
                    turn.window_ended(cause != CloseCause::Mistake, now, timers);
                    out.push_back(Output::Event(What::WindowClosed { sent_ms }));
                }
            }
        }
    }

    // The connection.

    fn open_link(&mut self, now: Time) {
        let change = self.link.open(now, &mut self.timers);
        self.apply(change, now);
    }

    fn handle_link(&mut self, event: LinkEvent, now: Time) {
        match event {
            LinkEvent::Connected => {
                let change = self.link.connected(now, &mut self.timers);
                self.apply(change, now);
            }
            LinkEvent::Alive => {}
            LinkEvent::Message(message) => self.handle_message(*message, now),
            LinkEvent::Garbage(what) => self.handle_garbage(what),
            LinkEvent::Down(closing) => {
                let change = self.link.down(&closing, now, &mut self.timers);
                self.apply(change, now);
            }
        }
    }

    /// A broken server sends no end of it: the first of a connection is told, the second, the fourth …
    fn handle_garbage(&mut self, what: String) {
        self.garbage = self.garbage.saturating_add(1);
        if self.garbage.is_power_of_two() {
            let text = if self.garbage == 1 { what } else { format!("{what}; {} so far", self.garbage) };
            self.event(What::Trouble { part: "link".into(), text });
        }
    }

    fn apply(&mut self, change: Option<Change>, now: Time) {
        match change {
            None => {}
            Some(Change::Open(attempt)) => {
                self.garbage = 0;
                self.event(What::LinkOpening);
                self.out.push_back(Output::Link(LinkOrder::Open { attempt, is_same_token: false }));
            }
            Some(Change::SendSetup) => self.send(Message::Setup(Box::new(self.setup.clone()))),
            Some(Change::Ready(setup_ms)) => {
                self.event(What::LinkReady { setup_ms, start: crate::flow::Start::Fresh });
                self.send_kept(now);
            }
            Some(Change::Close(why)) => {
                self.out.push_back(Output::Link(LinkOrder::Close));
                self.link_lost(why.into());
            }
            Some(Change::Lost(why)) => self.link_lost(why),
            Some(Change::Refused(refusal)) => {
                self.link_lost(refusal.to_string());
                self.out.push_back(Output::Refused(refusal));
            }
        }
    }

    /// What depends on the connection ends with it; what is kept stays.
    fn link_lost(&mut self, why: String) {
        self.event(What::LinkDown { why });
        self.timers.clear(Reason::CatchUp);
        let lost_ms = self.uplink.link_lost();
        self.uplink.arm(&mut self.timers);
        if lost_ms > 0 {
            self.event(What::SpeechLost { ms: lost_ms, why: "the connection ended while it was being sent".into() });
        }
        for id in self.calls.link_lost(&mut self.timers) {
            self.out.push_back(Output::Tool(ToolOrder::Cancel(id.clone())));
            self.event(What::ToolCancelled { id });
        }
        if let Some(epoch) = self.turn.link_lost(&mut self.timers) {
            self.end_of_sound(epoch);
        }
    }

    // The loudspeaker, the microphone, the tools, time.

    fn handle_speaker(&mut self, fact: SpeakerFact) {
        match fact {
            SpeakerFact::Started { epoch } => {
                self.event(What::ReplyHeard { epoch });
                self.audible(true);
            }
            SpeakerFact::Heard { epoch, heard_ms } => self.playback.heard(epoch, heard_ms),
            SpeakerFact::Drained { epoch, heard_ms } => {
                self.playback.drained(epoch);
                self.event(What::ReplyDrained { epoch, heard_ms });
                self.audible(false);
            }
            SpeakerFact::Flushed { epoch, heard_ms } => {
                self.event(What::ReplySilent { epoch, heard_ms });
                self.audible(false);
            }
            SpeakerFact::Concealed { epoch } => self.event(What::ReplyConcealed { epoch }),
            SpeakerFact::CueStarted | SpeakerFact::CueOver => {}
            SpeakerFact::Xrun => self.event(What::Xrun { part: "speaker".into() }),
            SpeakerFact::Full { epoch } => {
                let text = format!("the loudspeaker's queue is full; the rest of {epoch} is not played");
                self.event(What::Trouble { part: "speaker".into(), text });
            }
            SpeakerFact::Trouble(text) => self.event(What::Trouble { part: "speaker".into(), text }),
            SpeakerFact::Recovered => self.event(What::Recovered { part: "speaker".into() }),
        }
    }

    fn audible(&mut self, is_audible: bool) {
        if self.playback.audible(is_audible) {
            self.out.push_back(Output::Gate(GateNote::SpeakerAudible(is_audible)));
        }
    }

    fn handle_mic(&mut self, fact: MicFact) {
        match fact {
            MicFact::Xrun => self.event(What::Xrun { part: "mic".into() }),
            MicFact::Trouble(text) => {
                self.is_mic_in_trouble = true;
                self.event(What::Trouble { part: "mic".into(), text });
            }
            // It also says so when it is opened for the first time, which is no news.
            MicFact::Running => {
                if std::mem::take(&mut self.is_mic_in_trouble) {
                    self.event(What::Recovered { part: "mic".into() });
                }
            }
        }
    }

    fn handle_tool(&mut self, reply: ToolReply, now: Time) {
        if let Some(answer) = self.calls.replied(reply, now, &mut self.timers) {
            self.answer(answer, now);
        }
    }

    fn answer(&mut self, answer: calls::Answer, now: Time) {
        let ToolReply { id, name, result } = answer.reply;
        let response = client::response_of(&result);
        self.send(Message::ToolResponse { id: id.clone(), name: name.clone(), response });
        self.event(What::ToolAnswered { id, name, result, took_ms: answer.took_ms });
        if !self.calls.is_any_open() {
            self.turn.worked(now, &mut self.timers);
        }
    }

    fn end_of_sound(&mut self, epoch: Epoch) {
        if self.playback.end(epoch) {
            self.speak(SpeakerOrder::End { epoch });
        }
    }

    fn handle_due(&mut self, reason: Reason, now: Time) {
        match reason {
            Reason::Reconnect => self.open_link(now),
            Reason::Setup => {
                let change = self.link.setup_timed_out(now, &mut self.timers);
                self.apply(change, now);
            }
            Reason::CatchUp => self.send_kept(now),
            Reason::Kept => {
                let ms = self.uplink.expire(now, &mut self.timers);
                if ms > 0 {
                    let why = format!("it could not be sent within {} s", uplink::KEPT_FOR.as_secs());
                    self.event(What::SpeechLost { ms, why });
                }
            }
            Reason::Answer | Reason::Progress => match self.turn.given_up() {
                GivenUp::Unanswered { since } => {
                    self.event(What::NoAnswer { waited_ms: now.since(since).as_millis() as u64 });
                }
                GivenUp::Unfinished { epoch } => {
                    let text = "the service began a reply and did not end it".to_string();
                    self.event(What::Trouble { part: "link".into(), text });
                    self.end_of_sound(epoch);
                }
                GivenUp::Unwanted => {}
            },
            Reason::Stale => self.turn.stale_given_up(),
            Reason::Call => {
                for answer in self.calls.late(now, &mut self.timers) {
                    self.out.push_back(Output::Tool(ToolOrder::Cancel(answer.reply.id.clone())));
                    self.answer(answer, now);
                }
            }
        }
    }
}

fn spoken_ms(message: &Message) -> u64 {
    match message {
        Message::Audio(speech) => speech.frames().len() as u64 * 1000 / u64::from(crate::audio::UPLINK_RATE.0),
        _ => 0,
    }
}
