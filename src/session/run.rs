//! The core thread: carries inputs to the session and its outputs to everyone else.
//!
//! It waits on one bell for any queue, or for the session's next deadline. Nothing here decides.

mod cause;
mod note;
pub mod record;

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rtrb::{Producer, PushError};
use tokio::sync::Notify;
use tokio::sync::mpsc::error::TrySendError;

use super::memory::Memory;
use super::timers::Reason;
use super::{Input, Output, Session};
use crate::bell::Bell;
use crate::config::agent::Tool;
use crate::flow::{
    Control, Event, EyeWish, GateEvent, GateNote, IDLE_WAIT, LinkEvent, LinkOrder, LinkReport, MicFact, Shot,
    SpeakerFact, SpeakerOrder, ToolOrder, ToolReply,
};
use crate::hw::Clock;
use crate::live::close::{Closing, Refusal};
use crate::trace::Recorder;
use crate::units::Time;

/// How soon an order that found its queue full is tried again.
const RETRY_LATE: Duration = Duration::from_millis(5);

/// How often the calendar is looked at.
const TODAY_EVERY: Duration = Duration::from_secs(10);

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
    /// From people.
    pub controls: mpsc::Receiver<Control>,
    /// From the camera.
    pub shots: mpsc::Receiver<Shot>,
    /// The tools of servers.
    pub declared: mpsc::Receiver<Vec<Tool>>,
}

/// The queues that begin at the core.
pub struct Outputs {
    /// To the gate, and its bell.
    pub gate: (Producer<GateNote>, Bell),
    /// To the speaker, and its bell.
    pub speaker: (Producer<SpeakerOrder>, Bell),
    /// To the link.
    pub link: tokio::sync::mpsc::Sender<LinkOrder>,
    /// Ends the connection where `link` is full.
    pub hang_up: Arc<Notify>,
    /// To the tools.
    pub tools: tokio::sync::mpsc::Sender<ToolOrder>,
    /// To the camera, which takes the newest; must not block.
    pub eyes: Box<dyn Fn(EyeWish) + Send>,
    /// To whoever watches.
    pub watcher: Watcher,
    /// Takes what is to outlive the program, instead of what it took before; must not block.
    pub keep: Box<dyn Fn(Memory) + Send>,
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
    /// Keeps what came and what was sent. Events are not among it: whoever makes the watcher adds them.
    pub recorder: Recorder,
}

/// Starts the thread.
///
/// # Errors
/// The system has no thread to give.
pub fn spawn(parts: Parts) -> io::Result<JoinHandle<()>> {
    let Parts { session, clock, bell, inputs, outputs, stop, progress, recorder } = parts;
    let (late, today, deadline) = (Late::default(), Today::default(), None);
    let core = Core { session, clock, bell, outputs, stop, progress, recorder, late, today, deadline };
    thread::Builder::new().name("core".into()).spawn(move || core.run(inputs))
}

struct Core {
    session: Session,
    clock: Arc<dyn Clock>,
    bell: Bell,
    outputs: Outputs,
    stop: Arc<AtomicBool>,
    progress: Arc<AtomicU64>,
    late: Late,
    today: Today,
    recorder: Recorder,
    /// What the session waits for, as it said last.
    deadline: Option<(Time, Reason)>,
}

/// The day that the session was told, and when the calendar is looked at again.
#[derive(Default)]
struct Today {
    told: Option<u32>,
    look_at: Time,
}

/// Orders that found their queue full and must not be lost.
#[derive(Default)]
struct Late {
    /// At most as many as calls can be open, a tap and the link's loss beside.
    cancels: VecDeque<ToolOrder>,
    notes: Newest<GateNote>,
    speaker: Newest<SpeakerOrder>,
    /// Chunks of sound that were lost since the speaker's queue is full.
    lost_chunks: u64,
}

impl Late {
    fn is_empty(&self) -> bool {
        self.cancels.is_empty() && self.notes.0.is_empty() && self.speaker.0.is_empty()
    }
}

/// The newest order of each kind, in order: it says all that the older ones of its kind said.
struct Newest<T>(VecDeque<T>);

impl<T> Default for Newest<T> {
    fn default() -> Newest<T> {
        Newest(VecDeque::new())
    }
}

impl<T> Newest<T> {
    fn keep(&mut self, order: T) {
        let kind = mem::discriminant(&order);
        self.0.retain(|kept| mem::discriminant(kept) != kind);
        self.0.push_back(order);
    }

    /// Hands over what the queue takes.
    fn hand_over(&mut self, queue: &mut Producer<T>) {
        while let Some(order) = self.0.pop_front() {
            if let Err(PushError::Full(order)) = queue.push(order) {
                self.0.push_front(order);
                return;
            }
        }
    }
}

