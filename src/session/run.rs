//! The core thread: carries inputs to the session and its outputs to everyone else.
//!
//! It waits on one bell for any queue, or for the session's next deadline. Nothing here decides.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::mpsc::error::TrySendError;

use super::{Input, Output, Session};
use crate::bell::Bell;
use crate::flow::{
    Event, GateEvent, GateNote, IDLE_WAIT, LinkEvent, LinkOrder, LinkReport, MicFact, SpeakerFact, SpeakerOrder,
    ToolOrder, ToolReply,
};
use crate::hw::Clock;
use crate::live::close::{Closing, Refusal};
use crate::units::Time;

/// How soon a cancellation that found the tools' queue full is tried again.
const RETRY_CANCEL: Duration = Duration::from_millis(5);

/// Who watches what happens; called on the core's thread, so it must not block.
pub type Watcher = Arc<dyn Fn(&Event) + Send + Sync>;

/// The queues that end at the core.
pub struct Inputs {
    /// From the gate.
    pub gate: rtrb::Consumer<GateEvent>,
    /// From the microphone.
    pub mic: rtrb::Consumer<MicFact>,
    /// From the speaker.
    pub speaker: rtrb::Consumer<SpeakerFact>,
    /// Spent buffers from the speaker, to be freed here.
    pub spent: rtrb::Consumer<Vec<i16>>,
    /// From the link.
    pub link: tokio::sync::mpsc::Receiver<LinkReport>,
    /// From the tools.
    pub tools: mpsc::Receiver<ToolReply>,
}

/// The queues that begin at the core.
pub struct Outputs {
    /// To the gate, and its bell.
    pub gate: (rtrb::Producer<GateNote>, Bell),
    /// To the speaker, and its bell.
    pub speaker: (rtrb::Producer<SpeakerOrder>, Bell),
    /// To the link.
    pub link: tokio::sync::mpsc::Sender<LinkOrder>,
    /// Ends the connection where `link` is full.
    pub hang_up: Arc<Notify>,
    /// To the tools.
    pub tools: tokio::sync::mpsc::Sender<ToolOrder>,
    /// To whoever watches.
    pub watcher: Watcher,
    /// Called when the service refuses and only a person can help.
    pub refused: Box<dyn Fn(Refusal) + Send>,
}

/// What the thread needs.
pub struct Parts {
    /// The session.
    pub session: Session,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The core's own bell.
    pub bell: Bell,
    /// In.
    pub inputs: Inputs,
    /// Out.
    pub outputs: Outputs,
    /// Set to end the thread (then ring its bell).
    pub stop: Arc<AtomicBool>,
    /// Counts turns of the loop, for the watchdog.
    pub progress: Arc<AtomicU64>,
}

/// Starts the thread.
///
/// # Errors
/// The system has no thread to give.
pub fn spawn(parts: Parts) -> io::Result<JoinHandle<()>> {
    let Parts { session, clock, bell, inputs, outputs, stop, progress } = parts;
    let core = Core { session, clock, bell, outputs, stop, progress, cancels: VecDeque::new() };
    thread::Builder::new().name("core".into()).spawn(move || core.run(inputs))
}

struct Core {
    session: Session,
    clock: Arc<dyn Clock>,
    bell: Bell,
    outputs: Outputs,
    stop: Arc<AtomicBool>,
    progress: Arc<AtomicU64>,
    /// At most as many as calls can be open.
    cancels: VecDeque<ToolOrder>,
}

impl Core {
    fn run(mut self, mut inputs: Inputs) {
        self.bell.answer();
        self.step(Input::Start);
        while !self.stop.load(Ordering::Acquire) {
            while inputs.spent.pop().is_ok() {}
            while let Some(input) = next_input(&mut inputs) {
                self.step(input);
                if self.stop.load(Ordering::Acquire) {
                    break;
                }
            }
            let deadline = self.step(Input::Timeout);
            let wait = deadline.map_or(IDLE_WAIT, |at| at.since(self.clock.now()));
            self.progress.fetch_add(1, Ordering::Relaxed);
            self.retry_cancels();
            self.bell.wait(if self.cancels.is_empty() { wait } else { wait.min(RETRY_CANCEL) });
        }
        let _ = self.outputs.link.try_send(LinkOrder::Close);
    }

