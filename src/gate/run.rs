//! The threads of the gate: one that owns the gate, one that waits for the talk button's edges.
//!
//! The gate's thread takes hops and edges in the order in which they happened, so that a press finds the
//! sound from before it in the pre-roll. Neither thread allocates, locks or logs per hop.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rtrb::{Consumer, Producer, PushError};

use super::Gate;
use super::vad::WebRtc;
use crate::audio::Hop;
use crate::bell::Bell;
use crate::config::agent::{Gestures, Listen};
use crate::flow::{GateEvent, GateNote, MIC_RING_HOPS};
use crate::hw::{Board, Button, Clock, Edge, LineTrouble};
use crate::units::Time;

/// The longest sleep of the gate's thread: it looks at the clock to notice a lost microphone.
const WAIT_MAX: Duration = Duration::from_millis(100);

/// How long to sleep when the core does not take events; it rings no bell for room. A hop is 10 ms.
const FULL_WAIT: Duration = Duration::from_millis(2);

/// How long a wait for an edge may take before the thread looks at `stop` and at a level it missed.
const EDGE_WAIT: Duration = Duration::from_millis(500);

/// How long to leave a line alone that could not be opened or read.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// What the gate's thread is made of.
pub struct Parts {
    /// The clock that stamps hops and edges.
    pub clock: Arc<dyn Clock>,
    /// How to listen.
    pub listen: Listen,
    /// What presses mean beside talking.
    pub gestures: Gestures,
    /// From the microphone; at most [`MIC_RING_HOPS`] are kept, so make the ring twice as large.
    pub hops: Consumer<Hop>,
    /// From the button.
    pub edges: Consumer<Edge>,
    /// From the core.
    pub notes: Consumer<GateNote>,
    /// To the core.
    pub events: Producer<GateEvent>,
    /// Rung by microphone, button and core.
    pub bell: Bell,
    /// Rung when events are there.
    pub core_bell: Bell,
    /// Rises while the thread lives: for the watchdog.
    pub progress: Arc<AtomicU64>,
    /// Ends the thread, within 100 ms or at the next ring.
    pub stop: Arc<AtomicBool>,
}

/// Starts the gate's thread.
pub fn spawn(parts: Parts) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name("gate".into()).spawn(move || run(parts))
}

/// Nobody is left to talk to, or the program stops.
struct Stopped;

fn run(mut parts: Parts) {
    parts.bell.answer();
    let vad = Box::new(WebRtc::new(parts.listen.vad_mode));
    let mut gate = Gate::new(&parts.listen, vad).with_gestures(&parts.gestures);
    while !parts.stop.load(Ordering::Relaxed) {
        parts.progress.fetch_add(1, Ordering::Relaxed);
        if parts.work(&mut gate).is_err() {
            return;
        }
        parts.bell.wait(WAIT_MAX);
    }
}

impl Parts {
    /// Does all that is waiting.
    fn work(&mut self, gate: &mut Gate) -> Result<(), Stopped> {
        while let Ok(note) = self.notes.pop() {
            gate.handle_note(note);
            self.deliver(gate)?;
        }
        self.discard_old(gate)?;
        while let Ok(edge) = self.edges.pop() {
            // A stamp from a clock that is not ours would hold a tail open for ever.
            let edge = Edge { at: edge.at.min(self.clock.now()), ..edge };
            self.hear(gate, Some(edge.at))?;
            gate.handle_edge(edge);
            self.deliver(gate)?;
        }
        self.hear(gate, None)?;
        gate.handle_time(self.clock.now());
        self.deliver(gate)
    }

    /// Takes hops, up to those captured at `until` where it is given.
    fn hear(&mut self, gate: &mut Gate, until: Option<Time>) -> Result<(), Stopped> {
        while let Ok(hop) = self.hops.peek() {
            if until.is_some_and(|until| hop.at > until) {
                break;
            }
            gate.handle_hop(hop);
            let _ = self.hops.pop();
            self.deliver(gate)?;
        }
        Ok(())
    }

    /// Discards the oldest hops beyond what may wait.
    fn discard_old(&mut self, gate: &mut Gate) -> Result<(), Stopped> {
        let beyond = self.hops.slots().saturating_sub(MIC_RING_HOPS);
        for _ in 0..beyond {
            let _ = self.hops.pop();
        }
        gate.handle_lost(beyond as u32);
        self.deliver(gate)
    }

    /// Gives the core what the gate says; waits for room rather than lose any of it.
    fn deliver(&mut self, gate: &mut Gate) -> Result<(), Stopped> {
        let mut any = false;
        while let Some(event) = gate.poll_output() {
            any = true;
            let mut waiting = event;
            while let Err(PushError::Full(event)) = self.events.push(waiting) {
                if self.stop.load(Ordering::Relaxed) || self.events.is_abandoned() {
                    return Err(Stopped);
                }
                waiting = event;
                self.core_bell.ring();
                thread::sleep(FULL_WAIT);
            }
        }
        if any {
            self.core_bell.ring();
        }
        Ok(())
    }
}