impl Core {
    fn run(mut self, mut inputs: Inputs) {
        self.bell.answer();
        self.tell_day();
        self.step(Input::Start);
        while !self.stop.load(Ordering::Acquire) {
            while inputs.spent.pop().is_ok() {}
            while let Some(input) = next_input(&mut inputs) {
                self.step(input);
                if self.stop.load(Ordering::Acquire) {
                    break;
                }
            }
            self.tell_day();
            let deadline = self.step(Input::Timeout);
            let wait = deadline.map_or(IDLE_WAIT, |at| at.since(self.clock.now()));
            self.progress.fetch_add(1, Ordering::Relaxed);
            self.retry_late();
            self.bell.wait(if self.late.is_empty() { wait } else { wait.min(RETRY_LATE) });
        }
        let _ = self.outputs.link.try_send(LinkOrder::Close);
    }

    /// Tells the session the day, at the start and when it has changed.
    fn tell_day(&mut self) {
        let now = self.clock.now();
        if self.today.told.is_some() && now < self.today.look_at {
            return;
        }
        self.today.look_at = now + TODAY_EVERY;
        let day = self.clock.today();
        if self.today.told.replace(day) != Some(day) {
            self.step(Input::Today(day));
        }
    }

    /// One input, and everything that follows from it. Answers the next deadline.
    fn step(&mut self, input: Input) -> Option<Time> {
        let now = self.clock.now();
        self.session.set_link_room(self.outputs.link.capacity());
        self.give(input, now);
        loop {
            let output = self.session.poll_output();
            record::output(&output, now, &self.recorder);
            match output {
                Output::Timeout(deadline) => {
                    self.deadline = deadline;
                    self.recorder.wait_for(deadline.map(|(at, reason)| (at, note::timer_what(reason))));
                    return deadline.map(|(at, _)| at);
                }
                Output::Event(what) => (self.outputs.watcher)(&Event { at: now, what }),
                Output::Gate(note) => self.tell_gate(note),
                Output::Eyes(wish) => (self.outputs.eyes)(wish),
                Output::Speaker(order) => self.tell_speaker(order),
                Output::Link(order) => self.tell_link(order, now),
                Output::Tool(order) => self.tell_tools(order, now),
                Output::Keep(memory) => (self.outputs.keep)(*memory),
                Output::Refused(refusal) => (self.outputs.refused)(refusal),
            }
        }
    }

    /// One input, put on record with the deadline that passed before it.
    fn give(&mut self, input: Input, now: Time) {
        if let Some((at, reason)) = self.deadline.take_if(|(at, _)| *at <= now) {
            record::due(reason, now.since(at), now, &self.recorder);
        }
        record::input(&input, now, &self.recorder);
        self.session.handle_input(input, now);
    }

    fn tell_gate(&mut self, note: GateNote) {
        self.late.notes.keep(note);
        self.hand_over_notes();
    }

    fn hand_over_notes(&mut self) {
        let (queue, bell) = &mut self.outputs.gate;
        self.late.notes.hand_over(queue);
        bell.ring();
    }

    /// A speaker whose device hangs at opening takes nothing. Sound is lost then, a flush or an end never.
    fn tell_speaker(&mut self, order: SpeakerOrder) {
        let (queue, bell) = &mut self.outputs.speaker;
        self.late.speaker.hand_over(queue);
        match queue.push(order) {
            Ok(()) if self.late.lost_chunks > 0 => {
                tracing::warn!(chunks = self.late.lost_chunks, "the speaker's queue was full; sound was lost");
                self.late.lost_chunks = 0;
            }
            Ok(()) => {}
            Err(PushError::Full(SpeakerOrder::Play { .. })) => self.late.lost_chunks += 1,
            Err(PushError::Full(order)) => self.late.speaker.keep(order),
        }
        bell.ring();
    }

    fn tell_link(&mut self, order: LinkOrder, now: Time) {
        let Err(TrySendError::Full(order)) = self.outputs.link.try_send(order) else { return };
        self.outputs.hang_up.notify_waiters();
        if !matches!(order, LinkOrder::Close) {
            let why = "the network does not take what is sent; another connection is made".to_string();
            let event = LinkEvent::Down(Closing::Network(why));
            self.give(Input::Link(LinkReport { attempt: self.session.attempt(), event }), now);
        }
    }

