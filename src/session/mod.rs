//! The only place that decides: link × turn × playback × calls × uplink, composed and told the time.
//!
//! The run loop's contract: [`Session::handle_input`], then [`Session::poll_output`] until it answers
//! [`Output::Timeout`], whose deadline is strictly later than `now` (or there is none). Nothing here does I/O,
//! reads a clock or starts a thread; `run.rs` is the thread.
//!
//! | machine | file | holds |
//! |---|---|---|
//! | link | [`link`] | is there a connection, and when is it tried again |
//! | resume | [`resume`] | the handle with which the conversation goes on |
//! | uplink | [`uplink`] | the user's windows on their way out |
//! | turn | [`turn`] | whose go it is, and which messages are of a turn that was cut |
//! | playback | [`playback`] | what the loudspeaker still has to say, what was heard |
//! | calls | [`calls`] | open tool calls |
//! | history | [`history`] | the last turns' words, for a session that must be told |
//! | account | [`account`] | what it costs, and the day's limit |
//! | mute | [`mute`] | who holds the microphone closed |
//! | hold | `hold` | a reply that came under a press |
//! | ring | `ring` | a timer or an alarm that rings |
//! | notice | [`notice`] | what the device itself has to tell |
//! | consent | `consent` | a person's yes on its way to a tool |
//! | sight | [`sight`] | what the model is shown |
//! | replay | [`replay`] | the last reply's sound, to be said once more |
//! | voice | `voice` | voice and language of the next conversation |
//! | steps | [`steps`] | the sounds of a conversation's steps, ducking, follow-up |
//! | timers | [`timers`] | every deadline, with its reason |
//!
//! Barge-in, in this order: flush the speaker, then `activityStart` and the pre-roll. What of the old epoch is
//! still in flight dies in [`turn`]; the server's `interrupted` finds nothing left to do.
//!
//! A lost connection takes with it what the service had not committed. So what was said is kept until the reply
//! to it is whole, and asked again; a call's result is told on the next connection; `again.rs` says how.

pub mod account;
mod again;
pub mod calls;
mod connection;
mod consent;
mod declared;
mod devices;
pub mod history;
mod hold;
pub mod link;
pub mod memory;
pub mod mute;
pub mod notice;
mod person;
pub mod playback;
pub mod replay;
pub mod resume;
mod ring;
pub mod run;
mod server;
pub mod sight;
pub mod steps;
pub mod timers;
pub mod turn;
pub mod uplink;
mod user;
mod voice;
mod watch;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use account::Account;
use again::Again;
use calls::Calls;
use connection::Leave;
use consent::Consent;
use history::History;
use hold::Hold;
use link::Link;
use memory::Memory;
use mute::Mute;
use notice::Notices;
use playback::Playback;
use replay::Replay;
use resume::Resume;
use ring::Ring;
use sight::Sight;
use steps::Steps;
use timers::{Reason, Timers};
use turn::Turn;
use uplink::Uplink;
use voice::Voice;

use crate::config::agent::{Agent, Behavior, Connection, Keep, Tool};
use crate::flow::{
    Control, Cue, EyeWish, GateEvent, GateNote, LinkOrder, LinkReport, MicFact, Shot, SpeakerFact, SpeakerOrder,
    ToolOrder, ToolReply, What,
};
use crate::live::client::Message;
use crate::live::close::Refusal;
use crate::live::models::{self, Model};
use crate::live::setup::{self, Variant};
use crate::units::Time;

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
    /// From a person.
    Control(Control),
    /// The tools of servers, in place of those that came before.
    Tools(Vec<Tool>),
    /// The calendar's day, counted from 1970 in local time: told at the start and when it changes.
    Today(u32),
    /// From the camera.
    Shot(Shot),
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
    /// For the camera, instead of what was wanted of it before.
    Eyes(EyeWish),
    /// For whoever watches.
    Event(What),
    /// Keep this on the disk, instead of what was kept before.
    Keep(Box<Memory>),
    /// The service refuses; a person must act, and the program ends.
    Refused(Refusal),
    /// Nothing more to do until this deadline, or the next input.
    Timeout(Option<(Time, Reason)>),
}