/// What the button's thread is made of.
pub struct ButtonParts {
    /// The clock that stamps a level that was read, not waited for.
    pub clock: Arc<dyn Clock>,
    /// Opens the line.
    pub board: Arc<dyn Board>,
    /// The board profile's name of the line.
    pub line: String,
    /// To the gate.
    pub edges: Producer<Edge>,
    /// Rung when edges are there.
    pub gate_bell: Bell,
    /// Ends the thread, within 500 ms (a line that waits longer breaks its contract).
    pub stop: Arc<AtomicBool>,
}

/// Starts the button's thread.
///
/// `report` is told of a trouble once, not at each retry, and `Ok` when the line works after one.
pub fn spawn_button(
    parts: ButtonParts,
    report: impl Fn(Result<(), LineTrouble>) + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let waiter = Waiter { parts, last_sent: false, edges_lost: 0 };
    thread::Builder::new().name("button".into()).spawn(move || waiter.run(report))
}

struct Waiter {
    parts: ButtonParts,
    /// What the gate was told last.
    last_sent: bool,
    edges_lost: u64,
}

impl Waiter {
    fn run(mut self, report: impl Fn(Result<(), LineTrouble>)) {
        let mut reported: Option<LineTrouble> = None;
        while !self.is_stopped() {
            let trouble = match self.parts.board.open_button(&self.parts.line) {
                Ok(button) => {
                    if reported.take().is_some() {
                        report(Ok(()));
                    }
                    self.watch(button)
                }
                Err(trouble) => Some(trouble),
            };
            let Some(trouble) = trouble else { return };
            // A line that is gone is not pressed.
            self.send(false, self.parts.clock.now());
            if reported.as_ref() != Some(&trouble) {
                report(Err(trouble.clone()));
                reported = Some(trouble);
            }
            self.pause();
        }
    }

    /// Forwards edges until the line is in trouble, or until stopped (then nothing is answered).
    fn watch(&mut self, mut button: Box<dyn Button>) -> Option<LineTrouble> {
        // The level when it was opened may not be what the gate knows.
        let mut level_unknown = true;
        while !self.is_stopped() {
            if level_unknown {
                match button.is_active() {
                    Ok(active) => level_unknown = !self.send(active, self.parts.clock.now()),
                    Err(trouble) => return Some(trouble),
                }
            }
            match button.wait(EDGE_WAIT) {
                Ok(Some(edge)) if !self.send(edge.active, edge.at) => {
                    self.edges_lost += 1;
                    level_unknown = true;
                }
                Ok(_) => {}
                Err(trouble) => return Some(trouble),
            }
        }
        None
    }

    /// Tells the gate, if it does not know. Answers false where there was no room: the level must be read
    /// again later.
    fn send(&mut self, active: bool, at: Time) -> bool {
        if active == self.last_sent {
            return true;
        }
        if self.parts.edges.push(Edge { at, active }).is_err() {
            return false;
        }
        if self.edges_lost > 0 {
            tracing::warn!(line = self.parts.line, lost = self.edges_lost, "edges were lost: the gate was busy");
            self.edges_lost = 0;
        }
        self.last_sent = active;
        self.parts.gate_bell.ring();
        true
    }

    fn pause(&self) {
        let mut left = RETRY_AFTER;
        while !self.is_stopped() && !left.is_zero() {
            let nap = left.min(WAIT_MAX);
            thread::sleep(nap);
            left -= nap;
        }
    }