    fn tell_tools(&mut self, order: ToolOrder, now: Time) {
        match self.outputs.tools.try_send(order) {
            Err(TrySendError::Full(ToolOrder::Run(call))) => {
                let result = Err("busy: too many actions at once; call again in a moment".to_string());
                self.give(Input::Tool(ToolReply { id: call.id, name: call.name, result }), now);
            }
            // The next one of a transcript says all that this says, and more.
            Err(TrySendError::Full(ToolOrder::Heard { .. })) => {}
            Err(TrySendError::Full(order)) => self.late.cancels.push_back(order),
            Ok(()) | Err(TrySendError::Closed(_)) => {}
        }
    }

    /// Tries again what found a queue full: something that moves or sounds is to stop.
    fn retry_late(&mut self) {
        while let Some(cancel) = self.late.cancels.pop_front() {
            if let Err(TrySendError::Full(cancel)) = self.outputs.tools.try_send(cancel) {
                self.late.cancels.push_front(cancel);
                break;
            }
        }
        if !self.late.notes.0.is_empty() {
            self.hand_over_notes();
        }
        if !self.late.speaker.0.is_empty() {
            let (queue, bell) = &mut self.outputs.speaker;
            self.late.speaker.hand_over(queue);
            bell.ring();
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
    if let Ok(control) = inputs.controls.try_recv() {
        return Some(Input::Control(control));
    }
    // Before the tools: the picture is there when the call of it is answered.
    if let Ok(shot) = inputs.shots.try_recv() {
        return Some(Input::Shot(shot));
    }
    if let Ok(reply) = inputs.tools.try_recv() {
        return Some(Input::Tool(reply));
    }
    if let Ok(tools) = inputs.declared.try_recv() {
        return Some(Input::Tools(tools));
    }
    inputs.mic.pop().ok().map(Input::Mic)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::audio::{Chunk, DOWNLINK_RATE};
    use crate::config::agent::Agent;
    use crate::hw::clock::RealClock;
    use crate::units::Epoch;

    /// A core whose queues to gate and speaker hold two orders, and their other ends.
    fn core() -> (Core, rtrb::Consumer<GateNote>, rtrb::Consumer<SpeakerOrder>) {
        let (notes_in, notes) = rtrb::RingBuffer::new(2);
        let (orders_in, orders) = rtrb::RingBuffer::new(2);
        let outputs = Outputs {
            gate: (notes_in, Bell::new()),
            speaker: (orders_in, Bell::new()),
            link: tokio::sync::mpsc::channel(1).0,
            hang_up: Arc::default(),
            tools: tokio::sync::mpsc::channel(1).0,
            eyes: Box::new(|_| ()),
            watcher: Arc::new(|_| ()),
            keep: Box::new(drop),
            refused: Box::new(|_| ()),
        };
        let core = Core {
            session: Session::new(&Agent::default(), 1),
            clock: Arc::new(RealClock::new()),
            bell: Bell::new(),
            outputs,
            stop: Arc::default(),
            progress: Arc::default(),
            late: Late::default(),
            today: Today::default(),
            recorder: Recorder::new([]),
            deadline: None,
        };
        (core, notes, orders)
    }

    fn all<T>(queue: &mut rtrb::Consumer<T>) -> Vec<T> {
        std::iter::from_fn(|| queue.pop().ok()).collect()
    }

    #[test]
    fn a_speaker_that_takes_nothing_loses_sound_but_no_flush_and_no_end() {
        let (mut core, _notes, mut orders) = core();
        for epoch in [1, 2] {
            let chunk = Chunk { rate: DOWNLINK_RATE, frames: vec![1; 10] };
            for _ in 0..3 {
                core.tell_speaker(SpeakerOrder::Play { epoch: Epoch(epoch), chunk: chunk.clone() });
            }
            core.tell_speaker(SpeakerOrder::End { epoch: Epoch(epoch) });
            core.tell_speaker(SpeakerOrder::Flush { epoch: Epoch(epoch) });
        }
        assert_eq!((all(&mut orders).len(), core.late.lost_chunks), (2, 4));
        core.retry_late();
        let end = SpeakerOrder::End { epoch: Epoch(2) };
        let flush = SpeakerOrder::Flush { epoch: Epoch(2) };
        assert_eq!(format!("{:?}", all(&mut orders)), format!("{:?}", [end, flush]), "the newest say it all");
        assert!(core.late.is_empty());
    }

    #[test]
    fn a_gate_that_stood_still_learns_how_things_are_now() {
        let (mut core, mut notes, _orders) = core();
        for is_audible in [true, false, true, false, true, false] {
            core.tell_gate(GateNote::SpeakerAudible(is_audible));
        }
        assert_eq!(all(&mut notes).len(), 2);
        core.retry_late();
        assert_eq!(all(&mut notes), [GateNote::SpeakerAudible(false)]);
        assert!(core.late.is_empty());
    }
}
