//! The core's thread: one input, and all that follows from it, told to the watch and passed on.

use mynah::flow::{
    CloseCause, EyeWish, GateEvent, GateNote, LINK_ORDERS_MAX, LinkEvent, LinkOrder, LinkReport, Occasion, Shot,
    SpeakerFact, SpeakerOrder, TOOL_ORDERS_MAX, ToolOrder, ToolReply, What,
};
use mynah::live::client;
use mynah::live::close::Closing;
use mynah::session::{Input, Output};
use mynah::still::Still;

use super::super::device::ReplyId;
use super::super::mutation::Mutation;
use super::super::watch::Rule;
use super::{Due, Queue, ToCore, World};

impl World {
    pub(super) fn reach_core(&mut self, what: ToCore) {
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

    pub(super) fn link_report(&mut self, mut report: LinkReport, reply: Option<ReplyId>) {
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
            LinkEvent::Garbage(_) | LinkEvent::Alive => {}
            LinkEvent::Down(closing) => {
                self.watch.note(|| format!("    core hears: down, {closing}"));
                if attempt == self.session.attempt() {
                    self.watch.setup_ended(Some(closing));
                }
                self.watch.core_lost(attempt);
            }
        }
        if let (Some(Mutation::SoundLost), LinkEvent::Message(message)) = (self.mutation, &mut report.event) {
            message.audio.clear();
        }
        self.core(Input::Link(report), reply);
    }

    /// The camera gives a picture, whether it is still wanted or not.
    pub(super) fn shot(&mut self) {
        let age = self.eye_dice.ms(0, 700);
        let still = Still { jpeg: vec![0xff; 64].into(), width: 640, height: 480, taken_at: self.now.back(age) };
        self.core(Input::Shot(Shot { still, why: Occasion::Speaking }), None);
    }

    /// One input, and everything that follows from it.
    pub(super) fn core(&mut self, input: Input, reply: Option<ReplyId>) {
        self.session.set_link_room(LINK_ORDERS_MAX - self.len(Queue::CoreToLink));
        self.watch.core_takes(&input);
        let input = match self.mutation {
            None => input,
            Some(mutation) => mutation.of_input(input).unwrap_or(Input::Timeout),
        };
        self.session.handle_input(input, self.now);
        loop {
            match self.session.poll_output() {
                Output::Timeout(deadline) => {
                    let mut due = deadline.map(|(at, _)| at);
                    if self.mutation == Some(Mutation::DeadlinePassed) {
                        due = due.map(|at| at.min(self.now));
                    }
                    let extra_ms = if self.mutation == Some(Mutation::KeepsTooMuch) { 29_000 } else { 0 };
                    let (kept_ms, remembered_ms) = (self.session.kept_ms(), self.session.remembered_ms() + extra_ms);
                    self.watch.drained(due, kept_ms, remembered_ms);
                    self.core_due = due;
                    return;
                }
                Output::Event(mut what) => {
                    if let Some(mutation) = self.mutation {
                        mutation.of_event(&mut what);
                    }
                    self.watch.event(&what);
                    if let (What::ReplyReceived { epoch, .. }, Some(reply)) = (&what, reply) {
                        self.watch.received(*epoch, reply);
                    }
                }
                Output::Gate(note) if self.mutation.is_some_and(|mutation| mutation.forgets_note(note)) => {}
                Output::Gate(note) => {
                    if note == GateNote::Abort {
                        self.watch.aborted();
                    }
                    self.watch.note(|| format!("    core to gate: {note:?}"));
                    self.push(Queue::CoreToGate, Due::ToGate, note);
                }
                Output::Speaker(order) => self.speak(order, reply),
                Output::Link(order) => self.order_link(order),
                Output::Tool(order) => self.order_tools(order),
                Output::Eyes(EyeWish::Take) => {
                    let delay = self.eye_dice.ms(5, 900);
                    self.at(self.now + delay, Due::Shot);
                }
                Output::Eyes(_) | Output::Keep(_) => {}
                Output::Refused(refusal) => self.watch.fail(Rule::NotRefused, || refusal.to_string()),
            }
        }
    }

    pub(super) fn speak(&mut self, mut order: SpeakerOrder, reply: Option<ReplyId>) {
        if let Some(mutation) = self.mutation {
            if mutation.forgets(&order) {
                return;
            }
            mutation.of_speaker_order(&mut order);
        }
        let reply = self.watch.reply_of(&order).or(reply);
        self.watch.speaker_ordered(&order, reply);
        self.push(
            Queue::CoreToSpeaker,
            |(order, reply)| Due::ToSpeaker(order, reply),
            (order, reply.unwrap_or(usize::MAX)),
        );
    }

    pub(super) fn order_link(&mut self, order: LinkOrder) {
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
                self.connections[at].end(self.now);
            }
            if !matches!(order, LinkOrder::Close) {
                let attempt = self.session.attempt();
                self.watch.core_lost(attempt);
                let event = LinkEvent::Down(Closing::Network("the network does not take what is sent".into()));
                self.session.handle_input(Input::Link(LinkReport { attempt, event }), self.now);
            }
        }
    }

    pub(super) fn order_tools(&mut self, order: ToolOrder) {
        self.watch.note(|| format!("    core to tools: {order:?}"));
        self.watch.tool_ordered(&order);
        if self.len(Queue::CoreToTools) < TOOL_ORDERS_MAX {
            return self.push(Queue::CoreToTools, Due::ToTools, order);
        }
        let ToolOrder::Run(call) = order else { return }; // the core's thread tries a cancellation again
        let reply = ToolReply { id: call.id, name: call.name, result: Err("busy".into()) };
        self.session.handle_input(Input::Tool(reply), self.now);
    }
}