    fn is_stopped(&self) -> bool {
        self.parts.stop.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::VecDeque;
    use std::sync::Mutex;
    use std::sync::mpsc;

    use super::*;
    use crate::audio::trouble::PcmTrouble;
    use crate::config::agent::Agent;
    use crate::flow::{DropCause, EDGES_MAX, GATE_EVENTS_MAX, NOTES_MAX};
    use crate::gate::tests::listen;
    use crate::hw::{Capture, Input, Output, Playback};

    struct SetClock(AtomicU64);

    impl Clock for SetClock {
        fn now(&self) -> Time {
            Time::from_ms(self.0.load(Ordering::Relaxed))
        }
    }

    struct Ends {
        parts: Parts,
        clock: Arc<SetClock>,
        hops: Producer<Hop>,
        edges: Producer<Edge>,
        events: Consumer<GateEvent>,
    }

    fn ends() -> Ends {
        let clock = Arc::new(SetClock(AtomicU64::new(0)));
        let (hops, hops_out) = rtrb::RingBuffer::new(2 * MIC_RING_HOPS);
        let (edges, edges_out) = rtrb::RingBuffer::new(EDGES_MAX);
        let (_, notes) = rtrb::RingBuffer::new(NOTES_MAX);
        let (events_in, events) = rtrb::RingBuffer::new(GATE_EVENTS_MAX);
        let parts = Parts {
            clock: clock.clone(),
            listen: Listen { preroll_ms: 2000, turn_max_s: 60, ..listen() },
            gestures: Agent::default().gestures,
            hops: hops_out,
            edges: edges_out,
            notes,
            events: events_in,
            bell: Bell::new(),
            core_bell: Bell::new(),
            progress: Arc::default(),
            stop: Arc::new(AtomicBool::new(false)),
        };
        Ends { parts, clock, hops, edges, events }
    }

    fn loud(at_ms: u64) -> Hop {
        let frames = std::array::from_fn(|i| if i % 2 == 0 { 3000 } else { -3000 });
        Hop { at: Time::from_ms(at_ms), frames }
    }

    fn drain(events: &mut Consumer<GateEvent>) -> Vec<GateEvent> {
        std::iter::from_fn(|| events.pop().ok()).collect()
    }

    #[test]
    fn hops_and_edges_are_taken_in_the_order_they_happened() {
        let mut ends = ends();
        let mut gate = Gate::new(&ends.parts.listen, Box::new(WebRtc::new(2)));
        ends.clock.0.store(300, Ordering::Relaxed);
        for hop in 1..=30 {
            ends.hops.push(loud(10 * hop)).ok().unwrap();
        }
        ends.edges.push(Edge { at: Time::from_ms(205), active: true }).unwrap();
        assert!(ends.parts.work(&mut gate).is_ok());
        let said = drain(&mut ends.events);
        assert!(matches!(said[0], GateEvent::Pressed), "{said:?}");
        assert!(matches!(said[1], GateEvent::Opened(_)), "{said:?}");
        let Some(GateEvent::Speech(speech)) = said.get(2 + 19) else { panic!("{said:?}") };
        assert_eq!(speech.at, Time::from_ms(200), "20 hops were heard before the press");
    }

    #[test]
    fn the_oldest_hops_beyond_the_limit_are_counted_as_lost() {
        let mut ends = ends();
        let mut gate = Gate::new(&ends.parts.listen, Box::new(WebRtc::new(2)));
        for hop in 0..MIC_RING_HOPS as u64 + 7 {
            ends.hops.push(loud(10 * hop)).ok().unwrap();
        }
        assert!(ends.parts.work(&mut gate).is_ok());
        assert!(matches!(drain(&mut ends.events)[..], [GateEvent::Lost(7)]));
    }

    #[test]
    fn an_edge_from_the_future_does_not_hold_the_gate_open() {
        let mut ends = ends();
        let mut gate = Gate::new(&ends.parts.listen, Box::new(WebRtc::new(2)));
        ends.edges.push(Edge { at: Time::from_ms(10), active: true }).unwrap();
        ends.clock.0.store(500, Ordering::Relaxed);
        assert!(ends.parts.work(&mut gate).is_ok());
        ends.edges.push(Edge { at: Time::from_ms(1 << 40), active: false }).unwrap();
        ends.clock.0.store(600, Ordering::Relaxed);
        assert!(ends.parts.work(&mut gate).is_ok());
        ends.clock.0.store(2000, Ordering::Relaxed);
        assert!(ends.parts.work(&mut gate).is_ok());
        let said = drain(&mut ends.events);
        assert!(
            matches!(said[..], [GateEvent::Pressed, GateEvent::Released, GateEvent::Dropped(DropCause::OnlySilence)]),
            "{said:?}"
        );
    }

    /// The thread itself: more events than the ring holds at once, taken slowly, all arrive in order.
    #[test]
    fn a_slow_core_loses_nothing() {
        let Ends { parts, clock, mut hops, mut edges, mut events } = ends();
        let (stop, bell) = (parts.stop.clone(), parts.bell.clone());
        let thread = spawn(parts).unwrap();
        clock.0.store(10_000, Ordering::Relaxed);
        for hop in 1..=200u64 {
            let mut next = loud(9000 + 5 * hop);
            while let Err(PushError::Full(back)) = hops.push(next) {
                next = back;
            }
            bell.ring();
            while hops.slots() < MIC_RING_HOPS + 1 {
                thread::yield_now(); // never so far ahead that hops are discarded
            }
        }
        edges.push(Edge { at: Time::from_ms(10_000), active: true }).unwrap();
        bell.ring();
        let mut said = Vec::new();
        while said.len() < 2 + 200 {
            said.extend(events.pop());
            thread::yield_now();
        }
        stop.store(true, Ordering::Relaxed);
        bell.ring();
        thread.join().unwrap();
        let stamps: Vec<u64> = said
            .iter()
            .filter_map(|event| if let GateEvent::Speech(speech) = event { Some(speech.at.as_ms()) } else { None })
            .collect();
        assert_eq!(stamps, (1..=200).map(|hop| 9000 + 5 * hop).collect::<Vec<_>>());
    }

    type Step = Result<Option<Edge>, LineTrouble>;

    /// A line that fails to open, then plays its steps, then fails again.
    struct ScriptedBoard {
        openings: Mutex<VecDeque<Result<VecDeque<Step>, LineTrouble>>>,
    }

    struct ScriptedButton(VecDeque<Step>, bool);

    impl Button for ScriptedButton {
        fn is_active(&mut self) -> Result<bool, LineTrouble> {
            Ok(self.1)
        }

        fn wait(&mut self, _: Duration) -> Step {
            let step = self.0.pop_front().unwrap_or(Err(trouble("unplugged")));
            if let Ok(Some(edge)) = &step {
                self.1 = edge.active;
            }
            step
        }
    }

    fn trouble(why: &str) -> LineTrouble {
        LineTrouble::Other { line: "talk".into(), why: why.into() }
    }

    impl Board for ScriptedBoard {
        fn open_capture(&self) -> Result<Box<dyn Capture>, PcmTrouble> {
            Err(PcmTrouble::Gone)
        }
        fn open_playback(&self) -> Result<Box<dyn Playback>, PcmTrouble> {
            Err(PcmTrouble::Gone)
        }
        fn open_button(&self, _: &str) -> Result<Box<dyn Button>, LineTrouble> {
            let steps = self.openings.lock().unwrap().pop_front().unwrap_or(Err(trouble("gone for good")))?;
            Ok(Box::new(ScriptedButton(steps, false)))
        }
        fn open_output(&self, _: &str) -> Result<Box<dyn Output>, LineTrouble> {
            Err(trouble("none"))
        }
        fn open_input(&self, _: &str) -> Result<Box<dyn Input>, LineTrouble> {
            Err(trouble("none"))
        }
    }

    fn waiter(openings: Vec<Result<VecDeque<Step>, LineTrouble>>, room: usize) -> (Waiter, Consumer<Edge>) {
        let (edges, edges_out) = rtrb::RingBuffer::new(room);
        let parts = ButtonParts {
            clock: Arc::new(SetClock(AtomicU64::new(77))),
            board: Arc::new(ScriptedBoard { openings: Mutex::new(openings.into()) }),
            line: "talk".into(),
            edges,
            gate_bell: Bell::new(),
            stop: Arc::new(AtomicBool::new(false)),
        };
        (Waiter { parts, last_sent: false, edges_lost: 0 }, edges_out)
    }

    fn edge(at_ms: u64, active: bool) -> Edge {
        Edge { at: Time::from_ms(at_ms), active }
    }

    #[test]
    fn trouble_is_reported_once_and_releases_the_button() {
        let steps = VecDeque::from([Ok(None), Ok(Some(edge(5, true)))]);
        let (waiter, mut edges) = waiter(vec![Err(trouble("busy")), Ok(steps)], 8);
        let stop = waiter.parts.stop.clone();
        let (told, reports) = mpsc::channel();
        let thread = thread::spawn(move || waiter.run(move |report| told.send(report).unwrap()));
        let heard: Vec<_> = reports.iter().take(4).collect();
        stop.store(true, Ordering::Relaxed);
        thread.join().unwrap();
        assert_eq!(heard, [Err(trouble("busy")), Ok(()), Err(trouble("unplugged")), Err(trouble("gone for good")),]);
        assert_eq!(edges.pop().ok(), Some(edge(5, true)));
        assert_eq!(edges.pop().ok(), Some(edge(77, false)), "a line that is gone is not pressed");
        assert!(edges.pop().is_err());
    }

    #[test]
    fn an_edge_that_found_no_room_is_made_up_for() {
        let (mut waiter, mut edges) = waiter(Vec::new(), 1);
        let steps = VecDeque::from([Ok(Some(edge(5, true))), Ok(Some(edge(9, false)))]);
        assert_eq!(waiter.watch(Box::new(ScriptedButton(steps, false))), Some(trouble("unplugged")));
        assert_eq!((waiter.edges_lost, waiter.last_sent), (1, true));
        assert_eq!(edges.pop().ok(), Some(edge(5, true)));
        let steps = VecDeque::from([Ok(None)]);
        waiter.watch(Box::new(ScriptedButton(steps, false)));
        assert_eq!(edges.pop().ok(), Some(edge(77, false)));
        assert_eq!(waiter.edges_lost, 0);
    }
}