/// The session.
#[derive(Debug)]
pub struct Session {
    agent: Agent,
    variant: Variant,
    model: Model,
    link: Link,
    resume: Resume,
    leave: Leave,
    uplink: Uplink,
    turn: Turn,
    playback: Playback,
    hold: Hold,
    calls: Calls,
    again: Again,
    history: History,
    notices: Notices,
    consent: Consent,
    ring: Ring,
    sight: Sight,
    account: Account,
    mute: Mute,
    replay: Replay,
    steps: Steps,
    voice: Voice,
    /// As a person set it; the configured one holds where nobody did.
    volume_percent: Option<u8>,
    timers: Timers,
    out: VecDeque<Output>,
    /// Tools that the next connection declares.
    tools_next: Option<Vec<Tool>>,
    kept: Memory,
    /// Mark of the setup that the service took last, in this run or an earlier one.
    proven: Option<u64>,
    user_text: String,
    /// When the newest sign of life of the service came, and since when one is asked for.
    heard_at: Time,
    pinged_at: Option<Time>,
    /// Frames of this connection that were no messages.
    garbage: u32,
    /// Whether this connection took its set-up.
    was_ready: bool,
    /// The conversation was taken up and no turn has been answered since: the first may only end an old exchange.
    is_resume_unproved: bool,
    is_mic_in_trouble: bool,
    is_reply_audible: bool,
    is_cue_audible: bool,
    is_spent_told: bool,
    /// When the user was last told so.
    spent_cue_at: Option<Time>,
    is_offline_told: bool,
    /// The conversation is to end when all is said.
    is_end_wanted: bool,
}

impl Session {
    /// A session for `agent`; `seed` spreads its retries.
    pub fn new(agent: &Agent, seed: u64) -> Session {
        let variant = Variant::default();
        let model = models::model(&agent.model);
        Session {
            link: Link::new(ms(agent.limits.setup_timeout_ms), agent.token_url.is_some(), seed),
            resume: Resume::new(setup::mark(agent, &variant)),
            leave: Leave::default(),
            uplink: Uplink::new(agent.listen.message_ms),
            turn: Turn::new(turn_terms(agent, &model)),
            playback: Playback::default(),
            hold: Hold::default(),
            calls: Calls::new(call_terms(agent, &model)),
            again: Again::default(),
            history: History::new(agent.session.history_turns),
            notices: Notices::default(),
            consent: Consent::new(agent),
            ring: Ring::default(),
            sight: Sight::new(agent.see),
            account: Account::new(&agent.prices, &agent.limits),
            mute: Mute::default(),
            replay: Replay::default(),
            steps: Steps::default(),
            voice: Voice::new(agent),
            volume_percent: None,
            agent: agent.clone(),
            variant,
            model,
            timers: Timers::default(),
            out: VecDeque::new(),
            tools_next: None,
            kept: Memory::default(),
            proven: None,
            user_text: String::new(),
            heard_at: Time::ZERO,
            pinged_at: None,
            garbage: 0,
            was_ready: false,
            is_resume_unproved: false,
            is_mic_in_trouble: false,
            is_reply_audible: false,
            is_cue_audible: false,
            is_spent_told: false,
            spent_cue_at: None,
            is_offline_told: false,
            is_end_wanted: false,
        }
    }

    /// Takes up what an earlier run left `age` ago; none where the clock cannot tell. Before [`Input::Start`].
    pub fn remember(&mut self, memory: Memory, age: Option<Duration>) {
        self.kept = memory.clone();
        self.account.remember(memory.spent);
        self.proven = memory.proven;
        self.mute.remember(memory.is_muted);
        self.volume_percent = memory.volume_percent;
        if self.agent.session.keep == Keep::HandleAndWords && age.is_none_or(|age| age < memory::HANDLE_LIFE * 12) {
            self.history.remember(memory.said);
        }
        if let Some(resumable) = memory.resumable.filter(|_| self.agent.session.keep != Keep::Nothing) {
            self.resume.remember(resumable, age, Time::ZERO);
        }
    }

    /// Takes one input. Drain [`Session::poll_output`] after it.
    pub fn handle_input(&mut self, input: Input, now: Time) {
        match input {
            Input::Start => self.start(now),
            Input::Gate(event) => self.handle_gate(event, now),
            Input::Link(report) if report.attempt != self.link.attempt() => {} // of a connection that was given up
            Input::Link(report) => self.handle_link(report.event, now),
            Input::Speaker(fact) => self.handle_speaker(fact),
            Input::Mic(fact) => self.handle_mic(fact, now),
            Input::Tool(reply) => self.handle_tool(reply, now),
            Input::Control(control) => self.handle_control(control, now),
            Input::Tools(tools) => self.handle_tools(tools),
            Input::Today(day) => self.handle_day(day, now),
            Input::Shot(shot) => self.handle_shot(shot, now),
            Input::Timeout => {}
        }
        while let Some(reason) = self.timers.take_due(now) {
            self.handle_due(reason, now);
        }
        self.settle(now);
        self.keep();
    }

    /// The next thing to do; [`Output::Timeout`] ends the drain.
    pub fn poll_output(&mut self) -> Output {
        self.out.pop_front().unwrap_or_else(|| Output::Timeout(self.timers.next()))
    }

