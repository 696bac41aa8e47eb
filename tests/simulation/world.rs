//! One virtual clock for all: the user, the gate, the core, the loudspeaker, the tools, the network, the service.
//!
//! Threads are queues with a delay: what one says reaches the other later, in order. Nothing here knows what
//! is right; that is [`Watch`].

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use mynah::audio::{HOP_FRAMES, Hop};
use mynah::config::agent::VoiceBargeIn;
use mynah::flow::{
    CloseCause, EDGES_MAX, GATE_EVENTS_MAX, GateEvent, GateNote, LINK_EVENTS_MAX, LINK_ORDERS_MAX, LinkEvent,
    LinkOrder, LinkReport, MIC_RING_HOPS, NOTES_MAX, OpenCause, SPEAKER_FACTS_MAX, SPEAKER_ORDERS_MAX,
    SPEAKER_QUEUE_MS, SpeakerFact, SpeakerOrder, TOOL_ORDERS_MAX, ToolOrder, ToolReply,
};
use mynah::gate::Gate;
use mynah::gate::vad::{Scripted, VOICED_FROM};
use mynah::hw::Edge;
use mynah::live::client;
use mynah::live::close::Closing;
use mynah::session::{Input, Output, Session};
use mynah::speaker::Speaker;
use mynah::units::{CallId, Time};
use serde_json::json;

use super::device::{Loudspeaker, ReplyId};
use super::dice::Dice;
use super::mutation::Mutation;
use super::service::{Connection, Down, State};
use super::story::{Fault, Story, broken_setup};
use super::user::{self, Act, Sound, Until};
use super::watch::{Rule, Watch, number_of, put_number};

/// After the last input all must be quiet within this: every time-out of the program, one after the other
/// (reconnecting 36 s, setup 10 s, answer 8 s, progress 15 s), the longest window and the longest reply.
const QUIET_WITHIN: Duration = Duration::from_secs(180);

/// What is due.
enum Due {
    /// The microphone has another hop.
    Hop,
    Act(Act),
    Deed,
    Fault(Fault),
    GateClock,
    ToCore(ToCore),
    ToGate(GateNote),
    ToSpeaker(SpeakerOrder, ReplyId),
    SpeakerTick,
    SpeakerWakes,
    ToTools(ToolOrder),
    ToolReplies(ToolReply),
    ToLink(LinkOrder),
    Connects(usize, bool),
    Up(usize, String),
    Down(usize, Down),
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
}

/// The world.
pub struct World {
    pub watch: Watch,
    pub now: Time,
    pub steps: u64,
    story: Story,
    mutation: Option<Mutation>,
    dice: Dice,
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
    connections: Vec<Connection>,
    /// The link's present connection.
    current: Option<usize>,
    stalled_until: Time,
    first_turn: usize,
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
    gate_floor: usize,
    /// The first hop that is surely not the loudspeaker's.
    echo_free: usize,
    echo_until: Time,
    is_told_audible: bool,
    idle_since: Option<Time>,
}

