//! One virtual clock for all: the user, the gate, the core, the loudspeaker, the tools, the network, the service.
//!
//! Threads are queues with a delay: what one says reaches the other later, in order. Nothing here knows what
//! is right; that is [`Watch`].

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use mynah::audio::Hop;
use mynah::config::agent::Connection;
use mynah::config::agent::see::SeeMode;
use mynah::emulator::Sessions;
use mynah::flow::{
    GATE_EVENTS_MAX, GateEvent, GateNote, LINK_EVENTS_MAX, LINK_ORDERS_MAX, LinkOrder, LinkReport, NOTES_MAX,
    SPEAKER_FACTS_MAX, SPEAKER_ORDERS_MAX, SpeakerFact, SpeakerOrder, TOOL_ORDERS_MAX, ToolOrder, ToolReply,
};
use mynah::gate::Gate;
use mynah::gate::vad::Scripted;
use mynah::hw::Edge;
use mynah::session::timers::Reason;
use mynah::session::{Input, Session};
use mynah::speaker::Speaker;
use mynah::units::{CallId, Time};

use super::device::{Loudspeaker, ReplyId};
use super::dice::Dice;
use super::mutation::Mutation;
use super::service::{Down, Socket, State};
use super::story::{Fault, Story};
use super::user::{Act, Sound, Until};
use super::watch::{Rule, Watch};

#[path = "core.rs"]
mod core;
#[path = "far.rs"]
mod far;
#[path = "faults.rs"]
mod faults;
#[path = "line.rs"]
mod line;
#[path = "near.rs"]
mod near;

/// After the last input all must be quiet within this: every time-out of the program, one after the other
/// (reconnecting 36 s, setup 10 s, answer 8 s, progress 15 s) for each time that a question is asked again, the
/// longest window and the longest reply.
const QUIET_WITHIN: Duration = Duration::from_secs(260);

/// How long the end of all is watched.
const IDLE_GRACE: Duration = Duration::from_secs(5);

/// What is due.
enum Due {
    /// The microphone has another hop.
    Hop,
    Act(Act),
    Deed,
    Fault(Fault),
    GateClock,
    ToCore(ToCore),
    Shot,
    ToGate(GateNote),
    ToSpeaker(SpeakerOrder, ReplyId),
    SpeakerTick,
    SpeakerWakes,
    ToTools(ToolOrder),
    ToolReplies(ToolReply),
    ToLink(LinkOrder),
    Connects(usize, bool),
    Up(usize, Up),
    Down(usize, Down),
}

/// What travels to the service.
enum Up {
    Message(String),
    Ping,
}

/// What reaches the core's thread.
enum ToCore {
    Gate(Box<GateEvent>),
    Link(LinkReport, Option<ReplyId>),
    Speaker(SpeakerFact),
    Tool(ToolReply),
}

/// The queues whose length is watched.
#[derive(Clone, Copy)]
enum Queue {
    GateToCore,
    LinkToCore,
    SpeakerToCore,
    CoreToGate,
    CoreToSpeaker,
    CoreToTools,
    CoreToLink,
    ToolsToCore,
}

const QUEUES: [(&str, usize); 8] = [
    ("gate → core", GATE_EVENTS_MAX),
    ("link → core", LINK_EVENTS_MAX),
    ("speaker → core", SPEAKER_FACTS_MAX),
    ("core → gate", NOTES_MAX),
    ("core → speaker", SPEAKER_ORDERS_MAX),
    ("core → tools", TOOL_ORDERS_MAX),
    ("core → link", LINK_ORDERS_MAX),
    ("tools → core", usize::MAX), // the errand waits
];

struct Item(Time, u64, Due);

impl PartialEq for Item {
    fn eq(&self, other: &Item) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}

impl Eq for Item {}