    /// One input, and everything that follows from it. Answers the next deadline.
    fn step(&mut self, input: Input) -> Option<Time> {
        let now = self.clock.now();
        self.session.set_link_room(self.outputs.link.capacity());
        self.session.handle_input(input, now);
        loop {
            match self.session.poll_output() {
                Output::Timeout(deadline) => return deadline.map(|(at, _)| at),
                Output::Event(what) => (self.outputs.watcher)(&Event { at: now, what }),
                Output::Gate(note) => self.tell_gate(note),
                Output::Speaker(order) => self.tell_speaker(order),
                Output::Link(order) => self.tell_link(order, now),
                Output::Tool(order) => self.tell_tools(order, now),
                Output::Refused(refusal) => (self.outputs.refused)(refusal),
            }
        }
    }

    fn tell_gate(&mut self, note: GateNote) {
        // The gate empties this queue every hop; a full one means that it stands still, and then its
        // knowledge of the loudspeaker is the least of the worries.
        if self.outputs.gate.0.push(note).is_err() {
            tracing::warn!(?note, "the gate does not take notes");
        }
        self.outputs.gate.1.ring();
    }

    fn tell_speaker(&mut self, order: SpeakerOrder) {
        if self.outputs.speaker.0.push(order).is_err() {
            tracing::warn!("the speaker's queue is full; sound is lost");
        }
        self.outputs.speaker.1.ring();
    }

    fn tell_link(&mut self, order: LinkOrder, now: Time) {
        let Err(TrySendError::Full(order)) = self.outputs.link.try_send(order) else { return };
        self.outputs.hang_up.notify_waiters();
        if !matches!(order, LinkOrder::Close) {
            let why = "the network does not take what is sent; another connection is made".to_string();
            let event = LinkEvent::Down(Closing::Network(why));
            self.session.handle_input(Input::Link(LinkReport { attempt: self.session.attempt(), event }), now);
        }
    }

    fn tell_tools(&mut self, order: ToolOrder, now: Time) {
        match self.outputs.tools.try_send(order) {
            Err(TrySendError::Full(ToolOrder::Run(call))) => {
                let result = Err("busy: too many actions at once; call again in a moment".to_string());
                self.session.handle_input(Input::Tool(ToolReply { id: call.id, name: call.name, result }), now);
            }
            Err(TrySendError::Full(cancel @ ToolOrder::Cancel(_))) => self.cancels.push_back(cancel),
            Ok(()) | Err(TrySendError::Closed(_)) => {}
        }
    }

    /// Cancellations that found the queue full: something that moves is to stop, so they are tried until taken.
    fn retry_cancels(&mut self) {
        while let Some(cancel) = self.cancels.pop_front() {
            if let Err(TrySendError::Full(cancel)) = self.outputs.tools.try_send(cancel) {
                self.cancels.push_front(cancel);
                return;
            }
        }
    }
}

/// The next input of any queue; facts of the devices first, then what the server and the user say.
fn next_input(inputs: &mut Inputs) -> Option<Input> {
    if let Ok(fact) = inputs.speaker.pop() {
        return Some(Input::Speaker(fact));
    }
    if let Ok(event) = inputs.gate.pop() {
        return Some(Input::Gate(event));
    }
    if let Ok(report) = inputs.link.try_recv() {
        return Some(Input::Link(report));
    }
    if let Ok(reply) = inputs.tools.try_recv() {
        return Some(Input::Tool(reply));
    }
    inputs.mic.pop().ok().map(Input::Mic)
}