impl World {
    /// The world of a seed. `log_until`: note what happens, up to then.
    pub fn new(seed: u64, mutation: Option<Mutation>, log_until: Option<Time>) -> World {
        let mut dice = Dice::new(seed);
        let story = Story::new(&mut dice);
        let listen = &story.agent.listen;
        let mut world = World {
            watch: Watch::new(log_until),
            now: Time::ZERO,
            steps: 0,
            gate: Gate::new(listen, Box::new(Scripted)),
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
            gate_floor: 0,
            echo_free: 0,
            echo_until: Time::ZERO,
            is_told_audible: false,
            idle_since: None,
            heap: BinaryHeap::new(),
            serial: 0,
            queues: [(0, Time::ZERO); 8],
            mutation,
            dice,
            story,
        };
        let offset = world.dice.ms(0, 9);
        world.at(Time::ZERO + offset, Due::Hop);
        world.at(Time::ZERO, Due::Deed);
        for (at, fault) in world.story.faults.clone() {
            world.at(at, Due::Fault(fault));
        }
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
            self.watch.finish(alive);
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
            Due::ToCore(what) => self.to_core(what),
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
            Due::Up(connection, text) => {
                if self.connections[connection].state == State::Open {
                    self.connections[connection].emulator.handle_message(text.as_bytes(), self.now);
                    self.hear_service(connection);
                }
            }
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

    // The user and the microphone.

    fn deed(&mut self) {
        if self.acts_left > 0 || !self.is_wait_over() {
            self.at(self.now + Duration::from_millis(20), Due::Deed);
            return;
        }
        if self.deeds_left == 0 {
            return;
        }
        self.deeds_left -= 1;
        let (acts, until) = user::deed(&mut self.dice, &self.story.agent.listen, self.now);
        self.acts_left = acts.len();
        self.until = until;
        for (at, act) in acts {
            self.at(at, Due::Act(act));
        }
        self.at(self.now + Duration::from_millis(20), Due::Deed);
    }

    fn is_wait_over(&self) -> bool {
        match self.until {
            Until::Time(at) => self.now >= at,
            Until::Audible(so_long, at) => {
                self.now >= at || self.audible_since.is_some_and(|since| self.now >= since + so_long)
            }
            Until::Idle(at) => {
                self.now >= at || (self.session.is_idle() && !self.gate.is_open() && self.speaker.is_silent())
            }
        }
    }

    fn act(&mut self, act: Act) {
        self.acts_left -= 1;
        self.last_input = self.now;
        match act {
            Act::Sound(sound) => self.sound = sound,
            Act::Button(active) => {
                self.watch.note(|| format!("button {}", if active { "down" } else { "up" }));
                if active && !self.is_down {
                    self.press_hop = self.voiced.len();
                }
                self.is_down = active;
                self.at_gate.push_back(AtGate::Edge(Edge { at: self.now, active }));
                let edges = self.at_gate.iter().filter(|w| matches!(w, AtGate::Edge(_))).count();
                self.watch.queue("button → gate", edges, EDGES_MAX);
                self.pump_gate();
            }
        }
    }

    fn fault(&mut self, fault: Fault) {
        self.watch.note(|| format!("fault: {fault:?}"));
        self.last_input = self.last_input.max(self.now);
        match fault {
            Fault::Cut(noticed_after) => {
                if let Some(at) = self.current.filter(|at| self.connections[*at].state != State::Dead) {
                    self.connections[at].state = State::Dead;
                    let closing = Closing::Network("the line was cut".into());
                    self.at(self.now + noticed_after, Due::Down(at, Down::Closed(closing)));
                }
            }
            Fault::Stall(length) => self.stalled_until = self.now + length,
            Fault::MicGone(length) => {
                self.mic_gone_until = self.now + length;
                let mut at = self.now;
                while at < self.mic_gone_until {
                    self.at(at, Due::GateClock);
                    at += Duration::from_millis(100);
                }
            }
        }
    }

    fn hop(&mut self) {
        self.at(self.now + Duration::from_millis(10), Due::Hop);
        if self.now < self.mic_gone_until {
            self.gate_floor = self.voiced.len();
            return;
        }
        let mut frames = match self.sound {
            Sound::Silence => [0; HOP_FRAMES],
            Sound::Voice => VOICED,
            Sound::Knock => KNOCK,
        };
        put_number(&mut frames, self.voiced.len() as u32);
        self.voiced.push(self.sound == Sound::Voice);
        self.at_gate.push_back(AtGate::Hop(Box::new(Hop { at: self.now, frames })));
        self.pump_gate();
    }

    /// Gives the gate what waits for it, and the core what the gate says, as far as there is room.
    fn pump_gate(&mut self) {
        loop {
            if !self.deliver_gate() {
                break;
            }
            match self.at_gate.pop_front() {
                None => break,
                Some(AtGate::Hop(hop)) => {
                    let echoes = self.is_told_audible || hop.at < self.echo_until;
                    if echoes && self.story.agent.listen.voice_barge_in == VoiceBargeIn::Off {
                        self.echo_free = number_of(&hop.frames) as usize + 1;
                    }
                    self.gate.handle_hop(&hop);
                }
                Some(AtGate::Edge(edge)) => self.gate.handle_edge(edge),
                Some(AtGate::Note(note)) => self.note_to_gate(note),
            }
        }
        let hops = self.at_gate.iter().filter(|w| matches!(w, AtGate::Hop(_))).count();
        self.watch.queue("mic → gate", hops, MIC_RING_HOPS);
    }

    fn note_to_gate(&mut self, note: GateNote) {
        match note {
            GateNote::SpeakerAudible(audible) => {
                self.is_told_audible = audible;
                let tail = u64::from(self.story.agent.listen.echo_tail_ms);
                self.echo_until = self.now + Duration::from_millis(tail);
            }
            GateNote::Abort => self.gate_floor = self.voiced.len(),
        }
        self.gate.handle_note(note);
    }

    /// Answers false where the core's queue has no room.
    fn deliver_gate(&mut self) -> bool {
        loop {
            let Some(event) = self.gate_waiting.take().or_else(|| self.gate.poll_output()) else { return true };
            if self.len(Queue::GateToCore) >= GATE_EVENTS_MAX && self.mutation != Some(Mutation::GateNeverWaits) {
                self.gate_waiting = Some(event);
                return false;
            }
            let is_first = std::mem::replace(&mut self.has_just_opened, matches!(event, GateEvent::Opened(_)));
            match self.mutation {
                None => self.gate_says(event),
                Some(mutation) => {
                    mutation.of_gate_event(event, is_first).into_iter().for_each(|event| self.gate_says(event));
                }
            }
        }
    }

    fn gate_says(&mut self, event: GateEvent) {
        self.watch.gate_said(&event);
        if !matches!(event, GateEvent::Speech(_)) {
            self.watch.note(|| format!("  gate {event:?}"));
        }
        if let GateEvent::Opened(cause) = event {
            self.check_preroll(cause);
        }
        let broken = self.mutation.map_or(1, |m| m.copies_of_gate_event(&event, &mut self.dice));
        for _ in 0..broken {
            self.push(Queue::GateToCore, |event| Due::ToCore(ToCore::Gate(event)), Box::new(event));
        }
    }

    /// The gate has just opened: its first hop is in the queue behind; look at the next one.
    fn check_preroll(&mut self, cause: OpenCause) {
        let listen = &self.story.agent.listen;
        let preroll = listen.preroll_ms as usize / 10;
        let newest = self.voiced.len();
        let run = self.voiced.iter().rev().take_while(|voiced| **voiced).count();
        let spoken = newest - run;
        let from = match cause {
            OpenCause::Voice => spoken.saturating_sub(preroll),
            OpenCause::Button => spoken.max(self.press_hop).saturating_sub(preroll),
        };
        let wanted = if run == 0 { newest } else { from.min(newest.saturating_sub(1)) };
        self.watch.opened_wanting(wanted.max(self.gate_floor).max(self.echo_free) as u32);
    }

    // The core.

    fn to_core(&mut self, what: ToCore) {
        match what {
            ToCore::Gate(event) => {
                self.popped(Queue::GateToCore);
                self.watch.core_heard_gate(&event);
                let event = match (self.mutation, *event) {
                    (Some(Mutation::MistakeTaken), GateEvent::Closed(CloseCause::Mistake)) => {
                        GateEvent::Closed(CloseCause::Released)
                    }
                    (_, event) => event,
                };
                self.core(Input::Gate(event), None);
                self.pump_gate();
            }
            ToCore::Link(report, reply) => {
                self.popped(Queue::LinkToCore);
                self.link_report(report, reply);
                if let Some(at) = self.current {
                    self.read(at);
                }
            }
            ToCore::Speaker(fact) => {
                self.popped(Queue::SpeakerToCore);
                if !matches!(fact, SpeakerFact::Heard { .. }) {
                    self.watch.note(|| format!("    core hears {fact:?}"));
                }
                self.core(Input::Speaker(fact), None);
            }
            ToCore::Tool(reply) => {
                self.popped(Queue::ToolsToCore);
                self.core(Input::Tool(reply), None);
            }
        }
    }

    fn link_report(&mut self, mut report: LinkReport, reply: Option<ReplyId>) {
        let attempt = report.attempt;
        match &report.event {
            LinkEvent::Connected => self.watch.core_connected(attempt),
            LinkEvent::Message(message) => {
                let is_thinking = self.story.agent.model.ends_with("thinking");
                let idle = Some(mynah::live::server::Interaction::Idle);
                let is_over = message.turn_complete && (!is_thinking || message.interaction == idle);
                self.watch.core_heard_service(attempt, message, reply, is_over);
                if !message.audio.is_empty() {
                    self.watch.note(|| format!("    core hears sound of reply {reply:?}"));
                }
                if message.interrupted || message.turn_complete || message.generation_complete {
                    let m = message;
                    self.watch.note(|| {
                        format!(
                            "    core hears of reply {reply:?}: interrupted {}, generated {}, complete {}",
                            m.interrupted, m.generation_complete, m.turn_complete
                        )
                    });
                }
            }
            LinkEvent::Garbage(_) => {}
            LinkEvent::Down(closing) => {
                self.watch.note(|| format!("    core hears: down, {closing}"));
                self.watch.core_lost(attempt);
            }
        }
        if let (Some(Mutation::SoundLost), LinkEvent::Message(message)) = (self.mutation, &mut report.event) {
            message.audio.clear();
        }
        self.core(Input::Link(report), reply);
    }

    /// One input, and everything that follows from it.
    fn core(&mut self, input: Input, reply: Option<ReplyId>) {
        self.session.set_link_room(LINK_ORDERS_MAX - self.len(Queue::CoreToLink));
        self.session.handle_input(input, self.now);
        loop {
            match self.session.poll_output() {
                Output::Timeout(deadline) => {
                    let mut due = deadline.map(|(at, _)| at);
                    if self.mutation == Some(Mutation::DeadlinePassed) {
                        due = due.map(|at| at.min(self.now));
                    }
                    let extra_ms = if self.mutation == Some(Mutation::KeepsTooMuch) { 29_000 } else { 0 };
                    self.watch.drained(due, self.session.kept_ms() + extra_ms);
                    self.core_due = due;
                    return;
                }
                Output::Event(what) => self.watch.event(&what),
                Output::Gate(note) => {
                    self.watch.note(|| format!("    core to gate: {note:?}"));
                    self.push(Queue::CoreToGate, Due::ToGate, note);
                }
                Output::Speaker(order) => self.speak(order, reply),
                Output::Link(order) => self.order_link(order),
                Output::Tool(order) => self.order_tools(order),
                Output::Refused(refusal) => self.watch.fail(Rule::NotRefused, || refusal.to_string()),
            }
        }
    }

    fn speak(&mut self, mut order: SpeakerOrder, reply: Option<ReplyId>) {
        if let Some(mutation) = self.mutation {
            mutation.of_speaker_order(&mut order);
        }
        self.watch.speaker_ordered(&order, reply);
        self.push(
            Queue::CoreToSpeaker,
            |(order, reply)| Due::ToSpeaker(order, reply),
            (order, reply.unwrap_or(usize::MAX)),
        );
    }

    fn order_link(&mut self, order: LinkOrder) {
        let orders = match self.mutation {
            None => vec![order],
            Some(mutation) => mutation.of_link_order(order, self.watch.turns),
        };
        for order in orders {
            if !matches!(order, LinkOrder::Send(client::Message::Audio(_))) {
                self.watch.note(|| format!("    core to link: {order:?}"));
            }
            self.watch.ordered(&order);
            if self.len(Queue::CoreToLink) < LINK_ORDERS_MAX {
                self.push(Queue::CoreToLink, Due::ToLink, order);
                continue;
            }
            // As the core's thread does: the link is dead.
            if let Some(at) = self.current {
                self.connections[at].state = State::Dead;
            }
            if !matches!(order, LinkOrder::Close) {
                let attempt = self.session.attempt();
                self.watch.core_lost(attempt);
                let event = LinkEvent::Down(Closing::Network("the network does not take what is sent".into()));
                self.session.handle_input(Input::Link(LinkReport { attempt, event }), self.now);
            }
        }
    }

    fn order_tools(&mut self, order: ToolOrder) {
        self.watch.note(|| format!("    core to tools: {order:?}"));
        self.watch.tool_ordered(&order);
        if self.len(Queue::CoreToTools) < TOOL_ORDERS_MAX {
            return self.push(Queue::CoreToTools, Due::ToTools, order);
        }
        let ToolOrder::Run(call) = order else { return }; // the core's thread tries a cancellation again
        let reply = ToolReply { id: call.id, name: call.name, result: Err("busy".into()) };
        self.session.handle_input(Input::Tool(reply), self.now);
    }

    // The tools.

    fn tools(&mut self, order: ToolOrder) {
        self.popped(Queue::CoreToTools);
        match order {
            ToolOrder::Run(call) => {
                self.running.push(call.id.clone());
                let result =
                    if self.dice.chance(20) { Err("the line is not there".into()) } else { Ok(json!({"on": true})) };
                let reply = ToolReply { id: call.id, name: call.name, result };
                let after = match self.dice.between(0, 9) {
                    0 => return, // never
                    1 => self.dice.ms(1400, 4000),
                    2..=4 => Duration::ZERO,
                    _ => self.dice.ms(5, 900),
                };
                self.at(self.now + after, Due::ToolReplies(reply));
            }
            // An answer may be on its way already: it is not called back.
            ToolOrder::Cancel(id) => self.running.retain(|running| *running != id),
        }
    }

    // The loudspeaker.

    fn speaker_tick(&mut self) {
        self.is_ticking = false;
        if self.speaker.is_running() {
            self.speaker.tick(&mut self.watch);
        }
        if self.dice.chance(self.story.late_percent) {
            self.speaker.asleep_until = self.now + self.dice.ms(5, 60);
        }
        self.settle_speaker();
    }

    fn order_speaker(&mut self, order: SpeakerOrder, reply: ReplyId) {
        self.popped(Queue::CoreToSpeaker);
        self.watch.note(|| match &order {
            SpeakerOrder::Play { epoch, .. } => format!("      speaker gets sound of {epoch}"),
            other => format!("      speaker {other:?}"),
        });
        let is_deaf = self.mutation == Some(Mutation::FlushIgnored);
        self.speaker.order(order, reply, self.now, is_deaf, &mut self.watch);
    }

    fn settle_speaker(&mut self) {
        if self.now < self.speaker.asleep_until {
            self.at(self.speaker.asleep_until, Due::SpeakerWakes);
        } else {
            while let Some((order, reply)) = self.at_speaker.pop_front() {
                self.order_speaker(order, reply);
            }
            if let Some(at) = self.speaker.settle(self.now, &mut self.watch) {
                self.at(at, Due::SpeakerWakes);
            }
            self.watch.queue("sound, ms", self.speaker.queued_ms() as usize, SPEAKER_QUEUE_MS as usize);
            while let Some(mut fact) = self.speaker.poll_fact(self.now) {
                let is_lost = self.mutation.is_some_and(|m| m.of_fact(&mut fact));
                self.watch.fact(&fact);
                match fact {
                    SpeakerFact::Started { .. } => self.audible_since = Some(self.now),
                    SpeakerFact::Drained { .. } | SpeakerFact::Flushed { .. } => self.audible_since = None,
                    _ => {}
                }
                if !is_lost {
                    self.push(Queue::SpeakerToCore, |fact| Due::ToCore(ToCore::Speaker(fact)), fact);
                }
            }
        }
        if self.speaker.is_running() && !self.is_ticking {
            self.is_ticking = true;
            self.at(self.now + Duration::from_millis(10), Due::SpeakerTick);
        }
    }

    // The link and the network.

    fn link(&mut self, order: LinkOrder) {
        self.popped(Queue::CoreToLink);
        match order {
            LinkOrder::Open { attempt } => self.open(attempt),
            LinkOrder::Close => self.hang_up(),
            LinkOrder::Send(message) => {
                let Some(at) = self.current else { return };
                if self.connections[at].state == State::Opening {
                    return;
                }
                let mut text = String::new();
                client::encode(&message, &mut text);
                if let Some(mutation) = self.mutation {
                    mutation.of_bytes(&mut text);
                }
                let (low, high) = self.story.up_ms;
                let due =
                    (self.now + self.dice.ms(low, high)).max(self.connections[at].last_up).max(self.stalled_until);
                self.connections[at].last_up = due;
                self.at(due, Due::Up(at, text));
            }
        }
    }

    fn hang_up(&mut self) {
        if let Some(at) = self.current.take() {
            self.connections[at].state = State::Dead;
            self.first_turn = self.connections[at].next_turn();
        }
    }

    fn open(&mut self, attempt: u32) {
        self.hang_up();
        let is_troubled = self.now < self.last_input;
        let script = if is_troubled && self.dice.chance(self.story.setup_fails_percent) {
            broken_setup(&mut self.dice)
        } else {
            self.story.script.clone()
        };
        let at = self.connections.len();
        self.connections.push(Connection::new(attempt, script, self.first_turn));
        self.current = Some(at);
        let is_made = !(is_troubled && self.dice.chance(self.story.connect_fails_percent));
        // In the end the network is healthy; before, it may take longer than the program waits.
        let (low, high) = if is_troubled { self.story.connect_ms } else { (5, 200) };
        let due = (self.now + self.dice.ms(low, high)).max(self.stalled_until);
        self.at(due, Due::Connects(at, is_made));
    }

    fn connects(&mut self, at: usize, is_made: bool) {
        if self.connections[at].state == State::Dead {
            return;
        }
        let attempt = self.connections[at].attempt;
        let event = if is_made {
            self.connections[at].state = State::Open;
            LinkEvent::Connected
        } else {
            self.connections[at].state = State::Dead;
            LinkEvent::Down(Closing::Network("nobody is there".into()))
        };
        self.report(LinkReport { attempt, event }, None);
    }

    fn report(&mut self, report: LinkReport, reply: Option<ReplyId>) {
        self.push(Queue::LinkToCore, |(report, reply)| Due::ToCore(ToCore::Link(report, reply)), (report, reply));
    }

    /// Sends on its way what the service says.
    fn hear_service(&mut self, at: usize) {
        let downs = self.connections[at].drain(&self.story.turns, &mut self.watch);
        for down in downs {
            let (low, high) = self.story.down_ms;
            let due = (self.now + self.dice.ms(low, high)).max(self.connections[at].last_down).max(self.stalled_until);
            self.connections[at].last_down = due;
            self.at(due, Due::Down(at, down));
        }
    }

    fn down(&mut self, at: usize, down: Down) {
        self.connections[at].unread.push_back(down);
        self.read(at);
    }

    /// Reads what has arrived, as long as the core's queue has room.
    fn read(&mut self, at: usize) {
        while self.current == Some(at) && self.len(Queue::LinkToCore) < LINK_EVENTS_MAX {
            let connection = &mut self.connections[at];
            let Some(down) = connection.unread.pop_front() else { return };
            let attempt = connection.attempt;
            match down {
                Down::Begins(reply) => connection.reply = Some(reply),
                Down::Message(_) if connection.state == State::Dead => {}
                Down::Message(text) => {
                    let reply = connection.reply;
                    let event = match connection.reader.read(text.as_bytes()) {
                        Ok(message) => LinkEvent::Message(Box::new(message)),
                        Err(garbage) => LinkEvent::Garbage(garbage.to_string()),
                    };
                    self.report(LinkReport { attempt, event }, reply);
                }
                Down::Closed(closing) => {
                    connection.state = State::Dead;
                    self.first_turn = connection.next_turn();
                    self.current = None;
                    self.report(LinkReport { attempt, event: LinkEvent::Down(closing) }, None);
                }
            }
        }
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
            if self.now.since(since) > Duration::from_secs(5) {
                return true;
            }
        }
        if self.now.since(self.last_input) > QUIET_WITHIN {
            let state = format!(
                "session idle {}, gate open {}, speaker silent {}, kept {} ms",
                self.session.is_idle(),
                self.gate.is_open(),
                self.speaker.is_silent(),
                self.session.kept_ms()
            );
            self.watch.fail(Rule::EndsIdle, || format!("not quiet after {} s: {state}", QUIET_WITHIN.as_secs()));
        }
        false
    }
}

const VOICED: [i16; HOP_FRAMES] = square(VOICED_FROM);
const KNOCK: [i16; HOP_FRAMES] = square(-VOICED_FROM);

const fn square(first: i16) -> [i16; HOP_FRAMES] {
    let mut frames = [first; HOP_FRAMES];
    let mut at = 1;
    while at < HOP_FRAMES {
        frames[at] = -first;
        at += 2;
    }
    frames
}