impl PartialOrd for Item {
    fn partial_cmp(&self, other: &Item) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Item {
    fn cmp(&self, other: &Item) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

/// What waits at the gate while the core takes nothing.
enum AtGate {
    Hop(Box<Hop>),
    Edge(Edge),
    Note(GateNote),
    WakeWord,
}

/// The world.
pub struct World {
    pub watch: Watch,
    pub now: Time,
    pub steps: u64,
    story: Story,
    mutation: Option<Mutation>,
    dice: Dice,
    /// When cues come; of its own, so that the story is the same without them.
    cue_dice: Dice,
    /// Whether there is a camera, and when its pictures come; of its own for the same reason.
    eye_dice: Dice,
    heap: BinaryHeap<Reverse<Item>>,
    serial: u64,
    /// Messages in each queue, and when the last of them arrives.
    queues: [(usize, Time); 8],
    gate: Gate,
    gate_waiting: Option<GateEvent>,
    has_just_opened: bool,
    at_gate: VecDeque<AtGate>,
    session: Session,
    core_due: Option<Time>,
    speaker: Loudspeaker,
    /// Orders that wait while the speaker's thread is late.
    at_speaker: VecDeque<(SpeakerOrder, ReplyId)>,
    is_ticking: bool,
    connections: Vec<Socket>,
    /// The link's present connection.
    current: Option<usize>,
    stalled_until: Time,
    first_turn: usize,
    /// What the service remembers.
    sessions: Sessions,
    running: Vec<CallId>,
    // The user.
    deeds_left: u32,
    until: Until,
    acts_left: usize,
    audible_since: Option<Time>,
    last_input: Time,
    is_down: bool,
    sound: Sound,
    mic_gone_until: Time,
    voiced: Vec<bool>,
    press_hop: usize,
    /// The first hop after a voice was let open the gate.
    door_hop: usize,
    gate_floor: usize,
    /// The first hop that is surely not the loudspeaker's.
    echo_free: usize,
    echo_until: Time,
    is_told_audible: bool,
    idle_since: Option<Time>,
    /// What the calendar says.
    day: u32,
    quiet_within: Duration,
    /// Since when the gate does not know what can be heard.
    misled_since: Option<Time>,
}

impl World {
    /// The world of a seed. `log_until`: note what happens, up to then.
    pub fn new(seed: u64, mutation: Option<Mutation>, log_until: Option<Time>) -> World {
        let mut dice = Dice::new(seed);
        let mut story = Story::new(&mut dice);
        let mut eye_dice = Dice::new(seed ^ 0x00E7_E500);
        if eye_dice.chance(30) {
            story.agent.see.mode = eye_dice.pick(&[SeeMode::WhileSpeaking, SeeMode::WhileSpeaking, SeeMode::OnRequest]);
        }
        let listen = &story.agent.listen;
        let mut world = World {
            watch: Watch::new(log_until),
            now: Time::ZERO,
            steps: 0,
            gate: Gate::new(listen, Box::new(Scripted)).with_gestures(&story.agent.gestures),
            gate_waiting: None,
            has_just_opened: false,
            at_gate: VecDeque::new(),
            session: Session::new(&story.agent, seed),
            core_due: None,
            speaker: Loudspeaker::new(Speaker::new(&story.agent.speak), story.ring_blocks, story.pipe_blocks),
            at_speaker: VecDeque::new(),
            is_ticking: false,
            connections: Vec::new(),
            current: None,
            stalled_until: Time::ZERO,
            first_turn: 0,
            sessions: Sessions::default(),
            running: Vec::new(),
            deeds_left: story.deeds,
            until: Until::Time(Time::from_ms(dice.pick(&[0, 40, 300, 2500]))),
            acts_left: 0,
            audible_since: None,
            last_input: Time::ZERO,
            is_down: false,
            sound: Sound::Silence,
            mic_gone_until: Time::ZERO,
            voiced: Vec::new(),
            press_hop: 0,
            door_hop: 0,
            gate_floor: 0,
            echo_free: 0,
            echo_until: Time::ZERO,
            is_told_audible: false,
            idle_since: None,
            day: 20_000,
            quiet_within: QUIET_WITHIN,
            misled_since: None,
            heap: BinaryHeap::new(),
            serial: 0,
            queues: [(0, Time::ZERO); 8],
            mutation,
            dice,
            cue_dice: Dice::new(seed ^ 0x00C0_FFEE),
            eye_dice,
            story,
        };
        let offset = world.dice.ms(0, 9);
        world.at(Time::ZERO + offset, Due::Hop);
        world.at(Time::ZERO, Due::Deed);
        for (at, fault) in world.story.faults.clone() {
            world.at(at, Due::Fault(fault));
        }
        world.core(Input::Today(world.day), None);
        world.core(Input::Start, None);
        world
    }

    /// What the seed decided, for a person.
    pub fn told(&self) -> String {
        let s = &self.story;
        format!(
            "{:?} {:?}, barge-in {:?}, up {:?} ms, down {:?} ms, faults {:?}",
            s.agent.listen.mode, s.agent.listen.button, s.agent.listen.voice_barge_in, s.up_ms, s.down_ms, s.faults
        )
    }

    /// Runs until a rule is broken or all is done.
    pub fn run(&mut self) {
        while self.watch.failure.is_none() && !self.is_over() {
            self.step();
        }
        if self.watch.failure.is_none() {
            let alive = self.current.map(|at| &self.connections[at]).filter(|c| c.state == State::Open);
            let alive = alive.map(|c| c.attempt);
            let is_awaited = self.session.deadlines().any(|(_, reason)| reason == Reason::Reconnect);
            self.watch.finish(alive, is_awaited);
        }
    }

    fn at(&mut self, at: Time, due: Due) {
        self.serial += 1;
        self.heap.push(Reverse(Item(at.max(self.now), self.serial, due)));
    }

    /// Does the next thing that is due.
    fn step(&mut self) {
        let next = self.heap.peek().map_or(Time::from_us(u64::MAX), |Reverse(item)| item.0);
        let service = self.connections.iter().enumerate().filter(|(_, c)| c.state == State::Open);
        let service = service.filter_map(|(at, c)| Some((c.due?, at))).min().filter(|(at, _)| *at < next);
        let core = self.core_due.filter(|at| *at <= next && service.is_none_or(|(due, _)| *at <= due));
        self.steps += 1;
        self.watch.step += 1;
        match (core, service) {
            (Some(at), _) => {
                self.advance(at);
                self.core(Input::Timeout, None);
            }
            (None, Some((at, connection))) => {
                self.advance(at);
                self.connections[connection].emulator.handle_timeout(at);
                self.hear_service(connection);
            }
            (None, None) => {
                let Some(Reverse(Item(at, _, due))) = self.heap.pop() else { return };
                self.advance(at);
                self.take(due);
            }
        }
    }

    fn advance(&mut self, to: Time) {
        self.now = self.now.max(to);
        self.watch.now = self.now;
    }

    fn take(&mut self, due: Due) {
        match due {
            Due::Hop => self.hop(),
            Due::Act(act) => self.act(act),
            Due::Deed => self.deed(),
            Due::Fault(fault) => self.fault(fault),
            Due::GateClock => {
                self.gate.handle_time(self.now);
                self.pump_gate();
            }
            Due::ToCore(what) => self.reach_core(what),
            Due::Shot => self.shot(),
            Due::ToGate(note) => {
                self.popped(Queue::CoreToGate);
                self.at_gate.push_back(AtGate::Note(note));
                self.pump_gate();
            }
            Due::ToSpeaker(order, reply) => {
                self.at_speaker.push_back((order, reply));
                self.settle_speaker();
            }
            Due::SpeakerTick => self.speaker_tick(),
            Due::SpeakerWakes => self.settle_speaker(),
            Due::ToTools(order) => self.tools(order),
            Due::ToolReplies(reply) => {
                self.running.retain(|id| *id != reply.id);
                self.push(Queue::ToolsToCore, |reply| Due::ToCore(ToCore::Tool(reply)), reply);
            }
            Due::ToLink(order) => self.link(order),
            Due::Connects(connection, is_made) => self.connects(connection, is_made),
            Due::Up(connection, up) => self.up(connection, up),
            Due::Down(connection, down) => self.down(connection, down),
        }
    }

    // Queues between threads.

    fn push<T>(&mut self, queue: Queue, due: impl FnOnce(T) -> Due, what: T) {
        let (low, high) = self.story.thread_us;
        let mut delay = Duration::from_micros(self.dice.between(low, high));
        if self.dice.chance(self.story.late_percent) {
            delay += self.dice.ms(5, 40);
        }
        let (len, last) = &mut self.queues[queue as usize];
        let mut at = (self.now + delay).max(*last);
        if matches!(queue, Queue::CoreToLink) {
            at = at.max(self.stalled_until);
        }
        *len += 1;
        *last = at;
        let (len, (name, limit)) = (*len, QUEUES[queue as usize]);
        self.watch.queue(name, len, limit);
        self.at(at, due(what));
    }

    fn popped(&mut self, queue: Queue) {
        self.queues[queue as usize].0 -= 1;
    }

    fn len(&self, queue: Queue) -> usize {
        self.queues[queue as usize].0
    }

    // The end.

    /// Whether the user is done and all has been quiet for a while. Breaks a rule where it takes too long.
    fn is_over(&mut self) -> bool {
        let is_done = self.deeds_left == 0 && self.acts_left == 0;
        if !is_done {
            return false;
        }
        let is_idle = self.session.is_idle() && !self.gate.is_open() && self.speaker.is_silent();
        if !is_idle {
            self.idle_since = None;
        }
        let faults_over = self.story.faults.iter().all(|(at, _)| *at < self.now) && self.now >= self.stalled_until;
        if is_idle && faults_over {
            let since = *self.idle_since.get_or_insert(self.now);
            let idle_close = match self.story.agent.session.connection {
                Connection::OnDemand => Duration::from_secs(u64::from(self.story.agent.session.idle_close_s)),
                Connection::KeepOpen => Duration::ZERO,
            };
            let since = since.max(self.watch.ready_at);
            let (for_so_long, is_on_demand) = (self.now.since(since), !idle_close.is_zero());
            if is_on_demand && for_so_long > idle_close + IDLE_GRACE && self.session.is_ready() {
                let text = || format!("a connection on demand is open {} s after it is idle", for_so_long.as_secs());
                self.watch.fail(Rule::EndsIdle, text);
            }
            if for_so_long > idle_close + IDLE_GRACE {
                if self.is_told_audible {
                    self.watch.fail(Rule::AudibleTold, || "the gate waits for silence for ever".into());
                }
                return true;
            }
        }
        if self.now.since(self.last_input) > self.quiet_within {
            let within = self.quiet_within;
            let state = format!(
                "session idle {}, gate open {}, speaker silent {}, kept {} ms",
                self.session.is_idle(),
                self.gate.is_open(),
                self.speaker.is_silent(),
                self.session.kept_ms()
            );
            self.watch.fail(Rule::EndsIdle, || format!("not quiet after {} s: {state}", within.as_secs()));
        }
        false
    }
}