    /// Whether nothing is under way: no speech kept or open, no reply awaited or heard, no call open.
    pub fn is_idle(&self) -> bool {
        self.uplink.is_idle()
            && self.turn.is_idle()
            && self.playback.state() == playback::State::Silent
            && !self.calls.is_any_open()
            && !self.again.is_waiting()
            && !self.notices.is_any()
    }

    /// Whether there is a connection on which speech may be sent.
    pub fn is_ready(&self) -> bool {
        self.link.is_ready()
    }

    /// Milliseconds of the user's speech that wait to be sent.
    pub fn kept_ms(&self) -> u64 {
        self.uplink.kept_ms()
    }

    /// Milliseconds of the user's speech that are remembered, sent or not.
    pub fn remembered_ms(&self) -> u64 {
        self.uplink.remembered_ms()
    }

    /// Messages that the link's queue takes now; told before an input, where the queue is a real one.
    pub fn set_link_room(&mut self, messages: usize) {
        self.uplink.set_room(messages);
    }

    /// Every deadline that is set, with its reason.
    pub fn deadlines(&self) -> impl Iterator<Item = (Time, Reason)> + use<'_> {
        self.timers.all()
    }

    /// The number of the newest connection.
    pub fn attempt(&self) -> u32 {
        self.link.attempt()
    }

    fn start(&mut self, now: Time) {
        self.volume_as_remembered();
        self.mute_as_remembered();
        for text in models::advice(&self.agent) {
            self.event(What::Trouble { part: "model".into(), text });
        }
        // Whatever the rule for connections: an owner wants to see at the start that key and model are right.
        self.open_link(now);
    }

    fn handle_day(&mut self, day: u32, now: Time) {
        let was_resting = self.is_spent_told;
        if self.account.today(day) {
            self.is_spent_told = false;
            if was_resting && self.agent.session.connection == Connection::KeepOpen {
                self.open_link(now);
            }
        }
    }

    /// Another model or setup from now on.
    fn rebuild(&mut self) {
        self.model = models::model(self.variant.model(&self.agent));
        self.turn.set_terms(turn_terms(&self.agent, &self.model));
        self.calls.set_tools(call_terms(&self.agent, &self.model));
        self.resume.set_setup(setup::mark(&self.agent, &self.variant));
    }

    /// Hands over what is worth keeping, where it is news.
    fn keep(&mut self) {
        let keep = self.agent.session.keep;
        let resumable = self.resume.memory().filter(|_| keep != Keep::Nothing);
        let words = Some(&self.history).filter(|_| keep == Keep::HandleAndWords);
        // Asked fifty times a second while somebody talks: nothing is copied unless it is news.
        let is_same_said = words.map_or(self.kept.said.is_empty(), |history| history.is_said(&self.kept.said));
        let by_person = (self.volume_percent, self.mute.by_person());
        let is_same_set = by_person == (self.kept.volume_percent, self.kept.is_muted);
        let is_same_rest = self.account.day() == self.kept.spent && is_same_said && is_same_set;
        if resumable == self.kept.resumable.as_ref() && is_same_rest {
            return;
        }
        let said = words.map(History::said).unwrap_or_default();
        let (volume_percent, is_muted) = by_person;
        // That alone is no news: where anything came of the setup, something else soon is.
        let (resumable, spent, proven) = (resumable.cloned(), self.account.day(), self.proven);
        self.kept = Memory { resumable, spent, said, volume_percent, is_muted, proven };
        self.out.push_back(Output::Keep(Box::new(self.kept.clone())));
    }

    fn event(&mut self, what: What) {
        self.out.push_back(Output::Event(what));
    }

    fn speak(&mut self, order: SpeakerOrder) {
        self.out.push_back(Output::Speaker(order));
    }

    fn cue(&mut self, cue: Cue) {
        self.event(What::Cue { cue });
        self.speak(SpeakerOrder::Cue(cue));
    }

    fn send(&mut self, message: Message) {
        self.out.push_back(Output::Link(LinkOrder::Send(message)));
    }
}

fn ms(ms: u32) -> Duration {
    Duration::from_millis(u64::from(ms))
}

fn turn_terms(agent: &Agent, model: &Model) -> turn::Terms {
    turn::Terms {
        turn_end: model.turn_end,
        answer_timeout: ms(agent.limits.answer_timeout_ms),
        progress_timeout: ms(agent.limits.progress_timeout_ms),
    }
}

fn call_terms(agent: &Agent, model: &Model) -> BTreeMap<String, calls::Terms> {
    let terms = |tool: &Tool| calls::Terms {
        limit: ms(tool.timeout_ms),
        is_blocking: model.behavior(tool.behavior) == Behavior::Blocking,
    };
    agent.tools.iter().map(|tool| (tool.name.clone(), terms(tool))).collect()
}
